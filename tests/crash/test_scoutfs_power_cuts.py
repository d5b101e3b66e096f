"""The power goes out while parts are joined on ScoutFS, whose commits are those of a whole mount.

What a power cut leaves there is all that was done up to some moment and nothing of what came after
it. So each moment is tried: the joining is stopped at a step, a sync commits what was done up to
it, and the power goes. The double stands in for ScoutFS.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from s3filters.store.changes import Changes
from tests.crash.lab import folder, image, need
from tests.scoutfs import calls, transactions
from tests.scoutfs.mounted import mounted
from tests.scoutfs.mounted import need as need_double
from tests.scoutfs.uploading import Upload, filled

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

MIB = 1 << 20
SIZES = (2 * MIB, MIB, 5 * 4096 + 1, MIB + 77)  # the fourth has to be copied
ALL = [1, 2, 3, 4]
STEPS = [
    *("setxattr 0", "setattr 0", "setattr 1"),  # the plan, and the target's size
    *(f"extent {count}" for count in range(4)),
    *("write 0", "write 1"),
]


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A btrfs to take snapshots on."""
    need("mkfs.btrfs", "btrfs", "losetup")
    need_double()
    with folder() as base, image(base / "image", "btrfs", base / "disk", "1G") as path:
        yield path


class Machine:
    """A mounted double whose power can be cut."""

    def __init__(self, disk: Path, where: Path) -> None:
        self.disk = disk
        self.where = where

    @contextmanager
    def running(self) -> Iterator[Path]:
        """The time between power on and power off."""
        with mounted(self.where, "--commits", str(self.disk)) as process:
            yield self.where
            process.kill()
            process.wait()
        transactions.roll_back(self.disk)


@pytest.fixture
def machine(disk: Path, tmp_path: Path) -> Iterator[Machine]:
    made = disk / tmp_path.name
    made.mkdir()
    transactions.make(made)
    yield Machine(made, tmp_path / "mount")


def sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "lost"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("then", [ALL, [1, 3]], ids=str)
def test_no_part_is_lost_when_the_power_goes_out_at_a_step(
    machine: Machine, step: str, committed: bool, then: list[int]
) -> None:
    with machine.running() as root:
        upload = filled(root, SIZES)
        sync(root)
        word, skip = step.split()
        calls.order_fault(root, f"{word} EIO {skip} 1000")
        with pytest.raises(OSError):
            upload.join(ALL)
        if committed:
            sync(root)
    with machine.running() as root:
        assert [os.stat(root / str(number)).st_size for number in ALL] == list(SIZES)
        upload.join(then)
        assert upload.joined == upload.wanted(then)
        sync(root)
    with machine.running():
        assert upload.joined == upload.wanted(then)
        upload.join(ALL)
        assert upload.joined == upload.wanted(ALL)


def test_a_cut_at_any_moment_of_moving_back_loses_nothing(machine: Machine) -> None:
    with machine.running() as root:
        upload = filled(root, SIZES)
        upload.join(ALL)
        sync(root)
    for moved_back in range(4):
        with machine.running() as root:
            calls.order_fault(root, f"extent EIO {moved_back} 1000")
            with suppress(OSError):
                upload.join([2, 3])
            sync(root)
    with machine.running():
        upload.join(ALL)
        assert upload.joined == upload.wanted(ALL)


def test_the_double_forgets_what_was_not_committed(machine: Machine) -> None:
    """Else the tests above would prove nothing."""
    with machine.running() as root:
        Upload(root).put(1, b"kept")
        sync(root)
        Upload(root).put(1, b"lost")
        Upload(root).put(2, b"lost")
    with machine.running() as root:
        assert sorted(os.listdir(root)) == ["1"]
        assert (root / "1").read_bytes() == b"kept"


def test_what_is_told_to_have_changed_is_still_so_after_a_cut(machine: Machine) -> None:
    names = [str(number) for number in range(6)]
    with machine.running() as root:
        for name in names:
            (root / name).write_bytes(b"before")
        sync(root)
        numbers = {os.stat(root / name).st_ino: name for name in names}
        fd = os.open(root, os.O_RDONLY)
        changes = Changes(fd)
        changes.begin()
        told: set[str] = set()
        for name in names:
            (root / name).write_bytes(b"after")
            if name in "13":
                sync(root)
            told |= {numbers[each] for each in changes.since(100) or () if each in numbers}
        os.close(fd)
    with machine.running() as root:
        after = {name for name in names if (root / name).read_bytes() == b"after"}
    assert told == after == set("0123")
