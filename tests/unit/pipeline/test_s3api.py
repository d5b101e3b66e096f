import io
from base64 import b64encode
from hashlib import md5
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3filters import options
from s3filters.pipeline import s3api
from s3filters.pipeline.s3api import Options, S3api
from s3filters.s3.body import Body, source_of
from s3filters.s3.call import IDENTITY, KEY, REQUEST_ID, Identity
from s3filters.s3.errors import S3Error
from s3filters.s3.operations import ROWS
from s3filters.s3.row import MUST

DATA = b"hello"
ME = Identity("AK", "me")


class Understood(Exception):
    pass


def app(environ, start_response):
    raise Understood(environ[KEY])


def environ(method, target, data=None, **headers):
    path, _, query = target.partition("?")
    made = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, IDENTITY: ME}
    made["wsgi.input"] = io.BytesIO(data or b"")
    if data is not None:
        made["CONTENT_LENGTH"] = str(len(data))
    for name, value in headers.items():
        made[name if name.startswith(("CONTENT_", "s3filters")) else f"HTTP_{name.upper()}"] = value
    return made


def understand(method, target, data=None, domain=(), **headers):
    """The Call of a request, or the S3Error that refuses it."""
    refusals = []
    api = S3api(app, Options(domain))
    request = environ(method, target, data, **headers)
    original = S3Error.__call__
    try:
        S3Error.__call__ = lambda error, *_: refusals.append(error)
        api(request, None)
    except Understood as understood:
        return understood.args[0]
    finally:
        S3Error.__call__ = original
    return refusals[0]


def code(*args, **kwargs):
    got = understand(*args, **kwargs)
    assert isinstance(got, S3Error), got
    return got.code


def test_a_get_becomes_a_call():
    call = understand("GET", "/bucket/a/b%20c".replace("%20", " "), s3filters_x="")
    assert (call.operation, call.bucket, call.key, call.identity) == (
        "GetObject",
        "bucket",
        "a/b c",
        ME,
    )
    assert (call.version_id, call.params, call.conditions, call.range, call.body) == (
        None,
        {},
        None,
        None,
        None,
    )
    assert (call.headers, call.copy_source, call.checks, call.tiered) == (None, None, [], False)


def test_the_call_knows_the_request_id():
    api = S3api(app, Options())
    with pytest.raises(Understood) as caught:
        api({**environ("GET", "/"), REQUEST_ID: "1234"}, None)
    assert caught.value.args[0].request_id == "1234"


@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("GET", "/", "ListBuckets"),
        ("GET", "", "ListBuckets"),
        ("PUT", "/bucket", "CreateBucket"),
        ("HEAD", "/bucket/", "HeadBucket"),
        ("DELETE", "/bucket", "DeleteBucket"),
        ("GET", "/bucket?location", "GetBucketLocation"),
        ("GET", "/bucket?list-type=2", "ListObjectsV2"),
        ("GET", "/bucket", "ListObjects"),
        ("GET", "/bucket?versions", "ListObjectVersions"),
        ("DELETE", "/bucket/k", "DeleteObject"),
        ("GET", "/bucket?policy", "GetBucketPolicy"),
        ("POST", "/bucket/k?uploads", "CreateMultipartUpload"),
        ("OPTIONS", "/bucket/k", "OptionsObject"),
    ],
)
def test_operations(method, target, operation):
    assert understand(method, target).operation == operation


def test_what_nobody_answers_is_not_implemented_by_name():
    api = S3api(None, Options())
    seen = []
    body = b"".join(api(environ("GET", "/bucket?policy"), lambda *answer: seen.append(answer)))
    assert seen[0][0] == "501 Not Implemented"
    assert b"<Message>GetBucketPolicy is not implemented.</Message>" in body


def test_an_error_from_below_is_answered():
    def failing(environ, start_response):
        raise S3Error("SlowDown")

    seen = []
    S3api(failing, Options())(environ("GET", "/bucket/k"), lambda *answer: seen.append(answer))
    assert seen[0][0] == "503 Service Unavailable"


def test_virtual_hosted_style():
    domain = s3api.domains("s3.example.org, .localhost,")
    assert domain == (".s3.example.org", ".localhost")
    call = understand("GET", "/a/b", domain=domain, host="photos.s3.example.org:9900")
    assert (call.bucket, call.key) == ("photos", "a/b")
    assert understand("GET", "/", domain=domain, host="photos.localhost").operation == "ListObjects"
    assert understand("GET", "/photos/a", domain=domain, host="s3.example.org").bucket == "photos"
    assert understand("GET", "/photos/a", domain=domain).bucket == "photos"


def test_names():
    assert code("PUT", "/Bad_Name") == "InvalidBucketName"
    assert code("GET", "/Bad_Name/key") == "NoSuchBucket"
    assert code("GET", "/b\xffd/key") == "InvalidURI"
    assert code("GET", "/bucket/" + "k" * 1025) == "KeyTooLongError"
    assert code("GET", "/bucket?prefix=%FF") == "InvalidURI"
    assert code("GET", "/bucket/k?versionId=") == "InvalidArgument"
    assert understand("GET", "/bucket/k?versionId=null").version_id == "null"
    assert understand("GET", "/bucket/a/").key == "a/"


@pytest.mark.parametrize("key", ["/a", "a//b", "./a", "a/../b", "..", "a\0"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_key_that_would_alias_another_is_refused(method, key):
    assert code(method, f"/bucket/{key}", DATA) == "InvalidArgument"


def test_reserved_names_are_not_there_and_cannot_be_written():
    assert code("GET", "/bucket/.sgwtmp/multipart/x") == "NoSuchKey"
    assert code("DELETE", "/bucket/.sgwtmp/multipart/x") == "AccessDenied"
    assert code("PUT", "/bucket/k", x_amz_copy_source="bucket/.sgwtmp/x") == "NoSuchKey"


def test_an_unknown_method():
    assert code("BREW", "/bucket/k") == "MethodNotAllowed"


def test_the_expected_owner_is_a_parameter():
    call = understand("GET", "/bucket/k", x_amz_expected_bucket_owner="me")
    assert call.params == {"ExpectedBucketOwner": "me"}


# Reading


def test_overrides_need_a_signature():
    target = "/bucket/k?response-content-type=text/plain&response-expires=now"
    params = understand("GET", target).params
    assert params == {"ResponseContentType": "text/plain", "ResponseExpires": "now"}
    assert code("GET", target, **{IDENTITY: None}) == "InvalidRequest"
    assert understand("GET", "/bucket/k", **{IDENTITY: None}).identity is None


def test_a_range_is_parsed():
    assert understand("GET", "/bucket/k", range="bytes=1-2").range.resolve(10) == (1, 2)
    assert understand("HEAD", "/bucket/k", range="bytes=1-2").range
    for ignored in (
        {"range": "lines=1-2"},
        {"range": "bytes=1-2,3-4"},
        {"range": "bytes=1-2", "if_range": "x"},
    ):
        assert understand("GET", "/bucket/k", **ignored).range is None
    assert code("GET", "/bucket/k?partNumber=1", range="bytes=1-2") == "InvalidRequest"


def test_conditions_of_a_read():
    call = understand(
        "GET",
        "/bucket/k",
        if_match='"a"',
        if_none_match="b",
        if_modified_since="no date",
        if_unmodified_since="Thu, 01 Jan 1970 00:00:05 GMT",
    )
    assert call.conditions.if_match == '"a"'
    assert call.conditions.if_none_match == "b"
    assert (call.conditions.if_modified_since, call.conditions.if_unmodified_since) == (None, 5)


def test_a_body_where_s3_has_none_is_ignored():
    assert understand("GET", "/bucket/k", DATA).body is None
    assert understand("DELETE", "/bucket/k", DATA).body is None


def test_keys_of_the_client_do_not_apply():
    got = code("GET", "/bucket/k", x_amz_server_side_encryption_customer_algorithm="AES256")
    assert got == "InvalidRequest"


# Writing


def test_a_put_brings_headers_and_a_body_that_computes_what_is_stored():
    call = understand("PUT", "/bucket/k", DATA, CONTENT_TYPE="text/plain", x_amz_meta_colour="red")
    assert call.headers.standard == {"content-type": "text/plain"}
    assert call.headers.user == {"colour": "red"}
    assert (call.headers.checksum_algorithm, call.headers.checksum) == ("CRC64NVME", None)
    assert call.body.read(100) == DATA
    assert call.body.digest("MD5") == md5(DATA).digest()
    assert len(call.body.digest("CRC64NVME")) == 8


def test_the_checksum_of_the_client_is_the_one_that_is_stored():
    call = understand("PUT", "/bucket/k", DATA, x_amz_checksum_crc32="NhCmhg==")
    assert call.headers.checksum_algorithm == "CRC32"
    assert call.headers.checksum == bytes.fromhex("3610a686")
    call.body.read(100)
    with pytest.raises(KeyError):
        call.body.digest("CRC64NVME")


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"content_md5": "x"}, "InvalidDigest"),
        ({"x_amz_checksum_crc32": "AAAA"}, "InvalidRequest"),
        ({"x_amz_storage_class": "LUKEWARM"}, "InvalidStorageClass"),
        ({"x_amz_server_side_encryption": "AES256"}, "NotImplemented"),
        ({"x_amz_tagging": "a=b&a=c"}, "InvalidArgument"),
        ({"x_amz_meta_a": "x" * 2048}, "MetadataTooLarge"),
        ({"if_none_match": '"a"'}, "NotImplemented"),
        ({"if_none_match": "*", "if_match": "a"}, "NotImplemented"),
        ({"if_modified_since": "Thu, 01 Jan 1970 00:00:05 GMT"}, "NotImplemented"),
        ({"x_amz_decoded_content_length": "5"}, "NotImplemented"),
    ],
)
def test_what_a_put_refuses(headers, error):
    assert code("PUT", "/bucket/k", DATA, **headers) == error


def test_conditions_of_a_write():
    assert understand("PUT", "/bucket/k", DATA).conditions is None
    assert understand("PUT", "/bucket/k", DATA, if_none_match=" * ").conditions.if_none_match == "*"
    assert understand("PUT", "/bucket/k", DATA, if_match="a").conditions.if_match == "a"
    assert understand("PUT", "/bucket/k", DATA, if_match="").conditions.if_match == ""
    assert understand("DELETE", "/bucket/k", if_match="a").conditions.if_match == "a"
    assert code("DELETE", "/bucket/k", if_none_match="*") == "NotImplemented"


def test_a_put_needs_a_length():
    assert code("PUT", "/bucket/k") == "MissingContentLength"
    assert code("PUT", "/bucket/k", transfer_encoding="chunked") == "MissingContentLength"
    assert code("PUT", "/bucket/k", CONTENT_LENGTH="-1") == "InvalidArgument"
    assert understand("PUT", "/bucket/k", CONTENT_LENGTH="0").body.read(5) == b""


def test_a_put_has_at_most_5_gib():
    assert understand("PUT", "/bucket/k", CONTENT_LENGTH=str(5 << 30)).body
    assert code("PUT", "/bucket/k", CONTENT_LENGTH=str((5 << 30) + 1)) == "EntityTooLarge"


def test_a_body_that_sigauth_wrapped_is_taken_as_it_is():
    body = Body(source_of(io.BytesIO(DATA)), len(DATA))
    api = S3api(app, Options())
    request = environ("PUT", "/bucket/k", x_amz_decoded_content_length="5")
    with pytest.raises(Understood) as caught:
        api({**request, "wsgi.input": body}, None)
    assert caught.value.args[0].body is body


def test_deleting_many_needs_a_proof_of_the_list():
    assert code("POST", "/bucket?delete", DATA) == "InvalidRequest"
    proof = b64encode(md5(DATA).digest()).decode()
    assert understand("POST", "/bucket?delete", DATA, content_md5=proof).body.read(100) == DATA
    assert understand("POST", "/bucket?delete", DATA, x_amz_checksum_crc32="NhCmhg==").body
    call = understand("POST", "/bucket?delete", DATA, content_md5=b64encode(bytes(16)).decode())
    with pytest.raises(S3Error) as caught:
        call.body.read(100)
    assert caught.value.code == "BadDigest"


def test_a_document_may_be_missing_or_chunked():
    assert understand("PUT", "/bucket").body.read(5) == b""
    call = understand("PUT", "/bucket", transfer_encoding="chunked", **{"s3filters.x": 1})
    assert call.body.length is None


def test_the_checksum_of_a_completed_upload_is_not_that_of_the_request():
    call = understand("POST", "/bucket/k?uploadId=1", DATA, x_amz_checksum_crc32="AAAAAA==")
    assert call.body.read(100) == DATA
    assert call.params["ObjectChecksum"] == ("CRC32", "AAAAAA==")
    call = understand("POST", "/bucket/k?uploadId=1", DATA, x_amz_checksum_sha1="A" * 27 + "=-17")
    assert call.params["ObjectChecksum"] == ("SHA1", "A" * 27 + "=-17")
    assert understand("POST", "/bucket/k?uploadId=1", DATA).params["ObjectChecksum"] is None


def test_a_completion_brings_conditions_and_what_it_says_of_the_object():
    call = understand(
        "POST",
        "/bucket/k?uploadId=1",
        DATA,
        if_none_match="*",
        x_amz_mp_object_size=str(5 << 40),
        x_amz_checksum_type="full_object",
    )
    assert call.conditions.if_none_match == "*"
    assert (call.params["MpuObjectSize"], call.params["ChecksumType"]) == (5 << 40, "FULL_OBJECT")
    assert call.params["UploadId"] == "1"
    assert code("POST", "/bucket/k?uploadId=1", DATA, if_none_match='"a"') == "NotImplemented"


def test_an_upload_keeps_what_a_put_keeps():
    call = understand(
        "POST",
        "/bucket/k?uploads",
        CONTENT_TYPE="text/plain",
        x_amz_meta_colour="red",
        x_amz_tagging="a=b",
        x_amz_storage_class="STANDARD_IA",
        x_amz_checksum_algorithm="crc32c",
        x_amz_checksum_type="FULL_OBJECT",
    )
    headers = call.headers
    assert headers.standard == {"content-type": "text/plain"}
    assert (headers.user, headers.tags) == ({"colour": "red"}, {"a": "b"})
    assert headers.storage_class == "STANDARD_IA"
    declared = call.params["ChecksumAlgorithm"], call.params["ChecksumType"]
    assert declared == ("CRC32C", "FULL_OBJECT")


def test_a_part_proves_what_its_headers_say_and_computes_no_more():
    call = understand("PUT", "/bucket/k?uploadId=u&partNumber=7", DATA)
    assert (call.params["UploadId"], call.params["PartNumber"]) == ("u", 7)
    assert (call.headers.checksum_algorithm, call.headers.checksum) == (None, None)
    assert call.body.read(100) == DATA
    assert call.body.digest("MD5") == md5(DATA).digest()
    with pytest.raises(KeyError):
        call.body.digest("CRC64NVME")
    call = understand(
        "PUT", "/bucket/k?uploadId=u&partNumber=7", DATA, x_amz_checksum_crc32="NhCmhg=="
    )
    assert call.headers.checksum_algorithm == "CRC32"
    call = understand(
        "PUT", "/bucket/k?uploadId=u&partNumber=7", DATA, x_amz_trailer="x-amz-checksum-sha1"
    )
    assert call.headers.checksum_algorithm == "SHA1"


def test_an_upload_is_given_up_on_a_condition():
    target = "/bucket/k?uploadId=u"
    call = understand("DELETE", target)
    assert call.params["IfMatchInitiatedTime"] is None
    call = understand(
        "DELETE", target, x_amz_if_match_initiated_time="Thu, 01 Jan 1970 00:01:05 GMT"
    )
    assert call.params["IfMatchInitiatedTime"] == 65
    assert code("DELETE", target, x_amz_if_match_initiated_time="today") == "InvalidArgument"


def test_a_copy_names_its_source():
    call = understand(
        "PUT",
        "/bucket/k",
        x_amz_copy_source="/other/a%2Fb?versionId=null",
        x_amz_copy_source_if_match="a",
        x_amz_metadata_directive="REPLACE",
        x_amz_meta_a="b",
        x_amz_checksum_algorithm="sha256",
        if_none_match="*",
        x_amz_source_expected_bucket_owner="you",
    )
    source = call.copy_source
    assert (source.bucket, source.key, source.version_id) == ("other", "a/b", "null")
    assert (source.conditions.if_match, call.conditions.if_none_match) == ("a", "*")
    assert call.params["MetadataDirective"] == "REPLACE"
    assert call.params["ExpectedSourceBucketOwner"] == "you"
    assert (call.headers.user, call.headers.checksum_algorithm) == ({"a": "b"}, "SHA256")
    assert call.body is None


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("nothing", "InvalidArgument"),
        ("Other_/k", "NoSuchBucket"),
        ("other/../k", "InvalidArgument"),
        ("other//k", "InvalidArgument"),
        ("../k", "InvalidBucketName"),
    ],
)
def test_a_copy_source_is_checked_as_any_name(source, error):
    assert code("PUT", "/bucket/k", x_amz_copy_source=source) == error


def test_a_directive_is_copy_or_replace():
    assert (
        understand("PUT", "/bucket/k", x_amz_copy_source="b-1/k").params["MetadataDirective"]
        == "COPY"
    )
    got = code("PUT", "/bucket/k", x_amz_copy_source="b-1/k", x_amz_metadata_directive="MERGE")
    assert got == "InvalidArgument"


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_operation_is_understood_or_refused_but_never_fails(row):
    path = {"service": "/", "bucket": "/bucket", "object": "/bucket/key"}[row.level]
    query = "&".join(word if "=" in word else f"{word}=1" for word in row.words)
    headers = {row.header.removeprefix("HTTP_").lower(): "bucket/key"} if row.header else {}
    got = understand(row.method, f"{path}?{query}", DATA, x_amz_object_attributes="ETag", **headers)
    assert isinstance(got, S3Error) or got.operation == row.name
    assert not isinstance(got, S3Error) or row.proof == MUST or row.name == "PostObject"


WIRE = st.text(st.characters(max_codepoint=255), max_size=12)
WORDS = st.sampled_from([row.words[0] for row in ROWS if row.words] + ["max-keys", "partNumber"])
HEADERS = st.sampled_from(
    [
        "range",
        "if_match",
        "if_none_match",
        "if_modified_since",
        "if_range",
        "content_md5",
        "transfer_encoding",
        "x_amz_copy_source",
        "x_amz_copy_source_if_match",
        "x_amz_copy_source_range",
        "x_amz_checksum_crc32",
        "x_amz_checksum_mode",
        "x_amz_trailer",
        "x_amz_sdk_checksum_algorithm",
        "x_amz_storage_class",
        "x_amz_acl",
        "x_amz_tagging",
        "x_amz_meta_a",
        "x_amz_object_attributes",
        "x_amz_metadata_directive",
        "x_amz_max_parts",
        "content_encoding",
        "expires",
        "x_amz_website_redirect_location",
        "x_amz_mp_object_size",
        "host",
    ]
)


@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "BREW"]),
    path=WIRE.map(lambda text: "/" + text) | WIRE.map(lambda text: "/bucket/" + text) | WIRE,
    query=st.lists(st.tuples(WORDS | WIRE, WIRE), max_size=3),
    headers=st.dictionaries(HEADERS, WIRE, max_size=4),
    length=WIRE | st.just("5"),
)
@settings(max_examples=200)
def test_no_request_is_too_strange_to_be_refused(method, path, query, headers, length):
    request = environ(method, path, CONTENT_LENGTH=length, **headers)
    request["QUERY_STRING"] = "&".join(f"{name}={value}" for name, value in query)
    answers = []
    body = b"".join(S3api(None, Options((".localhost",)))(request, lambda *it: answers.append(it)))
    assert int(answers[0][0][:3]) in (301, 304, 400, 403, 404, 405, 411, 412, 416, 501)
    if method != "HEAD":
        assert ElementTree.fromstring(body).tag == "Error"


def test_the_factory_reads_the_shared_option():
    made = s3api.filter_factory({"storage_domain": "s3.example.org"})(app)
    with pytest.raises(Understood) as caught:
        made(environ("GET", "/k", host="bucket.s3.example.org"), None)
    assert caught.value.args[0].bucket == "bucket"
    with pytest.raises(options.OptionError):
        s3api.filter_factory({}, colour="red")
