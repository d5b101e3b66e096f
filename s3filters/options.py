"""Ini options as frozen dataclasses: one place for an option's name, default, check and words.

A section's options are the fields of a class::

    @dataclass(frozen=True, slots=True)
    class Options:
        region: str = option("us-east-1", text, "Region of the service.", shared=True)

``read(Options, "filter:s3api", global_conf, local_conf)`` makes one from what PasteDeploy hands to
a factory. An option marked ``shared`` belongs to ``[DEFAULT]`` (and so to command line flags, which
stand above it); all others belong to their own section. A name that no option has is an error that
says which names there are.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class OptionError(ValueError):
    """An option of the ini that cannot be used; the message names the section and the option."""


def option(default: Any, parse: Callable[[str], Any], doc: str, *, shared: bool = False) -> Any:
    """Declare an option: its default (already parsed), its parser and a sentence for the ini."""
    return dataclasses.field(
        default=default, metadata={"parse": parse, "doc": doc, "shared": shared}
    )


def read(
    cls: type[T], section: str, global_conf: Mapping[str, str], local_conf: Mapping[str, str]
) -> T:
    """Return ``cls`` filled from a section. Raise OptionError: unknown name or bad value."""
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    own = {name for name, f in fields.items() if not f.metadata["shared"]}
    for name in local_conf:
        if name in fields and name not in own:
            raise OptionError(f"[{section}] {name} belongs to [DEFAULT], where all filters see it")
        if name not in fields:
            has = ", ".join(sorted(own)) or "no options of its own"
            raise OptionError(f"[{section}] has no option {name}; it has {has}")
    values = {}
    for name, f in fields.items():
        source = global_conf if f.metadata["shared"] else local_conf
        if name in source:
            try:
                values[name] = f.metadata["parse"](source[name])
            except ValueError as error:
                where = "DEFAULT" if f.metadata["shared"] else section
                raise OptionError(f"[{where}] {name} = {source[name]}: {error}") from error
    return cls(**values)


def text(value: str) -> str:
    """Any text, without the blanks around it."""
    return value.strip()


def command(value: str) -> tuple[str, ...]:
    """The words of a command line, quoted as in a shell; none when it is empty."""
    return tuple(shlex.split(value))


def boolean(value: str) -> bool:
    """One of true, yes, on, 1, false, no, off, 0; all else is an error, never a silent False."""
    word = value.strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError("say true or false")


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """A whole number from ``low`` to ``high``, both inclusive."""

    def parse(value: str) -> int:
        number = int(value) if re.fullmatch(r"\s*\d{1,18}\s*", value) else -1
        if number < low or (high is not None and number > high):
            top = "any" if high is None else high
            raise ValueError(f"say a whole number from {low} to {top}")
        return number

    return parse


def seconds(value: str) -> float:
    """A time in seconds, 0 or more."""
    if not re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", value):
        raise ValueError("say a number of seconds")
    return float(value)


def choice(*words: str) -> Callable[[str], str]:
    """One of the words."""

    def parse(value: str) -> str:
        if value.strip() not in words:
            raise ValueError(f"say one of {', '.join(words)}")
        return value.strip()

    return parse
