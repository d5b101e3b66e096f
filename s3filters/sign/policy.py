"""The policy document of a browser's form: until when, and with which fields, it may be sent.

Every field of a form must be named by a condition, so that a form can say nothing that its signer
did not allow. Operators and names of fields are compared without regard to case; values, and the
two words of the document, with it.
Source: AWS API reference, "POST Policy" ("Creating a POST policy").
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from s3filters.s3 import rules
from s3filters.s3.errors import S3Error

# Fields that no condition need name; those of both versions are fit for nothing in the other
EXEMPT = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})
IGNORED = "x-ignore-"

_RANGE = "content-length-range"
_TYPE = "content-type"  # a value with commas is a list, each of which must begin as allowed
_DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z", re.ASCII)
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NOT_OF_JSON = {"$": "$", "v": "\\u000b"}  # escapes that AWS has beside those of JSON


def _begins(name: str, value: str, allowed: str) -> bool:
    if name != _TYPE or "," in allowed:
        return value.startswith(allowed)
    return all(one.strip(" ").startswith(allowed) for one in value.split(","))


_OPERATORS: dict[str, Callable[[str, str, str], bool]] = {
    "eq": lambda name, value, allowed: value == allowed,
    "starts-with": _begins,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """What one field, by its lower-case name, must be; ``text`` shows it in an error."""

    operator: str
    name: str
    value: str
    text: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        """True when the field is there and as it must be."""
        value = fields.get(self.name)
        return value is not None and _OPERATORS[self.operator](self.name, value, self.value)


@dataclass(frozen=True, slots=True)
class Document:
    """A policy document. ``expires`` is in seconds since 1970, ``least`` and ``most`` in bytes."""

    expires: float
    conditions: tuple[Condition, ...]
    least: int
    most: int

    def check(self, fields: Mapping[str, str], now: float) -> tuple[int, int]:
        """Return the least and the most bytes that the file may have.

        :param fields: by lower-case name, ``bucket`` among them
        :param now: seconds since 1970

        Raise AccessDenied when the document has expired or the fields do not keep it.
        """
        if now >= self.expires:
            raise _denied("Policy expired.")
        for condition in self.conditions:
            if not condition.holds(fields):
                raise _denied(f"Policy Condition failed: {condition.text}")
        named = {condition.name for condition in self.conditions} | EXEMPT
        extra = [name for name in fields if name not in named and not name.startswith(IGNORED)]
        if extra:
            raise _denied(f"Extra input fields: {', '.join(sorted(extra))}")
        return self.least, self.most


def invalid(words: str) -> S3Error:
    """The error of a document that is none."""
    return S3Error("InvalidPolicyDocument", f"Invalid Policy: {words}")


def _denied(words: str) -> S3Error:
    return S3Error("AccessDenied", f"Invalid according to Policy: {words}")


def parse(text: str) -> Document:
    """Return the document of a ``policy`` field (base64). Raise InvalidPolicyDocument."""
    found = _json(text)
    if not isinstance(found, dict):
        raise invalid("Invalid JSON.")
    if "expiration" not in found:
        raise invalid("Policy missing expiration.")
    if "conditions" not in found:
        raise invalid("Policy missing conditions.")
    expires = _seconds(found["expiration"])
    given = found["conditions"]
    if not isinstance(given, list):
        raise invalid("Invalid 'conditions' value: must be a List.")
    conditions, least, most = [], 0, rules.OBJECT_BYTES
    for one in given:
        if isinstance(one, list) and one and _lower(one[0]) == _RANGE:
            low, high = _range(one)
            least, most = max(least, low), min(most, high)
        else:
            conditions.append(_condition(one))
    return Document(expires, tuple(conditions), least, most)


def _json(text: str) -> Any:
    try:
        plain = base64.b64decode("".join(text.split()), validate=True).decode()
    except ValueError as error:
        raise invalid("Invalid base64 encoding.") from error
    try:
        return json.loads(_ESCAPE.sub(lambda match: _NOT_OF_JSON.get(match[1], match[0]), plain))
    except (ValueError, RecursionError) as error:
        raise invalid("Invalid JSON.") from error.with_traceback(None)


def _seconds(text: Any) -> float:
    match = _DATE.fullmatch(text) if isinstance(text, str) else None
    try:
        if match is not None:
            return datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        pass  # such as the 31st of April
    raise invalid(f"Invalid 'expiration' value: '{text}'")


def _range(one: list[Any]) -> tuple[int, int]:
    limits = [str(limit) for limit in one[1:] if type(limit) in (int, str)]
    if len(one) != 3 or len(limits) != 2 or not all(map(_WHOLE.fullmatch, limits)):
        raise invalid(f"Invalid {_RANGE}: {_shown(one)}")
    return int(limits[0]), int(limits[1])


def _condition(one: Any) -> Condition:
    if isinstance(one, dict):
        if len(one) != 1:
            words = "Simple-Conditions must have exactly one property specified."
            raise invalid(f"Invalid Simple-Condition: {words}")
        ((name, value),) = one.items()
        one = ["eq", f"${name}", value]
    if not isinstance(one, list) or len(one) != 3 or not all(isinstance(w, str) for w in one):
        raise invalid(f"Invalid Condition: {_shown(one)}")
    operator, name, value = one
    if operator.lower() not in _OPERATORS or name[:1] != "$":
        raise invalid(f"Invalid Condition: {_shown(one)}")
    return Condition(operator.lower(), name[1:].lower(), value, _shown(one))


def _lower(word: Any) -> Any:
    return word.lower() if isinstance(word, str) else word


def _shown(one: Any) -> str:
    try:
        return json.dumps(one, ensure_ascii=False)[:256]
    except RecursionError:
        return "..."
