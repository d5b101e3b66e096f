"""The command line: what it prints, where, and with which exit code."""

import pytest

import s3filters
from s3filters.commands import main, serve
from s3filters.commands.errors import CommandError, UsageError


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
