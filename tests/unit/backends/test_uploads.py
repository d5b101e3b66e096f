"""Pages of uploads, against what sorting all of them gives."""

import uuid
from itertools import groupby
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.backends.fs.uploads import _Page
from s3filters.store.uploads import Upload

KEYS = st.text("ab/é", min_size=1, max_size=4)


_key = attrgetter("key")


def upload(key, began, number):
    return Upload("bucket", key, str(uuid.UUID(int=number)), began)


UPLOADS = st.lists(st.tuples(KEYS, st.integers(1, 3)), max_size=12).map(
    lambda pairs: [upload(key, began, number) for number, (key, began) in enumerate(pairs)]
)


def entries(uploads, prefix, delimiter):
    """All entries of a listing in order: (key, began, id), common prefixes without an id."""
    found = set()
    for each in uploads:
        if not each.key.startswith(prefix):
            continue
        at = each.key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            found.add((each.key, each.initiated_ns, each.id))
        else:
            found.add((each.key[: at + len(delimiter)], 0, ""))
    return sorted(found)


def page(uploads, prefix, delimiter, limit, after="", behind=None):
    made = _Page(prefix, delimiter, limit, after, behind)
    made.gather(asked_for(made, uploads))
    return made


def asked_for(made, uploads):
    """What a store gives that looks at a key's uploads only when the page wants them."""
    for key, several in groupby(sorted(uploads, key=_key), _key):
        if made.wants(key):
            yield from several


def shown(made):
    return [(each.key, each.initiated_ns, each.id) for each in made.shown()]


@given(UPLOADS, st.text("ab/", max_size=2), st.sampled_from(["", "/", "b"]), st.integers(1, 5))
def test_pages_one_after_the_other_hold_each_entry_once_and_in_order(
    uploads, prefix, delimiter, limit
):
    expected = entries(uploads, prefix, delimiter)
    began = {each.id: each.initiated_ns for each in uploads}
    found, after, behind = [], "", None
    while True:
        made = page(uploads, prefix, delimiter, limit, after, behind)
        found += shown(made)
        assert made.truncated == (len(found) < len(expected))
        markers = made.markers(str)
        assert bool(markers) == made.truncated
        if not made.truncated:
            break
        after, upload_id = markers["NextKeyMarker"], markers["NextUploadIdMarker"]
        behind = (began[upload_id], upload_id) if upload_id else None
    assert found == expected


def test_a_page_holds_no_more_than_its_limit_however_many_uploads_there_are():
    made = page([], "", "/", 10)
    most = 0

    def many():
        nonlocal most
        for number in range(5000):
            yield upload(f"{number % 700:03}/{number}", 1, number)
            yield upload(f"{5000 - number:04}", 1, number)
            most = max(most, len(made._found), len(made._places))

    made.gather(many())
    assert most == 11
    assert [key for key, _, _ in shown(made)] == [
        "000/", "0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009",
    ]  # fmt: skip


@pytest.mark.parametrize("began", [5, -1])
def test_an_upload_of_another_key_is_behind_the_marker_whatever_its_id(began):
    others = [upload("b", 1, 0), upload("a", 1, 0)]
    made = page(others, "", "", 10, "a", (began, str(uuid.UUID(int=9))))
    assert [key for key, _, _ in shown(made)] == ["b"]


@given(UPLOADS, st.text("ab/", max_size=2), st.sampled_from(["", "/", "b"]), st.randoms())
def test_the_order_in_which_keys_come_changes_nothing_of_what_is_looked_at(
    uploads, prefix, delimiter, chance
):
    keys = sorted({each.key for each in uploads})
    chance.shuffle(keys)
    made = _Page(prefix, delimiter, 2, "", None)
    wanted = (each for key in keys if made.wants(key) for each in uploads if each.key == key)
    made.gather(wanted)
    expected = entries(uploads, prefix, delimiter)
    assert shown(made) == expected[:2]
    assert made.truncated == (len(expected) > 2)


def test_of_keys_in_random_order_few_are_looked_at_for_a_page():
    keys = [f"{number * 7919 % 10_007:05}" for number in range(1, 10_007)]
    made, looked = _Page("", "", 10, "", None), []

    def wanted():
        for number, key in enumerate(keys):
            if made.wants(key):
                looked.append(key)
                yield upload(key, 1, number)

    made.gather(wanted())
    assert [key for key, _, _ in shown(made)] == [f"{number:05}" for number in range(1, 11)]
    assert len(looked) < 1000
