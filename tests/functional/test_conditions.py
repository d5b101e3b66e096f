"""If-Match and its kin: AWS's answers, and the precedence of RFC 9110, section 13.2.2."""

import hashlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.functional.asking import LARGE, Asker, body_of, fields, http_date, on_disk, refusal


class Made:
    """An object, with conditions that hold and that do not."""

    def __init__(self, s3, box):
        answer = s3.put_object(Bucket="box", Key="key", Body=b"hello")
        self.etag = answer["ETag"]
        made = (box / "key").stat().st_mtime
        self.at, self.before, self.after = (http_date(made + s) for s in (0, -60, 60))


@pytest.fixture
def made(s3, box):
    return Made(s3, box)


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_each_condition_by_itself(ask, made, method):
    bare = made.etag.strip('"')
    for header, value, status in (
        ("If-Match", made.etag, 200),
        ("If-Match", bare, 200),
        ("If-Match", "*", 200),
        ("If-Match", f'"other", {made.etag}', 200),
        ("If-Match", '"other"', 412),
        ("If-Match", f"W/{made.etag}", 412),
        ("If-None-Match", '"other"', 200),
        ("If-None-Match", made.etag, 304),
        ("If-None-Match", bare, 304),
        ("If-None-Match", f"W/{made.etag}", 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", f'"other",{made.etag}', 304),
        ("If-Modified-Since", made.before, 200),
        ("If-Modified-Since", made.at, 304),
        ("If-Modified-Since", made.after, 304),
        ("If-Modified-Since", "yesterday", 200),
        ("If-Unmodified-Since", made.before, 412),
        ("If-Unmodified-Since", made.at, 200),
        ("If-Unmodified-Since", made.after, 200),
        ("If-Unmodified-Since", "yesterday", 200),
    ):
        answer = ask(method, "/box/key", headers={header: value})
        assert answer.status == status, (header, value)
        if status == 412 and method == "GET":
            assert (answer.code, fields(answer)["Condition"]) == ("PreconditionFailed", header)
        if status == 304:
            assert answer.body == b""
            assert answer.headers["etag"] == made.etag
            assert answer.headers["last-modified"] == made.at


def expected(match, unmodified, none_match, modified):
    """RFC 9110, 13.2.2; each is None (not sent), True or False (holds or does not)."""
    if match is not None:
        if not match:
            return 412
    elif unmodified is False:
        return 412
    if none_match is not None:
        return 200 if none_match else 304
    return 304 if modified is False else 200


def test_every_combination_has_its_precedence(ask, made):
    values = {
        "If-Match": {True: made.etag, False: '"other"'},
        "If-Unmodified-Since": {True: made.after, False: made.before},
        "If-None-Match": {True: '"other"', False: made.etag},
        "If-Modified-Since": {True: made.before, False: made.after},
    }
    for chosen in itertools.product((None, True, False), repeat=4):
        headers = {
            name: values[name][holds]
            for name, holds in zip(values, chosen, strict=True)
            if holds is not None
        }
        assert ask("GET", "/box/key", headers=headers).status == expected(*chosen), headers


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_what_is_not_there_is_not_found_whatever_the_condition(ask, box, header):
    assert ask("GET", "/box/none", headers={header: '"x"'}).status == 404


# --- writing -----------------------------------------------------------------------------------


def test_if_none_match_stores_what_is_new_and_nothing_else(s3, box, data):
    s3.put_object(Bucket="box", Key="a/key", Body=data, IfNoneMatch="*")
    before = on_disk(box)
    told = refusal(s3.put_object, Bucket="box", Key="a/key", Body=b"new", IfNoneMatch="*")
    assert told == (412, "PreconditionFailed")
    told = refusal(s3.put_object, Bucket="box", Key="a/key", Body=LARGE, IfNoneMatch="*")
    assert told == (412, "PreconditionFailed")
    assert on_disk(box) == before


def test_if_none_match_is_refused_before_the_body_is_read(ask, made):
    class Silent:
        def readinto(self, view):
            raise AssertionError("the body was read")

    answer = ask("PUT", "/box/key", b"x", {"If-None-Match": "*"}, environ={"wsgi.input": Silent()})
    assert (answer.status, fields(answer)["Condition"]) == (412, "If-None-Match")


def test_a_key_that_appears_during_an_upload_wins(s3, ask, box, data):
    class Slow:
        """Another put comes when all but the last byte was read."""

        def __init__(self):
            self.left = data

        def readinto(self, view):
            if len(self.left) == 1:
                s3.put_object(Bucket="box", Key="key", Body=b"first")
            size = min(len(view), max(1, len(self.left) - 1))
            view[:size], self.left = self.left[:size], self.left[size:]
            return size

    answer = ask("PUT", "/box/key", data, {"If-None-Match": "*"}, environ={"wsgi.input": Slow()})
    assert (answer.status, answer.code) == (412, "PreconditionFailed")
    assert body_of(s3, "key") == b"first"


def test_if_match_replaces_what_it_names_and_nothing_else(s3, made, box, data):
    told = refusal(s3.put_object, Bucket="box", Key="key", Body=data, IfMatch='"other"')
    assert told == (412, "PreconditionFailed")
    assert body_of(s3, "key") == b"hello"
    answer = s3.put_object(Bucket="box", Key="key", Body=data, IfMatch=made.etag)
    assert body_of(s3, "key") == data
    s3.put_object(Bucket="box", Key="key", Body=b"bare", IfMatch=answer["ETag"].strip('"'))
    assert body_of(s3, "key") == b"bare"


def test_if_match_on_what_is_not_there_is_not_found(s3, ask, box, data):
    answer = ask("PUT", "/box/a/key", data, {"If-Match": '"other"'})
    assert (answer.status, answer.code) == (404, "NoSuchKey")
    assert fields(answer)["Key"] == "a/key"
    assert on_disk(box) == {}


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"If-None-Match": '"abc"'}, "If-None-Match"),
        ({"If-None-Match": "*", "If-Match": "abc"}, "If-None-Match"),
        ({"If-Modified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}, "If-Modified-Since"),
        ({"If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}, "If-Unmodified-Since"),
    ],
)
@pytest.mark.parametrize("copy", [False, True])
def test_another_condition_of_a_change_is_not_implemented(ask, made, box, headers, named, copy):
    before = on_disk(box)
    headers = headers | ({"x-amz-copy-source": "box/key"} if copy else {})
    answer = ask("PUT", "/box/new", b"x", headers)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert fields(answer)["Header"] == named
    assert on_disk(box) == before


def test_conditions_of_a_directory_object(s3, box):
    made = s3.put_object(Bucket="box", Key="d/", IfNoneMatch="*")
    told = refusal(s3.put_object, Bucket="box", Key="d/", IfNoneMatch="*")
    assert told == (412, "PreconditionFailed")
    told = refusal(s3.put_object, Bucket="box", Key="d/", IfMatch='"other"', Metadata={"a": "b"})
    assert told == (412, "PreconditionFailed")
    s3.put_object(Bucket="box", Key="d/", IfMatch=made["ETag"], Metadata={"a": "b"})
    assert s3.head_object(Bucket="box", Key="d/")["Metadata"] == {"a": "b"}
    told = refusal(s3.put_object, Bucket="box", Key="e/", IfMatch=made["ETag"])
    assert told == (404, "NoSuchKey")
    assert not (box / "e").exists()


def test_a_folder_without_etag_is_no_object_to_if_none_match(s3, box):
    (box / "d").mkdir()
    s3.put_object(Bucket="box", Key="d/", IfNoneMatch="*")
    s3.head_object(Bucket="box", Key="d/")


# --- copying -----------------------------------------------------------------------------------


def test_the_target_of_a_copy_has_conditions(s3, made, box):
    s3.copy_object(Bucket="box", Key="to", CopySource="box/key", IfNoneMatch="*")
    told = refusal(s3.copy_object, Bucket="box", Key="to", CopySource="box/key", IfNoneMatch="*")
    assert told == (412, "PreconditionFailed")
    told = refusal(s3.copy_object, Bucket="box", Key="to", CopySource="box/key", IfMatch='"x"')
    assert told == (412, "PreconditionFailed")
    s3.copy_object(Bucket="box", Key="to", CopySource="box/key", IfMatch=made.etag)
    told = refusal(
        s3.copy_object, Bucket="box", Key="none", CopySource="box/key", IfMatch=made.etag
    )
    assert told == (404, "NoSuchKey")


def test_every_combination_of_the_sources_conditions_has_its_precedence(ask, made):
    prefix = "x-amz-copy-source-"
    values = {
        f"{prefix}if-match": {True: made.etag, False: '"other"'},
        f"{prefix}if-unmodified-since": {True: made.after, False: made.before},
        f"{prefix}if-none-match": {True: '"other"', False: made.etag},
        f"{prefix}if-modified-since": {True: made.before, False: made.after},
    }
    for chosen in itertools.product((None, True, False), repeat=4):
        headers = {
            name: values[name][holds]
            for name, holds in zip(values, chosen, strict=True)
            if holds is not None
        }
        answer = ask("PUT", "/box/to", headers={"x-amz-copy-source": "/box/key", **headers})
        wanted = 200 if expected(*chosen) == 200 else 412
        assert answer.status == wanted, headers
        if wanted == 412:
            assert fields(answer)["Condition"].lower() in headers


# --- deleting ----------------------------------------------------------------------------------


def test_if_match_deletes_what_it_names_and_nothing_else(s3, ask, made, box):
    answer = ask("DELETE", "/box/key", headers={"If-Match": '"other"'})
    assert (answer.status, answer.code) == (412, "PreconditionFailed")
    assert (box / "key").exists()
    assert ask("DELETE", "/box/key", headers={"If-Match": made.etag}).status == 204
    assert not (box / "key").exists()


def test_any_object_matches_a_star(ask, made, box):
    assert ask("DELETE", "/box/key", headers={"If-Match": "*"}).status == 204
    answer = ask("DELETE", "/box/key", headers={"If-Match": "*"})
    assert (answer.status, answer.code) == (404, "NoSuchKey")


@pytest.mark.parametrize("header", ["If-None-Match", "If-Modified-Since", "x-amz-if-match-size"])
def test_another_condition_of_a_deletion_is_not_implemented(ask, made, box, header):
    answer = ask("DELETE", "/box/key", headers={header: "*"})
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert (box / "key").exists()


# --- at the same time --------------------------------------------------------------------------


def at_once(app, calls):
    """Run calls, each with an asker of its own, in as many threads at one moment."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait()
        return call(Asker(app))

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_exactly_one_of_many_wins_and_its_bytes_are_stored(s3, app, box, data, header):
    for number in range(8):
        key = f"{number}/key"
        value = "*"
        if header == "If-Match":
            value = s3.put_object(Bucket="box", Key=key, Body=b"old")["ETag"]
        bodies = [b"%d" % n + data for n in range(6)]
        calls = [
            lambda ask, body=body, key=key, value=value: ask(
                "PUT", f"/box/{key}", body, {header: value}
            )
            for body in bodies
        ]
        statuses = [answer.status for answer in at_once(app, calls)]
        assert sorted(statuses) == [200, 412, 412, 412, 412, 412]
        assert body_of(s3, key) == bodies[statuses.index(200)]


def test_puts_of_one_key_at_once_leave_one_of_them_whole(s3, app, box, data):
    for _ in range(5):
        bodies = [b"%d" % n + data for n in range(6)]
        calls = [
            lambda ask, body=body: ask(
                "PUT", "/box/key", body, {"x-amz-meta-first": body[:1].decode()}
            )
            for body in bodies
        ]
        assert {answer.status for answer in at_once(app, calls)} == {200}
        answer = s3.get_object(Bucket="box", Key="key", ChecksumMode="ENABLED")
        stored = answer["Body"].read()
        assert stored in bodies
        assert answer["Metadata"] == {"first": stored[:1].decode()}
        assert answer["ETag"] == f'"{hashlib.md5(stored).hexdigest()}"'


def test_puts_and_deletions_at_once_leave_nothing_half(s3, app, box):
    calls = [
        lambda ask, key=f"a/b/{n % 3}": [
            answer.status
            for _ in range(10)
            for answer in (ask("PUT", f"/box/{key}", b"x"), ask("DELETE", f"/box/{key}"))
        ]
        for n in range(6)
    ]
    for statuses in at_once(app, calls):
        assert set(statuses) == {200, 204}
    for number in range(3):
        s3.delete_object(Bucket="box", Key=f"a/b/{number}")
    assert on_disk(box) == {}
