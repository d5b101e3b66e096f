"""Files have the uid and gid of the account that made them, through the whole pipeline."""

from __future__ import annotations

import base64
import ctypes
import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadapp

from s3filters.store import owners
from tests import forms
from tests.functional.asking import HOST, LARGE, SMALL, Asker, document, on_disk, told
from tests.functional.conftest import INI
from tests.functional.people import configure, policy
from tests.raw import Answer, Signer

ALICE, BOB = (4001, 5001), (4002, 5002)
BOTH = "chown_uid = true\nchown_gid = true\n"
PART = b"p" * (5 << 20)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")
Ids = tuple[int, int]


@pytest.fixture
def accounts(settings: dict[str, str]) -> None:
    """Alice and Bob have uid and gid, Carol has a uid alone."""
    ids = {"alice": ALICE, "bob": BOB, "carol": (4003, None)}
    credentials = Path(settings["credentials"])
    made = []
    with credentials.open("a") as file:
        for name, (uid, gid) in ids.items():
            key = {"access_key": name.upper(), "secret_key": name * 8, "account": name}
            file.write(json.dumps(key | {"created_at": 1_700_000_000, "enabled": True}) + "\n")
            account = {"id": name, "display_name": name, "role": "admin", "uid": uid, "gid": gid}
            made.append({field: value for field, value in account.items() if value is not None})
    path = credentials.parent / "accounts.json"
    path.touch(0o600)
    path.write_text(json.dumps({"version": 1, "accounts": made}))


@pytest.fixture
def make_owning(settings: dict[str, str], accounts: None, tmp_path: Path) -> Callable[..., Any]:
    """Makes the pipeline with options of [app:fs]."""

    def make(lines: str = BOTH) -> Any:
        ini = tmp_path / "own.ini"
        section = "use = egg:s3filters#fs\n"
        assert section in INI.read_text()
        ini.write_text(INI.read_text().replace(section, section + lines))
        return loadapp(f"config:{ini}", global_conf=settings)

    return make


@pytest.fixture
def app(make_owning: Callable[..., Any]) -> Any:
    return make_owning()


def asker(app: Any, name: str) -> Asker:
    made = Asker(app)
    made.signer = Signer(HOST, name.upper(), name * 8)
    return made


@pytest.fixture
def alice(app: Any) -> Asker:
    return asker(app, "alice")


@pytest.fixture
def bob(app: Any) -> Asker:
    return asker(app, "bob")


def done(answer: Answer) -> Answer:
    assert answer.status in (200, 204), answer
    return answer


def ids(path: Path) -> Ids:
    found = os.lstat(path)
    return found.st_uid, found.st_gid


def mine() -> Ids:
    return os.geteuid(), os.getegid()


def begin(who: Asker, key: str) -> str:
    """Begin an upload; return the target of its parts, but for the number."""
    upload_id = document(done(who("POST", f"/box/{key}?uploads"))).findtext("UploadId")
    return f"/box/{key}?uploadId={upload_id}"


def send(who: Asker, target: str, number: int, data: bytes = b"", source: str = "") -> str:
    """Send a part, or copy one; return how the list of parts names it."""
    given = {"x-amz-copy-source": source} if source else {}
    answer = done(who("PUT", f"{target}&partNumber={number}", data, given))
    etag = document(answer).findtext("ETag") if source else answer.headers["etag"]
    return f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"


def complete(who: Asker, target: str, *listed: str) -> Answer:
    whole = f"<CompleteMultipartUpload>{''.join(listed)}</CompleteMultipartUpload>"
    return who("POST", target, whole.encode())


def post(who: Asker, key: str, data: bytes) -> Answer:
    name = who.signer.access_key
    said = forms.signed_v4({"key": key}, access_key=name, secret_key=name.lower() * 8)
    return who("POST", "/box", forms.form(said, data), {"Content-Type": forms.TYPE}, sign=False)


@root_only
def test_all_that_an_account_makes_is_its_own(
    alice: Asker, bob: Asker, root: Path, data: bytes
) -> None:
    done(alice("PUT", "/box"))
    done(bob("PUT", "/box/a/put", data))
    done(bob("PUT", "/box/b/folder/", length=0))
    done(bob("PUT", "/box/c/copy", headers={"x-amz-copy-source": "/box/a/put"}))
    done(bob("PUT", "/box/d/folder/", headers={"x-amz-copy-source": "/box/b/folder/"}))
    done(post(bob, "e/form", data))
    whole = document(done(bob("GET", "/box"))).findall("Contents/Key")
    names = ["a/put", "b/folder/", "c/copy", "d/folder/", "e/form"]
    assert [key.text for key in whole] == names
    box = root / "box"
    made = [path for path in box.rglob("*") if ".sgwtmp" not in path.parts]
    assert len(made) == 10
    assert {ids(path) for path in made} == {BOB}
    assert ids(box) == ALICE
    assert ids(root) == mine()


@root_only
@pytest.mark.parametrize("placement", ["direct", "files"])
def test_parts_are_of_who_sends_them_and_the_object_of_who_completes(
    make_owning: Callable[..., Any], root: Path, placement: str
) -> None:
    app = make_owning(f"{BOTH}placement = {placement}\n")
    alice, bob = asker(app, "alice"), asker(app, "bob")
    done(alice("PUT", "/box"))
    done(alice("PUT", "/box/source", PART))
    target = begin(alice, "a/key")
    first = send(alice, target, 1, PART)
    second = send(bob, target, 2, source="/box/source")
    third = send(bob, target, 3, SMALL)
    (folder,) = (root / "box" / ".sgwtmp" / "multipart").glob("*/*")
    assert [ids(folder / str(number)) for number in (1, 2, 3)] == [ALICE, BOB, BOB]
    assert ids(folder) == mine()
    done(complete(bob, target, first, second, third))
    assert ids(root / "box" / "a" / "key") == ids(root / "box" / "a") == BOB
    assert alice("GET", "/box/a/key").body == PART + PART + SMALL


@root_only
def test_who_has_no_account_or_no_group_makes_files_as_ever(
    app: Any, alice: Asker, root: Path
) -> None:
    done(alice("PUT", "/box"))
    configure(root / "box", policy=policy({}))
    done(Asker(app)("PUT", "/box/key-alone", SMALL))
    done(asker(app, "carol")("PUT", "/box/carol", SMALL))
    done(Asker(app)("PUT", "/box/nobody", SMALL, sign=False))
    target = begin(alice, "parts")
    done(complete(Asker(app), target, send(alice, target, 1, PART)))
    found = {name: ids(root / "box" / name) for name in ("key-alone", "carol", "nobody", "parts")}
    uid, gid = mine()
    assert found == {
        "key-alone": (uid, gid),
        "carol": (4003, gid),
        "nobody": (uid, gid),
        "parts": (uid, gid),
    }


@root_only
@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("", (0, 0)),
        ("chown_uid = true\n", (ALICE[0], 0)),
        ("chown_gid = true\n", (0, ALICE[1])),
        (BOTH, ALICE),
    ],
)
def test_each_option_gives_one_of_the_two(
    make_owning: Callable[..., Any], root: Path, lines: str, wanted: Ids
) -> None:
    alice = asker(make_owning(lines), "alice")
    done(alice("PUT", "/box"))
    done(alice("PUT", "/box/a/key", SMALL))
    made = (root / "box", root / "box" / "a", root / "box" / "a" / "key")
    assert {ids(path) for path in made} == {wanted}


@root_only
def test_an_object_is_of_who_replaced_it_last_and_a_folder_of_who_made_it(
    alice: Asker, bob: Asker, root: Path, data: bytes
) -> None:
    done(alice("PUT", "/box"))
    done(alice("PUT", "/box/a/key", data))
    done(alice("PUT", "/box/f/", length=0))
    done(bob("PUT", "/box/a/key", data))
    done(bob("PUT", "/box/f/", length=0))
    assert ids(root / "box" / "a" / "key") == BOB
    assert ids(root / "box" / "a") == ids(root / "box" / "f") == ALICE
    done(alice("PUT", "/box/a/key", headers=_onto_itself("/box/a/key")))
    assert ids(root / "box" / "a" / "key") == ALICE


def _onto_itself(source: str) -> dict[str, str]:
    return {"x-amz-copy-source": source, "x-amz-metadata-directive": "REPLACE"}


@root_only
def test_what_was_given_away_is_worked_with_as_ever(
    alice: Asker, bob: Asker, root: Path, data: bytes
) -> None:
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    done(alice("PUT", "/box"))
    done(alice("PUT", "/box/a/key", data))
    done(bob("PUT", "/box/a/key?tagging", tags))
    digest = base64.b64encode(hashlib.md5(tags).digest()).decode()
    done(bob("PUT", "/box?tagging", tags, {"Content-MD5": digest}))
    assert bob("GET", "/box/a/key").body == data
    assert ids(root / "box" / "a" / "key") == ids(root / "box") == ALICE
    done(bob("DELETE", "/box/a/key"))
    assert list((root / "box").glob("[!.]*")) == []
    done(bob("DELETE", "/box"))


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EPERM, "AccessDenied"), (errno.EDQUOT, "QuotaExceeded")]
)
def test_what_cannot_be_given_away_is_refused_and_leaves_nothing(
    make_owning: Callable[..., Any],
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: str,
) -> None:
    monkeypatch.setattr(owners, "check", lambda **_: None)
    nobody = Asker(make_owning(""))
    done(nobody("PUT", "/box"))
    done(nobody("PUT", "/box/source", SMALL))
    before = on_disk(root)
    alice = asker(make_owning(), "alice")

    def fchown(fd: int, uid: int, gid: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fchown", fchown)
    answers = [
        alice("PUT", "/other"),
        alice("PUT", "/box/a/key", SMALL),
        alice("PUT", "/box/a/key", LARGE),
        alice("PUT", "/box/a/", length=0),
        alice("PUT", "/box/a/key", headers={"x-amz-copy-source": "/box/source"}),
        alice("POST", "/box/a/key?uploads"),
        post(alice, "a/key", SMALL),
    ]
    assert {told(answer) for answer in answers} == {(403, code)}
    assert alice("HEAD", "/box/a/key").status == 404
    assert on_disk(root) == before
    done(nobody("PUT", "/box/a/key", SMALL))


def test_a_start_without_the_capabilities_is_refused_in_clear_words(
    make_owning: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "_capabilities", lambda: 0)
    with pytest.raises(ValueError, match="chown_uid gives files to other users: that needs CAP_"):
        make_owning()
    make_owning("")


@root_only
def test_a_daemon_that_may_not_give_files_away_says_so_and_ends(
    settings: dict[str, str], tmp_path: Path
) -> None:
    ini = tmp_path / "own.ini"
    section = "use = egg:s3filters#fs\n"
    ini.write_text(INI.read_text().replace(section, section + BOTH))
    command = [sys.executable, "-m", "s3filters.commands.main", "serve", "--conf", str(ini)]
    options = ["--root", settings["root"], "--credentials", settings["credentials"]]
    given = [*command, *options, "--listen", f"unix:{tmp_path}/socket"]
    ended = subprocess.run(given, capture_output=True, text=True, check=False, preexec_fn=_drop)
    assert ended.returncode == 2, ended
    last = ended.stderr.splitlines()[-1]
    assert "chown_uid gives files to other users: that needs CAP_CHOWN" in last
    assert "Traceback" not in ended.stderr


def _drop() -> None:
    """Do without CAP_CHOWN from the next program on: prctl(2), PR_CAPBSET_DROP."""
    assert ctypes.CDLL(None).prctl(24, 0, 0, 0, 0) == 0
