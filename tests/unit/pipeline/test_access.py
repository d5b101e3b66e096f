import os
import time

import pytest

from s3filters.pipeline import access


@pytest.fixture
def lines(tmp_path):
    made = access.LineFile(str(tmp_path / "log"))
    yield made
    made.close()


def test_lines_are_gathered_and_written_soon(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(access, "INTERVAL", 0.01)
    lines.write("one\n")
    lines.write("two\n")
    for _ in range(500):
        if (tmp_path / "log").read_text() == "one\ntwo\n":
            break
        time.sleep(0.01)
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_many_lines_do_not_wait(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(access, "INTERVAL", 60)
    for number in range(access.MANY + 2):
        lines.write(f"{number}\n")
    for _ in range(500):
        if (tmp_path / "log").stat().st_size:
            break
        time.sleep(0.01)
    assert (tmp_path / "log").read_text().startswith("0\n1\n")


def test_a_renamed_file_is_opened_anew(lines, tmp_path):
    lines.write("one\n")
    lines.flush()
    os.rename(tmp_path / "log", tmp_path / "log.1")
    lines.write("two\n")
    lines.flush()
    os.rename(tmp_path / "log", tmp_path / "log.2")
    (tmp_path / "log").write_text("theirs\n")
    lines.write("three\n")
    lines.flush()
    assert (tmp_path / "log.1").read_text() == "one\n"
    assert (tmp_path / "log.2").read_text() == "two\n"
    assert (tmp_path / "log").read_text() == "theirs\nthree\n"


def test_a_process_writes_its_own_lines_and_not_those_of_its_parent(lines, tmp_path):
    lines.write("parent\n")
    child = os.fork()
    if not child:
        lines.write("child\n")
        lines.flush()
        os._exit(0)
    os.waitpid(child, 0)
    lines.flush()
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["child", "parent"]


def test_lines_that_cannot_be_written_are_told_and_the_next_are_tried_again(
    lines, tmp_path, monkeypatch, caplog
):
    def full(fd, data):
        raise OSError(28, "No space left on device")

    lines.write("lost\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        lines.flush()
    assert "1 lines of the access log are lost" in caplog.text
    lines.write("kept\n")
    lines.flush()
    assert (tmp_path / "log").read_text() == "kept\n"


def test_standard_output(capfd):
    lines = access.LineFile("-")
    lines.write("caf\xe9 \udcff\n")
    lines.close()
    assert capfd.readouterr().out == "café \\udcff\n"


def test_nothing_in_a_line_can_end_it():
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": '/a\n"b\\',
        "HTTP_USER_AGENT": "x\x1b[1m\x85",
        "s3filters.request_id": "ID",
    }
    text = access.line(environ, "200 OK", 5, 0.0012)
    assert text.endswith(' - - - "GET /a\\n\\x22b\\\\" 200 5 1.2 ID "x\\x1b[1m\\x85"\n')
    assert text.count("\n") == 1
