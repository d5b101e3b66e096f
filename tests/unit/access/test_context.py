import pytest

from s3filters.access import context
from s3filters.access.context import Context, TagsNotRead
from s3filters.access.principals import Requester
from s3filters.s3.call import Call, CopySource
from s3filters.s3.conditions import Conditions

BOB = Requester("bob-id", ("AKB",), account="111122223333", name="bob")


def value(key, environ=None, **fields):
    call = fields.pop("call", None)
    return context.find(key).read(Context(environ or {}, called=lambda: call, **fields))


@pytest.mark.parametrize(
    ("key", "environ", "wanted"),
    [
        ("aws:SourceIp", {"REMOTE_ADDR": "192.0.2.7"}, "192.0.2.7"),
        ("aws:SourceIp", {"REMOTE_ADDR": "::ffff:192.0.2.7"}, "192.0.2.7"),
        ("aws:SourceIp", {"REMOTE_ADDR": "2001:db8::7"}, "2001:db8::7"),
        ("aws:SourceIp", {"REMOTE_ADDR": "::ffff:c000:207"}, "::ffff:c000:207"),
        ("aws:SourceIp", {"REMOTE_ADDR": ""}, None),
        ("aws:SecureTransport", {"wsgi.url_scheme": "https"}, "true"),
        ("aws:SecureTransport", {"wsgi.url_scheme": "http"}, "false"),
        ("aws:SecureTransport", {}, "false"),
        ("aws:Referer", {"HTTP_REFERER": "http://x/"}, "http://x/"),
        ("aws:UserAgent", {"HTTP_USER_AGENT": "curl"}, "curl"),
        ("aws:PrincipalIsAWSService", {}, "false"),
        ("s3:prefix", {"QUERY_STRING": "list-type=2&prefix=a%2Fb"}, "a/b"),
        ("s3:prefix", {"QUERY_STRING": "list-type=2&prefix="}, ""),
        ("s3:prefix", {"QUERY_STRING": "list-type=2"}, None),
        ("s3:delimiter", {"QUERY_STRING": "delimiter=/"}, "/"),
        ("s3:max-keys", {"QUERY_STRING": "max-keys=7"}, "7"),
        ("s3:max-keys", {}, None),
        ("s3:x-amz-acl", {"HTTP_X_AMZ_ACL": "public-read"}, "public-read"),
        ("s3:x-amz-grant-read", {"HTTP_X_AMZ_GRANT_READ": "id=x"}, "id=x"),
        ("s3:x-amz-storage-class", {}, None),
        ("s3:if-none-match", {"HTTP_IF_NONE_MATCH": "*"}, "*"),
        ("s3:signatureversion", {"HTTP_AUTHORIZATION": "AWS4-HMAC-SHA256 C"}, "AWS4-HMAC-SHA256"),
        ("s3:signatureversion", {"HTTP_AUTHORIZATION": "AWS AK:sig"}, "AWS"),
        ("s3:signatureversion", {"QUERY_STRING": "X-Amz-Signature=1"}, "AWS4-HMAC-SHA256"),
        ("s3:signatureversion", {"QUERY_STRING": "Signature=1"}, "AWS"),
        ("s3:signatureversion", {}, None),
        ("s3:authType", {"HTTP_AUTHORIZATION": "AWS AK:sig"}, "REST-HEADER"),
        ("s3:authType", {"QUERY_STRING": "X-Amz-Signature=1"}, "REST-QUERY-STRING"),
        ("s3:authType", {}, "POST"),
        (
            "s3:signatureAge",
            {"QUERY_STRING": "X-Amz-Date=19700101T000140Z&X-Amz-Signature=00"},
            "900000",
        ),
        ("s3:signatureAge", {"QUERY_STRING": "X-Amz-Date=19700101T000140Z"}, None),
        ("s3:signatureAge", {"HTTP_X_AMZ_DATE": "19700101T001640Z"}, "0"),
        (
            "s3:signatureAge",
            {"HTTP_DATE": "Thu, 01 Jan 1970 00:16:39 GMT", "HTTP_AUTHORIZATION": "AWS a:b"},
            "1000",
        ),
        ("s3:signatureAge", {"HTTP_DATE": "Thu, 01 Jan 1970 00:16:39 GMT"}, None),
        ("s3:signatureAge", {}, None),
        ("aws:EpochTime", {}, "1000"),
        ("aws:CurrentTime", {}, "1970-01-01T00:16:40Z"),
        ("aws:PrincipalArn", {}, "arn:aws:iam::111122223333:user/bob"),
        ("aws:PrincipalAccount", {}, "111122223333"),
        ("aws:PrincipalType", {}, "User"),
        ("aws:username", {}, "bob"),
        ("aws:userid", {}, "bob-id"),
    ],
)
def test_a_key_has_the_value_of_the_request(key, environ, wanted):
    found = value(key, environ, requester=BOB, now=1000.0)
    assert found == (None if wanted is None else (wanted,))
    assert context.find(key.upper()).read is context.find(key.lower()).read


@pytest.mark.parametrize(
    "key",
    [
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:userid",
        "aws:username",
        "s3:authType",
        "s3:signatureAge",
        "s3:signatureversion",
    ],
)
def test_whoever_has_not_signed_has_no_name_and_no_signature(key):
    assert value(key, {"HTTP_DATE": "Thu, 01 Jan 1970 00:16:39 GMT"}) is None
    assert value("aws:PrincipalType") == ("Anonymous",)


def test_version_and_source_are_those_of_the_call():
    call = Call("CopyObject", version_id="v1")
    call.copy_source = CopySource("b", "déjà vu", None, Conditions())
    assert value("s3:VersionId", call=call, version_id="v2") == ("v2",)
    assert value("s3:x-amz-copy-source", call=call) == ("b/déjà vu",)
    assert value("s3:VersionId") is None
    assert value("s3:x-amz-copy-source", call=Call("PutObject")) is None


def test_tags_of_the_object_are_asked_for_before_they_are_missed():
    with pytest.raises(TagsNotRead):
        value("s3:ExistingObjectTag/team")
    assert value("s3:existingobjecttag/Team", object_tags={"Team": "x"}) == ("x",)
    assert value("s3:ExistingObjectTag/team", object_tags={"Team": "x"}) is None
    assert value("s3:ExistingObjectTag/a/b", object_tags={"a/b": "y"}) == ("y",)


def test_tags_of_the_request_come_from_its_body_or_header():
    header = {"HTTP_X_AMZ_TAGGING": "a=1&b=&c%20d=e"}
    assert value("s3:RequestObjectTag/b", header) == ("",)
    assert value("s3:RequestObjectTagKeys", header) == ("a", "b", "c d")
    body = Call("PutObjectTagging", tags={"z": "1"})
    assert value("s3:RequestObjectTagKeys", header, call=body) == ("z",)
    assert value("s3:RequestObjectTagKeys") is None
    with pytest.raises(TagsNotRead):
        value("s3:RequestObjectTag/b", call=Call("PutObjectTagging"))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "prefix",
        "aws:PrincipalTag/x",
        "aws:SourceVpc",
        "s3:ExistingObjectTag",
        "s3:ExistingObjectTag/",
        "s3:TlsVersion",
        "s3:locationconstraint",
        "s3:x-amz-meta-a",
    ],
)
def test_a_key_that_no_request_here_has_is_not_known(key):
    assert context.find(key) is None
