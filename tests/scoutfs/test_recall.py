"""``s3filters restore`` and ``s3filters cold``, through a daemon on a double and on its folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from s3filters.commands import main, restore
from s3filters.store import asked, scoutfs
from tests import daemon
from tests.daemon import Daemon
from tests.scoutfs import calls
from tests.scoutfs.cold import DATA, Cold
from tests.scoutfs.mounted import REPOSITORY

INI = REPOSITORY / "etc" / "scoutfs.ini"
KEYS = [f"photos/{number}" for number in range(4)]
Said = tuple[int, str, str]
Run = Callable[..., Said]
Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def cold(folder: Path, tmp_path: Path) -> Cold:
    """Four photos on tape, and one thing that is not."""
    made = Cold(folder, tmp_path)
    for key in KEYS:
        made.offline(key)
    made.put("photos/here")
    made.offline("elsewhere")
    return made


@pytest.fixture
def served(cold: Cold) -> Iterator[Daemon]:
    with daemon.running(cold.root, extra=("--conf", str(INI))) as running:
        yield running


@pytest.fixture(params=["folder", "endpoint"])
def run(
    request: pytest.FixtureRequest,
    cold: Cold,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs a command of two words below ``s3://box/photos``, in both ways."""
    if request.param == "folder":
        where = ["--root", str(cold.root)]
    else:
        where = ["--endpoint-url", request.getfixturevalue("served").url]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", daemon.ACCESS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", daemon.SECRET_KEY)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def run(*words: str) -> Said:
        code = main.main([*words, "s3://box/photos", *where])
        all_asked(cold)
        return code, *capsys.readouterr()

    return run


def all_asked(cold: Cold) -> None:
    """Wait until the archiver was asked for all that is noted."""
    folder = cold.box / ".sgwtmp" / asked.NEW_RESTORES
    limit = time.monotonic() + 20
    while folder.exists() and list(folder.iterdir()):
        assert time.monotonic() < limit
        time.sleep(0.05)


def states(run: Run) -> dict[str, str]:
    code, out, _ = run("cold", "ls", "--json")
    assert code == 0
    return {one["key"].removeprefix("photos/"): one["state"] for one in json.loads(out)["objects"]}


def staged(cold: Cold) -> list[str]:
    return [key for key in [*KEYS, "elsewhere"] if cold.flags(key) & scoutfs.STAGING]


def test_all_that_is_on_tape_is_asked_for_and_nothing_else(run: Run, cold: Cold) -> None:
    code, out, err = run("restore", "--days", "7", "--tier", "Bulk")
    assert (code, err) == (0, "")
    size = 4 * len(DATA) / 1024
    assert out.startswith(f"Asked for 4 objects, {size:.1f} KiB. Now: online 1 ")
    assert staged(cold) == KEYS
    record = cold.record(KEYS[0])
    assert record is not None
    assert (record["days"], record["tier"]) == (7, "Bulk")


def test_a_second_run_asks_only_for_what_was_not_asked_for(run: Run, cold: Cold) -> None:
    run("restore", "--days", "7")
    before = [cold.record(key) for key in KEYS]
    cold.stage(KEYS[0])
    assert cold.head(KEYS[0])  # somebody sees that it is back
    restored = cold.record(KEYS[0])
    cold.offline("photos/new")
    code, out, _ = run("restore", "--days", "9", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["asked"] == {"objects": 1, "bytes": len(DATA)}
    assert [told[state]["objects"] for state in ("online", "staging", "failed")] == [2, 4, 0]
    assert cold.record(KEYS[0]) == restored
    assert [cold.record(key) for key in KEYS[1:]] == before[1:]


def test_days_are_counted_anew_when_that_is_asked_for(run: Run, cold: Cold) -> None:
    run("restore", "--days", "1")
    cold.stage(KEYS[0])
    cold.head(KEYS[0])
    code, out, _ = run("restore", "--days", "9", "--again", "--json")
    assert code == 0
    assert json.loads(out)["asked"]["objects"] == 1
    record = cold.record(KEYS[0])
    assert record is not None
    assert record["days"] == 9


def test_a_dry_run_asks_for_nothing(run: Run, cold: Cold) -> None:
    code, out, _ = run("restore", "--days", "7", "--dry-run", "--wait")
    assert code == 0
    assert out.startswith("Would ask for 4 objects")
    assert staged(cold) == []


def test_ls_tells_the_state_of_each(run: Run, cold: Cold) -> None:
    run("restore", "--days", "7")
    cold.stage("photos/0")
    cold.head("photos/0")
    cold.flag("photos/1", remove=scoutfs.STAGING)
    expected = {"0": "restored", "1": "offline", "2": "staging", "3": "staging", "here": "online"}
    assert states(run) == expected
    code, out, _ = run("cold", "ls", "--state", "restored")
    assert code == 0
    head, line, total = out.splitlines()
    assert head.split() == ["STATE", "BYTES", "CLASS", "UNTIL", "KEY"]
    assert line.split()[0] == "restored"
    assert line.endswith(" photos/0")
    assert total == "Total: 1 object, 10.0 KiB"


def test_status_tells_how_much_is_where(run: Run, cold: Cold) -> None:
    cold.restore("photos/2")
    code, out, _ = run("cold", "status", "--json")
    assert code == 0
    told = {state: sums["objects"] for state, sums in json.loads(out).items()}
    expected = {"online": 1, "restored": 0, "staging": 1, "offline": 3, "partly": 0, "failed": 0}
    assert told == expected | {"total": 5}
    code, out, _ = run("cold", "status")
    rows = {line.split()[0]: line.split()[1] for line in out.splitlines()}
    assert (rows["offline"], rows["staging"], rows["total"]) == ("3", "1", "5")
    assert out.splitlines()[-1] == "20% of the bytes are here."


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Has something happen while the command waits, after it has looked for the first time."""
    pauses: list[float] = []

    def happens(act: Callable[[], object]) -> None:
        def sleep(seconds: float) -> None:
            if seconds and not any(pauses):
                act()
            pauses.append(seconds)
            assert len(pauses) < 10

        clock = SimpleNamespace(sleep=sleep, monotonic=time.monotonic)
        monkeypatch.setattr(restore, "time", clock)

    return happens


def test_waiting_ends_when_all_are_back(run: Run, cold: Cold, meanwhile: Meanwhile) -> None:
    meanwhile(lambda: [cold.stage(key) for key in KEYS])
    code, out, err = run("restore", "--days", "1", "--wait", "--interval", "1s", "--progress")
    assert code == 0
    assert "Now: online 5 (50.0 KiB), staging 0, failed 0." in out
    assert err.splitlines()[-1].startswith("[####################] 100% online 5 ")


def test_what_the_archiver_gives_up_is_told_and_is_exit_status_1(
    run: Run, cold: Cold, meanwhile: Meanwhile
) -> None:
    def give_up() -> None:
        all_asked(cold)
        cold.flag("photos/1", add=scoutfs.STAGE_FAILED, remove=scoutfs.STAGING)
        for key in ("photos/0", "photos/2", "photos/3"):
            cold.stage(key)

    meanwhile(give_up)
    code, out, err = run("restore", "--days", "1", "--wait", "--interval", "1")
    assert code == 1
    assert "failed 1 (10.0 KiB)" in out
    reason = "NotStaged: the archiver did not bring it back"
    assert err == f"Failed: photos/1: {reason}\n"


def test_what_is_deleted_meanwhile_is_not_waited_for(
    run: Run, cold: Cold, meanwhile: Meanwhile
) -> None:
    def act() -> None:
        (cold.box / KEYS[0]).unlink()
        for key in KEYS[1:]:
            cold.stage(key)

    meanwhile(act)
    code, out, _ = run("restore", "--days", "1", "--wait", "--interval", "1", "--json")
    assert code == 0
    told = json.loads(out)
    assert [told[state]["objects"] for state in ("online", "staging", "failed")] == [4, 0, 0]


def test_a_bucket_that_is_not_there_is_one_line(run: Run, cold: Cold) -> None:
    for path in sorted(cold.box.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    cold.box.rmdir()
    code, out, err = run("cold", "status")
    assert (code, out) == (1, "")
    assert "The specified bucket does not exist" in err
    assert err.count("\n") == 1


def test_ctrl_c_leaves_what_was_asked_for_and_says_so(cold: Cold) -> None:
    command = [sys.executable, "-m", "s3filters.commands.main", "restore", "s3://box/photos"]
    words = ["--root", str(cold.root), "--days", "1", "--wait", "--progress"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, *words], stdout=pipe, stderr=pipe, text=True, cwd=REPOSITORY
    ) as process:
        assert process.stderr is not None
        while "[" not in process.stderr.readline():  # until it waits
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Asked for 4 objects" in out
    assert err.splitlines()[-1] == "Interrupted. Run it again to ask for the rest."
    assert "Traceback" not in err
    assert staged(cold) == KEYS


# the folder alone --------------------------------------------------------------------------------


def on_folder(cold: Cold, *words: str) -> int:
    return main.main([*words, "s3://box/photos", "--root", str(cold.root)])


def test_the_folder_tells_what_the_archiver_gave_up(
    cold: Cold, capsys: pytest.CaptureFixture[str]
) -> None:
    cold.restore("photos/1")
    cold.flag("photos/1", add=scoutfs.STAGE_FAILED, remove=scoutfs.STAGING)
    assert on_folder(cold, "cold", "ls", "--state", "failed") == 0
    assert "photos/1" in capsys.readouterr().out
    assert on_folder(cold, "restore", "--days", "1") == 0
    assert cold.flags("photos/1") == scoutfs.STAGING


def test_the_folder_is_asked_in_the_order_of_inodes(
    cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("photos/a", "photos/b"):  # newer files before older ones in the order of keys
        cold.offline(key)
        (cold.box / key).rename(cold.box / key.replace("photos/", "photos/!"))
    order: list[int] = []
    real = scoutfs.change_sam_flags

    def change(fd: int, **flags: int) -> None:
        order.append(os.fstat(fd).st_ino)
        real(fd, **flags)

    monkeypatch.setattr(scoutfs, "change_sam_flags", change)
    assert on_folder(cold, "restore", "--days", "1") == 0
    assert len(order) == 6
    assert order == sorted(order)


@pytest.mark.parametrize("serving", ["by its ini", "by its root", "not"])
def test_what_a_daemon_sees_to_is_left_to_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], serving: str
) -> None:
    tape = tmp_path / "tape"
    tape.mkdir()
    site = f"{sys.executable} -m tests.scoutfs.site"
    cold = Cold(folder, tmp_path)
    ini = tmp_path / "command.ini"
    more = {"driver": "command", "watch_interval": "1", "stage_command": f"{site} stage {tape}"}
    lines = "".join(f"\n{name} = {value}" for name, value in more.items())
    use = "use = egg:s3filters#glacier"
    text = (REPOSITORY / "etc" / "s3filters.ini").read_text().replace(use, use + lines)
    ini.write_text(text.replace("[DEFAULT]", f"[DEFAULT]\nroot = {cold.root}", 1))
    for key in ("photos/1", "photos/2"):
        path = cold.put(key)
        copy = calls.make_offline(path)
        (tape / str(path.stat().st_ino)).write_bytes(copy)
    with ExitStack() as stack:
        if serving != "not":
            stack.enter_context(daemon.running(cold.root, extra=("--conf", str(ini))))
        where = ["--root", str(cold.root)] if serving == "by its root" else ["--conf", str(ini)]
        words = ["restore", "s3://box", *where, "--days", "2"]
        began = time.monotonic()
        assert main.main([*words, "--wait", "--interval", "1"]) == 0
        assert time.monotonic() - began < 30
    assert "Asked for 2 objects" in capsys.readouterr().out
    assert (cold.box / "photos/1").read_bytes() == DATA
    assert cold.flags("photos/1") == 0  # those are another archiver's


def test_without_a_driver_nobody_can_be_asked(
    cold: Cold, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ini = tmp_path / "none.ini"
    text = (REPOSITORY / "etc" / "s3filters.ini").read_text()
    use = "use = egg:s3filters#glacier"
    text = text.replace(use, f"{use}\ndriver = none")
    ini.write_text(text.replace("[DEFAULT]", f"[DEFAULT]\nroot = {cold.root}", 1))
    assert main.main(["restore", "s3://box", "--conf", str(ini), "--days", "2"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("s3filters: NotImplemented: No archiver is configured")
    assert staged(cold) == []
