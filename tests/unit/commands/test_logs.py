"""The log's lines."""

import logging
import re

import pytest

from s3filters.commands import logs
from s3filters.pipeline import catch_errors


@pytest.fixture
def put_back():
    """Logging is the process's, and so the other tests'."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)
    yield
    root.handlers[:], level, factory = before
    root.setLevel(level)
    logging.setLogRecordFactory(factory)


def test_a_line_names_time_level_process_request_and_logger(put_back, capsys):
    logs.start("info")
    logging.getLogger("s3filters.some").info("words")
    logging.getLogger("s3filters.some").debug("too much")
    err = capsys.readouterr().err
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:,]{12} INFO \[\d+\] - s3filters\.some: words\n", err)


def test_a_line_of_a_request_names_it(put_back, capsys):
    logs.start("info")
    catch_errors.tag_log_records()
    token = catch_errors.current_request.set("0123456789ABCDEF")
    try:
        logging.getLogger("s3filters.some").warning("words")
    finally:
        catch_errors.current_request.reset(token)
    assert " 0123456789ABCDEF s3filters.some: words\n" in capsys.readouterr().err
