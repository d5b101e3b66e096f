"""The site's programs: what they get, what they may answer, and what becomes of what fails."""

import os
import stat
import threading
import time

import pytest

from s3filters.tiers import command
from s3filters.tiers.base import CannotAsk, File, Settings

LIMIT_S = 10


@pytest.fixture
def program(tmp_path):
    """Makes a program of a shell script."""

    def make(script, name="program"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return (str(path),)

    return make


def until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def files(*names):
    return [File(f"/{name}", -1, number) for number, name in enumerate(names)]


# --- one run -------------------------------------------------------------------------------------


def test_a_program_gets_paths_each_ended_by_nul(program, tmp_path):
    got = tmp_path / "got"
    assert command.run(program(f"cat > {got}"), ["/a b", "/c\nd", "/e\udcff"], 5) == set()
    assert got.read_bytes() == b"/a b\0/c\nd\0/e\xff\0"


def test_a_program_is_told_the_tier(program, tmp_path):
    got = tmp_path / "got"
    command.run(program(f'echo "$S3FILTERS_TIER" > {got}'), ["/a"], 5, "Bulk")
    assert got.read_text() == "Bulk\n"


@pytest.mark.parametrize(
    ("script", "undone"),
    [
        ("exit 0", set()),
        ("exit 3", {"/a", "/b"}),
        (r"printf 'failed /b\0'", {"/b"}),
        (r"printf 'ok /a\0'; exit 1", {"/b"}),
        (r"printf 'ok /a\0failed /b\0ok /c\0'", {"/b"}),
        (r"printf 'ok /a\n\0\nfailed /b\0'", {"/b"}),
        (r"printf 'hello\0'; exit 0", set()),
        ("kill -9 $$", {"/a", "/b"}),
        ("sleep 60", {"/a", "/b"}),
        ("sleep 60 & wait", {"/a", "/b"}),
    ],
)
def test_its_words_and_its_status_say_what_is_done(program, script, undone):
    assert command.run(program(script), ["/a", "/b"], 1) == undone


def test_a_program_that_is_not_there_does_nothing(tmp_path):
    assert command.run([str(tmp_path / "none")], ["/a"], 1) == {"/a"}


def test_a_program_that_does_not_read_does_its_work(program):
    assert command.run(program("exit 0"), [f"/{n:0100}" for n in range(5000)], 5) == set()


def test_its_complaint_is_logged(program, caplog):
    command.run(program("echo no tape today >&2; exit 1"), ["/a"], 5)
    assert "ended with 1: no tape today" in caplog.text


# --- batches -------------------------------------------------------------------------------------


@pytest.fixture
def ran(monkeypatch):
    """Takes the place of programs: what they were called with; ``answers`` say what fails."""

    class Ran(list):
        answers = []

    found = Ran()

    def run(words, paths, timeout_s, tier):
        found.append((words[0], tier, list(paths)))
        return found.answers.pop(0) if found.answers else set()

    monkeypatch.setattr(command, "run", run)
    return found


def made(**more):
    return Settings({"stage": ("stage",)}, **{"wait_s": 0.05, **more})


def test_what_is_asked_at_once_is_done_in_one_batch_by_inode(ran):
    driver = command.Command(made())
    for file in reversed(files("a", "b", "c")):
        driver.stage(file)
    until(lambda: ran)
    assert list(ran) == [("stage", "", ["/a", "/b", "/c"])]


def test_a_path_waits_once(ran):
    driver = command.Command(made())
    for _ in range(5):
        driver.stage(files("a")[0])
    until(lambda: ran)
    assert list(ran) == [("stage", "", ["/a"])]


def test_a_batch_has_a_size(ran):
    driver = command.Command(made(batch=2))
    for file in files("a", "b", "c"):
        driver.stage(file)
    until(lambda: len(ran) == 2)
    assert [len(paths) for _, _, paths in ran] == [2, 1]


def test_each_tier_is_a_run_of_its_own_and_the_faster_one_counts(ran):
    driver = command.Command(made())
    driver.stage(File("/a", -1, 1, "Bulk"))
    driver.stage(File("/b", -1, 2, "Bulk"))
    driver.stage(File("/b", -1, 2, "Expedited"))
    until(lambda: len(ran) == 2)
    assert list(ran) == [("stage", "Bulk", ["/a"]), ("stage", "Expedited", ["/b"])]


def test_what_fails_is_tried_again_and_given_up_in_the_end(ran, monkeypatch, caplog):
    monkeypatch.setattr(command, "FIRST_RETRY_S", 0.02)
    failed = []
    ran.answers = [{"/a"}, {"/a"}, {"/a"}]
    driver = command.Command(made(retries=2, failed=failed.append))
    for file in files("a", "b"):
        driver.stage(file)
    until(lambda: failed)
    assert [paths for _, _, paths in ran] == [["/a", "/b"], ["/a"], ["/a"]]
    assert failed == ["/a"]
    assert "stage of '/a' failed 3 times" in caplog.text


def test_what_is_done_at_last_has_not_failed(ran, monkeypatch):
    monkeypatch.setattr(command, "FIRST_RETRY_S", 0.02)
    failed = []
    ran.answers = [{"/a"}]
    command.Command(made(failed=failed.append)).stage(files("a")[0])
    until(lambda: len(ran) == 2)
    assert not failed


def test_a_listener_that_fails_does_not_end_the_work(ran, monkeypatch):
    def deaf(path):
        raise RuntimeError(path)

    ran.answers = [{"/a"}]
    driver = command.Command(made(retries=0, failed=deaf))
    driver.stage(files("a")[0])
    until(lambda: ran)
    driver.stage(files("b")[0])
    until(lambda: len(ran) == 2)


def test_a_driver_does_what_there_is_a_program_for(ran):
    driver = command.Command(Settings({"stage": ("stage",), "archive": ()}))
    assert not driver.archives
    with pytest.raises(CannotAsk, match="archive"):
        driver.archive(files("a")[0])
    driver.release(files("a")[0])
    assert command.Command(Settings({"archive": ("archive",)})).archives
    assert not ran


def test_there_is_an_end_to_waiting(ran, monkeypatch):
    monkeypatch.setattr(command, "MOST_WAITING", 2)
    driver = command.Command(made(wait_s=60))
    for file in files("a", "b"):
        driver.stage(file)
    with pytest.raises(CannotAsk, match="Too many"):
        driver.stage(files("a", "b", "c")[2])


def test_no_thread_is_begun_before_there_is_work():
    before = threading.active_count()
    command.Command(made())
    assert threading.active_count() == before


def test_the_environment_of_the_service_is_not_changed(program):
    command.run(program("exit 0"), ["/a"], 5, "Bulk")
    assert "S3FILTERS_TIER" not in os.environ
