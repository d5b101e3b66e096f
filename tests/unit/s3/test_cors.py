"""CORS rules: what a document may say, and which rule speaks for a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import cors
from s3filters.s3.cors import Rule
from s3filters.s3.errors import S3Error

RULE = "<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"


def document(*rules):
    inner = "".join(f"<CORSRule>{rule}</CORSRule>" for rule in rules)
    return f"<CORSConfiguration>{inner}</CORSConfiguration>".encode()


def refusal(data):
    with pytest.raises(S3Error) as caught:
        cors.parse(data)
    return caught.value


def test_a_document_becomes_rules_and_rules_become_it_again():
    data = document(
        "<ID>one</ID><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>"
        "<AllowedOrigin>https://*.example.org</AllowedOrigin><AllowedHeader>x-*</AllowedHeader>"
        "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds>",
        RULE,
    )
    rules = cors.parse(data)
    assert rules == (
        Rule(("https://*.example.org",), ("GET", "PUT"), ("x-*",), ("ETag",), 60, "one"),
        Rule(("*",), ("GET",)),
    )
    assert cors.parse(cors.render(rules)) == rules


def test_the_answer_is_as_s3_has_it():
    assert cors.render(cors.parse(document(RULE + "<MaxAgeSeconds>0</MaxAgeSeconds>"))) == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule>'
        b"<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"
        b"<MaxAgeSeconds>0</MaxAgeSeconds></CORSRule></CORSConfiguration>"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<CORSConfiguration/>",
        b"<Other/>",
        b"<CORSConfiguration><Rule/></CORSConfiguration>",
        document(""),
        document("<AllowedMethod>GET</AllowedMethod>"),
        document("<AllowedOrigin>*</AllowedOrigin>"),
        document(RULE + "<AllowedOrigin/>"),
        document(RULE + "<AllowedHeader> </AllowedHeader>"),
        document(RULE + "<Unknown>x</Unknown>"),
        document(RULE + "<ExposeHeader><b/></ExposeHeader>"),
        document(RULE + "<ExposeHeader>a\nSet-Cookie: b</ExposeHeader>"),
        document(RULE + "<MaxAgeSeconds>soon</MaxAgeSeconds>"),
        document(RULE + "<MaxAgeSeconds>-1</MaxAgeSeconds>"),
        document(RULE + "<MaxAgeSeconds>9999999999</MaxAgeSeconds>"),
        document(RULE + "<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>2</MaxAgeSeconds>"),
        document(RULE + f"<ID>{'x' * 256}</ID>"),
    ],
)
def test_what_is_no_configuration_is_malformed(data):
    assert refusal(data).code == "MalformedXML"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            document(RULE + "<AllowedMethod>PATCH</AllowedMethod>"),
            "Found unsupported HTTP method in CORS config. Unsupported method is PATCH",
        ),
        (
            document(RULE + "<AllowedMethod>get</AllowedMethod>"),
            "Found unsupported HTTP method in CORS config. Unsupported method is get",
        ),
        (
            document(RULE + "<AllowedOrigin>*example*.com</AllowedOrigin>"),
            'AllowedOrigin "*example*.com" can not have more than one wildcard.',
        ),
        (
            document(RULE + "<AllowedHeader>x-*-*</AllowedHeader>"),
            'AllowedHeader "x-*-*" can not have more than one wildcard.',
        ),
        (
            document(RULE + "<ExposeHeader>x-*</ExposeHeader>"),
            'ExposeHeader "x-*" contains wildcard. We currently do not support wildcard for '
            "ExposeHeader.",
        ),
        (
            document(RULE + "<ExposeHeader>a, b</ExposeHeader>"),
            'ExposeHeader "a, b" contains invalid character.',
        ),
        (
            document(*[RULE] * 101),
            "The number of CORS rules should not exceed allowed limit of 100 rules.",
        ),
    ],
)
def test_what_s3_does_not_know_is_refused_in_its_words(data, message):
    error = refusal(data)
    assert (error.code, error.message) == ("InvalidRequest", message)


def test_a_hundred_rules_are_taken():
    assert len(cors.parse(document(*[RULE] * 100))) == 100


@pytest.mark.parametrize(
    ("pattern", "origin", "fits"),
    [
        ("*", "https://a.example", True),
        ("https://a.example", "https://a.example", True),
        ("https://a.example", "https://a.example.evil", False),
        ("https://a.example", "http://a.example", False),
        ("https://a.example", "https://A.example", False),
        ("https://*.example", "https://a.b.example", True),
        ("https://*.example", "https://.example", True),
        ("https://*.example", "https://example", False),
        ("https://*.example", "https://x.example\n", False),
        ("https://a.example", "https://aXexample", False),
        ("http://localhost:*", "http://localhost:8080", True),
        ("https://a*a", "https://a", False),
        ("https://a*a", "https://aa", True),
        ("https://.example", "https://x.example", False),
    ],
)
def test_an_origin_fits_whole_and_a_wildcard_is_any_text(pattern, origin, fits):
    assert Rule((pattern,), ("GET",)).fits(origin, "GET") is fits


def test_every_header_of_the_page_must_be_allowed_in_any_case():
    rule = Rule(("*",), ("PUT",), ("x-amz-*", "Content-Type"))
    assert rule.fits("o", "PUT", ["X-Amz-Date", "content-type"])
    assert not rule.fits("o", "PUT", ["x-amz-date", "authorization"])
    assert not Rule(("*",), ("PUT",)).fits("o", "PUT", ["x"])
    assert Rule(("*",), ("PUT",), ("*",)).fits("o", "PUT", ["x", "y"])


def test_the_first_rule_that_fits_speaks():
    rules = (
        Rule(("https://a",), ("GET",), id="1"),
        Rule(("*",), ("GET", "PUT"), id="2"),
        Rule(("*",), ("PUT",), ("*",), id="3"),
    )
    found = [
        cors.find(rules, "https://a", "GET"),
        cors.find(rules, "https://b", "GET"),
        cors.find(rules, "https://a", "PUT", ["x"]),
    ]
    assert [rule.id for rule in found] == ["1", "2", "3"]
    assert cors.find(rules, "https://a", "DELETE") is None
    assert [rule.everywhere for rule in rules] == [False, True, True]


def test_what_is_stored_is_parsed_once_and_nonsense_lets_nobody_in(caplog):
    data = document(RULE)
    assert cors.load(data) is cors.load(data)
    assert cors.load(b"nonsense") == ()
    assert "CORS" in caplog.text


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_pattern_matches_what_its_wildcard_can_stand_for(before, after):
    pattern = f"{before.replace('*', '')}*{after.replace('*', '')}"
    rule = Rule((pattern,), ("GET",))
    start, end = pattern.split("*")
    assert rule.fits(start + end, "GET")
    assert rule.fits(f"{start}x*\n{end}", "GET")
    assert not rule.fits("\0" + start + end, "GET") or not start
