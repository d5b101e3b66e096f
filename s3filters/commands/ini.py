"""The ini that shows every option: ``s3filters ini``, ``etc/s3filters.ini``.

It is rendered from the option dataclasses of the default pipeline, so that an option's name,
default and words stand once, in the code. The file beside this module is what was rendered last,
and what ``s3filters serve`` runs without ``--conf``; a test keeps the two equal.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s3filters.server import options as server

DEFAULT_INI = Path(__file__).with_name("s3filters.ini")

PIPELINE = (
    "catch_errors", "healthcheck", "cors", "sigauth", "s3api", "acl", "glacier", "s3multi", "fs",
)  # fmt: skip

HEAD = """\
# The default pipeline of s3filters, with every option at its default, commented.
#
#   s3filters ini > my.ini             print this file
#   s3filters serve --conf my.ini      serve what it says
#
# Flags of the command line stand above this file, this file stands above the defaults.
# A filter that is taken out of the pipeline takes its meaning away and nothing else.
"""


def declare(commands: Any) -> None:
    """Add ``s3filters ini``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "ini",
        help="print the default ini, every option commented at its default",
        description="Print the default ini, with every option commented at its default.",
    )
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Print the rendered ini."""
    print(render(), end="")
    return 0


def sections() -> Iterator[tuple[str, str, type[Any]]]:
    """Yield (section, what it uses, its Options) in the ini's order, the server last."""
    for name in PIPELINE:
        kind = "app" if name == PIPELINE[-1] else "filter"
        module = importlib.import_module(f"s3filters.pipeline.{name}")
        yield f"{kind}:{name}", f"egg:s3filters#{name}", module.Options
    yield "server:main", "egg:s3filters#eventlet", server.Options


def shared() -> dict[str, dataclasses.Field[Any]]:
    """Return the options of ``[DEFAULT]``, by name: those that any section's class shares.

    What matters most stands at the end of the pipeline, so this goes from there upwards.
    """
    found: dict[str, dataclasses.Field[Any]] = {}
    for _section, _use, cls in reversed(list(sections())):
        for field in dataclasses.fields(cls):
            if field.metadata["shared"]:
                found.setdefault(field.name, field)
    return found


def render() -> str:
    """Return the text of the ini."""
    blocks = [HEAD, _section("DEFAULT", [], list(shared().values()))]
    blocks.append(_section("pipeline:main", [f"pipeline = {' '.join(PIPELINE)}"], []))
    for name, use, cls in sections():
        own = [field for field in dataclasses.fields(cls) if not field.metadata["shared"]]
        blocks.append(_section(name, [f"use = {use}"], own))
    return "\n".join(blocks)


def _section(name: str, lines: list[str], fields: list[dataclasses.Field[Any]]) -> str:
    options = ["\n".join([*_words(field), _commented(field)]) for field in fields]
    return "\n\n".join(["\n".join([f"[{name}]", *lines]), *options]) + "\n"


def _words(field: dataclasses.Field[Any]) -> list[str]:
    return textwrap.wrap(field.metadata["doc"], 100, initial_indent="# ", subsequent_indent="# ")


def _commented(field: dataclasses.Field[Any]) -> str:
    text = as_text(field.default)
    if isinstance(field.default, int) and field.metadata["parse"](text) != field.default:
        text = f"{field.default:o}"  # a permission, which its parser reads as octal
    return f"#{field.name} = {text}".rstrip()


def as_text(value: Any) -> str:
    """Return a value as the ini writes it: true or false, numbers without a needless ``.0``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list, frozenset)):
        return ", ".join(as_text(part) for part in value)
    return str(value).replace("%", "%%")
