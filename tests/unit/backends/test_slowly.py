"""Answers that take long: begun in time, alive meanwhile, and true at their end."""

import logging
import threading
import time
from xml.etree.ElementTree import fromstring

import pytest

from s3filters import offload
from s3filters.backends.fs import slowly
from s3filters.s3 import xml
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.store.errors import Busy, InternalError, NoSuchUpload, SlowDown

DOCUMENT = xml.render("Result", {"A": "b"})
CALL = Call("CompleteMultipartUpload", "bucket", "a key/ä", request_id="ID")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(slowly, "QUICK_S", 0.05)
    monkeypatch.setattr(slowly, "BLANK_S", 0.02)
    monkeypatch.setattr(slowly, "RETRY_S", 0.005)
    monkeypatch.setattr(slowly, "PATIENCE_S", 0.05)


@pytest.fixture
def gate():
    """What the work waits for; open in the end, so that no thread is left behind."""
    made = threading.Event()
    yield made
    made.set()


def begin(work):
    return slowly.answer(offload.Direct(), CALL, work)


def after(gate, outcome):
    """Work that waits at the gate, then returns the outcome or raises it."""

    def work():
        assert gate.wait(5)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return work


def start(reply):
    """Start an answer that is late; return its body as it goes on."""
    assert reply.status_int == 200
    assert "Content-Length" not in dict(reply.headerlist)
    return reply.app_iter


def test_what_is_quick_is_answered_as_anything_else():
    reply = begin(lambda: DOCUMENT)
    assert (reply.status_int, reply.body) == (200, DOCUMENT)
    assert reply.content_length == len(DOCUMENT)


@pytest.mark.parametrize("error", [S3Error("InvalidPart"), NoSuchUpload(), KeyError("oops")])
def test_what_fails_quickly_fails_as_anything_else(error):
    def work():
        raise error

    with pytest.raises(type(error)):
        begin(work)


def test_a_slow_answer_shows_signs_of_life_and_then_the_document(gate):
    body = start(begin(after(gate, DOCUMENT)))
    assert next(body) == b'<?xml version="1.0" encoding="UTF-8"?>\n'
    assert next(body) == next(body) == b" "
    gate.set()
    rest = b"".join(body).lstrip()
    assert rest == DOCUMENT.removeprefix(b'<?xml version="1.0" encoding="UTF-8"?>\n')
    body.close()


def test_the_signs_of_life_are_not_hurried(gate):
    body = start(begin(after(gate, DOCUMENT)))
    next(body)
    began = time.monotonic()
    next(body)
    assert time.monotonic() - began >= 0.02


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (S3Error("InvalidPart", PartNumber=3), "InvalidPart"),
        (NoSuchUpload(UploadId="x"), "NoSuchUpload"),
        (InternalError(), "InternalError"),
        (KeyError("oops"), "InternalError"),
    ],
)
def test_a_late_failure_is_an_error_document(gate, caplog, error, code):
    body = start(begin(after(gate, error)))
    gate.set()
    whole = b"".join(body)
    assert whole.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n')
    assert whole.count(b"<?xml") == 1
    told = fromstring(whole)
    assert told.tag == "Error"
    assert told.findtext("Code") == code
    assert told.findtext("Resource") == "/bucket/a key/ä"
    assert told.findtext("RequestId") == "ID"
    assert told.findtext("PartNumber") == ("3" if code == "InvalidPart" else None)
    assert ("Traceback" in caplog.text) == (code == "InternalError")


def test_work_goes_on_to_its_end_when_its_client_goes_away(gate, caplog):
    done = []

    def work():
        assert gate.wait(5)
        done.append(True)
        return DOCUMENT

    body = start(begin(work))
    next(body)
    threading.Timer(0.05, gate.set).start()
    with caplog.at_level(logging.WARNING):
        body.close()
    assert done
    assert "CompleteMultipartUpload of bucket/a key/ä went away; it is done" in caplog.text


@pytest.mark.parametrize("error", [S3Error("InvalidPart"), KeyError("oops")])
def test_what_fails_without_its_client_is_told_to_the_log(gate, caplog, error):
    body = start(begin(after(gate, error)))
    gate.set()
    body.close()
    assert "it failed" in caplog.text


def test_closing_twice_or_at_the_end_says_nothing(gate, caplog):
    body = start(begin(after(gate, DOCUMENT)))
    gate.set()
    assert b"".join(body)
    body.close()
    body.close()
    assert not caplog.records


def test_busy_work_is_begun_again_until_it_is_done():
    tries = []

    def work():
        tries.append(True)
        if len(tries) < 4:
            raise Busy
        return DOCUMENT

    assert begin(work).body == DOCUMENT
    assert len(tries) == 4


def test_work_stays_busy_no_longer_than_its_client_stays(caplog):
    tries = []

    def work():
        tries.append(True)
        raise Busy

    body = start(begin(work))
    assert next(body).startswith(b"<?xml")
    assert next(body) == b" "
    body.close()
    assert "was not begun" in caplog.text
    count = len(tries)
    time.sleep(0.02)
    assert len(tries) == count


def test_patience_tries_again_and_has_an_end():
    tries = []

    def sometimes(limit):
        tries.append(True)
        if len(tries) < limit:
            raise Busy
        return len(tries)

    assert slowly.patiently(offload.Direct(), sometimes, 3) == 3
    with pytest.raises(SlowDown):
        slowly.patiently(offload.Direct(), sometimes, 1 << 30)
    assert 4 <= len(tries) <= 30
