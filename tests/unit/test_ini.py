"""The ini that is shown is the ini that the code has: name for name, default for default."""

import configparser
import dataclasses
from pathlib import Path

import pytest

from s3filters import options
from s3filters.commands import ini

REPOSITORY = Path(__file__).parent.parent.parent
SECTIONS = list(ini.sections())


OPTIONS = [
    pytest.param(section, cls, field, id=f"{section}-{field.name}")
    for section, _use, cls in SECTIONS
    for field in dataclasses.fields(cls)
]


def uncommented():
    lines = [
        line[1:] if line.startswith("#") and line[1:2].strip() else line
        for line in ini.render().splitlines()
    ]
    parser = configparser.ConfigParser(default_section="none")
    parser.optionxform = str
    parser.read_string("\n".join(lines))
    return parser


def test_the_ini_in_etc_is_what_the_options_in_the_code_say():
    assert (REPOSITORY / "etc" / "s3filters.ini").read_text() == ini.render()


def test_the_ini_in_the_package_is_the_one_in_etc():
    assert ini.DEFAULT_INI.read_bytes() == (REPOSITORY / "etc" / "s3filters.ini").read_bytes()


@pytest.mark.parametrize(("section", "cls", "field"), OPTIONS)
def test_an_option_stands_once_and_its_text_reads_back_as_its_default(section, cls, field):
    place = "DEFAULT" if field.metadata["shared"] else section
    text = uncommented()[place][field.name]
    assert field.metadata["parse"](text) == field.default


@pytest.mark.parametrize(("section", "cls", "field"), OPTIONS)
def test_an_option_is_described_in_sentences(section, cls, field):
    words = field.metadata["doc"]
    assert words[0].isupper() or words.startswith(("shared:", "full"))
    assert words.endswith(".")


def test_a_shared_option_is_the_same_wherever_it_is_declared():
    said = {}
    for section, _use, cls in SECTIONS:
        for field in dataclasses.fields(cls):
            if field.metadata["shared"]:
                words = (field.default, field.metadata["doc"])
                assert said.setdefault(field.name, words) == words, f"{field.name} in {section}"


@pytest.mark.parametrize(("section", "cls"), [(section, cls) for section, _, cls in SECTIONS])
def test_a_section_with_every_option_set_is_read(section, cls):
    parser = uncommented()
    own = {name: value for name, value in parser[section].items() if name != "use"}
    assert options.read(cls, section, dict(parser["DEFAULT"]), own) == cls()


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (None, ""), (30.0, "30"), (0.5, "0.5"), (("a", "b"), "a, b"), ("5%", "5%%")],
)
def test_a_default_is_written_as_a_person_would(value, text):
    assert ini.as_text(value) == text
