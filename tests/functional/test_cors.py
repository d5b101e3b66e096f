"""CORS through the whole pipeline: rules of a bucket, preflights, and headers of answers."""

import os

import pytest

from s3filters.backends.fs.reading import Reading
from tests import forms
from tests.functional.asking import LARGE, Asker, fields, refusal

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


# --- preflights --------------------------------------------------------------------------------


def preflight(ask, target="/box/key", origin=ORIGIN, method="GET", headers=None):
    sent = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    sent = {name: value for name, value in sent.items() if value is not None}
    return ask("OPTIONS", target, b"", sent, sign=False)


def allowed(answer):
    """The headers that are about CORS, without their common prefix."""
    return {
        name.removeprefix("access-control-"): value
        for name, value in answer.headers.items()
        if name.startswith("access-control-") or name == "vary"
    }


VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
FOR_ORIGIN = {
    "allow-origin": ORIGIN,
    "allow-methods": "GET, PUT",
    "allow-credentials": "true",
    "vary": VARY,
}


def test_a_preflight_that_a_rule_fits_is_answered_without_a_signature(s3, ask, box):
    rule = {"AllowedHeaders": ["x-amz-*", "Content-Type"], "ExposeHeaders": ["ETag", "x-amz-id-2"]}
    share(s3, RULE | rule | {"MaxAgeSeconds": 600})
    answer = preflight(ask, method="PUT", headers="content-type, X-Amz-Meta-Colour")
    assert answer.status == 200
    assert answer.body == b""
    assert allowed(answer) == FOR_ORIGIN | {
        "allow-headers": "content-type, x-amz-meta-colour",
        "expose-headers": "ETag, x-amz-id-2",
        "max-age": "600",
    }


def test_a_rule_for_every_origin_is_told_as_a_star_and_lets_no_cookies_be_sent(s3, ask, box):
    share(s3, RULE | {"AllowedOrigins": ["*"]})
    answer = preflight(ask, origin="null")
    assert allowed(answer) == {"allow-origin": "*", "allow-methods": "GET, PUT", "vary": VARY}


def test_an_origin_that_a_pattern_fits_is_told_as_it_is(s3, ask, box):
    share(s3, RULE | {"AllowedOrigins": ["https://*.example"]})
    assert allowed(preflight(ask)) == FOR_ORIGIN


def test_the_first_rule_that_fits_answers(s3, ask, box):
    share(
        s3,
        RULE | {"AllowedMethods": ["PUT"], "MaxAgeSeconds": 1},
        RULE | {"MaxAgeSeconds": 2},
        RULE | {"AllowedOrigins": ["*"], "MaxAgeSeconds": 3},
    )
    assert allowed(preflight(ask))["max-age"] == "2"


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://other.example"},
        {"origin": "http://app.example"},
        {"origin": "https://app.example:8443"},
        {"method": "DELETE"},
        {"headers": "x-amz-date"},
        {"headers": "content-type, authorization"},
    ],
    ids=str,
)
@pytest.mark.parametrize("target", ["/box", "/box/key"])
def test_a_preflight_that_no_rule_fits_is_forbidden(s3, ask, box, target, changed):
    share(s3, RULE | {"AllowedHeaders": ["Content-Type"]})
    answer = preflight(ask, target, **changed)
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    assert allowed(answer) == {}
    told = fields(answer)
    assert told["Message"].startswith("CORSResponse: This CORS request is not allowed.")
    assert told["Method"] == changed.get("method", "GET")
    assert told["ResourceType"] == ("OBJECT" if "key" in target else "BUCKET")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/box/key", "CORSResponse: CORS is not enabled for this bucket."),
        ("/", "CORSResponse: CORS is not enabled for this bucket."),
        ("/nowhere", "CORSResponse: Bucket not found"),
        ("/No Bucket!/key", "CORSResponse: Bucket not found"),
    ],
)
def test_a_preflight_where_there_are_no_rules_is_forbidden(ask, box, target, message):
    answer = preflight(ask, target.replace(" ", "%20"))
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    assert fields(answer)["Message"] == message


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "Insufficient information. Origin request header needed."),
        ({"Origin": ORIGIN}, "Invalid Access-Control-Request-Method: null"),
        (
            {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"},
            "Invalid Access-Control-Request-Method: PATCH",
        ),
        (
            {"Access-Control-Request-Method": "GET"},
            "Insufficient information. Origin request header needed.",
        ),
    ],
)
def test_an_options_request_that_is_no_preflight_is_a_bad_request(s3, ask, box, sent, message):
    share(s3, RULE)
    answer = ask("OPTIONS", "/box/key", b"", sent, sign=False)
    assert (answer.status, answer.code) == (400, "BadRequest")
    assert fields(answer)["Message"] == message
    assert allowed(answer) == {}


def test_the_preflight_of_a_presigned_url_is_answered_though_it_was_signed_for_put(s3, ask, box):
    share(s3, RULE)
    answer = preflight(ask, ask.signer.presigned("PUT", "/box/key"), method="PUT")
    assert answer.status == 200
    assert allowed(answer) == FOR_ORIGIN


def test_a_path_that_is_none_is_an_error_of_its_own(ask, box):
    answer = preflight(ask, "/box/%FF")
    assert (answer.status, answer.code) == (400, "InvalidURI")


def test_a_bucket_before_the_host_is_found(make_app, s3, box):
    share(s3, RULE)
    ask = Asker(make_app(storage_domain="s3.test"), "box.s3.test")
    assert allowed(preflight(ask, "/key")) == FOR_ORIGIN


def test_rules_that_are_taken_away_count_no_longer(s3, ask, box):
    share(s3, RULE)
    assert preflight(ask).status == 200
    s3.delete_bucket_cors(Bucket="box")
    assert preflight(ask).status == 403


def test_rules_that_cannot_be_read_let_nobody_in(s3, ask, box):
    os.setxattr(box, "user.cors", b"<CORSConfiguration><CORSRule/>")
    assert preflight(ask).status == 403


# --- answers -----------------------------------------------------------------------------------


def test_an_answer_to_an_origin_that_a_rule_fits_can_be_read(s3, ask, box):
    share(s3, RULE | {"ExposeHeaders": ["ETag"], "MaxAgeSeconds": 5})
    told = FOR_ORIGIN | {"expose-headers": "ETag", "max-age": "5"}
    put = ask("PUT", "/box/key", b"hello", {"Origin": ORIGIN})
    assert (put.status, allowed(put)) == (200, told)
    got = ask("GET", "/box/key", b"", {"Origin": ORIGIN})
    assert (got.status, got.body, allowed(got)) == (200, b"hello", told)
    listed = ask("GET", "/box", b"", {"Origin": ORIGIN})
    assert (listed.status, allowed(listed)) == (200, told)


def test_the_answer_to_a_form_can_be_read_and_its_refusal_too(s3, ask, box):
    share(s3, RULE | {"AllowedMethods": ["POST"]})
    headers = {"Content-Type": forms.TYPE, "Origin": ORIGIN}
    for said, status in ((forms.signed_v4({"key": "key"}), 204), ({"key": "key"}, 403)):
        answer = ask("POST", "/box", forms.form(said), headers, sign=False)
        assert (answer.status, allowed(answer)) == (status, FOR_ORIGIN | {"allow-methods": "POST"})


def test_an_answer_to_no_origin_says_nothing_of_rules(s3, ask, box):
    share(s3, RULE)
    assert allowed(ask("GET", "/box")) == {}


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_a_method_that_no_rule_fits_is_served_without_the_headers(s3, ask, box, method):
    share(s3, RULE)
    ask("PUT", "/box/key", b"hello")
    answer = ask(method, "/box/key", b"", {"Origin": ORIGIN})
    assert answer.status in (200, 204)
    assert allowed(answer) == {"vary": VARY}


def test_an_answer_of_a_bucket_without_rules_says_nothing_of_them(ask, box):
    assert allowed(ask("GET", "/box", b"", {"Origin": ORIGIN})) == {}


def test_a_method_that_is_asked_for_counts_before_that_of_the_request(s3, ask, box):
    share(s3, RULE)
    ask("PUT", "/box/key", b"hello")
    sent = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    assert allowed(ask("DELETE", "/box/key", b"", sent)) == FOR_ORIGIN


ERRORS = {  # code -> what is asked
    "AccessDenied": {"target": "/box/key", "sign": False},
    "NoSuchKey": {"target": "/box/none"},
    "InvalidArgument": {"target": "/box/key", "headers": {"Authorization": "x"}, "sign": False},
    "SignatureDoesNotMatch": {"target": "/box/key", "environ": {"QUERY_STRING": "x=y"}},
    "InvalidAccessKeyId": {"target": "/box/key?AWSAccessKeyId=A&Signature=b&Expires=9999999999",
                           "sign": False},
    "MethodNotAllowed": {"target": "/box/key?uploads"},
    "NotImplemented": {"target": "/box?lifecycle"},
}  # fmt: skip


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_can_be_read_by_the_page(s3, ask, box, code):
    share(s3, RULE)
    asked = dict(ERRORS[code])
    headers = {"Origin": ORIGIN, **asked.pop("headers", {})}
    answer = ask("GET", asked.pop("target"), b"", headers, **asked)
    assert answer.code == code
    assert allowed(answer) == FOR_ORIGIN


def test_a_failure_that_nobody_expected_can_be_read_by_the_page(s3, ask, box, monkeypatch):
    share(s3, RULE)

    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(Reading, "get_object", fail)
    answer = ask("GET", "/box/key", b"", {"Origin": ORIGIN})
    assert (answer.status, answer.code) == (500, "InternalError")
    assert allowed(answer) == FOR_ORIGIN
    for sent in ({}, {"Origin": "https://evil.example"}):
        assert "allow-origin" not in allowed(ask("GET", "/box/key", b"", sent))


def test_an_answer_of_a_bucket_that_is_not_there_says_nothing_of_rules(ask, box):
    answer = ask("GET", "/nowhere/key", b"", {"Origin": ORIGIN})
    assert answer.code == "NoSuchBucket"
    assert allowed(answer) == {}


def test_a_large_object_keeps_its_length_beside_the_headers(s3, ask, box):
    share(s3, RULE)
    ask("PUT", "/box/key", LARGE)
    answer = ask("GET", "/box/key", b"", {"Origin": ORIGIN})
    assert answer.body == LARGE
    assert answer.headers["content-length"] == str(len(LARGE))
    assert allowed(answer) == FOR_ORIGIN
