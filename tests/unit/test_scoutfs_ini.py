"""etc/scoutfs.ini is the default pipeline, with options that there are."""

import configparser
from pathlib import Path

import pytest
from paste.deploy import loadapp

from s3filters.commands import ini
from s3filters.pipeline.base import Filter
from tests import daemon

PATH = Path(__file__).parents[2] / "etc" / "scoutfs.ini"


def sections(text):
    parser = configparser.ConfigParser(default_section="none")
    parser.optionxform = str
    parser.read_string(text)
    return parser


@pytest.fixture
def load(tmp_path):
    """Loads the ini, or what was made of it, over a folder."""

    def load(text):
        path = tmp_path / "scoutfs.ini"
        path.write_text(text.replace("root = /mnt/scoutfs/gateway\n", f"root = {tmp_path}\n"))
        credentials = daemon.credentials(tmp_path)
        kept = path.read_text()
        path.write_text(kept.replace("/etc/s3filters/credentials.jsonl", str(credentials)))
        return loadapp(f"config:{path}")

    return load


def test_it_has_the_filters_of_the_default_in_their_order():
    found = sections(PATH.read_text())
    assert found["pipeline:main"]["pipeline"].split() == list(ini.PIPELINE)
    wanted = {name: use for name, use, _ in ini.sections()}
    assert {name: found[name]["use"] for name in found if "use" in found[name]} == wanted


def test_every_option_in_it_is_one():
    for name, _, cls in ini.sections():
        own = set(cls.__dataclass_fields__)
        for text in (PATH.read_text(), with_options_set()):
            assert set(sections(text)[name]) - {"use"} <= own


def with_options_set():
    lines = PATH.read_text().splitlines()
    return "\n".join(
        line[1:] if line[:1] == "#" and line[1:2].islower() else line for line in lines
    )


@pytest.mark.parametrize("text", [PATH.read_text(), with_options_set()], ids=["as-is", "with-all"])
def test_it_serves(load, text):
    app = load(text)
    while not isinstance(app, Filter) or type(app).__name__ != "Glacier":
        app = app.app
    assert app._tiering.driver.flagged
    assert app._tiering.at_once == ("\ncold_at_once" in text)
