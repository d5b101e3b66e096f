"""Tags of an object that is there: read, replaced and taken away."""

import base64
import hashlib
import json
import os
import threading

import pytest
from paste.deploy import loadapp

from tests import versity, wire
from tests.functional.asking import Asker, body_of, document, fields, on_disk, refusal, told
from tests.functional.conftest import INI
from tests.functional.people import EVERYONE, WRITER, configure, grant, only, policy

ATTRIBUTE = "user.X-Amz-Tagging"
KEYS = ["key", "folder/key", "folder/"]


@pytest.fixture
def owned(people, root):
    """The folder of the bucket ``box`` of ``owner``, with ``key`` in it, tagged ``a=1``."""
    assert people("owner", "PUT", "/box").status == 200
    tags = {"x-amz-tagging": "a=1"}
    assert people("owner", "PUT", "/box/key", b"hello", tags).status == 200
    return root / "box"


def xml(*pairs, more=""):
    tags = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{tags}</TagSet>{more}</Tagging>".encode()


def tags_of(answer):
    assert answer.status == 200, answer.body
    root = document(answer)
    assert root.tag == "Tagging"
    return {tag.findtext("Key"): tag.findtext("Value") or "" for tag in root.iter("Tag")}


def stored(path):
    return json.loads(os.getxattr(path, ATTRIBUTE))


def put(s3, key, **tags):
    pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
    return s3.put_object_tagging(Bucket="box", Key=key, Tagging={"TagSet": pairs})


def got(s3, key, **args):
    found = s3.get_object_tagging(Bucket="box", Key=key, **args)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in found}


# --- what is set and answered --------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_tags_are_set_read_and_taken_away(s3, box, key):
    s3.put_object(Bucket="box", Key=key, Tagging="old=1")
    assert got(s3, key) == {"old": "1"}
    assert put(s3, key, b="2", a="é =")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert got(s3, key) == {"a": "é =", "b": "2"} == stored(box / key)
    assert s3.head_object(Bucket="box", Key=key)["TagCount"] == 2
    for _ in range(2):
        answer = s3.delete_object_tagging(Bucket="box", Key=key)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert got(s3, key) == {}
    assert ATTRIBUTE not in os.listxattr(box / key)
    assert "TagCount" not in s3.get_object(Bucket="box", Key=key)


def test_tags_are_stored_as_versitys_gateway_stores_them(s3, box):
    s3.put_object(Bucket="box", Key="key")
    put(s3, "key", k2="v/2", k1="é")
    assert os.getxattr(box / "key", ATTRIBUTE) == '{"k1":"é","k2":"v/2"}'.encode()


@pytest.mark.parametrize("durability", ["data", "full"])
def test_tags_are_set_the_same_way_where_changes_are_handed_over(make_app, durability):
    ask = Asker(make_app(durability=durability))
    ask("PUT", "/box")
    ask("PUT", "/box/key", b"hello")
    assert ask("PUT", "/box/key?tagging", xml(("a", "1"))).status == 200
    assert tags_of(ask("GET", "/box/key?tagging")) == {"a": "1"}
    assert ask("DELETE", "/box/key?tagging").status == 204
    assert tags_of(ask("GET", "/box/key?tagging")) == {}
    assert told(ask("DELETE", "/box/none?tagging")) == (404, "NoSuchKey")


def test_an_empty_set_takes_all_tags_away(s3, box):
    s3.put_object(Bucket="box", Key="key", Tagging="a=1")
    put(s3, "key")
    assert got(s3, "key") == {}
    assert ATTRIBUTE not in os.listxattr(box / "key")


@pytest.mark.parametrize("key", KEYS)
def test_nothing_but_the_tags_changes(s3, box, key, data):
    body = b"" if key.endswith("/") else data
    s3.put_object(Bucket="box", Key=key, Body=body, Metadata={"a": "b"}, CacheControl="no-store")
    before, at = on_disk(box), (box / key).stat()
    shown = s3.head_object(Bucket="box", Key=key, ChecksumMode="ENABLED")
    put(s3, key, a="1")
    tagged = s3.head_object(Bucket="box", Key=key, ChecksumMode="ENABLED")
    for name in ("LastModified", "ETag", "ContentLength", "Metadata", "CacheControl"):
        assert tagged[name] == shown[name]
    assert tagged["ChecksumCRC64NVME" if "ChecksumCRC64NVME" in shown else "ChecksumCRC32"]
    now = (box / key).stat()
    assert (now.st_mtime_ns, now.st_ino, now.st_size) == (at.st_mtime_ns, at.st_ino, at.st_size)
    s3.delete_object_tagging(Bucket="box", Key=key)
    assert on_disk(box) == before
    if body:
        assert body_of(s3, key) == body


def test_a_file_of_another_program_can_be_tagged(s3, box):
    (box / "mine.txt").write_bytes(b"hello")
    etag = s3.head_object(Bucket="box", Key="mine.txt")["ETag"]
    put(s3, "mine.txt", a="1")
    shown = s3.get_object(Bucket="box", Key="mine.txt")
    assert (shown["ETag"], shown["TagCount"], shown["ContentType"]) == (etag, 1, "text/plain")


def test_the_version_null_is_the_object_and_no_other_is(s3, box):
    s3.put_object(Bucket="box", Key="key", Tagging="a=1")
    assert got(s3, "key", VersionId="null") == {"a": "1"}
    both = {"Bucket": "box", "Key": "key", "VersionId": "null"}
    s3.put_object_tagging(**both, Tagging={"TagSet": [{"Key": "b", "Value": "2"}]})
    assert got(s3, "key") == {"b": "2"}
    other = both | {"VersionId": "other"}
    absent = (404, "NoSuchVersion")
    assert refusal(s3.get_object_tagging, **other) == absent
    assert refusal(s3.put_object_tagging, **other, Tagging={"TagSet": []}) == absent
    assert refusal(s3.delete_object_tagging, **other) == absent
    assert got(s3, "key") == {"b": "2"}
    s3.delete_object_tagging(**both)
    assert got(s3, "key") == {}


def test_a_link_has_the_tags_of_what_it_leads_to_and_changes_none(s3, box, tmp_path):
    s3.put_object(Bucket="box", Key="key", Tagging="a=1")
    (box / "link").symlink_to("key")
    assert got(s3, "link") == {"a": "1"}
    before = on_disk(box)
    refused = (405, "MethodNotAllowed")
    assert refusal(s3.delete_object_tagging, Bucket="box", Key="link") == refused
    one = {"TagSet": [{"Key": "b", "Value": "2"}]}
    assert refusal(s3.put_object_tagging, Bucket="box", Key="link", Tagging=one) == refused
    assert on_disk(box) == before


# --- limits and what is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    "pairs",
    [
        [(f"key{number}", "v") for number in range(10)],
        [("k" * 128, "v" * 256)],
        [("é" * 128, "日" * 256)],
        [("a b+-=._:/@1", "a b+-=._:/@1"), ("empty", "")],
        [("Key", "1"), ("key", "2")],
        [("aw:s", "aws:")],
    ],
)
def test_what_tags_may_be(ask, s3, box, pairs):
    s3.put_object(Bucket="box", Key="key")
    answer = ask("PUT", "/box/key?tagging", xml(*pairs))
    assert (answer.status, answer.body) == (200, b"")
    assert tags_of(ask("GET", "/box/key?tagging")) == dict(pairs)
    assert ask("HEAD", "/box/key").headers["x-amz-tagging-count"] == str(len(pairs))


REFUSED = {
    "eleven": (xml(*((f"k{n}", "") for n in range(11))), "BadRequest"),
    "twice": (xml(("a", "1"), ("a", "2")), "InvalidTag"),
    "long key": (xml(("k" * 129, "")), "InvalidTag"),
    "long value": (xml(("k", "v" * 257)), "InvalidTag"),
    "no key": (xml(("", "v")), "InvalidTag"),
    "sign in key": (xml(("a!", "v")), "InvalidTag"),
    "sign in value": (xml(("a", "v#")), "InvalidTag"),
    "reserved": (xml(("aws:x", "v")), "InvalidTag"),
    "reserved in capitals": (xml(("AWS:x", "v")), "InvalidTag"),
    "not XML": (b"<Tagging>", "MalformedXML"),
    "another document": (b"<Tags/>", "MalformedXML"),
    "no set": (b"<Tagging/>", "MalformedXML"),
    "two sets": (xml(("a", "1"), more="<TagSet/>"), "MalformedXML"),
    "another element": (xml(("a", "1"), more="<More/>"), "MalformedXML"),
    "half a tag": (b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", "MalformedXML"),
    "entities": (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + xml(("a", "1")), "MalformedXML"),
    "much": (b" " * 70_000 + xml(("a", "1")), "MalformedXML"),
    "nothing": (b"", "MissingRequestBodyError"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_tags_may_not_be_changes_nothing(ask, s3, box, case):
    body, code = REFUSED[case]
    s3.put_object(Bucket="box", Key="key", Tagging="old=1")
    before = on_disk(box)
    assert told(ask("PUT", "/box/key?tagging", body)) == (400, code)
    assert on_disk(box) == before


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("eleven", "Object tags cannot be greater than 10"),
        ("twice", "Cannot provide multiple Tags with the same key"),
        ("long key", "The TagKey you have provided is invalid"),
        ("long value", "The TagValue you have provided is invalid"),
        ("reserved", "Your TagKey cannot be prefixed with aws:"),
    ],
)
def test_the_words_of_a_refusal_are_those_of_aws(ask, s3, box, case, message):
    s3.put_object(Bucket="box", Key="key")
    assert fields(ask("PUT", "/box/key?tagging", REFUSED[case][0]))["Message"] == message


def test_a_body_that_was_changed_on_its_way_is_refused(ask, s3, box):
    s3.put_object(Bucket="box", Key="key", Tagging="old=1")
    wrong = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    answer = ask("PUT", "/box/key?tagging", xml(("a", "1")), wrong)
    assert told(answer) == (400, "BadDigest")
    assert got(s3, "key") == {"old": "1"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_not_there_has_no_tags(ask, box, method):
    (box / "folder").mkdir()
    (box / "file").touch()
    body = xml(("a", "1")) if method == "PUT" else b""
    for key in ("missing", "folder", "folder/", "folder/key", "file/key", "file/"):
        assert told(ask(method, f"/box/{key}?tagging", body)) == (404, "NoSuchKey")
    assert told(ask(method, "/none/key?tagging", body)) == (404, "NoSuchBucket")
    assert sorted(on_disk(box)) == ["file", "folder"]


def test_an_expected_owner_is_honoured(people, owned):
    for who, status in (("owner", 200), ("eve", 403)):
        expected = {"x-amz-expected-bucket-owner": who}
        assert people("owner", "GET", "/box/key?tagging", b"", expected).status == status
        answer = people("owner", "PUT", "/box/key?tagging", xml(("b", "2")), expected)
        assert answer.status == status
        assert people("owner", "GET", "/box/key?tagging").status == 200
    answer = people(
        "owner", "DELETE", "/box/key?tagging", b"", {"x-amz-expected-bucket-owner": "x"}
    )
    assert told(answer) == (403, "AccessDenied")
    assert stored(owned / "key") == {"b": "2"}


# --- who may -------------------------------------------------------------------------------------


def asked(people, who, key="key"):
    """Statuses of reading, replacing and deleting tags."""
    target = f"/box/{key}?tagging"
    return [
        people(who, "GET", target).status,
        people(who, "PUT", target, xml(("b", "2"))).status,
        people(who, "DELETE", target).status,
    ]


def test_a_stranger_learns_and_changes_nothing(people, owned):
    before = on_disk(owned)
    for who in ("eve", "maker", None):
        assert asked(people, who) == asked(people, who, "missing") == [403, 403, 403]
        assert told(people(who, "GET", "/box/key?tagging&versionId=x")) == (403, "AccessDenied")
    assert on_disk(owned) == before
    assert asked(people, "owner") == asked(people, "boss") == [200, 200, 204]
    assert asked(people, "owner", "missing") == [404, 404, 404]


def test_a_stranger_is_not_told_what_is_wrong_with_his_tags(people, root):
    people("owner", "PUT", "/box", b"", {"x-amz-object-ownership": WRITER})
    assert people("owner", "PUT", "/box/key", b"1").status == 200
    for body in (b"junk", xml(("aws:a", "1")), b""):
        answer = people("eve", "PUT", "/box/key?tagging", body)
        assert told(answer) == (403, "AccessDenied")
        answer = people("owner", "PUT", "/box/key?tagging", body)
        assert answer.status == people("owner", "PUT", "/box/none?tagging", body).status == 400
        assert told(people("eve", "PUT", "/box/none?tagging", body)) == (403, "AccessDenied")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_how_many_tags_there_are_is_for_who_may_read_them(people, owned, method):
    def count(who, target="/box/key"):
        answer = people(who, method, target)
        assert answer.status == 200
        return answer.headers.get("x-amz-tagging-count")

    rule = {"Principal": only("bob", "eve"), "Action": ["s3:GetObject", "s3:GetObjectVersion"]}
    tags = {"Principal": only("bob"), "Action": "s3:GetObjectTagging"}
    configure(owned, policy=policy(rule, tags))
    assert [count(who) for who in ("owner", "boss", "bob", "eve")] == ["1", "1", "1", None]
    assert count("eve", "/box/key?response-expires=never") is None
    assert count("bob", "/box/key?response-expires=never") == "1"
    assert count("bob", "/box/key?versionId=null") is None
    assert count("owner", "/box/key?versionId=null") == "1"
    existing = {"Condition": {"StringEquals": {"s3:ExistingObjectTag/a": "1"}}}
    configure(owned, policy=policy(rule, tags | existing))
    assert count("bob") == "1"
    assert people("owner", "PUT", "/box/key?tagging", xml(("a", "2"), ("b", "2"))).status == 200
    assert (count("bob"), count("owner")) == (None, "2")


def test_a_grant_to_read_tells_nobody_of_tags(people, root):
    people("owner", "PUT", "/box", b"", {"x-amz-object-ownership": WRITER})
    configure(root / "box", owner="owner", acl=[grant("WRITE", "bob")])
    headers = {"x-amz-tagging": "a=1", "x-amz-acl": "public-read"}
    assert people("bob", "PUT", "/box/key", b"1", headers).status == 200
    shown = {
        who: people(who, "GET", "/box/key").headers.get("x-amz-tagging-count")
        for who in ("bob", "eve", None, "owner", "boss")
    }
    assert shown == {"bob": "1", "eve": None, None: None, "owner": "1", "boss": "1"}


@pytest.mark.parametrize("proof", [{}, {"Content-MD5": ""}])
def test_tags_need_no_proof_of_their_body(ask, box, proof):
    """Unlike those of a bucket, as in AWS."""
    assert ask("PUT", "/box/key", b"1").status == 200
    body = xml(("a", "1"))
    if proof:
        proof = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    assert ask("PUT", "/box/key?tagging", body, proof).status == 200


@pytest.mark.parametrize("number", range(3))
def test_a_policy_allows_each_action_by_itself(people, owned, number):
    action = ["s3:GetObjectTagging", "s3:PutObjectTagging", "s3:DeleteObjectTagging"][number]
    configure(owned, policy=policy({"Principal": only("bob"), "Action": action}))
    expected = [403, 403, 403]
    expected[number] = [200, 200, 204][number]
    assert asked(people, "bob") == expected


def test_a_policy_sees_the_tags_that_are_there_and_those_that_are_to_come(people, owned):
    existing = {"StringEquals": {"s3:ExistingObjectTag/a": "1"}}
    coming = {"StringEquals": {"s3:RequestObjectTag/b": "2"}}
    rule = {"Principal": only("bob")}
    configure(
        owned,
        policy=policy(
            rule | {"Action": "s3:GetObjectTagging", "Condition": existing},
            rule | {"Action": "s3:PutObjectTagging", "Condition": coming},
        ),
    )
    assert people("bob", "PUT", "/box/key?tagging", xml(("b", "3"))).status == 403
    assert tags_of(people("bob", "GET", "/box/key?tagging")) == {"a": "1"}
    assert people("bob", "PUT", "/box/key?tagging", xml(("b", "2"))).status == 200
    assert people("bob", "GET", "/box/key?tagging").status == 403
    assert stored(owned / "key") == {"b": "2"}


def test_the_tags_that_decide_are_those_of_the_moment_of_the_change(people, owned, monkeypatch):
    """Who changed the tags meanwhile has changed who may."""
    rule = {"Principal": only("bob"), "Action": "s3:PutObjectTagging"}
    existing = {"StringEquals": {"s3:ExistingObjectTag/a": "1"}}
    configure(owned, policy=policy(rule | {"Condition": existing}))
    assert people("bob", "PUT", "/box/key?tagging", xml(("a", "2"))).status == 200
    assert people("bob", "PUT", "/box/key?tagging", xml(("a", "1"))).status == 403
    assert stored(owned / "key") == {"a": "2"}


def test_the_owner_of_an_object_has_its_tags_where_acls_count(people, root):
    people("owner", "PUT", "/box", b"", {"x-amz-object-ownership": WRITER})
    configure(root / "box", owner="owner", acl=[grant("WRITE", "bob"), grant("READ", EVERYONE)])
    assert people("bob", "PUT", "/box/key", b"1", {"x-amz-tagging": "a=1"}).status == 200
    assert asked(people, "eve") == asked(people, None) == [403, 403, 403]
    assert asked(people, "bob") == [200, 200, 204]


# --- tags of new objects -------------------------------------------------------------------------


def test_tags_belong_to_an_object_and_not_to_its_key(s3, box):
    s3.put_object(Bucket="box", Key="key")
    put(s3, "key", a="1")
    s3.put_object(Bucket="box", Key="key")
    assert got(s3, "key") == {}
    s3.put_object(Bucket="box", Key="folder/", Tagging="a=1")
    s3.put_object(Bucket="box", Key="folder/")
    assert got(s3, "folder/") == {}


def test_a_copy_takes_the_tags_along_that_were_set_later(s3, box):
    s3.put_object(Bucket="box", Key="from")
    put(s3, "from", a="1", b="2")
    s3.copy_object(Bucket="box", Key="to", CopySource="box/from")
    s3.copy_object(
        Bucket="box", Key="other", CopySource="box/from", Tagging="c=3", TaggingDirective="REPLACE"
    )
    put(s3, "to", d="4")
    assert [got(s3, key) for key in ("from", "to", "other")] == [
        {"a": "1", "b": "2"},
        {"d": "4"},
        {"c": "3"},
    ]


def test_tags_of_an_upload_are_the_objects_when_it_is_complete(s3, box):
    begun = s3.create_multipart_upload(Bucket="box", Key="key", Tagging="a=1&b=%C3%A9")
    upload = {"Bucket": "box", "Key": "key", "UploadId": begun["UploadId"]}
    s3.put_object(Bucket="box", Key="key", Tagging="other=1")
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    put(s3, "key", another="2")
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert got(s3, "key") == {"a": "1", "b": "é"}
    assert s3.head_object(Bucket="box", Key="key")["TagCount"] == 2
    put(s3, "key", c="3")
    s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert got(s3, "key") == {"c": "3"}
    assert s3.get_object(Bucket="box", Key="key", PartNumber=1)["PartsCount"] == 1


def test_a_form_brings_tags(people, owned):
    configure(owned, policy=policy({"Action": "s3:PutObject*"}))
    boundary = "b0undary"
    pairs = {"key": "posted", "tagging": xml(("a", "1"), ("b", "é")).decode()}
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in pairs.items()
    ]
    lines.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        f"hello\r\n--{boundary}--\r\n"
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = people(None, "POST", "/box", "".join(lines).encode(), headers)
    assert told(answer) == (204, "")
    assert stored(owned / "posted") == {"a": "1", "b": "é"}


# --- at once -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["key", "folder/"])
def test_tags_that_race_an_overwrite_are_of_one_object_or_the_other(app, box, key):
    """Each write brings a tag that names it; each change of the tags brings two."""
    target, changes, looks = f"/box/{key}", [], []

    def write(number):
        ask = Asker(app)
        for turn in range(15):
            name = f"w{number}-{turn}"
            headers = {"x-amz-meta-n": name, "x-amz-tagging": f"by={name}"}
            changes.append(ask("PUT", target, b"", headers, length=0))

    def tag(number):
        ask = Asker(app)
        for turn in range(15):
            body = xml(("by", f"t{number}-{turn}"), ("x", "1"))
            changes.append(ask("PUT", f"{target}?tagging", body))

    def look(number):
        ask = Asker(app)
        looks.extend(tags_of(ask("GET", f"{target}?tagging")) for _ in range(30))

    write(0)
    threads = [
        threading.Thread(target=work, args=[number])
        for work in (write, tag, look)
        for number in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in changes} == {200}
    assert len(looks) == 60
    assert all(tags["by"].startswith("t") is ("x" in tags) for tags in looks)
    ask = Asker(app)
    by = tags_of(ask("GET", f"{target}?tagging"))["by"]
    shown = ask("HEAD", target).headers
    assert shown["x-amz-tagging-count"] == ("1" if by[0] == "w" else "2")
    assert by[0] == "t" or shown["x-amz-meta-n"] == by


# --- a tree of Versity's gateway -----------------------------------------------------------------

ANSWERS = [
    answer
    for answer in json.loads((versity.DATA / "answers.json").read_text())["calls"]
    if answer["call"] == "get_object_tagging"
]


def test_tags_in_a_tree_of_versitys_gateway_are_answered_as_it_did(tmp_path):
    root = versity.unpack(tmp_path)
    credentials = tmp_path / "credentials.jsonl"
    credentials.touch(0o600)
    key = {"access_key": versity.ACCESS_KEY, "secret_key": versity.SECRET_KEY}
    credentials.write_text(json.dumps(key | {"created_at": 0, "enabled": True}))
    conf = {"root": str(root), "credentials": str(credentials), "durability": "none"}
    s3 = wire.client(loadapp(f"config:{INI}", global_conf=conf), *key.values())
    assert len(ANSWERS) == 21
    for answer in ANSWERS:
        found = s3.get_object_tagging(**answer["args"])["TagSet"]
        by_key = [
            sorted(tags, key=lambda tag: tag["Key"]) for tags in (found, answer["result"]["TagSet"])
        ]
        assert by_key[0] == by_key[1], answer["args"]
    before = os.getxattr(root / "plain" / "tagged", ATTRIBUTE)
    tags = s3.get_object_tagging(Bucket="plain", Key="tagged")["TagSet"]
    s3.delete_object_tagging(Bucket="plain", Key="tagged")
    s3.put_object_tagging(Bucket="plain", Key="tagged", Tagging={"TagSet": tags})
    assert json.loads(os.getxattr(root / "plain" / "tagged", ATTRIBUTE)) == json.loads(before)
