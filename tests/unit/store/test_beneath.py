"""What can be opened below a root: everything in it, nothing outside, on any kernel."""

import ctypes
import errno
import os
import stat

import pytest

from s3filters.store import beneath
from s3filters.store.beneath import DIRECTORY, LOCK, LOOK, NEW_LOCK, READ, Root


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (root / "relative").symlink_to("a/file")
    (root / "up").symlink_to("a/b/../file")
    (root / "absolute").symlink_to(root / "a" / "file")
    (root / "folder").symlink_to(root / "a")
    (root / "out").symlink_to("../outside")
    (root / "out_absolute").symlink_to(tmp_path / "outside" / "secret")
    (root / "dangling").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    return root


@pytest.fixture(params=["openat2", "without openat2"])
def root(request, tree):
    made = Root(tree)
    if request.param != "openat2":
        made.can_openat2 = made.can_cached = False
    yield made
    os.close(made.fd)


def text(fd):
    try:
        return os.read(fd, 100).decode()
    finally:
        os.close(fd)


def test_this_kernel_has_openat2(tree):
    made = Root(tree)
    assert made.can_openat2
    assert made.can_cached
    os.close(made.fd)


@pytest.mark.parametrize("path", ["a/file", "relative", "up", "absolute", "folder/file"])
def test_files_inside_are_opened_also_through_links(root, path):
    assert text(root.open(path.encode(), READ)) == "inside"


@pytest.mark.parametrize("path", ["out", "out/secret", "out_absolute"])
@pytest.mark.parametrize("kind", [READ, LOOK])
def test_links_that_lead_out_are_refused(root, path, kind):
    with pytest.raises(OSError) as refused:
        root.open(path.encode(), kind)
    assert refused.value.errno == errno.EXDEV


@pytest.mark.parametrize("path", ["out/secret", "out_absolute"])
def test_links_that_lead_out_are_read_where_that_is_allowed(root, path):
    root.outside = True
    assert text(root.open(path.encode(), READ)) == "secret"


def test_nothing_is_ever_written_outside(root):
    root.outside = True
    for kind, path in ((DIRECTORY, b"out"), (NEW_LOCK, b"out/lock")):
        with pytest.raises(OSError) as refused:
            root.open(path, kind)
        assert refused.value.errno == errno.EXDEV


@pytest.mark.parametrize("path", ["none", "a/none/x", "dangling"])
def test_a_missing_name_is_missing(root, path):
    with pytest.raises(FileNotFoundError):
        root.open(path.encode(), READ)


def test_a_file_is_no_directory(root):
    with pytest.raises(NotADirectoryError):
        root.open(b"a/file/x", READ)
    with pytest.raises(NotADirectoryError):
        root.open(b"a/file", DIRECTORY)


def test_a_link_to_itself_is_an_error_and_no_hang(root):
    with pytest.raises(OSError) as refused:
        root.open(b"loop", READ)
    assert refused.value.errno in (errno.ELOOP, errno.ENOENT)


def test_a_lock_file_is_made_and_a_link_in_its_place_is_not_followed(root, tree):
    os.close(root.open(b"a/lock", NEW_LOCK))
    assert stat.S_IMODE(os.stat(tree / "a" / "lock").st_mode) == 0o600
    (tree / "a" / "trap").symlink_to("file")
    with pytest.raises(OSError):
        os.close(root.open(b"a/trap", LOCK))


def test_a_fifo_does_not_hold_the_reader(root, tree):
    os.mkfifo(tree / "fifo")
    fd = root.open(b"fifo", READ)
    assert stat.S_ISFIFO(os.fstat(fd).st_mode)
    os.close(fd)


def test_descriptors_are_not_inherited(root):
    fd = root.open(b"a/file", READ)
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_a_cached_opening_opens_what_was_just_used(tree):
    root = Root(tree)
    os.close(root.open(b"a/file", READ))
    assert text(root.open_cached(b"a/file", READ)) == "inside"
    os.close(root.fd)


def test_a_cached_opening_that_would_wait_says_so(tree, monkeypatch):
    root = Root(tree)

    def busy(*_):
        ctypes.set_errno(errno.EAGAIN)
        return -1

    monkeypatch.setattr(beneath, "_open_cached", busy)
    with pytest.raises(BlockingIOError):
        root.open_cached(b"a/file", READ)
    os.close(root.fd)


def test_a_cached_opening_says_what_is_no_directory(tree):
    root = Root(tree)
    os.close(root.open(b"a/file", READ))
    with pytest.raises((NotADirectoryError, BlockingIOError)):
        root.open_cached(b"a/file/x", READ)
    os.close(root.fd)


def test_a_cached_opening_leaves_links_to_the_other_one(tree):
    root = Root(tree)
    with pytest.raises(BlockingIOError):
        root.open_cached(b"absolute", READ)
    os.close(root.fd)


def test_a_race_with_a_rename_is_tried_again(tree, monkeypatch):
    root = Root(tree)
    answers = [errno.EAGAIN]
    real = beneath._open_waiting

    def once_busy(*args):
        if answers:
            ctypes.set_errno(answers.pop())
            return -1
        return real(*args)

    monkeypatch.setattr(beneath, "_open_waiting", once_busy)
    assert text(root.open(b"a/file", READ)) == "inside"
    os.close(root.fd)


def test_a_link_that_appears_between_resolving_and_opening_is_resolved_again(
    root, tree, monkeypatch
):
    real = os.path.realpath
    moved = []

    def resolve(path, **options):
        found = real(path, **options)
        if not moved and path.endswith(b"absolute"):
            moved.append(path)
            os.rename(tree / "a", tree / "elsewhere")
            os.symlink("../outside", tree / "a")
        return found

    monkeypatch.setattr(os.path, "realpath", resolve)
    with pytest.raises(OSError) as refused:
        root.open(b"absolute", READ)
    assert moved
    assert refused.value.errno == errno.EXDEV
