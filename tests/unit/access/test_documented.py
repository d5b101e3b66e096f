"""docs/access.rst names what policies may hold: all of it, and nothing else."""

import re
from pathlib import Path

import pytest

from s3filters.access import actions, conditions, context, grants, ownership

TEXT = (Path(__file__).parents[3] / "docs" / "access.rst").read_text()
WORDS = re.findall(r"``([^`]+)``", TEXT)
KEYS = {word.lower() for word in WORDS if re.fullmatch(r"(?:aws|s3):[\w-]+", word)}
FAMILIES = {word for word in WORDS if word.endswith("/NAME") and word.startswith("s3:")}
ACTIONS = {name.lower() for name in actions.KNOWN}


def test_each_condition_key_is_told_and_no_other():
    assert set(context.KEYS) == KEYS - ACTIONS
    assert all(context.find(family) for family in FAMILIES)
    assert len(FAMILIES) == 2


def test_each_operator_is_told():
    section = TEXT.partition("Operators, each")[2].partition("Keys of every")[0]
    told = set(re.findall(r"``(\w+)``", section)) - {"IfExists"}
    assert told == set(conditions._OPERATORS) | {"Null"}


@pytest.mark.parametrize("word", [*ownership.SETTINGS, *grants.PERMISSIONS, *grants._CANNED])
def test_the_words_of_acls_are_told(word):
    assert f"``{word}``" in TEXT
