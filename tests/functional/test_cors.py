"""CORS through the whole pipeline: rules of a bucket, preflights, and headers of answers."""

import os

import pytest

from tests.functional.asking import refusal

ORIGIN = "https://app.example"
RULE = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": [ORIGIN]}
DOCUMENT = (
    b"<CORSConfiguration><CORSRule><AllowedOrigin>https://app.example</AllowedOrigin>"
    b"<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
)


def share(s3, *rules):
    s3.put_bucket_cors(Bucket="box", CORSConfiguration={"CORSRules": list(rules)})


# --- rules -------------------------------------------------------------------------------------


def test_rules_are_told_as_they_were_set(s3, box):
    rule = RULE | {
        "ID": "one",
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 600,
    }
    share(s3, rule, RULE)
    assert s3.get_bucket_cors(Bucket="box")["CORSRules"] == [rule, RULE]


def test_new_rules_take_the_place_of_all_others(s3, box):
    share(s3, RULE, RULE)
    share(s3, RULE | {"AllowedOrigins": ["*"]})
    assert s3.get_bucket_cors(Bucket="box")["CORSRules"] == [RULE | {"AllowedOrigins": ["*"]}]


def test_a_bucket_without_rules_says_so(s3, box):
    assert refusal(s3.get_bucket_cors, Bucket="box") == (404, "NoSuchCORSConfiguration")


def test_rules_can_be_taken_away_also_where_there_are_none(s3, box):
    share(s3, RULE)
    for _ in range(2):
        assert s3.delete_bucket_cors(Bucket="box")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_bucket_cors, Bucket="box") == (404, "NoSuchCORSConfiguration")


def test_rules_lie_on_disk_as_they_were_sent(ask, box, s3):
    headers = {"Content-MD5": "AAAA"}
    refused = ask("PUT", "/box?cors", DOCUMENT, headers)
    assert (refused.status, refused.code) == (400, "InvalidDigest")
    share(s3, RULE)
    assert os.getxattr(box, "user.cors").startswith(b"<CORSConfiguration")
    assert b"<AllowedOrigin>https://app.example</AllowedOrigin>" in os.getxattr(box, "user.cors")


def test_a_document_that_no_digest_proves_is_refused(ask, box):
    answer = ask("PUT", "/box?cors", DOCUMENT)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert "user.cors" not in os.listxattr(box)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (RULE | {"AllowedMethods": ["PATCH"]}, "InvalidRequest"),
        (RULE | {"AllowedOrigins": ["https://*.*"]}, "InvalidRequest"),
        (RULE | {"ExposeHeaders": ["*"]}, "InvalidRequest"),
        (RULE | {"AllowedOrigins": []}, "MalformedXML"),
    ],
)
def test_rules_that_cannot_be_are_refused_and_change_nothing(s3, box, rule, code):
    share(s3, RULE)
    wrong = {"CORSRules": [RULE, rule]}
    assert refusal(s3.put_bucket_cors, Bucket="box", CORSConfiguration=wrong) == (400, code)
    assert s3.get_bucket_cors(Bucket="box")["CORSRules"] == [RULE]


def test_more_rules_than_fit_beside_the_directory_are_kept_all_the_same(s3, box):
    rules = [RULE | {"ID": f"{number:0100d}"} for number in range(100)]
    share(s3, *rules)
    assert s3.get_bucket_cors(Bucket="box")["CORSRules"] == rules


def test_a_bucket_that_is_not_there_has_no_rules_to_set(s3, box):
    for call in (s3.get_bucket_cors, s3.delete_bucket_cors):
        assert refusal(call, Bucket="nowhere") == (404, "NoSuchBucket")
    rules = {"CORSRules": [RULE]}
    assert refusal(s3.put_bucket_cors, Bucket="nowhere", CORSConfiguration=rules) == (
        404,
        "NoSuchBucket",
    )


def test_an_unexpected_owner_is_refused(s3, box):
    wrong = "somebody"
    assert refusal(s3.get_bucket_cors, Bucket="box", ExpectedBucketOwner=wrong) == (
        403,
        "AccessDenied",
    )
    assert refusal(s3.delete_bucket_cors, Bucket="box", ExpectedBucketOwner=wrong) == (
        403,
        "AccessDenied",
    )
