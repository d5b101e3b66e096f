"""Keys: every name that a file can have is one, and none leads anywhere else."""

import os
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functional.asking import SMALL, body_of, document, fields, on_disk

ODD = [
    "a b",
    " ",
    "a+b",
    "a%20b",
    "%",
    "%2e%2e",
    "a&b=c?d#e",
    "a;b:c,d",
    "'\"<>\\|*",
    "déjà vu/雪.txt",
    "🙂/🙃",
    "-rf",
    "~",
    ".hidden",
    "...",
    "..a/b..",
    "a/.b/..c",
    "a\tb",
    "a\nb",
    "\x01\x7f",
    "e\u0301 and \xe9",
    "a.sgwtmp",
    ".sgwtmpx",
    "sgwtmp/.sgwtmp.1",
    "x.sgwtmp.1",
    "put.0123456789abcdef",
    "lock.000",
    "x" * 255,
    "/".join(["x" * 255] * 4),
    "/".join("x" * 512),
    "ü" * 127 + "/" + "ü" * 127,
]
ALIASES = ["/a", "//a", "a//b", "a//", "./a", "../a", "a/./b", "a/../b", "a/..", "a/.", ".", "..",
           "../../etc/passwd", "a/../../other/key", "/", "./", "../", "../other/key"]  # fmt: skip
OURS = [".sgwtmp", ".sgwtmp/", ".sgwtmp/lock", ".sgwtmp/x", ".sgwtmp/multipart/a/b/1",
        "a/.sgwtmp", "a/.sgwtmp/b", ".a.sgwtmp.123", "a/.b.sgwtmp.1/c", "a/..sgwtmp.5"]  # fmt: skip


def target(key):
    return f"/box/{quote(key, safe='/~')}"


def verbs(ask, key):
    """Return the answers of all that can be asked of a key, and asked for with it."""
    source = {"x-amz-copy-source": f"box/{quote(key, safe='')}"}
    return {
        "GET": ask("GET", target(key)),
        "HEAD": ask("HEAD", target(key)),
        "attributes": ask(
            "GET", f"{target(key)}?attributes", headers={"x-amz-object-attributes": "ETag"}
        ),
        "PUT": ask(
            "PUT",
            target(key),
            b"" if key[-1] == "/" else SMALL,
            length=0 if key[-1] == "/" else None,
        ),
        "COPY to": ask("PUT", target(key), headers={"x-amz-copy-source": "box/key"}),
        "COPY from": ask("PUT", "/box/copied", headers=source),
        "DELETE": ask("DELETE", target(key)),
    }


@pytest.mark.parametrize("key", ODD, ids=[f"{n}-{ascii(key)[:20]}" for n, key in enumerate(ODD)])
def test_an_odd_key_is_a_key(s3, ask, box, key):
    assert ask("PUT", target(key), SMALL).status == 200
    assert (box / key).read_bytes() == SMALL
    assert ask("GET", target(key)).body == SMALL
    listed = s3.list_objects_v2(Bucket="box")["Contents"]  # boto3 asks for it url-encoded
    assert [entry["Key"] for entry in listed] == [key]
    ask("PUT", "/box/copied", headers={"x-amz-copy-source": quote(f"box/{key}", safe="")})
    assert body_of(s3, "copied") == SMALL
    assert ask("DELETE", target(key)).status == 204
    assert list(on_disk(box)) == ["copied"]


def test_a_key_may_have_1024_bytes(ask, box):
    key = "/".join(["x" * 255] * 4)[:-1] + "/y"
    key = key[:1024]
    assert len(key) == 1024
    assert ask("PUT", target(key), SMALL).status == 200
    answer = ask("PUT", target(key + "z"), SMALL)
    assert (answer.status, answer.code) == (400, "KeyTooLongError")
    told = fields(answer)
    assert (told["Size"], told["MaxSizeAllowed"]) == ("1025", "1024")
    assert ask("GET", target("é" * 513)).code == "KeyTooLongError"


def test_a_part_of_a_key_may_have_255_bytes(ask, box):
    assert ask("PUT", target("x" * 255 + "/y"), SMALL).status == 200
    for key in ("x" * 256, "a/" + "é" * 128, "x" * 256 + "/y"):
        answer = ask("PUT", target(key), SMALL)
        assert (answer.status, answer.code) == (400, "KeyTooLongError")
    assert list(on_disk(box)) == ["x" * 255, "x" * 255 + "/y"]


def test_an_object_of_the_longest_name_can_be_replaced(s3, box, data):
    for body in (b"old", data):
        s3.put_object(Bucket="box", Key="x" * 255, Body=body)
    assert body_of(s3, "x" * 255) == data


@pytest.mark.parametrize("key", ALIASES)
def test_a_key_that_is_another_names_alias_is_refused(s3, ask, root, box, key):
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="other", Key="key", Body=b"secret")
    for name in ("key", "a/b"):
        s3.put_object(Bucket="box", Key=name, Body=SMALL)
    before = on_disk(root)
    for verb, answer in verbs(ask, key).items():
        assert answer.status == 400, verb
        if verb != "HEAD":
            assert answer.code == "InvalidArgument", verb
    assert on_disk(root) == before


@pytest.mark.parametrize("way", ["%2e%2e", "..", "%2E%2e", ".%2e"])
def test_an_encoded_way_out_is_no_way_out(ask, root, box, tmp_path, way):
    (tmp_path / "secret").write_bytes(b"secret")
    for path in (f"/box/{way}/{way}/secret", f"/box/{way}%2f{way}%2fsecret", f"/{way}/secret"):
        answer = ask("GET", path)
        assert answer.status in (400, 404)
        assert b"secret</" not in answer.body.replace(b"secret</Resource>", b"").replace(
            b"secret</ArgumentValue>", b""
        )


@pytest.mark.parametrize("key", OURS)
def test_a_name_of_ours_is_unreachable(s3, ask, box, key):
    for _ in range(2):  # replacing makes .sgwtmp/lock
        s3.put_object(Bucket="box", Key="key", Body=SMALL)
    part = box / ".sgwtmp/multipart/a/b/1"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"secret")
    (box / "a").mkdir()
    (box / ".a.sgwtmp.123").write_bytes(b"secret")
    (box / "a/..sgwtmp.5").write_bytes(b"secret")
    (box / "a/.sgwtmp").mkdir()
    (box / "a/.sgwtmp/b").write_bytes(b"secret")
    before = on_disk(box)
    expected = {"GET": 404, "HEAD": 404, "attributes": 404, "COPY from": 404}
    for verb, answer in verbs(ask, key).items():
        assert answer.status == expected.get(verb, 403), verb
        assert b"secret" not in answer.body
        if verb != "HEAD":
            assert answer.code == ("NoSuchKey" if verb in expected else "AccessDenied")
    assert on_disk(box) == before


@pytest.mark.parametrize(
    "prefix", ["", ".", ".sgwtmp", ".sgwtmp/", ".sgwtmp/multipart/a/b/", "a/", "a/.sgwtmp/", ".a"]
)
@pytest.mark.parametrize("delimiter", ["", "/", "."])
def test_a_name_of_ours_is_in_no_listing(s3, box, prefix, delimiter):
    for _ in range(2):
        s3.put_object(Bucket="box", Key="a/key", Body=SMALL)
    part = box / ".sgwtmp/multipart/a/b/1"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"secret")
    (box / ".a.sgwtmp.123").write_bytes(b"secret")
    (box / "a/.sgwtmp").mkdir()
    (box / "a/.sgwtmp/b").write_bytes(b"secret")
    for call in (s3.list_objects, s3.list_objects_v2, s3.list_object_versions):
        answer = call(Bucket="box", Prefix=prefix, Delimiter=delimiter)
        found = [e["Key"] for e in answer.get("Contents", answer.get("Versions", []))]
        found += [e["Prefix"] for e in answer.get("CommonPrefixes", [])]
        assert not [name for name in found if "sgwtmp" in name]


def test_a_nul_is_in_no_key(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    before = on_disk(box)
    for verb, answer in verbs(ask, "a\0b").items():
        assert answer.status == 400, verb
    assert on_disk(box) == before


@pytest.mark.parametrize("path", ["/box/%FF", "/box/a%C3", "/box/%ED%A0%80", "/box/%C0%AF"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_what_is_not_utf_8_is_no_key(ask, box, path, method):
    answer = ask(method, path, SMALL if method == "PUT" else b"")
    assert answer.status == 400
    if method != "HEAD":
        assert answer.code == "InvalidURI"
    assert on_disk(box) == {}


def test_a_file_whose_name_is_not_utf_8_is_no_object(s3, box):
    (box / os.fsdecode(b"a\xff")).write_bytes(b"x")
    assert "Contents" not in s3.list_objects_v2(Bucket="box")


def test_names_are_bytes(s3, box):
    for key in ("é", "e\u0301", "É"):
        s3.put_object(Bucket="box", Key=key, Body=key.encode())
    for key in ("é", "e\u0301", "É"):
        assert body_of(s3, key) == key.encode()


def test_a_slash_may_be_encoded(ask, box):
    assert ask("PUT", "/box/a%2Fb", SMALL).status == 200
    assert ask("GET", "/box/a/b").body == SMALL
    assert (box / "a/b").exists()


def test_the_key_of_an_error_is_told_as_it_is(ask, box):
    answer = ask("GET", "/box/%3Ca%3E%26%C3%A9%01")
    assert fields(answer)["Key"] == "<a>&é\ufffd"
    assert document(answer).findtext("Resource") == "/box/<a>&é\ufffd"


names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=60
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(names, min_size=1, max_size=4).map("/".join).filter(lambda k: "sgwtmp" not in k))
def test_any_key_is_stored_found_and_deleted(ask, box, key):
    assert ask("PUT", target(key), key.encode()).status == 200
    assert (box / key).read_bytes() == key.encode()
    assert ask("GET", target(key)).body == key.encode()
    assert ask("DELETE", target(key)).status == 204
    assert on_disk(box) == {}
