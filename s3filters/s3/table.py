"""The routing table: which operation a request is, and with which parameters.

A row is chosen by method, by what the path names, by the query words that must be there, and in few
cases by a header. It reads no value but the parameters that the row declares, and knows no
operation but by its row.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from s3filters.s3 import parameters
from s3filters.s3.errors import S3Error
from s3filters.s3.operations import ROWS
from s3filters.s3.row import BUCKET, OBJECT, SERVICE, Row

log = logging.getLogger(__name__)

OPERATIONS: dict[str, Row] = {row.name: row for row in ROWS}

_PLACES = {(row.method, row.level) for row in ROWS}
# Rows of a place that a query word chooses, and those for requests without any such word
_WORDED = {
    place: [r for r in ROWS if (r.method, r.level) == place and r.words] for place in _PLACES
}
_PLAIN = {
    place: [r for r in ROWS if (r.method, r.level) == place and not r.words] for place in _PLACES
}
# First words of rows: those that turn a request of this level into another operation
_TURNING = {
    level: frozenset(r.words[0].partition("=")[0] for r in ROWS if r.level == level and r.words)
    for level in (SERVICE, BUCKET, OBJECT)
}
_NO_HEADERS: dict[str, Any] = {}


def route(
    method: str, level: str, query: Mapping[str, str], environ: Mapping[str, Any] = _NO_HEADERS
) -> tuple[Row, dict[str, Any]]:
    """Return the row of a request and its parameters.

    Raise MethodNotAllowed when no operation is that, InvalidArgument for a parameter out of bounds.
    """
    place = method, level
    if place not in _PLACES:
        raise _not_allowed(method, level)
    if query:
        turning = query.keys() & _TURNING[level]
        row = _worded(place, query, turning, environ) if turning else _plain(place, environ)
        if log.isEnabledFor(logging.DEBUG):
            _note_unknown(row, query)
    else:
        row = _plain(place, environ)
    return row, _params(row, query, environ)


def _plain(place: tuple[str, str], environ: Mapping[str, Any]) -> Row:
    for row in _PLAIN[place]:
        if row.header is None or row.header in environ:
            return row
    raise _not_allowed(*place)


def _worded(
    place: tuple[str, str],
    query: Mapping[str, str],
    turning: Collection[str],
    environ: Mapping[str, Any],
) -> Row:
    """The row that the query chooses; a word of another method never leaves the plain row standing.

    DELETE of ``?uploads`` must not delete the bucket.
    """
    for row in _WORDED[place]:
        if all(_present(word, query) for word in row.words) and (
            row.header is None or row.header in environ
        ):
            break
    else:
        if "list-type" in turning:
            value = query["list-type"]
            raise parameters.bad("list-type", value, "Invalid List Type specified in Request")
        raise _not_allowed(*place, *sorted(turning))
    if len(turning) > 1:
        words = ", ".join(sorted(turning))
        message = f"Conflicting query string parameters: {words}"
        raise parameters.bad("ResourceType", words, message)
    return row


def _present(word: str, query: Mapping[str, str]) -> bool:
    name, equals, value = word.partition("=")
    return name in query and (not equals or query[name] == value)


def _params(row: Row, query: Mapping[str, str], environ: Mapping[str, Any]) -> dict[str, Any]:
    params = row.defaults.copy()
    if query:
        for param in row.params:
            value = query.get(param.word)
            if value is not None and (value or param.blank):
                params[param.name] = param.parse(param.word, value)
    for key, param in row.keyed:
        value = environ.get(key)
        if value:
            params[param.name] = param.parse(param.word, value)
    if row.check is not None:
        row.check(params)
    return params


def _not_allowed(method: str, level: str, *words: str) -> S3Error:
    resource = words[0].upper() if words else level.upper()
    allowed = ", ".join(sorted(place[0] for place in _PLACES if place[1] == level))
    return S3Error(
        "MethodNotAllowed", headers=[("Allow", allowed)], Method=method, ResourceType=resource
    )


def _note_unknown(row: Row, query: Mapping[str, str]) -> None:
    known = {word.partition("=")[0] for word in row.words}
    known.update(param.word for param in row.params)
    for word in query.keys() - known:
        if not word.lower().startswith("x-") and word != "versionId":
            _note_once(row.name, word)


@lru_cache(maxsize=1024)
def _note_once(operation: str, word: str) -> None:
    log.debug("%s: query word %r is not known and has no effect", operation, word)
