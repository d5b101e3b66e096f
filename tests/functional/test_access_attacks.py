"""What somebody tries who wants more than he was given: each of these once worked, or was a 500."""

import base64
import email.utils
import os
import zlib
from pathlib import Path

import pytest

from tests import forms
from tests.functional import people as words
from tests.functional.asking import document, on_disk
from tests.functional.people import ENFORCED, WRITER, People, configure, only, policy

DENIED = (403, "AccessDenied")
EVE = only("eve")
TAGS = {"x-amz-tagging": "owner=Eve"}


@pytest.fixture
def people(settings, make_app):
    words.write(Path(settings["credentials"]))
    return People(make_app())


@pytest.fixture
def box(people, root):
    """The folder of the bucket ``box`` of ``owner``, with the object ``key`` in it."""
    assert people("owner", "PUT", "/box").status == 200
    assert people("owner", "PUT", "/box/key", b"hello", TAGS).status == 200
    return root / "box"


def told(answer):
    return answer.status, answer.code


# --- tags as variables ---------------------------------------------------------------------------

WRITES = {"Principal": EVE, "Action": ["s3:PutObject", "s3:GetObject", "s3:GetObjectTagging"]}
BY_VARIABLE = {
    "in a resource": {"Resource": "/${s3:ExistingObjectTag/owner}/*"},
    "in a condition": {
        "Condition": {"StringEquals": {"aws:username": "${s3:ExistingObjectTag/owner}"}}
    },
}


@pytest.mark.parametrize("where", BY_VARIABLE)
@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("PUT", "", TAGS),
        ("POST", "?uploads", TAGS),
        ("PUT", "", {"x-amz-copy-source": "/box/key"}),
    ],
    ids=["put", "upload", "copy"],
)
def test_the_tags_of_what_is_replaced_may_be_a_variable(people, box, where, method, query, headers):
    tagging = {"Principal": EVE, "Action": "s3:PutObjectTagging", **BY_VARIABLE[where]}
    configure(box, policy=policy(WRITES, tagging))
    assert people("owner", "PUT", "/box/Eve/old", b"1", TAGS).status == 200
    others = {"x-amz-tagging": "owner=Bob"}
    assert people("owner", "PUT", "/box/Eve/bobs", b"1", others).status == 200
    answers = [
        told(people("eve", method, f"/box/Eve/{key}{query}", headers=headers, length=0))
        for key in ("old", "bobs", "new")
    ]
    assert answers == [(200, ""), DENIED, DENIED]


def test_a_deny_by_a_variable_tag_is_no_error_for_the_owner(people, box):
    deny = {
        "Effect": "Deny",
        "Action": "s3:PutObjectTagging",
        "Resource": "/${s3:ExistingObjectTag/owner}/*",
    }
    configure(box, policy=policy(deny))
    assert people("owner", "PUT", "/box/Eve/x", b"1", TAGS).status == 200
    assert told(people("owner", "PUT", "/box/Eve/x", b"2", TAGS)) == DENIED
    assert people("boss", "PUT", "/box/Bob/x", b"2", TAGS).status == 200


# --- words of the query that nobody signed for ---------------------------------------------------


def test_a_prefix_beside_a_key_does_not_tell_whether_the_key_is_there(people, box):
    lists = {
        "Principal": EVE,
        "Action": "s3:ListBucket",
        "Resource": "",
        "Condition": {"StringLike": {"s3:prefix": "home/*"}},
    }
    configure(box, ownership=WRITER, policy=policy(lists))
    assert people("eve", "GET", "/box?prefix=home/").status == 200
    for key in ("key", "missing"):
        assert told(people("eve", "GET", f"/box/{key}?prefix=home/")) == DENIED
        assert people("eve", "HEAD", f"/box/{key}?prefix=home/").status == 403


def test_a_date_beside_a_form_does_not_make_its_signature_younger(people, box):
    young = {"NumericLessThan": {"s3:signatureAge": "600000"}}
    writes = {"Principal": EVE, "Action": "s3:PutObject"}
    configure(box, policy=policy({**writes, "Condition": young}))
    key = {"access_key": words.key_of("eve"), "secret_key": "eve" * 8}
    body = forms.form(forms.signed_v2({"key": "new"}, **key))
    date = {"Date": email.utils.formatdate(usegmt=True)}
    for query, more in (("", {}), ("?X-Amz-Date=20990101T000000Z", {}), ("", date)):
        answer = people(None, "POST", f"/box{query}", body, {"Content-Type": forms.TYPE, **more})
        assert told(answer) == DENIED
    assert not (box / "new").exists()
    body = forms.form(forms.signed_v4({"key": "new"}, **key))
    answer = people(None, "POST", "/box", body, {"Content-Type": forms.TYPE})
    assert answer.status == 204


# --- what errors give away ----------------------------------------------------------------------


@pytest.mark.parametrize("ownership", [ENFORCED, WRITER])
def test_a_stranger_is_not_told_what_is_a_symbolic_link(people, box, ownership):
    os.symlink("/etc", box / "out")
    os.symlink("loop", box / "loop")
    tagged = {"Condition": {"StringEquals": {"s3:ExistingObjectTag/a": "b"}}}
    denied = {"Effect": "Deny", "Action": ["s3:GetObject", "s3:DeleteObject"], **tagged}
    configure(box, ownership=ownership, policy=policy(denied))
    people("maker", "PUT", "/mine")
    before = on_disk(box)
    for key in ("missing", "out", "out/passwd", "loop", "loop/x"):
        answers = [people("eve", method, f"/box/{key}") for method in ("GET", "DELETE")]
        answers += [people("eve", "GET", f"/box/{key}?tagging")]
        answers += [people("eve", "DELETE", f"/box/{key}?tagging")]
        copy = {"x-amz-copy-source": f"/box/{key}"}
        answers += [people("maker", "PUT", "/mine/new", headers=copy)]
        body = f"<Delete><Object><Key>{key}</Key></Object></Delete>".encode()
        md5 = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": crc32(body)}
        found = document(people("eve", "POST", "/box?delete", body, md5))
        texts = {document(one).findtext("Message") for one in answers}
        texts |= {one.text for one in found.iter("Message")}
        assert (key, texts) == (key, {"Access Denied"})
    assert on_disk(box) == before


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


# --- a 200 for what was not done -------------------------------------------------------------


def test_a_directory_of_nobody_is_not_made_a_bucket_of_whoever_asks(people, root):
    (root / "foreign").mkdir()
    assert told(people("maker", "PUT", "/foreign")) == (409, "BucketAlreadyExists")
    assert people("boss", "PUT", "/foreign").status == 200


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, (200, "")),
        ({"x-amz-acl": "private"}, (200, "")),
        ({"x-amz-object-ownership": ENFORCED}, (200, "")),
        ({"x-amz-object-ownership": WRITER}, (409, "BucketAlreadyOwnedByYou")),
        (
            {"x-amz-acl": "public-read", "x-amz-object-ownership": WRITER},
            (409, "BucketAlreadyOwnedByYou"),
        ),
    ],
)
def test_ones_own_bucket_made_again_does_not_pretend_to_have_other_grants(
    people, box, headers, outcome
):
    assert told(people("owner", "PUT", "/box", headers=headers)) == outcome
    assert people(None, "GET", "/box").status == 403


def test_a_public_bucket_is_not_said_to_be_private_because_it_is_made_again(people, box):
    configure(box, owner="owner", acl=[words.grant("READ", words.EVERYONE)], ownership=WRITER)
    answer = people("owner", "PUT", "/box", headers={"x-amz-acl": "private"})
    assert told(answer) == (409, "BucketAlreadyOwnedByYou")


# --- what other programs may have written ---------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("user.acl", b"[" * 3000),
        ("user.s3filters.created", b"9" * 3000),
        ("user.policy", b'{"Statement":' + b"[" * 3000),
        ("user.X-Amz-Tagging", b'{"a":' * 700),
    ],
)
def test_an_attribute_that_makes_no_sense_breaks_neither_bucket_nor_list(
    people, box, attribute, value
):
    os.setxattr(box, attribute, value)
    names = [one.text for one in document(people("boss", "GET", "/")).iter("Name")]
    assert names == ["box"]
    for target in ("/box", "/box?acl", "/box?tagging", "/box/key"):
        assert people("boss", "GET", target).status in (200, 404)
        assert people("eve", "GET", target).status == 403


def test_half_a_character_in_a_tag_of_another_program_can_be_copied(people, box):
    os.setxattr(box / "key", "user.X-Amz-Tagging", b'{"a":"\\ud800"}')
    headers = {"x-amz-copy-source": "/box/key"}
    assert told(people("owner", "PUT", "/box/new", headers=headers, length=0)) == (200, "")
    tags = document(people("owner", "GET", "/box/new?tagging"))
    assert [one.text for one in tags.iter("Value")] == ["\ufffd"]


def test_a_grant_of_no_known_kind_is_no_grant(people, box):
    odd = {"Permission": "FULL_CONTROL", "Access": "eve", "Type": {}}
    configure(box, owner="owner", acl=[odd], ownership=WRITER)
    assert told(people("eve", "GET", "/box")) == DENIED


# --- DeleteObjects -----------------------------------------------------------------------------


def test_a_grant_to_write_deletes_no_version_by_either_operation(people, box):
    configure(box, owner="owner", acl=[words.grant("WRITE", "eve")], ownership=WRITER)
    assert told(people("eve", "DELETE", "/box/key?versionId=null")) == DENIED
    entries = ("<Key>key</Key><VersionId>null</VersionId>", "<Key>other</Key>")
    for who, deleted in (("eve", ["other"]), ("owner", ["key", "other"])):
        body = "".join(f"<Object>{entry}</Object>" for entry in entries)
        body = f"<Delete>{body}</Delete>".encode()
        proof = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": crc32(body)}
        found = document(people(who, "POST", "/box?delete", body, proof))
        assert [one.findtext("Key") for one in found.iter("Deleted")] == deleted
    assert not (box / "key").exists()


# --- policies of AWS's own examples ------------------------------------------------------------


@pytest.mark.parametrize("ownership", [ENFORCED, words.PREFERRED, WRITER])
def test_a_policy_may_require_the_header_that_gives_the_owner_full_control(people, box, ownership):
    condition = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}
    rules = {"Principal": EVE, "Action": "s3:PutObject", "Condition": condition}
    configure(box, ownership=ownership, policy=policy(rules))
    for acl, outcome in (("bucket-owner-full-control", (200, "")), ("public-read", DENIED)):
        assert told(people("eve", "PUT", "/box/new", b"1", {"x-amz-acl": acl})) == outcome
    assert told(people("eve", "PUT", "/box/new", b"1")) == DENIED
