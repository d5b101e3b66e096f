"""The notes of what the archiver is asked: all can be found, and what is none does no harm."""

import os
import stat

import pytest

from s3filters.store import asked
from s3filters.store.asked import ARCHIVES, FOLDERS, NEW, NEW_RESTORES, RESTORES
from s3filters.store.errors import BucketNotEmpty, MethodNotAllowed

KEY = "a/key with \n and \u00fc"
NODE = "5" * 16


@pytest.fixture
def root(box):
    return box.store.root


@pytest.fixture
def hidden(box):
    return box.path / ".sgwtmp"


def keys(root, folder):
    return [(one.bucket, one.key) for one in asked.all_of(root, folder)]


def only(root, folder):
    (one,) = asked.all_of(root, folder)
    return one


@pytest.mark.parametrize("folder", NEW)
def test_what_is_noted_is_found_until_it_is_forgotten(root, folder):
    for key in (KEY, "other", KEY):
        asked.note(root, folder, "box", key, "Bulk", NODE)
    assert sorted(keys(root, folder)) == [("box", KEY), ("box", "other")]
    notes = {one.key: one for one in asked.all_of(root, folder)}
    assert (notes[KEY].tier, notes[KEY].node, notes[KEY].folder) == ("Bulk", NODE, folder)
    for _ in range(2):
        asked.forget(root, notes[KEY])
    assert keys(root, folder) == [("box", "other")]
    assert [keys(root, one) for one in FOLDERS if one != folder] == [[], [], []]


def test_a_faster_tier_is_noted_beside_a_slower_one(root):
    for tier in ("Bulk", "Expedited"):
        asked.note(root, NEW_RESTORES, "box", KEY, tier)
    assert sorted(one.tier for one in asked.all_of(root, NEW_RESTORES)) == ["Bulk", "Expedited"]


def test_what_was_asked_for_moves_to_the_others(root):
    asked.note(root, NEW_RESTORES, "box", KEY, "Bulk", NODE)
    asked.mark(root, "box", KEY, "Bulk")
    assert keys(root, NEW_RESTORES) == []
    found = only(root, RESTORES)
    assert (found.bucket, found.key, found.tier) == ("box", KEY, "")
    assert asked.one_of(root, "box", KEY) == found
    assert asked.one_of(root, "box", "other") is None
    assert asked.one_of(root, "nobox", KEY) is None


def test_asking_again_moves_the_moment(root, hidden):
    asked.note(root, NEW_RESTORES, "box", KEY, "Bulk")
    asked.mark(root, "box", KEY, "Bulk")
    os.utime(next((hidden / RESTORES).iterdir()), (1000, 1000))
    assert only(root, RESTORES).moment_s == 1000
    asked.mark(root, "box", KEY, "Bulk")
    assert only(root, RESTORES).moment_s > 1000


def test_what_was_forgotten_meanwhile_is_not_noted_by_a_mark(root):
    asked.mark(root, "box", KEY, "Bulk")
    assert [keys(root, folder) for folder in FOLDERS] == [[]] * 4


def test_a_link_that_somebody_put_there_is_not_followed(root, hidden, tmp_path):
    asked.note(root, NEW_RESTORES, "box", KEY, "Bulk")
    (tmp_path / "elsewhere").mkdir()
    (hidden / RESTORES).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MethodNotAllowed):
        asked.mark(root, "box", KEY, "Bulk")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert keys(root, NEW_RESTORES) == [("box", KEY)]


def test_what_is_known_already_is_not_opened(root, monkeypatch):
    for key in (KEY, "other"):
        asked.note(root, ARCHIVES, "box", key)
    known = {one.id for one in asked.all_of(root, ARCHIVES) if one.key == KEY}
    assert [one.key for one in asked.all_of(root, ARCHIVES, known)] == ["other"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_where_nothing_was_asked_there_is_nothing(root, hidden, folder):
    assert keys(root, folder) == []
    asked.forget(root, asked.Note(folder, "box", KEY, 0.0))
    assert not (hidden / folder).exists()


@pytest.mark.parametrize("text", [b"", b"another key", b"\xff\xfe", b"\0" * 9000])
def test_a_note_that_a_death_left_is_removed_when_it_is_old(root, hidden, text):
    asked.note(root, ARCHIVES, "box", KEY)
    (path,) = (hidden / ARCHIVES).iterdir()
    path.write_bytes(text)
    assert keys(root, ARCHIVES) == []
    assert path.exists()  # somebody may be just writing it
    os.utime(path, (1, 1))
    assert keys(root, ARCHIVES) == []
    assert not path.exists()


@pytest.mark.parametrize("what", ["folder", "link", "dangling link", "fifo", "socket"])
def test_what_is_no_file_is_no_note_and_stays(root, hidden, what, tmp_path, monkeypatch):
    asked.note(root, ARCHIVES, "box", "other")
    monkeypatch.chdir(hidden / ARCHIVES)
    (tmp_path / "elsewhere").write_text(KEY)
    make = {
        "folder": lambda: os.mkdir("0" * 64),
        "link": lambda: os.symlink(tmp_path / "elsewhere", "0" * 64),
        "dangling link": lambda: os.symlink("nowhere", "0" * 64),
        "fifo": lambda: os.mkfifo("0" * 64),
        "socket": lambda: os.mknod("0" * 64, stat.S_IFSOCK | 0o600),
    }
    make[what]()
    os.utime("0" * 64, (1, 1), follow_symlinks=False)
    assert keys(root, ARCHIVES) == [("box", "other")]
    assert os.path.lexists("0" * 64)


def test_a_bucket_that_is_not_there_cannot_be_noted(root):
    with pytest.raises(FileNotFoundError):
        asked.note(root, ARCHIVES, "nobucket", KEY)


def test_they_go_with_their_bucket(box, root):
    for folder in NEW:
        asked.note(root, folder, "box", KEY, "Bulk")
    asked.mark(root, "box", KEY, "Bulk")
    box.store.delete_bucket("box")
    assert not box.path.exists()
    assert [keys(root, folder) for folder in FOLDERS] == [[]] * 4


@pytest.mark.parametrize("kind", ["folder", "fifo", "link"])
@pytest.mark.parametrize("place", ["the folder", "the note"])
def test_what_was_put_in_the_place_of_a_note_is_refused_and_stays(
    root, hidden, tmp_path, place, kind, no_open_files
):
    asked.note(root, ARCHIVES, "box", KEY)
    (path,) = (hidden / ARCHIVES).iterdir()
    if place == "the folder":
        path.unlink()
        path = hidden / ARCHIVES
        path.rmdir()
        kind = "file" if kind == "folder" else kind
    else:
        path.unlink()
    (tmp_path / "precious").write_bytes(b"precious")
    made = {
        "file": lambda: path.write_bytes(b"precious"),
        "folder": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to(tmp_path / "precious"),
    }
    made[kind]()
    before = path.lstat()
    with pytest.raises(MethodNotAllowed):
        asked.note(root, ARCHIVES, "box", KEY)
    assert keys(root, ARCHIVES) == []
    assert path.lstat() == before
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_what_somebody_put_among_the_notes_keeps_the_bucket(box, root, hidden):
    asked.note(root, ARCHIVES, "box", KEY, "Bulk", NODE)
    folder = hidden / ARCHIVES / "mine"
    folder.mkdir()
    (folder / "file").write_bytes(b"precious")
    with pytest.raises(BucketNotEmpty):
        box.store.delete_bucket("box")
    assert (folder / "file").read_bytes() == b"precious"
    (folder / "file").unlink()
    folder.rmdir()
    box.store.delete_bucket("box")
    assert not box.path.exists()


def test_a_link_out_of_the_root_is_no_bucket_with_notes(box, root, tmp_path_factory):
    for name in ("aaa", "zzz"):
        (box.root / name).symlink_to(tmp_path_factory.mktemp("outside"))
    asked.note(root, NEW_RESTORES, "box", KEY)
    assert keys(root, NEW_RESTORES) == [("box", KEY)]
