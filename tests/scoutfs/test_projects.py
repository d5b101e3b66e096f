"""Projects of accounts through the whole pipeline, on ScoutFS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import fromstring

import pytest
from paste.deploy import loadapp

from s3filters.store import scoutfs
from tests import daemon
from tests.functional.asking import HOST, LARGE, SMALL, Asker
from tests.functional.conftest import INI
from tests.raw import Answer, Signer
from tests.scoutfs import calls

SEVEN = "SEVEN"
PART = b"p" * (5 << 20)


@pytest.fixture
def root(folder: Path) -> Path:
    path = folder / "root"
    path.mkdir()
    return path


@pytest.fixture
def app(tmp_path: Path, root: Path) -> Any:
    """The default pipeline with projects, and an account that has one."""
    credentials = daemon.credentials(tmp_path)
    key = {"access_key": SEVEN, "secret_key": SEVEN * 8, "account": "seven", "enabled": True}
    with credentials.open("a") as file:
        file.write(json.dumps(key | {"created_at": 1_700_000_000}) + "\n")
    account = {"id": "seven", "display_name": "Seven", "role": "admin", "project": 7}
    (tmp_path / "accounts.json").touch(0o600)
    (tmp_path / "accounts.json").write_text(json.dumps({"version": 1, "accounts": [account]}))
    ini = tmp_path / "own.ini"
    section = "use = egg:s3filters#fs\n"
    assert section in INI.read_text()
    ini.write_text(INI.read_text().replace(section, f"{section}projects = true\n"))
    given = {"root": str(root), "credentials": str(credentials), "durability": "none"}
    return loadapp(f"config:{ini}", global_conf=given)


@pytest.fixture
def anyone(app: Any) -> Asker:
    """A key without an account."""
    return Asker(app)


@pytest.fixture
def seven(app: Any) -> Asker:
    asker = Asker(app)
    asker.signer = Signer(HOST, SEVEN, SEVEN * 8)
    return asker


def done(answer: Answer) -> Answer:
    assert answer.status in (200, 204), answer
    return answer


def project(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY)
    try:
        return scoutfs.state(fd).project_id
    finally:
        os.close(fd)


def in_parts(who: Asker, key: str) -> None:
    begun = fromstring(done(who("POST", f"/box/{key}?uploads")).body)
    upload = begun.find("{*}UploadId")
    assert upload is not None
    target = f"/box/{key}?uploadId={quote(upload.text or '')}"
    told = ""
    for number, data in ((1, PART), (2, SMALL)):
        etag = done(who("PUT", f"{target}&partNumber={number}", data)).headers["etag"]
        told += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
    whole = f"<CompleteMultipartUpload>{told}</CompleteMultipartUpload>"
    done(who("POST", target, whole.encode()))


def test_all_that_an_account_makes_is_of_its_project(
    seven: Asker, anyone: Asker, root: Path
) -> None:
    done(anyone("PUT", "/box"))
    done(seven("PUT", "/seven"))
    done(seven("PUT", "/box/small", SMALL))
    done(seven("PUT", "/box/large", LARGE))
    done(seven("PUT", "/box/copy", headers={"x-amz-copy-source": "/box/small"}))
    in_parts(seven, "parts")
    keys = ("small", "large", "copy", "parts")
    assert {key: project(root / "box" / key) for key in keys} == dict.fromkeys(keys, 7)
    assert (project(root / "box"), project(root / "seven")) == (0, 7)


def test_what_a_key_without_an_account_makes_has_the_project_of_the_bucket(
    seven: Asker, anyone: Asker, root: Path
) -> None:
    done(anyone("PUT", "/box"))
    done(seven("PUT", "/seven"))
    for bucket in ("box", "seven"):
        done(anyone("PUT", f"/{bucket}/a/key", SMALL))
    assert [project(root / bucket / "a" / "key") for bucket in ("box", "seven")] == [0, 7]


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_quota_that_is_used_up_is_403_quota_exceeded(
    seven: Asker, double: Path, data: bytes
) -> None:
    done(seven("PUT", "/box"))
    calls.order_fault(double, "write EDQUOT 0 9")
    try:
        answer = seven("PUT", "/box/key", data)
    finally:
        calls.order_fault(double, "")
    assert (answer.status, answer.code) == (403, "QuotaExceeded")
    assert seven("HEAD", "/box/key").status == 404
