"""User metadata, the standard headers, and storage classes as labels."""

import base64
import os
import quopri
import re

import pytest

from tests.functional.asking import SMALL, fields, on_disk, refusal


def metadata(ask, key="key"):
    headers = ask("HEAD", f"/box/{key}").headers
    return {n[11:]: v for n, v in headers.items() if n.startswith("x-amz-meta-")}


def decoded(text):
    """Return the text of RFC 2047 words, as Java's and AWS's clients read them."""
    match = re.fullmatch(r"=\?UTF-8\?([BQ])\?(.*)\?=", text)
    if match is None:
        return text
    if match[1] == "B":
        return base64.b64decode(match[2]).decode()
    return quopri.decodestring(match[2].replace("_", " ")).decode()


@pytest.fixture(params=["/box/key", "/box/d/"], ids=["file", "directory"])
def target(request):
    return request.param


def put(ask, headers, target="/box/key"):
    return ask("PUT", target, headers=headers, length=0)


# --- user metadata -----------------------------------------------------------------------------


def test_names_are_lower_case_and_values_are_kept(ask, box, target):
    given = {"X-Amz-Meta-Mixed-CASE": "Value, With CASE", "x-amz-meta-empty": ""}
    assert put(ask, given, target).status == 200
    key = target.removeprefix("/box/")
    assert metadata(ask, key) == {"mixed-case": "Value, With CASE", "empty": ""}


def test_a_name_with_an_underscore_is_kept(ask, box):
    put(ask, {"x-amz-meta-under_score": "1", "x-amz-meta-dot.": "2"})
    assert metadata(ask) == {"under_score": "1", "dot.": "2"}


@pytest.mark.parametrize(
    "text", ["grüße", "日本語", "naïve café", "🙂", "a=b?c_d é", "x" * 100 + "é", "é" * 100]
)
def test_text_that_is_not_ascii_comes_back_in_words_of_rfc_2047(ask, box, target, text):
    put(ask, {"x-amz-meta-text": text.encode().decode("latin-1")}, target)
    sent = metadata(ask, target.removeprefix("/box/"))["text"]
    assert sent.isascii()
    assert decoded(sent) == text


@pytest.mark.parametrize("word", ["=?UTF-8?B?Z3LDvMOfZQ==?=", "=?utf-8?q?gr=C3=BC=C3=9Fe?="])
def test_words_of_rfc_2047_are_understood(ask, box, word):
    put(ask, {"x-amz-meta-text": word})
    assert os.getxattr(box / "key", "user.metadata") == '{"text":"grüße"}'.encode()
    assert decoded(metadata(ask)["text"]) == "grüße"


def test_what_only_looks_like_a_word_is_kept(ask, box):
    put(ask, {"x-amz-meta-text": "=?UTF-8?X?abc?="})
    assert metadata(ask)["text"] == "=?UTF-8?X?abc?="


def test_two_kib_fit_and_no_more(ask, box, target):
    assert put(ask, {"x-amz-meta-abc": "x" * 2045}, target).status == 200
    before = on_disk(box)
    answer = put(ask, {"x-amz-meta-abc": "x" * 2046}, target)
    assert (answer.status, answer.code) == (400, "MetadataTooLarge")
    told = fields(answer)
    assert (told["Size"], told["MaxSizeAllowed"]) == ("2049", "2048")
    assert on_disk(box) == before


def test_two_kib_are_bytes_of_utf_8_and_of_all_names_and_values(ask, box):
    wire = "é".encode().decode("latin-1")
    assert put(ask, {"x-amz-meta-ab": wire * 1023}).status == 200
    assert put(ask, {"x-amz-meta-ab": wire * 1024}).code == "MetadataTooLarge"
    many = {f"x-amz-meta-{number:04}": "x" * 60 for number in range(32)}
    assert put(ask, many).status == 200
    assert len(metadata(ask)) == 32
    assert put(ask, many | {"x-amz-meta-z": ""}).code == "MetadataTooLarge"


def test_boto3s_metadata_comes_back(s3, box, data):
    given = {"one": "1", "two-words": "a b  c", "quotes": "\"'", "ends": "=?;,"}
    s3.put_object(Bucket="box", Key="key", Body=data, Metadata=given)
    assert s3.get_object(Bucket="box", Key="key")["Metadata"] == given


def test_metadata_that_another_program_wrote_cannot_forge_a_header(ask, box):
    (box / "key").write_bytes(b"x")
    stored = b'{"bad name":"1","evil":"a\\r\\nSet-Cookie: b","":"2","good":"3"}'
    os.setxattr(box / "key", "user.metadata", stored)
    answer = ask("HEAD", "/box/key")
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-amz-meta-good"] == "3"
    assert answer.headers["x-amz-missing-meta"] == "2"
    assert "\n" not in answer.headers["x-amz-meta-evil"]


def test_versitys_older_metadata_is_read(ask, box):
    (box / "key").write_bytes(b"x")
    os.setxattr(box / "key", "user.X-Amz-Meta.who", b"me")
    assert metadata(ask) == {"who": "me"}


# --- standard headers --------------------------------------------------------------------------

STANDARD = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "max-age=60, must-revalidate",
    "Content-Disposition": 'attachment; filename="a b.txt"',
    "Content-Encoding": "gzip",
    "Content-Language": "de, en",
    "Expires": "not even a date",
    "x-amz-website-redirect-location": "https://example.org/",
}


def test_the_standard_headers_come_back_as_they_were_sent(ask, box, target):
    put(ask, STANDARD, target)
    headers = ask("GET", target).headers
    assert {name: headers.get(name.lower()) for name in STANDARD} == STANDARD


def test_without_a_type_an_object_has_s3s_own(ask, box):
    put(ask, {})
    headers = ask("HEAD", "/box/key").headers
    assert headers["content-type"] == "binary/octet-stream"
    assert not {name.lower() for name in STANDARD if name != "Content-Type"} & headers.keys()


def test_header_text_that_is_utf_8_comes_back_as_utf_8(ask, box):
    wire = 'attachment; filename="é.txt"'.encode().decode("latin-1")
    put(ask, {"Content-Disposition": wire})
    assert ask("HEAD", "/box/key").headers["content-disposition"] == wire
    stored = os.getxattr(box / "key", "user.content-disposition")
    assert stored.decode() == 'attachment; filename="é.txt"'


# --- storage classes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"],
)
def test_an_online_class_is_kept_as_a_label(s3, box, data, name):
    s3.put_object(Bucket="box", Key="key", Body=data, StorageClass=name)
    s3.put_object(Bucket="box", Key="d/", StorageClass=name)
    for key in ("key", "d/"):
        assert s3.head_object(Bucket="box", Key=key)["StorageClass"] == name
    listed = s3.list_objects_v2(Bucket="box")["Contents"]
    assert {entry["StorageClass"] for entry in listed} == {name}
    told = s3.get_object_attributes(Bucket="box", Key="key", ObjectAttributes=["StorageClass"])
    assert told["StorageClass"] == name


def test_standard_is_said_in_listings_and_not_in_headers(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL, StorageClass="STANDARD")
    assert "StorageClass" not in s3.head_object(Bucket="box", Key="key")
    assert s3.list_objects_v2(Bucket="box")["Contents"][0]["StorageClass"] == "STANDARD"


@pytest.mark.parametrize("name", ["GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "EXPRESS_ONEZONE", "x"])
def test_a_class_that_nothing_makes_true_is_refused(s3, ask, box, data, name):
    answer = ask("PUT", "/box/key", data, {"x-amz-storage-class": name})
    assert (answer.status, answer.code) == (400, "InvalidStorageClass")
    assert fields(answer)["StorageClassRequested"] == name
    told = refusal(s3.put_object, Bucket="box", Key="d/", StorageClass=name)
    assert told == (400, "InvalidStorageClass")
    assert on_disk(box) == {}
