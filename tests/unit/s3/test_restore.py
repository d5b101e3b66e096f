"""RestoreObject's document, strictly read, and the dates that are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import restore
from s3filters.s3.errors import S3Error
from s3filters.s3.restore import RestoreRequest

DAY = 86400
NOON = 1350296400  # 2012-10-15 10:20 UTC


def document(*elements):
    return f"<RestoreRequest>{''.join(elements)}</RestoreRequest>".encode()


def job(tier):
    return f"<GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters>"


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        (document("<Days>1</Days>"), RestoreRequest(1)),
        (document("<Days> 07 </Days>"), RestoreRequest(7)),
        (document("<Days>2</Days>", job("Bulk")), RestoreRequest(2, "Bulk")),
        (document(job("Expedited"), "<Days>2</Days>"), RestoreRequest(2, "Expedited")),
        (document("<Days>2</Days><Tier>Bulk</Tier>"), RestoreRequest(2, "Bulk")),
        (document("<Days>2</Days><Tier>Bulk</Tier>", job("Bulk")), RestoreRequest(2, "Bulk")),
        (
            b'<RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Days>3</Days>'
            b"<Description>for Ann</Description></RestoreRequest>",
            RestoreRequest(3, "Standard", "for Ann"),
        ),
    ],
)
def test_what_is_asked_is_read(data, asked):
    assert restore.parse(data) == asked


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<RestoreRequest>",
        b"<Restore><Days>1</Days></Restore>",
        document(),
        document("<Days></Days>"),
        document("<Days>0</Days>"),
        document("<Days>-1</Days>"),
        document("<Days>+1</Days>"),
        document("<Days>1.5</Days>"),
        document("<Days>\u0663</Days>"),
        document("<Days>2147483648</Days>"),
        document("<Days>1</Days><Days>1</Days>"),
        document("<Days>1</Days><Hours>1</Hours>"),
        document("<Days>1</Days><days>1</days>"),
        document("<Days>1</Days>", job("bulk")),
        document("<Days>1</Days>", job("")),
        document("<Days>1</Days>", job("Bulk"), job("Bulk")),
        document("<Days>1</Days><Tier>Standard</Tier>", job("Bulk")),
        document("<Days>1</Days><GlacierJobParameters/>", "<Tier>Fast</Tier>"),
        document("<Days>1</Days><GlacierJobParameters><Speed>1</Speed></GlacierJobParameters>"),
        document("<Days>1</Days><Type>QUERY</Type>"),
        document("<Days>1</Days><Description>", "x" * 1025, "</Description>"),
        b"<!DOCTYPE x><RestoreRequest><Days>1</Days></RestoreRequest>",
    ],
)
def test_what_cannot_be_meant_is_malformed(data):
    with pytest.raises(S3Error) as caught:
        restore.parse(data)
    assert caught.value.code == "MalformedXML"


@pytest.mark.parametrize(
    "more", ["<Type>SELECT</Type>", "<SelectParameters/>", "<OutputLocation/>"]
)
def test_queries_are_refused_by_name(more):
    with pytest.raises(S3Error) as caught:
        restore.parse(document(more))
    assert caught.value.code == "NotImplemented"


def test_days_end_at_the_midnight_behind_them_as_in_awss_example():
    assert restore.until(restore.end_of(NOON, 3)) == (
        'ongoing-request="false", expiry-date="Fri, 19 Oct 2012 00:00:00 GMT"'
    )


@given(st.floats(0, 4e9), st.integers(1, (1 << 31) - 1))
def test_a_copy_lasts_its_days_and_less_than_one_more(moment, days):
    end = restore.end_of(moment, days)
    assert end % DAY == 0
    if end < restore._LAST_DAY:
        assert days * DAY <= end - int(moment) <= (days + 1) * DAY


@pytest.mark.parametrize(
    ("tier", "than", "faster"),
    [
        ("Standard", "Bulk", True),
        ("Expedited", "Standard", True),
        ("Bulk", "Bulk", False),
        ("Bulk", "Expedited", False),
        ("Bulk", "what somebody wrote", True),
    ],
)
def test_a_tier_is_faster_than_another(tier, than, faster):
    assert restore.is_faster(tier, than) is faster
