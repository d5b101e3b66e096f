import pytest

from s3filters.s3.conditions import Conditions
from s3filters.s3.errors import S3Error

ETAG, OTHER = "aa", '"bb"'
SAME = '"aa"'
BEFORE, AT, AFTER = 999, 1000, 1001  # the object was changed at 1000


def outcome(check, *args):
    try:
        check(*args)
    except S3Error as error:
        return error.code
    return None


# If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since -> error; RFC 9110, section 13.2.2
READS = [
    (None, None, None, None, None),
    (SAME, None, None, None, None),
    (OTHER, None, None, None, "PreconditionFailed"),
    (None, AT, None, None, None),
    (None, AFTER, None, None, None),
    (None, BEFORE, None, None, "PreconditionFailed"),
    (SAME, BEFORE, None, None, None),  # If-Match holds: the date is not asked
    (OTHER, AFTER, None, None, "PreconditionFailed"),
    (None, None, OTHER, None, None),
    (None, None, SAME, None, "NotModified"),
    (None, None, None, BEFORE, None),
    (None, None, None, AT, "NotModified"),
    (None, None, None, AFTER, "NotModified"),
    (None, None, OTHER, AFTER, None),  # If-None-Match decides alone
    (None, None, SAME, BEFORE, "NotModified"),
    (SAME, None, SAME, None, "NotModified"),
    (OTHER, None, SAME, None, "PreconditionFailed"),
    (None, BEFORE, SAME, None, "PreconditionFailed"),
    (None, AFTER, None, AFTER, "NotModified"),
]


@pytest.mark.parametrize(("match", "unmodified", "none_match", "modified", "error"), READS)
def test_precedence_on_reads(match, unmodified, none_match, modified, error):
    conditions = Conditions(match, none_match, modified, unmodified)
    assert outcome(conditions.check_read, ETAG, AT) == error
    of_a_source = error and "PreconditionFailed"
    assert outcome(conditions.check_source, ETAG, AT) == of_a_source


def test_not_modified_tells_etag_and_date():
    with pytest.raises(S3Error) as caught:
        Conditions(if_none_match="*").check_read(ETAG, 0)
    assert caught.value.headers == [
        ("ETag", '"aa"'),
        ("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ]


def test_a_failure_names_its_condition():
    with pytest.raises(S3Error) as caught:
        Conditions(if_match=OTHER).check_read(ETAG, 0)
    assert caught.value.detail == {"Condition": "If-Match"}
    with pytest.raises(S3Error) as caught:
        Conditions(if_none_match=SAME).check_source(ETAG, 0)
    assert caught.value.detail == {"Condition": "x-amz-copy-source-If-None-Match"}


@pytest.mark.parametrize("tags", ['"aa"', "aa", "*", '"x", "aa"', "x,aa", 'W/"x" , "aa"', ' "aa" '])
def test_a_list_that_holds_the_etag_matches(tags):
    assert outcome(Conditions(if_match=tags).check_read, ETAG, 0) is None
    assert outcome(Conditions(if_none_match=tags).check_read, ETAG, 0) == "NotModified"


@pytest.mark.parametrize("tags", ["", '""', "a", '"aa', "aaa", '"x","y"'])
def test_a_list_without_the_etag_does_not(tags):
    assert outcome(Conditions(if_match=tags).check_read, ETAG, 0) == "PreconditionFailed"
    assert outcome(Conditions(if_none_match=tags).check_read, ETAG, 0) is None


def test_a_weak_tag_is_enough_to_be_unmodified_but_not_to_match():
    assert outcome(Conditions(if_match='W/"aa"').check_read, ETAG, 0) == "PreconditionFailed"
    assert outcome(Conditions(if_none_match='W/"aa"').check_read, ETAG, 0) == "NotModified"


@pytest.mark.parametrize(
    ("match", "none_match", "present", "error"),
    [
        (None, "*", None, None),
        (None, "*", ETAG, "PreconditionFailed"),
        (SAME, None, ETAG, None),
        ("*", None, ETAG, None),
        (OTHER, None, ETAG, "PreconditionFailed"),
        ("", None, ETAG, "PreconditionFailed"),
        (SAME, None, None, "NoSuchKey"),
        ("*", None, None, "NoSuchKey"),
        (None, SAME, ETAG, "PreconditionFailed"),
        (None, OTHER, ETAG, None),
    ],
)
def test_conditions_of_writes(match, none_match, present, error):
    assert outcome(Conditions(match, none_match).check_write, present) == error
