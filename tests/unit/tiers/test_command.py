"""The site's programs: what they get, and what they may answer."""

import os
import stat
import tracemalloc

import pytest

from s3filters.tiers import command
from s3filters.tiers.base import STAGE, File, Settings


@pytest.fixture
def program(tmp_path):
    """Makes a program of a shell script."""

    def make(script, name="program"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return (str(path),)

    return make


def run(words, paths, timeout_s, tier=""):
    """Have a program stage files of these paths."""
    files = [File(path, number, tier) for number, path in enumerate(paths)]
    return command.run(words, STAGE, files, timeout_s)


# --- one run -------------------------------------------------------------------------------------


def test_a_program_gets_paths_each_ended_by_nul(program, tmp_path):
    got = tmp_path / "got"
    assert run(program(f"cat > {got}"), ["/a b", "/c\nd", "/e\udcff"], 5) == set()
    assert got.read_bytes() == b"/a b\0/c\nd\0/e\xff\0"


def test_a_program_is_told_the_tier(program, tmp_path):
    got = tmp_path / "got"
    run(program(f'echo "$S3FILTERS_TIER" > {got}'), ["/a"], 5, "Bulk")
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
        (r"printf 'failed /b\0'; sleep 5 &", {"/b"}),  # left behind, with the pipes
        (r"printf 'failed /b\0'; yes &", {"/b"}),
        (r"printf 'failed /b\0'; exec >&- 2>&-; sleep 0.2; exit 1", {"/a", "/b"}),
        (r"printf 'failed /b\0failed /a'", {"/b"}),  # a word that is cut off
        (r"printf 'ok'; sleep 0.2; printf ' /a\0'; exit 1", {"/b"}),
    ],
)
def test_its_words_and_its_status_say_what_is_done(program, script, undone):
    assert run(program(script), ["/a", "/b"], 1) == undone


def test_a_program_that_is_not_there_does_nothing(tmp_path):
    assert run([str(tmp_path / "none")], ["/a"], 1) == {"/a"}


def test_a_program_that_does_not_read_does_its_work(program):
    assert run(program("exit 0"), [f"/{n:0100}" for n in range(5000)], 5) == set()


@pytest.mark.parametrize(
    ("script", "paths", "tier", "said"),
    [
        (
            "echo no tape today >&2; exit 1",
            ["/a", "/b"],
            "Bulk",
            "stage of 2 files (Bulk): {} ended with 1: no tape today",
        ),
        ("exit 3", ["/a"], "", "stage of 1 file: {} ended with 3"),
        ("echo slow >&2", ["/a"], "Standard", "stage of 1 file (Standard): {} ended with 0: slow"),
    ],
)
def test_the_log_says_what_a_program_was_to_do_and_its_complaint(
    program, caplog, script, paths, tier, said
):
    words = program(script)
    run(words, paths, 5, tier)
    assert caplog.messages == [said.format(words[0])]


def test_the_log_says_what_a_program_that_is_not_there_was_to_do(tmp_path, caplog):
    run([str(tmp_path / "none")], ["/a", "/b"], 1, "Bulk")
    assert caplog.messages[0].startswith(f"stage of 2 files (Bulk): {tmp_path}/none: ")


# --- the driver ----------------------------------------------------------------------------------


def test_each_verb_is_a_program_that_gets_a_batch(program, tmp_path):
    got = tmp_path / "got"
    commands = {
        verb: program(f"echo {verb} $S3FILTERS_TIER > {got}; cat >> {got}", verb)
        for verb in ("stage", "archive", "release")
    }
    driver = command.factory(Settings(commands))
    files = [File("/a", 1, "Bulk"), File("/b", 2, "Bulk")]
    for verb in commands:
        assert driver.cannot(verb) == ""
        assert getattr(driver, verb)(files) == set()
        assert got.read_bytes() == f"{verb} Bulk\n".encode() + b"/a\0/b\0"


def test_what_there_is_no_program_for_cannot_be_asked():
    driver = command.factory(Settings({"stage": ("stage",), "archive": ()}))
    assert driver.cannot("stage") == ""
    assert driver.cannot("archive") == "No command of this site can archive an object."
    assert "release" in driver.cannot("release")


def test_a_program_ends_at_its_time_limit(program):
    driver = command.factory(Settings({"stage": program("sleep 60")}, timeout_s=0.1))
    assert driver.stage([File("/a", 1)]) == {"/a"}


def test_the_environment_of_the_service_is_not_changed(program):
    run(program("exit 0"), ["/a"], 5, "Bulk")
    assert "S3FILTERS_TIER" not in os.environ


def test_of_what_it_prints_besides_nothing_is_kept(program):
    noise = "head -c 50000000 /dev/zero | tr '\\0' x"
    script = rf"{noise}; {noise} >&2; printf '\0failed /b\0'"
    tracemalloc.start()
    try:
        assert run(program(script), ["/a", "/b"], 30) == {"/b"}
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_what_it_does_not_read_holds_nobody(program):
    paths = [f"/{number:0100}" for number in range(10_000)]
    assert run(program("exec <&-; sleep 0.2"), paths, 30) == set()
    assert run(program("head -c 10 > /dev/null; exit 1"), paths, 30) == set(paths)


def test_nothing_is_left_of_it(program):
    before = len(os.listdir("/proc/self/fd"))
    for script in ("exit 0", "sleep 60", "cat > /dev/null; sleep 5 &"):
        run(program(script), ["/a"], 0.3)
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
