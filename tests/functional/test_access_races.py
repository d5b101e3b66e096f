"""Between a decision and the act nothing may change: tags and ACLs that move meanwhile.

The change is made at the worst moment there is: after the filter has let the request through, and
before the backend has the object, or the key's lock.
"""

import base64
import hashlib
import os
import threading

import pytest

from s3filters.pipeline import acl
from s3filters.store import locks
from s3filters.store.beneath import Root
from tests.functional.asking import on_disk, told
from tests.functional.people import WRITER, configure, only, policy

DENIED = (403, "AccessDenied")
OPEN = {"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}
TAGS = "user.X-Amz-Tagging"
DELETE = b"<Delete><Object><Key>key</Key></Object></Delete>"


@pytest.fixture
def box(people, root):
    people("owner", "PUT", "/box")
    people("owner", "PUT", "/box/key", b"hello", {"x-amz-tagging": "open=yes"})
    return root / "box"


@pytest.fixture
def meanwhile(monkeypatch):
    """Registers what happens between the filter and the backend, once, of the next request."""
    acts = []
    admit = acl.Acl.admit

    def admitted(self, call, environ):
        admit(self, call, environ)
        while acts:
            acts.pop()()

    monkeypatch.setattr(acl.Acl, "admit", admitted)
    return acts.append


GET = {"Principal": only("bob"), "Action": ["s3:GetObject*"], "Condition": OPEN}
KEEP = {
    "Effect": "Deny",
    "Action": "s3:DeleteObject",
    "Condition": {"StringNotEquals": {"s3:ExistingObjectTag/open": "yes"}},
}
FREE = {"Principal": only("bob"), "Action": "s3:DeleteObject"}
ATTRIBUTES = {"x-amz-object-attributes": "ETag"}


def shut(box):
    os.setxattr(box / "key", TAGS, b'{"open":"no"}')


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/box/key", {}),
        ("GET", "/box/key", {"Range": "bytes=0-0"}),
        ("GET", "/box/key", {"If-None-Match": "*"}),
        ("HEAD", "/box/key", {}),
        ("GET", "/box/key?attributes", ATTRIBUTES),
        ("PUT", "/bobs/new", {"x-amz-copy-source": "/box/key"}),
    ],
)
def test_what_is_read_is_decided_by_the_tags_of_what_was_opened(
    people, box, meanwhile, method, target, headers
):
    bobs = box.parent / "bobs"
    configure(box, policy=policy(GET))
    people("boss", "PUT", "/bobs")
    configure(bobs, owner="bob")
    assert people("bob", method, target, headers=headers).status < 400
    before = on_disk(bobs)
    meanwhile(lambda: shut(box))
    answer = people("bob", method, target, headers=headers)
    assert answer.status == 403
    assert b"hello" not in answer.body and "etag" not in answer.headers
    assert on_disk(bobs) == before


def test_the_condition_of_a_request_tells_nothing_to_whoever_may_not_read(people, box, meanwhile):
    configure(box, policy=policy(GET))
    tag = people("owner", "HEAD", "/box/key").headers["etag"]
    meanwhile(lambda: shut(box))
    for name in ("If-Match", "If-None-Match"):
        for value in (tag, '"another"'):
            assert told(people("bob", "GET", "/box/key", headers={name: value})) == DENIED


@pytest.mark.parametrize(("method", "target", "body"), [
    ("DELETE", "/box/key", b""),
    ("POST", "/box?delete", DELETE),
])  # fmt: skip
def test_what_is_deleted_is_decided_by_the_tags_under_the_lock(
    people, box, meanwhile, method, target, body
):
    configure(box, policy=policy(KEEP, FREE))
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()} if body else {}
    meanwhile(lambda: shut(box))
    answer = people("bob", method, target, body, headers)
    assert answer.code == "AccessDenied"
    assert (box / "key").read_bytes() == b"hello"


CHANGES = ["s3:GetObjectTagging", "s3:PutObjectTagging", "s3:DeleteObjectTagging"]
TAGGING = b"<Tagging><TagSet><Tag><Key>new</Key><Value>1</Value></Tag></TagSet></Tagging>"


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("PUT", TAGGING), ("DELETE", b"")])
def test_tags_are_read_and_changed_by_the_tags_that_there_are_then(
    people, box, meanwhile, method, body
):
    allow = {"Principal": only("bob"), "Action": CHANGES, "Condition": OPEN}
    configure(box, policy=policy(allow))
    assert people("bob", "GET", "/box/key?tagging").status == 200
    meanwhile(lambda: shut(box))
    answer = people("bob", method, "/box/key?tagging", body)
    assert told(answer) == DENIED
    assert os.getxattr(box / "key", TAGS) == b'{"open":"no"}'


@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("PUT", {"x-amz-acl": "private"})])
def test_an_acl_is_read_and_changed_by_the_acl_that_there_is_then(
    people, box, meanwhile, method, headers
):
    configure(box, ownership=WRITER)
    full = {"x-amz-grant-full-control": 'id="bob"'}
    people("owner", "PUT", "/box/key", b"hello", full)
    assert people("bob", "GET", "/box/key?acl").status == 200
    acl_now = {"x-amz-grant-read": 'id="eve"'}
    meanwhile(lambda: people("owner", "PUT", "/box/key", b"hello", acl_now))
    assert told(people("bob", method, "/box/key?acl", headers=headers)) == DENIED
    assert people("eve", "GET", "/box/key").status == 200


def test_a_deletion_that_waits_for_its_key_decides_when_it_has_it(people, box, root):
    configure(box, policy=policy(KEEP, FREE))
    answers = []
    sender = threading.Thread(
        target=lambda: answers.append(people("bob", "DELETE", "/box/key")), daemon=True
    )
    held = Root(root)
    with locks.hold(held, b"box/key"):
        sender.start()
        sender.join(0.1)
        assert not answers
        shut(box)
    os.close(held.fd)
    sender.join(10)
    assert [told(answer) for answer in answers] == [DENIED]
    assert (box / "key").read_bytes() == b"hello"


def test_what_is_read_is_decided_by_the_acl_of_what_was_opened(people, box, meanwhile):
    configure(box, ownership=WRITER)
    people("owner", "PUT", "/box/key", b"public", {"x-amz-acl": "public-read"})
    assert people(None, "GET", "/box/key").body == b"public"
    meanwhile(lambda: people("owner", "PUT", "/box/key", b"secret"))
    assert told(people(None, "GET", "/box/key")) == DENIED
    assert (box / "key").read_bytes() == b"secret"


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_reader_never_gets_what_is_secret_while_it_is_replaced(people, box, size):
    """What is open and what is secret take turns; a body and its tags appear together."""
    configure(box, policy=policy(GET))
    stop = threading.Event()

    def replace():
        while not stop.is_set():
            people("owner", "PUT", "/box/key", b"o" * size, {"x-amz-tagging": "open=yes"})
            people("owner", "PUT", "/box/key", b"s" * size, {"x-amz-tagging": "open=no"})

    writer = threading.Thread(target=replace, daemon=True)
    writer.start()
    try:
        answers = [people("bob", "GET", "/box/key") for _ in range(150)]
    finally:
        stop.set()
        writer.join(10)
    seen = {(answer.status, answer.body[:1]) for answer in answers}
    assert seen <= {(200, b"o"), (200, b"h"), (403, b"<")}
