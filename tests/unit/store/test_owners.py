"""Files that belong to others than the user of the process."""

import errno
import logging
import os
import stat
import struct

import pytest

from s3filters.store import errors, owners
from s3filters.store.filesystem import Unsuitable
from s3filters.store.owners import KEEP, Owner
from tests.unit.store import multipart
from tests.unit.store.conftest import BUCKET, attributes

UID, GID = 4001, 5001
MIB = 1 << 20
_ALL = owners._CHOWN | owners._DAC_OVERRIDE

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")


def ids(path):
    found = os.lstat(path)
    return found.st_uid, found.st_gid


def mine():
    return os.geteuid(), os.getegid()


@pytest.fixture(params=[True, False], ids=["nameless", "named"])
def given(request, make_box):
    """A box, and its store for an owner, with and without O_TMPFILE."""
    box = make_box()
    box.store.tmpfile = request.param
    return box, box.store.for_owner(UID, GID)


@root_only
def test_new_objects_and_the_folders_above_them_belong_to_their_owner(given):
    box, store = given
    store.put_small(BUCKET, "a/b/small", b"x", attributes())
    with store.draft(BUCKET, "large") as made:
        made.write(b"x")
        made.commit(attributes())
    store.put_directory(BUCKET, "c/d/", attributes())
    for name in ("a", "a/b", "a/b/small", "large", "c", "c/d"):
        assert ids(box.path / name) == (UID, GID)
    assert ids(box.path) == mine()


@root_only
def test_a_new_bucket_belongs_to_its_owner(box):
    box.store.for_owner(UID, GID).create_bucket("theirs", "me")
    assert ids(box.root / "theirs") == (UID, GID)
    assert stat.S_IMODE(os.stat(box.root / "theirs").st_mode) == 0o755


@root_only
def test_a_file_belongs_to_its_owner_before_it_has_bytes_or_a_name(given):
    """Else the bytes would count for the user of the process."""
    _, store = given
    with store.draft(BUCKET, "key") as made:
        found = os.fstat(made.fd)
        assert (found.st_uid, found.st_gid, found.st_size) == (UID, GID, 0)


@root_only
def test_what_is_there_already_keeps_its_owner(given):
    box, store = given
    box.put("a/other")
    os.mkdir(box.path / "made")
    store.put_small(BUCKET, "a/key", b"x", attributes())
    store.put_directory(BUCKET, "made/", attributes())
    assert {ids(box.path / name) for name in ("a", "a/other", "made")} == {mine()}
    assert ids(box.path / "a" / "key") == (UID, GID)


@root_only
@pytest.mark.parametrize("made", [True, False], ids=["by a put", "by a person"])
def test_no_folder_is_given_away_that_was_put_in_the_place_of_a_new_one(box, monkeypatch, made):
    """Who owns a folder can rename those in it, also between our mkdir and our look."""
    theirs = box.path / "a" / "theirs"
    store, other = box.store.for_owner(UID, GID), box.store.for_owner(UID + 1, GID + 1)
    if made:
        other.put_small(BUCKET, "a/theirs/object", b"x", attributes())
    else:
        theirs.mkdir(parents=True)
        os.chown(theirs, UID + 1, GID + 1)
    mkdir = os.mkdir

    def replaced(name, mode, *, dir_fd):
        mkdir(name, mode, dir_fd=dir_fd)
        if name == b"new":
            monkeypatch.undo()
            os.rename(box.path / "a" / "new", box.path / "a" / "old")
            os.rename(theirs, box.path / "a" / "new")

    monkeypatch.setattr(os, "mkdir", replaced)
    if made:
        store.put_small(BUCKET, "a/new/key", b"x", attributes())
    else:
        with pytest.raises(errors.AccessDenied):
            store.put_small(BUCKET, "a/new/key", b"x", attributes())
    left = [each for each in (box.path / "a").iterdir() if each.name != "old"]
    assert {ids(each) for each in left} <= {(UID + 1, GID + 1)}


@root_only
def test_an_object_belongs_to_whoever_replaced_it_last(given):
    box, store = given
    store.put_small(BUCKET, "key", b"x", attributes())
    box.put("key")
    assert ids(box.path / "key") == mine()
    store.put_small(BUCKET, "key", b"x", attributes())
    assert ids(box.path / "key") == (UID, GID)


@root_only
def test_nothing_in_sgwtmp_but_files_that_become_objects_is_given_away(make_box):
    box = make_box(placement="files")
    store = box.store.for_owner(UID, GID)
    upload = multipart.begin(box)
    part = store.part(upload, 1, 1)
    part.write(b"x")
    part.commit(multipart.md5(b"x"), "", "")
    folder = multipart.folder(box, upload)
    assert ids(folder / "1") == (UID, GID)
    while folder != box.path:
        assert ids(folder) == mine()
        folder = folder.parent


@root_only
@pytest.mark.parametrize("tmpfile", [True, False], ids=["nameless", "named"])
@pytest.mark.parametrize("placement", ["direct", "files"])
def test_parts_belong_to_who_sends_them_and_the_object_to_who_completes(
    make_box, placement, tmpfile
):
    box = make_box(placement=placement)
    box.store.tmpfile = tmpfile
    upload = multipart.begin(box, "a/b/key")
    for number, uid in ((1, UID), (2, UID + 1)):
        part = box.store.for_owner(uid, GID).part(upload, number, 5 * MIB)
        part.write(bytes(5 * MIB))
        part.commit(multipart.md5(bytes(5 * MIB)), "", "")
    folder = multipart.folder(box, upload)
    assert [ids(folder / str(n)) for n in (1, 2)] == [(UID, GID), (UID + 1, GID)]
    if placement == "direct":
        assert ids(folder / "data.1") == (UID, GID)
    store = box.store.for_owner(UID + 2, GID + 2)
    store.complete((BUCKET, upload.key, upload.id), [1, 2], multipart.describe)
    for name in ("a", "a/b", "a/b/key"):
        assert ids(box.path / name) == (UID + 2, GID + 2)


@root_only
@pytest.mark.parametrize("placement", ["direct", "files"])
@pytest.mark.parametrize("uid", [None, UID + 1])
def test_nothing_of_who_sent_the_first_part_stays_when_another_completes(make_box, placement, uid):
    """A data file was given to who sent the first part: who has no group gets his as well, else."""
    box = make_box(placement=placement)
    os.chown(box.path, -1, GID + 1)
    os.chmod(box.path, 0o2755)
    upload = multipart.begin(box, "key")
    part = box.store.for_owner(UID, GID).part(upload, 1, 5 * MIB)
    part.write(bytes(5 * MIB))
    part.commit(multipart.md5(bytes(5 * MIB)), "", "")
    store = box.store.for_owner(uid, None)
    store.complete((BUCKET, "key", upload.id), [1], multipart.describe)
    assert ids(box.path / "key") == (os.geteuid() if uid is None else uid, GID + 1)


@root_only
@pytest.mark.parametrize("completes", [UID, UID + 1, None])
def test_nothing_that_the_owner_of_the_parts_did_to_them_stays_when_another_completes(
    make_box, completes
):
    """He can let anybody write to his file, and his attributes would count for the object."""
    box = make_box(placement="direct")
    upload = multipart.begin(box, "key")
    part = box.store.for_owner(UID, GID).part(upload, 1, 5 * MIB)
    part.write(bytes(5 * MIB))
    part.commit(multipart.md5(bytes(5 * MIB)), "", "")
    data = multipart.folder(box, upload) / "data.1"
    entries = ((1, 6, -1), (2, 6, UID), (4, 4, -1), (16, 6, -1), (32, 4, -1))
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, may, id_ & 0xFFFFFFFF) for tag, may, id_ in entries
    )
    os.chmod(data, 0o666)
    os.setxattr(data, "system.posix_acl_access", acl)
    os.setxattr(data, "user.object-legal-hold", b"\x01")
    store = box.store.for_owner(completes, None)
    store.complete((BUCKET, "key", upload.id), [1], multipart.describe)
    present = os.listxattr(box.path / "key")
    if completes == UID:  # his own file is as he made it
        assert "user.object-legal-hold" in present
    else:
        assert stat.S_IMODE(os.stat(box.path / "key").st_mode) == 0o644
        assert {"system.posix_acl_access", "user.object-legal-hold"}.isdisjoint(present)
    assert ids(box.path / "key")[0] == (os.geteuid() if completes is None else completes)


@root_only
def test_a_group_that_is_not_given_is_that_of_a_setgid_folder(given):
    box, _ = given
    os.chown(box.path, -1, GID + 1)
    os.chmod(box.path, 0o2775)
    box.store.for_owner(UID, None).put_small(BUCKET, "a/key", b"x", attributes())
    assert ids(box.path / "a") == ids(box.path / "a" / "key") == (UID, GID + 1)
    assert os.stat(box.path / "a").st_mode & stat.S_ISGID
    box.store.for_owner(UID, GID).put_small(BUCKET, "b/key", b"x", attributes())
    assert ids(box.path / "b") == ids(box.path / "b" / "key") == (UID, GID)
    assert os.stat(box.path / "b").st_mode & stat.S_ISGID


@root_only
def test_zero_is_root_and_not_nobody(box):
    os.chown(box.path, -1, GID + 1)
    os.chmod(box.path, 0o2775)
    box.store.for_owner(0, 0).put_small(BUCKET, "key", b"x", attributes())
    assert ids(box.path / "key") == (0, 0)


@root_only
def test_the_mode_of_files_is_as_ever(given):
    box, store = given
    box.put("mine")
    store.put_small(BUCKET, "theirs", b"x", attributes())
    modes = {os.stat(box.path / name).st_mode for name in ("mine", "theirs")}
    assert modes == {stat.S_IFREG | 0o644}


@root_only
def test_a_store_for_an_owner_is_made_once(box):
    store = box.store.for_owner(UID, GID)
    assert store is box.store.for_owner(UID, GID)
    assert store is not box.store.for_owner(UID, None)
    assert store.known is box.store.known
    assert store.root is box.store.root


def test_stores_for_owners_do_not_become_more_and_more(box, monkeypatch):
    monkeypatch.setattr("s3filters.store.store._MOST_OTHERS", 3)
    for uid in range(10):
        box.store.for_owner(uid, None)
    assert len(box.store._others) <= 3


# Refusals ----------------------------------------------------------------------------------------


def refusing(monkeypatch, number):
    def fchown(fd, uid, gid):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fchown", fchown)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EPERM, errors.AccessDenied),
        (errno.EINVAL, errors.AccessDenied),
        (errno.EDQUOT, errors.QuotaExceeded),
        (errno.EROFS, errors.MethodNotAllowed),
    ],
)
@pytest.mark.parametrize("tmpfile", [True, False], ids=["nameless", "named"])
@pytest.mark.usefixtures("no_open_files")
def test_a_file_that_cannot_be_given_away_is_refused_and_leaves_nothing(
    make_box, monkeypatch, number, error, tmpfile
):
    box = make_box(placement="direct")
    upload = multipart.begin(box)
    before = multipart.left(box)
    box.store.tmpfile = tmpfile
    refusing(monkeypatch, number)
    store = box.store.for_owner(UID, GID)
    for verb in (
        lambda: store.put_small(BUCKET, "a/b/key", b"x", attributes()),
        lambda: store.draft(BUCKET, "a/b/key"),
        lambda: store.put_directory(BUCKET, "a/b/", attributes()),
        lambda: store.create_bucket("other", "me"),
        lambda: store.part(upload, 1, 5 * MIB),
        lambda: store.part(upload, 2, 1),
    ):
        with pytest.raises(error):
            verb()
    assert box.files() == []
    assert box.on_their_way() == []
    assert os.listdir(box.root) == [BUCKET]
    assert multipart.left(box) == before


def test_a_folder_that_cannot_be_given_away_is_taken_away_again(box, monkeypatch):
    real = os.fchown

    def fchown(fd, uid, gid):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise PermissionError(errno.EPERM, "no")
        real(fd, KEEP, KEEP)

    monkeypatch.setattr(os, "fchown", fchown)
    with pytest.raises(errors.AccessDenied):
        box.store.for_owner(UID, GID).put_small(BUCKET, "a/b/key", b"x", attributes())
    assert box.files() == []


def test_that_a_file_cannot_be_given_away_is_logged_and_told_without_names(
    box, monkeypatch, caplog
):
    refusing(monkeypatch, errno.EPERM)
    with pytest.raises(errors.AccessDenied) as caught:
        box.store.for_owner(UID, GID).put_small(BUCKET, "key", b"x", attributes())
    assert caught.value.message is not None
    assert "user and group" in caught.value.message
    assert str(UID) not in caught.value.message
    assert f"no file can be given to uid {UID} and gid {GID} here: " in caplog.text
    caplog.clear()
    with pytest.raises(errors.AccessDenied):
        box.store.for_owner(None, GID).put_small(BUCKET, "key", b"x", attributes())
    assert f"no file can be given to gid {GID} here: " in caplog.text


def test_a_completion_that_cannot_be_given_away_keeps_the_upload(make_box, monkeypatch):
    box = make_box(placement="direct")
    upload = multipart.begin(box)
    multipart.put(box, upload, 1, bytes(5 * MIB))
    name = BUCKET, upload.key, upload.id
    with monkeypatch.context() as patched:
        refusing(patched, errno.EPERM)
        with pytest.raises(errors.AccessDenied):
            box.store.for_owner(UID, GID).complete(name, [1], multipart.describe)
    assert box.files() == []
    assert box.store.complete(name, [1], multipart.describe).size == 5 * MIB


def test_without_an_owner_nothing_is_given_away(make_box, monkeypatch):
    box = make_box(placement="direct")
    refusing(monkeypatch, errno.EPERM)
    for store in (box.store, box.store.for_owner(None, None)):
        store.put_small(BUCKET, "a/key", b"x", attributes())
        store.put_directory(BUCKET, "b/", attributes())
    upload = multipart.begin(box)
    multipart.put(box, upload, 1, bytes(5 * MIB))
    multipart.complete(box, upload, [1])


# At the start ------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [0, owners._CHOWN, owners._DAC_OVERRIDE])
def test_giving_files_to_users_needs_two_capabilities(monkeypatch, held):
    monkeypatch.setattr(owners, "_capabilities", lambda: held)
    with pytest.raises(Unsuitable, match=r"chown_uid .* CAP_CHOWN, and CAP_DAC_OVERRIDE"):
        owners.check(uid=True, gid=False)


def test_with_the_capabilities_all_is_well(monkeypatch, caplog):
    monkeypatch.setattr(owners, "_capabilities", lambda: _ALL)
    owners.check(uid=True, gid=True)
    assert not caplog.records


def test_without_the_options_no_capability_is_looked_for(monkeypatch):
    monkeypatch.setattr(owners, "_STATUS", "/nowhere")
    owners.check(uid=False, gid=False)


def test_groups_without_the_capability_are_warned_about(monkeypatch, caplog):
    monkeypatch.setattr(owners, "_capabilities", lambda: owners._DAC_OVERRIDE)
    with caplog.at_level(logging.WARNING, "s3filters.store"):
        owners.check(uid=False, gid=True)
    assert "only to groups that the process is in" in caplog.text


def test_capabilities_are_read_from_the_kernel(monkeypatch, tmp_path):
    status = tmp_path / "status"
    monkeypatch.setattr(owners, "_STATUS", str(status))
    status.write_text("Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000003\n")
    assert owners._capabilities() == _ALL
    status.write_text("Name:\tx\n")
    assert owners._capabilities() == 0


def test_an_owner_of_nothing_is_silent(monkeypatch, tmp_path):
    refusing(monkeypatch, errno.EPERM)
    Owner().take(-1)
