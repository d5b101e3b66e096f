import pytest

from s3filters.s3 import refusals
from s3filters.s3.errors import S3Error


def refused(**environ):
    with pytest.raises(S3Error) as caught:
        refusals.check_write(environ)
    return caught.value


@pytest.mark.parametrize(
    "header",
    [
        "x-amz-server-side-encryption: AES256",
        "x-amz-server-side-encryption: aws:kms",
        "x-amz-server-side-encryption-customer-algorithm: AES256",
        "x-amz-server-side-encryption-customer-key: k",
        "x-amz-copy-source-server-side-encryption-customer-algorithm: AES256",
        "x-amz-object-lock-mode: GOVERNANCE",
        "x-amz-object-lock-legal-hold: ON",
        "x-amz-write-offset-bytes: 5",
        "x-amz-bucket-object-lock-enabled: true",
        "x-amz-if-match-size: 5",
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused_by_name(header):
    name, _, value = header.partition(": ")
    error = refused(**{"HTTP_" + name.upper().replace("-", "_"): value})
    assert (error.code, error.status, error.detail) == ("NotImplemented", 501, {"Header": name})
    assert name in error.message


@pytest.mark.parametrize(
    "header",
    [
        "x-amz-object-lock-legal-hold: OFF",
        "x-amz-bucket-object-lock-enabled: false",
        "x-amz-date: 20260101T000000Z",
        "x-amz-meta-a: b",
    ],
)
def test_what_changes_nothing_is_let_through(header):
    name, _, value = header.partition(": ")
    refusals.check_write({"HTTP_" + name.upper().replace("-", "_"): value})


@pytest.mark.parametrize(
    "header",
    [
        "x-amz-acl: public-read",
        "x-amz-acl: ",
        "x-amz-grant-read: id=1",
        "x-amz-grant-full-control: id=1",
        "x-amz-object-ownership: ObjectWriter",
    ],
)
def test_grants_are_refused_by_name_where_nobody_decides_by_them(header):
    name, _, value = header.partition(": ")
    environ = {"HTTP_" + name.upper().replace("-", "_"): value}
    refusals.check_write(environ)
    with pytest.raises(S3Error) as caught:
        refusals.check_grants(environ)
    assert (caught.value.code, caught.value.detail) == ("NotImplemented", {"Header": name})


@pytest.mark.parametrize(
    "header",
    [
        "x-amz-acl: private",
        "x-amz-acl: bucket-owner-full-control",
        "x-amz-object-ownership: BucketOwnerEnforced",
        "x-amz-server-side-encryption: AES256",
    ],
)
def test_grants_of_what_there_is_anyway_are_let_through(header):
    name, _, value = header.partition(": ")
    refusals.check_grants({"HTTP_" + name.upper().replace("-", "_"): value})


def test_a_read_with_a_key_of_the_client_is_refused():
    refusals.check_read({})
    with pytest.raises(S3Error) as caught:
        refusals.check_read({"HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_CUSTOMER_ALGORITHM": "AES256"})
    assert caught.value.code == "InvalidRequest"
