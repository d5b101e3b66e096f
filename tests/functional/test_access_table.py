"""The oracle's worlds made on disk, and asked through the whole pipeline.

Every request here is one that is refused after it was let in, or that changes nothing: so whoever
may and whoever may not find the same bucket.
"""

import base64
import hashlib
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paste.deploy import loadapp

from tests import daemon, oracle
from tests.functional import people as words
from tests.functional.asking import document
from tests.functional.conftest import INI
from tests.functional.people import EVERYONE, SIGNED, People, block, configure, grant

NO = {"If-Match": '"0123456789abcdef0123456789abcdef"'}
THEN = {"x-amz-if-match-initiated-time": "Mon, 01 Jan 2024 00:00:00 GMT"}
MD5 = {"Content-MD5": base64.b64encode(hashlib.md5(b"<no/>").digest()).decode()}
TAGGING = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
# action -> method, query, body and headers: of a request that needs it and nothing else
ON_BUCKET = {
    "s3:ListBucket": ("GET", "list-type=2", b"", {}),
    "s3:ListBucketVersions": ("GET", "versions", b"", {}),
    "s3:ListBucketMultipartUploads": ("GET", "uploads", b"", {}),
    "s3:DeleteBucket": ("DELETE", "", b"", {}),
    "s3:GetBucketAcl": ("GET", "acl", b"", {}),
    "s3:PutBucketAcl": ("PUT", "acl", b"<no/>", {}),
    "s3:PutBucketTagging": ("PUT", "tagging", b"<no/>", MD5),
    "s3:PutBucketPolicy": ("PUT", "policy", b"no", {}),
    "s3:GetBucketCORS": ("GET", "cors", b"", {}),
}
ON_OBJECT = {
    "s3:GetObject": ("GET", "", b"", {}),
    "s3:GetObjectVersion": ("HEAD", "versionId=null", b"", {}),
    "s3:PutObject": ("PUT", "", b"1", {"If-None-Match": "*"}),
    "s3:DeleteObject": ("DELETE", "", b"", NO),
    "s3:GetObjectAcl": ("GET", "acl", b"", {}),
    "s3:PutObjectAcl": ("PUT", "acl", b"{acl}", {}),
    "s3:PutObjectTagging": ("PUT", "tagging", TAGGING, {}),
    "s3:AbortMultipartUpload": ("DELETE", "uploadId={0}", b"", THEN),
}
GRANTEES = {"everyone": EVERYONE, "signed": SIGNED}
GROUPS = {"everyone": "global/AllUsers", "signed": "global/AuthenticatedUsers"}
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    root = folder / "root"
    root.mkdir()
    credentials = daemon.credentials(folder)
    words.write(credentials)
    settings = {"root": str(root), "credentials": str(credentials), "durability": "none"}
    people = People(loadapp(f"config:{INI}", global_conf=settings))
    assert people("owner", "PUT", "/box").status == 200
    uploads = {}
    for key in ("key", "some/key"):
        assert people("owner", "PUT", f"/box/{key}", b"hello").status == 200
        begun = people("owner", "POST", f"/box/{key}?uploads")
        uploads[key] = document(begun).findtext("UploadId")
    return SimpleNamespace(box=root / "box", people=people, uploads=uploads)


def make(place, world):
    """Let the bucket be as the world has it."""
    statements, setting, on_bucket, (owner, on_object), ignore, restrict, _ = world
    found = [one.document("box") for one in statements]
    configure(
        place.box,
        ownership=setting or None,
        policy=json.dumps({"Version": "2012-10-17", "Statement": found}) if found else None,
        block=block(IgnorePublicAcls=ignore, RestrictPublicBuckets=restrict),
    )
    os.setxattr(place.box, "user.acl", acl_of("owner", on_bucket))
    for key, upload in place.uploads.items():
        os.setxattr(place.box / key, "user.s3filters.acl", acl_of(owner, on_object))
        (folder,) = Path(place.box, ".sgwtmp", "multipart").glob(f"*/{upload}")
        os.setxattr(folder, "user.s3filters.initiator", owner.encode())


def acl_of(owner, found):
    grants = [grant(what, GRANTEES.get(who, who)) for who, what in found]
    return json.dumps({"Owner": owner, "Grantees": grants}).encode()


def document_of(owner, found):
    """The ACL that an object has, to be put again."""
    grants = []
    for who, what in found:
        kind, grantee = "CanonicalUser", f"<ID>{who}</ID>"
        if who in GROUPS:
            kind = "Group"
            grantee = f"<URI>http://acs.amazonaws.com/groups/{GROUPS[who]}</URI>"
        grants.append(
            f'<Grant><Grantee {XSI} xsi:type="{kind}">{grantee}</Grantee>'
            f"<Permission>{what}</Permission></Grant>"
        )
    return (
        f"<AccessControlPolicy><Owner><ID>{owner}</ID></Owner>"
        f"<AccessControlList>{''.join(grants)}</AccessControlList></AccessControlPolicy>"
    ).encode()


@given(oracle.WORLDS, st.sampled_from(["key", "some/key"]))
def test_everybody_may_through_the_pipeline_what_aws_lets_him(place, world, key):
    make(place, world)
    scheme = {"wsgi.url_scheme": "https" if world[-1] else "http"}
    for action, (method, query, body, headers) in {**ON_BUCKET, **ON_OBJECT}.items():
        path = key if action in ON_OBJECT else ""
        target = f"/box/{path}" if path else "/box"
        sent = document_of(*world[3]) if body == b"{acl}" else body
        if query:
            target += "?" + query.format(place.uploads[key])
        for name in oracle.PEOPLE:
            answer = place.people(name or None, method, target, sent, headers, environ=scheme)
            refused = answer.status == 403 or answer.code == "MethodNotAllowed"
            may = oracle.allows(name, action, path, world)
            assert refused is not may, (name, action, answer.status, answer.body)
    assert (place.box / "key").read_bytes() == b"hello"
