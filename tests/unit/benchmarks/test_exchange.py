"""Pages of listings, as they are asked for and read."""

from benchmarks.exchange import Page, page_query

LISTING = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>b</Name><Prefix>d</Prefix>
<Contents><Key>d&amp;1</Key><Size>0</Size></Contents><Contents><Key>d2</Key></Contents>
<CommonPrefixes><Prefix>dir/</Prefix></CommonPrefixes>
<NextContinuationToken>abc=</NextContinuationToken></ListBucketResult>"""


def test_the_query_is_sorted_and_encoded_as_signatures_want_it():
    query = page_query(start_after="k 1/ü", delimiter="/")
    assert query == "delimiter=%2F&list-type=2&start-after=k%201%2F%C3%BC"


def test_a_page_is_read_with_its_token():
    assert Page.parse(LISTING) == Page(["d&1", "d2"], ["dir/"], "abc=")


def test_the_last_page_has_no_token():
    assert Page.parse(b"<ListBucketResult/>") == Page([], [], None)
