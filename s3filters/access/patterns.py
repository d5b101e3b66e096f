"""Texts of a policy with wildcards and variables, compiled for matching.

``*`` is any run of characters, ``?`` is one, ``${key}`` is the value of a condition key in the
request, which is taken letter by letter. ``${*}``, ``${?}`` and ``${$}`` are these characters. A
text with a variable that the request has no value for matches nothing, unless the variable brings
its default: ``${key, 'text'}``. Source: AWS IAM, "Policy elements: Variables and tags".

A star is matched as early as can be and never again (an atomic group), so the time is bounded by
the product of the lengths whatever a policy holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from s3filters.access import context
from s3filters.access.context import Context, Key
from s3filters.s3.errors import S3Error


class Wild(Enum):
    """A wildcard of a text."""

    STAR = "*"
    ANY = "?"


_LETTERS = frozenset("*?$")
_WILDCARDS = re.compile(r"([*?])")
_BOTH = re.compile(r"(\$\{[^}]*\}|[*?])")
_VARIABLE = re.compile(r"\$\{\s*([^,'\s{}]+)\s*(?:,\s*'([^']*)'\s*)?\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a policy, and what stands for it where the request has no value."""

    key: Key
    default: str | None


Plain = str | Wild
Token = Plain | Variable


def tokens(text: str, *, wildcards: bool, variables: bool) -> tuple[Token, ...]:
    """Take a text apart. Raise MalformedPolicy for a variable that is not known."""
    found: list[Token] = []
    for part in (_BOTH if variables else _WILDCARDS).split(text):
        if variables and part.startswith("${"):
            found.append(_variable(part))
        elif wildcards and part in ("*", "?"):
            found.append(Wild(part))
        elif variables and "${" in part:
            raise _invalid(part)
        elif part:
            found.append(part)
    return tuple(found)


def _variable(text: str) -> Token:
    if text[2:-1] in _LETTERS:
        return text[2:-1]
    match = _VARIABLE.fullmatch(text)
    key = context.find(match[1]) if match is not None else None
    if match is None or key is None or key.many:
        raise _invalid(text)
    return Variable(key, match[2])


def _invalid(word: str) -> S3Error:
    return S3Error("MalformedPolicy", "Policy has an invalid variable", Detail=word)


def is_fixed(text: str) -> bool:
    """True when the text has neither wildcards nor variables."""
    return not ("*" in text or "?" in text or "${" in text)


def keys(texts: Iterable[str]) -> Iterator[Key]:
    """Yield the condition keys whose values are variables of the texts."""
    for text in texts:
        for part in tokens(text, wildcards=False, variables=True):
            if isinstance(part, Variable):
                yield part.key


class Patterns:
    """Some texts, of which one must match."""

    __slots__ = ("_changing", "_exact", "_expression", "_fold", "_prefixes")

    def __init__(
        self,
        texts: Iterable[str],
        *,
        wildcards: bool = True,
        variables: bool = True,
        fold: bool = False,
    ) -> None:
        exact, prefixes, expressions = set(), [], []
        self._changing: list[tuple[Token, ...]] = []
        self._fold = fold
        for text in texts:
            parts = tokens(text, wildcards=wildcards, variables=variables)
            if fold:
                parts = tuple(part.lower() if isinstance(part, str) else part for part in parts)
            plain = tuple(part for part in parts if not isinstance(part, Variable))
            if len(plain) < len(parts):
                self._changing.append(parts)
            elif Wild.STAR not in plain and Wild.ANY not in plain:
                exact.add("".join(map(str, plain)))
            elif len(plain) == 2 and plain[1] is Wild.STAR and isinstance(plain[0], str):
                prefixes.append(plain[0])
            else:
                expressions.append(f"(?:{_expression(plain)})")
        self._exact = frozenset(exact)
        self._prefixes = tuple(prefixes)
        self._expression = re.compile("|".join(expressions), re.DOTALL) if expressions else None

    def match(self, value: str, request: Context | None = None) -> bool:
        """True when a text matches; only texts with variables need the request."""
        if self._fold:
            value = value.lower()
        if value in self._exact or value.startswith(self._prefixes):
            return True
        if self._expression is not None and self._expression.fullmatch(value):
            return True
        return bool(self._changing) and request is not None and self._match(value, request)

    def _match(self, value: str, request: Context) -> bool:
        for parts in self._changing:
            first = parts[0]
            if isinstance(first, str) and not value.startswith(first):
                continue
            plain = _filled(parts, request, self._fold)
            if plain is not None and _fits(plain, value):
                return True
        return False


def _filled(parts: tuple[Token, ...], request: Context, fold: bool) -> tuple[Plain, ...] | None:
    """Put values in the place of variables; None when one has none."""
    filled: list[Plain] = []
    for part in parts:
        if isinstance(part, Variable):
            values = part.key.read(request)
            value = values[0] if values else part.default
            if value is None:
                return None
            filled.append(value.lower() if fold else value)
        else:
            filled.append(part)
    return tuple(filled)


def _fits(parts: Iterable[Plain], value: str) -> bool:
    """True when a text that was filled for one request matches.

    It is as long as clients make their headers, so it is not compiled: that would cost more than
    to match, and what is compiled is kept, by ``re`` too.
    """
    runs: list[list[str | Wild]] = [[]]
    for part in parts:
        if part is Wild.STAR:
            runs.append([])
        else:
            runs[-1].append(part)
    first, *middle = runs
    at = _end(first, value, 0)
    if not middle or at < 0:
        return at == len(value)
    last = middle.pop()
    for run in middle:
        at = _found(run, value, at)
        if at < 0:
            return False
    start = len(value) - sum(1 if part is Wild.ANY else len(str(part)) for part in last)
    return start >= at and _end(last, value, start) >= 0


def _found(run: list[str | Wild], value: str, at: int) -> int:
    """Return where the first such run from there on ends, -1 when there is none."""
    word = run[0] if run and isinstance(run[0], str) else ""
    while (at := value.find(word, at)) >= 0:
        end = _end(run, value, at)
        if end >= 0:
            return end
        at += 1
    return -1


def _end(run: Iterable[str | Wild], value: str, at: int) -> int:
    """Return where a run ends that begins there, -1 when it does not."""
    for part in run:
        if isinstance(part, Wild):
            at += 1
        elif value.startswith(part, at):
            at += len(part)
        else:
            return -1
    return at if at <= len(value) else -1


def _expression(parts: tuple[Plain, ...]) -> str:
    """Return the regular expression of a text without variables."""
    runs = [""]
    for part in parts:
        if part is Wild.STAR:
            runs.append("")
        else:
            runs[-1] += "." if part is Wild.ANY else re.escape(str(part))
    first, *middle = runs
    if not middle:
        return first
    last = middle.pop()
    return first + "".join(f"(?>.*?{run})" for run in middle if run) + ".*" + last
