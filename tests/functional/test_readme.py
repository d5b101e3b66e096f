"""What the README tells a stranger to type is there, and works."""

import re
import shlex
import textwrap
from pathlib import Path

import pytest

from s3filters.commands import main
from tests import daemon

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.rst").read_text()
ENDPOINT = "http://127.0.0.1:9900"


def blocks(language):
    """Return the code blocks of a language, without their indentation."""
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:(?: +.*)?\n)+)", README)
    return [textwrap.dedent(block) for block in found]


COMMANDS = [
    line.removeprefix("$ ")
    for block in blocks("console")
    for line in block.splitlines()
    if line.startswith("$ s3filters ")
]


def test_every_make_target_exists():
    targets = set(
        re.findall(r"^([a-z]+)(?= ?[a-z]*:)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    )
    named = set(re.findall(r"(?:``|^ +)make ([a-z]+)", README, re.MULTILINE))
    assert {"serve", "test", "bench", "docs"} <= named <= targets


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command, monkeypatch):
    words = shlex.split(command.partition(">")[0])[1:]
    assert main._parser().parse_args(words).run


def test_every_page_that_it_links_to_exists():
    links = re.findall(r"<([a-zA-Z/]+\.rst)>`_", README)
    assert links
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_the_boto3_lines_run(tmp_path, monkeypatch, capsys):
    (program,) = blocks("python")
    assert ENDPOINT in program
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", daemon.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", daemon.SECRET_KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    root = tmp_path / "root"
    root.mkdir()
    with daemon.running(root) as server:
        exec(program.replace(ENDPOINT, server.url), {})
    assert capsys.readouterr().out == "b'world'\n"
    assert (root / "demo" / "hello").read_bytes() == b"world"
