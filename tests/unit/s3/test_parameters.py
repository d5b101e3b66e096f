import pytest

from s3filters.s3 import parameters as p
from s3filters.s3 import tokens
from s3filters.s3.errors import S3Error


def refused(parse, value, word="word"):
    with pytest.raises(S3Error) as caught:
        parse(word, value)
    return caught.value


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("5", 5), ("1000", 1000), ("1001", 1000), ("2147483647", 1000)]
)
def test_max_keys_is_capped(text, number):
    assert p.page("max-keys", text) == number


@pytest.mark.parametrize(
    "text", ["-1", "x", "", "1.5", "2147483648", "9" * 5000, "٣", "1 ", "+-1", "-"]
)
def test_max_keys_is_a_number_within_bounds(text):
    error = refused(p.page, text, "max-keys")
    assert (error.code, error.status) == ("InvalidArgument", 400)
    assert error.detail == {"ArgumentName": "max-keys", "ArgumentValue": text}


@pytest.mark.parametrize("text", ["0", "10001", "x", "", "1.0", "9" * 5000])
def test_part_numbers_go_from_1_to_10000(text):
    assert p.part_number("partNumber", "1") == 1
    assert p.part_number("partNumber", "10000") == 10_000
    assert "between 1 and 10000" in refused(p.part_number, text).message


def test_the_only_encoding_is_url():
    assert p.encoding("encoding-type", "url") == "url"
    assert p.encoding("encoding-type", "") is None
    assert refused(p.encoding, "base64").message == "Invalid Encoding Method specified in Request"


def test_a_token_becomes_its_place():
    assert p.token("continuation-token", tokens.encode("a/b")) == "a/b"
    assert p.token("continuation-token", "") == ""
    error = refused(p.token, "a/b")
    assert error.message == "The continuation token provided is incorrect"
    assert refused(p.token, tokens.encode("a\0"))


def test_text_has_no_nul():
    assert p.text("prefix", "a b") == "a b"
    assert p.text_or_none("delimiter", "") is None
    assert refused(p.text, "a\0").code == "InvalidArgument"


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: x", "a\0", "\x7f"])
def test_a_header_of_the_answer_cannot_be_broken(text):
    assert p.header_text("response-content-type", "text/plain") == "text/plain"
    assert refused(p.header_text, text)


def test_words_flags_and_dates():
    assert p.word_of("A", "B", message="no")("w", "B") == "B"
    assert refused(p.word_of("A", message="no"), "a").message == "no"
    assert p.flag("fetch-owner", "TRUE") is True
    assert p.flag("fetch-owner", "1") is False


def test_attributes_are_known_names():
    assert p.attributes("h", "ETag,Checksum") == {"ETag", "Checksum"}
    assert refused(p.attributes, "ETag,Colour").code == "InvalidArgument"


def test_algorithms_are_those_that_are_computed():
    assert p.algorithm("h", "crc32c") == "CRC32C"
    assert "CRC64NVME" in refused(p.algorithm, "MD5").message


def test_the_range_of_a_copied_part_has_both_ends():
    parsed = p.source_range("h", "bytes=0-4")
    assert (parsed.first, parsed.last) == (0, 4)
    for text in ("bytes=0-", "bytes=-4", "0-4", "bytes=4-0"):
        assert refused(p.source_range, text).code == "InvalidArgument"


def test_a_part_without_an_upload_is_refused():
    assert "without uploadId" in refused(p.never, "1", "partNumber").message


def test_a_checksum_type_is_one_of_two():
    assert p.checksum_type("x-amz-checksum-type", "composite") == "COMPOSITE"
    assert p.checksum_type("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT"
    error = refused(p.checksum_type, "HALF", "x-amz-checksum-type")
    assert (error.code, error.message) == (
        "InvalidRequest",
        "Value for x-amz-checksum-type header is invalid.",
    )


def test_an_object_size_may_be_that_of_any_object():
    assert p.object_size("x-amz-mp-object-size", "0") == 0
    assert p.object_size("x-amz-mp-object-size", str(5 << 40)) == 5 << 40
    for text in ("-1", "1.0", "x", "٣", "9" * 19):
        assert refused(p.object_size, text).code == "InvalidRequest"


def test_a_moment_is_an_http_date():
    assert p.moment("word", "Thu, 01 Jan 1970 00:00:05 GMT") == 5
    assert refused(p.moment, "1970-01-01").code == "InvalidArgument"


def test_a_checksum_mode_is_enabled_in_any_case():
    assert p.checksum_mode("x-amz-checksum-mode", "enabled") == "ENABLED"
    assert refused(p.checksum_mode, "DISABLED").code == "InvalidArgument"
