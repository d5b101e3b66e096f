"""Signatures of forms: those that botocore and AWS make, and every way in which one is wrong."""

import base64
import hmac
import io
import time
from datetime import UTC, datetime

import pytest
from botocore.auth import HmacV1PostAuth, S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from s3filters.s3.errors import S3Error
from s3filters.s3.form import FilePart, Form
from s3filters.s3.rules import PUT_BYTES
from s3filters.sign import post
from tests import forms
from tests.unit.sign.signing import KEY, SECRET, rules

FIELDS = {"key": "k", "x-amz-meta-a": "b"}


def a_form(fields):
    return Form({name.lower(): value for name, value in fields.items()}, "", FilePart(None, b""))


def verify(fields, bucket="box", now=None, **changes):
    made = a_form(fields)
    proof = post.verify(made, bucket, rules(**changes), time.time() if now is None else now)
    return proof, made


def refusal(fields, **more):
    with pytest.raises(S3Error) as caught:
        verify(fields, **more)
    return caught.value


def v4(fields=FIELDS, conditions=None, **more):
    return forms.signed_v4(fields, conditions, access_key=KEY, secret_key=SECRET, **more)


def v2(fields=FIELDS, conditions=None, **more):
    return forms.signed_v2(fields, conditions, access_key=KEY, secret_key=SECRET, **more)


BOTH = pytest.mark.parametrize("signed", [v4, v2], ids=["v4", "v2"])


@BOTH
def test_a_right_signature_names_who_signed(signed):
    proof, _ = verify(signed())
    assert proof.credential.access_key == KEY


@pytest.mark.parametrize(
    "auth",
    [S3SigV4PostAuth(Keys(KEY, SECRET), "s3", "us-east-1"), HmacV1PostAuth(Keys(KEY, SECRET))],
)
def test_forms_of_botocore_are_right(auth):
    request = AWSRequest("POST", "http://s3.test/box")
    conditions = [{"bucket": "box"}, {"key": "k"}]
    document = {"expiration": "2999-01-01T00:00:00Z", "conditions": conditions}
    request.context["s3-presign-post-fields"] = fields = {"key": "k"}
    request.context["s3-presign-post-policy"] = document
    auth.add_auth(request)
    assert verify(fields)[0].credential.access_key == KEY


def test_the_form_that_aws_published_is_right():
    lines = """{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}"""
    fields = {
        "key": "user/user1/letter.txt",
        "acl": "public-read",
        "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
        "Content-Type": "image/jpeg",
        "x-amz-meta-uuid": "14365123651274",
        "x-amz-server-side-encryption": "AES256",
        "X-Amz-Credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Date": "20151229T000000Z",
        "x-amz-meta-tag": "",
        "Policy": base64.b64encode(lines.replace("\n", "\r\n").encode()).decode(),
        "X-Amz-Signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
    }
    then = datetime(2015, 12, 29, tzinfo=UTC).timestamp()
    assert verify(fields, "sigv4examplebucket", then)[0].credential.access_key == KEY


@pytest.mark.parametrize("more", [{}, {"acl": "private"}, {"x-amz-date": "20261121T000000Z"}])
def test_a_form_without_a_signature_is_anonymous(more):
    proof, made = verify({"key": "k", **more})
    assert proof is None
    assert (made.file.least, made.file.most) == (0, PUT_BYTES)


@BOTH
def test_the_document_says_how_large_the_file_may_be(signed):
    conditions = [*forms.exactly(FIELDS), ["content-length-range", 3, 30]]
    _, made = verify(signed(FIELDS, conditions))
    assert (made.file.least, made.file.most) == (3, 30)


@BOTH
def test_no_document_lets_a_file_be_larger_than_a_put(signed):
    conditions = [*forms.exactly(FIELDS), ["content-length-range", 0, 10**15]]
    assert verify(signed(FIELDS, conditions))[1].file.most == PUT_BYTES


@BOTH
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"key": "other"}, "AccessDenied"),
        ({"x-amz-meta-a": "c"}, "AccessDenied"),
        ({"acl": "public-read"}, "AccessDenied"),
        ({"policy": forms.document([{"bucket": "box"}])}, "SignatureDoesNotMatch"),
        ({"policy": "nonsense"}, "SignatureDoesNotMatch"),
        ({"policy": "gr\u00fcn"}, "InvalidPolicyDocument"),
        ({"x-amz-security-token": "t"}, "InvalidToken"),
    ],
)
def test_a_form_that_was_changed_is_refused(signed, changed, code):
    assert refusal(signed() | changed).code == code


@BOTH
def test_a_form_for_another_bucket_is_refused(signed):
    assert refusal(signed(), bucket="other").code == "AccessDenied"
    assert refusal(signed() | {"bucket": "box"}, bucket="other").code == "AccessDenied"


@BOTH
def test_a_document_that_has_expired_is_refused(signed):
    error = refusal(signed(expires_s=-1))
    assert (error.code, error.message) == (
        "AccessDenied",
        "Invalid according to Policy: Policy expired.",
    )


@BOTH
def test_a_key_that_nobody_has_is_refused(signed):
    fields = forms.signed_v4 if signed is v4 else forms.signed_v2
    assert refusal(fields(FIELDS, access_key="NOBODY")).code == "InvalidAccessKeyId"


@BOTH
def test_another_secret_is_refused(signed):
    fields = forms.signed_v4 if signed is v4 else forms.signed_v2
    error = refusal(fields(FIELDS, access_key=KEY, secret_key="other"))
    assert error.code == "SignatureDoesNotMatch"


@BOTH
def test_a_document_is_not_read_before_its_signature_is_right(signed):
    fields = signed()
    name = "x-amz-signature" if signed is v4 else "signature"
    assert refusal(fields | {name: "0" * 64, "key": "x"}).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("text", ["bm9uc2Vuc2U=", "e30=", "!"])
def test_a_document_that_is_signed_and_none_is_refused(text):
    digest = hmac.digest(SECRET.encode(), text.encode(), "sha1")
    fields = {"AWSAccessKeyId": KEY, "signature": base64.b64encode(digest).decode()}
    assert refusal({"key": "k", "policy": text, **fields}).code == "InvalidPolicyDocument"


@pytest.mark.parametrize(
    ("signed", "gone", "shown"),
    [
        (v4, "policy", "policy"),
        (v4, "x-amz-credential", "X-Amz-Credential"),
        (v4, "x-amz-algorithm", "X-Amz-Algorithm"),
        (v4, "x-amz-date", "X-Amz-Date"),
        (v4, "x-amz-signature", "X-Amz-Signature"),
        (v2, "policy", "policy"),
        (v2, "AWSAccessKeyId", "AWSAccessKeyId"),
        (v2, "signature", "signature"),
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_a_field_that_a_signature_needs_is_missed_by_its_name(signed, gone, shown, empty):
    fields = signed()
    fields[gone] = ""
    if not empty:
        del fields[gone]
    error = refusal(fields)
    assert (error.code, error.detail["ArgumentName"]) == ("InvalidArgument", shown)


DAY = datetime.now(UTC).strftime("%Y%m%d")


@pytest.mark.parametrize(
    "changed",
    [
        {"x-amz-algorithm": "AWS4-ECDSA-P256-SHA256"},
        {"x-amz-date": "yesterday"},
        {"x-amz-date": "20000101T000000Z"},
        {"x-amz-credential": KEY},
        {"x-amz-credential": f"{KEY}/{DAY}/eu-west-1/s3/aws4_request"},
        {"x-amz-credential": f"{KEY}/{DAY}/us-east-1/ec2/aws4_request"},
        {"x-amz-credential": f"{KEY}/{DAY}/us-east-1/s3/aws3_request"},
        {"x-amz-credential": f"{KEY}/2026/us-east-1/s3/aws4_request"},
        {"x-amz-credential": f"/{DAY}/us-east-1/s3/aws4_request"},
    ],
    ids=str,
)
def test_a_claim_that_cannot_be_is_refused(changed):
    assert refusal(v4() | changed).code == "AuthorizationQueryParametersError"


def test_version_2_can_be_turned_off():
    assert refusal(v2(), allow_v2=False).code == "InvalidRequest"
    assert verify(v4(), allow_v2=False)[0] is not None


def test_a_form_of_both_versions_must_be_right_in_the_newer_one():
    both = v2() | {"x-amz-signature": "0" * 64}
    assert refusal(both).code == "InvalidArgument"


def test_nothing_of_the_file_is_read_to_verify():
    class Untouched(io.RawIOBase):
        def readinto(self, view):
            raise AssertionError("the file was read")

    made = a_form(v4())
    made.file = FilePart(Untouched(), b"")
    assert post.verify(made, "box", rules(), time.time()) is not None
