"""The command line: what it prints, where, and with which exit code."""

import os
import sys
from contextlib import contextmanager, redirect_stdout

import pytest

import s3filters
from s3filters.commands import ini, main, serve
from s3filters.commands.errors import CLOSED, CommandError, UsageError


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit) as end:
        main.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"s3filters {s3filters.__version__}\n"


@pytest.mark.parametrize(
    ("words", "shown"),
    [(["--help"], "credential"), (["serve", "--help"], "--durability"), (["ini", "-h"], "ini")],
)
def test_help_is_printed(words, shown, capsys):
    with pytest.raises(SystemExit) as end:
        main.main(words)
    assert end.value.code == 0
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["no-such-command"],
        ["serve", "--no-such-flag"],
        ["serve", "--workers", "some"],
        ["serve", "--durability", "maybe"],
        ["serve", "--listen", "nowhere"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        main.main(words)
    assert end.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_flag_with_a_wrong_value_says_what_would_be_right(capsys):
    with pytest.raises(SystemExit):
        main.main(["serve", "--durability", "maybe"])
    assert "say one of full, data, none" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(CommandError, 1), (UsageError, 2)])
def test_an_error_is_one_line_on_stderr_and_an_exit_code(error, code, capsys, monkeypatch):
    def refuse(_level):
        raise error("the reason")

    monkeypatch.setattr(serve.logs, "start", refuse)
    assert main.main(["serve"]) == code
    assert capsys.readouterr() == ("", "s3filters: the reason\n")


def test_the_default_ini_is_printed(capsys):
    assert main.main(["ini"]) == 0
    assert "pipeline = catch_errors healthcheck cors sigauth" in capsys.readouterr().out


@contextmanager
def unread(*, buffered):
    """Make standard output a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream, redirect_stdout(stream):
        stream.reconfigure(line_buffering=not buffered)
        yield


@pytest.mark.parametrize(
    "words",
    [
        ["credential", "generate", "--json"],
        ["account", "list", "--json"],
        ["uploads", "list", "--root", "."],
        ["ini"],
        ["--help"],
    ],
)
@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_has_seen_enough_ends_the_command_without_a_word(
    tmp_path, monkeypatch, capfd, words, buffered
):
    monkeypatch.chdir(tmp_path)
    with unread(buffered=buffered):
        assert main.main(words) == CLOSED
    assert capfd.readouterr() == ("", "")


def test_a_pipe_of_another_kind_that_breaks_is_an_error(tmp_path, monkeypatch):
    def broken(_arguments):
        raise BrokenPipeError

    monkeypatch.setattr(ini, "run", broken)
    with open(tmp_path / "out", "w") as stream, pytest.raises(BrokenPipeError):
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        main.main(["ini"])


def test_without_a_standard_output_nothing_is_written_to_it(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert main.main(["ini"]) == 0
