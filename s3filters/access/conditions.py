"""Conditions of a policy: operators, compiled with their values for one key.

Of the values in the policy one must match; a negated operator wants that none does. A key that the
request lacks makes a condition false, a negated one true, one that ends in ``IfExists`` true.
``ForAllValues:`` is true of no values at all, ``ForAnyValue:`` never is. Source: AWS IAM, "Policy
elements: Condition operators" and "Set operators for multivalued context keys".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from s3filters.access import context
from s3filters.access.context import Context, Key, Read
from s3filters.access.patterns import Patterns
from s3filters.s3.errors import S3Error

ALL, ANY = "ForAllValues", "ForAnyValue"
Test = Callable[[str, Context], bool]  # does a value of the request match one of the policy's
Make = Callable[
    [list[str], bool], Test
]  # (values, with variables?) -> test; ValueError for a bad one


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator over one key. ``operator`` has neither its quantifier nor ``IfExists``.

    ``actions`` are those that can have the key, None when all can; of the others no request has it,
    whatever its headers and its query say. ``lasting``: it holds for all requests of a connection,
    or for none.
    """

    operator: str
    quantifier: str
    if_exists: bool
    key: str  # in lower case, but for the name of a tag
    values: tuple[str, ...]
    read: Read
    actions: frozenset[str] | None
    test: Test
    negated: bool
    if_missing: bool
    lasting: bool = False

    def holds(self, request: Context) -> bool:
        """True when the request fulfils it."""
        values = self.read(request)
        if values is None:
            return self.if_missing
        wanted, test = not self.negated, self.test
        if len(values) == 1 and not self.quantifier:
            return test(values[0], request) is wanted
        if self.quantifier == ALL:  # an empty text is no value there
            return all(test(value, request) is wanted for value in values if value)
        return any(test(value, request) is wanted for value in values)


# --- values ------------------------------------------------------------------------------------

_MAPPED_BITS = 96  # before the IPv4 address in an address of ::ffff:0:0/96
_NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})", re.ASCII)
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _date(text: str) -> Decimal:
    """Seconds since 1970, of a date in the W3C's form (UTC where it has no zone) or a number."""
    if not _DATE.fullmatch(text):
        return _number(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Decimal(repr(moment.timestamp()))


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return the network of a CIDR; one of IPv4 in IPv6's clothes is of IPv4.

    Raise ValueError, also for one of these that reaches beyond IPv4: it would match no address.
    """
    found = ipaddress.ip_network(text, strict=False)
    if isinstance(found, ipaddress.IPv4Network):
        return found
    mapped = ipaddress.IPv6Address(text.partition("/")[0]).ipv4_mapped
    if mapped is None:
        return found
    if found.prefixlen < _MAPPED_BITS:
        raise ValueError(text)
    return ipaddress.IPv4Network((mapped, found.prefixlen - _MAPPED_BITS), strict=False)


def _address(text: str) -> tuple[int, int]:
    """Return (version, number) of an address; one of IPv4 in IPv6's clothes is of IPv4."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)


def _boolean(text: str) -> str:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower()


# --- tests -------------------------------------------------------------------------------------


def _texts(*, wildcards: bool = False, fold: bool = False) -> Make:
    def make(values: list[str], variables: bool) -> Test:
        return Patterns(values, wildcards=wildcards, variables=variables, fold=fold).match

    return make


def _compared(parse: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Make:
    def make(values: list[str], variables: bool) -> Test:
        wanted = [parse(value) for value in values]

        def test(value: str, request: Context) -> bool:
            try:
                found = parse(value)
            except ValueError:
                return False
            return any(compare(found, one) for one in wanted)

        return test

    return make


_LONGEST_ADDRESS = 64  # characters, with a zone; longer ones are none, and need not be kept


def _in_networks(values: list[str], variables: bool) -> Test:
    networks = [
        (one.version, int(one.netmask), int(one.network_address)) for one in map(network, values)
    ]

    @lru_cache(256)
    def within(value: str) -> bool:
        try:
            version, number = _address(value)
        except ValueError:
            return False
        for of, mask, base in networks:  # noqa: SIM110  any() costs more than the question
            if of == version and number & mask == base:
                return True
        return False

    return lambda value, request: len(value) <= _LONGEST_ADDRESS and within(value)


def _booleans(values: list[str], variables: bool) -> Test:
    wanted = {_boolean(value) for value in values}
    return lambda value, request: value.lower() in wanted


def _bytes(values: list[str], variables: bool) -> Test:
    try:
        wanted = {base64.b64decode(value, validate=True) for value in values}
    except binascii.Error as error:
        raise ValueError(values) from error
    return lambda value, request: value.encode() in wanted


def _arns(values: list[str], variables: bool) -> Test:
    """Each of the six parts is matched by itself, so a star does not reach over a colon."""
    wanted = []
    for value in values:
        parts = value.split(":", 5)
        if len(parts) != 6 or (parts[0] != "arn" and "*" not in parts[0]):
            raise ValueError(value)
        wanted.append([Patterns((part,), variables=variables) for part in parts])

    def test(value: str, request: Context) -> bool:
        found = value.split(":", 5)
        return len(found) == 6 and any(
            all(one.match(part, request) for one, part in zip(arn, found, strict=True))
            for arn in wanted
        )

    return test


# operator -> (test, negated)
_OPERATORS: dict[str, tuple[Make, bool]] = {
    "StringEquals": (_texts(), False),
    "StringNotEquals": (_texts(), True),
    "StringEqualsIgnoreCase": (_texts(fold=True), False),
    "StringNotEqualsIgnoreCase": (_texts(fold=True), True),
    "StringLike": (_texts(wildcards=True), False),
    "StringNotLike": (_texts(wildcards=True), True),
    "NumericEquals": (_compared(_number, operator.eq), False),
    "NumericNotEquals": (_compared(_number, operator.eq), True),
    "NumericLessThan": (_compared(_number, operator.lt), False),
    "NumericLessThanEquals": (_compared(_number, operator.le), False),
    "NumericGreaterThan": (_compared(_number, operator.gt), False),
    "NumericGreaterThanEquals": (_compared(_number, operator.ge), False),
    "DateEquals": (_compared(_date, operator.eq), False),
    "DateNotEquals": (_compared(_date, operator.eq), True),
    "DateLessThan": (_compared(_date, operator.lt), False),
    "DateLessThanEquals": (_compared(_date, operator.le), False),
    "DateGreaterThan": (_compared(_date, operator.gt), False),
    "DateGreaterThanEquals": (_compared(_date, operator.ge), False),
    "Bool": (_booleans, False),
    "BinaryEquals": (_bytes, False),
    "IpAddress": (_in_networks, False),
    "NotIpAddress": (_in_networks, True),
    "ArnEquals": (_arns, False),
    "ArnLike": (_arns, False),
    "ArnNotEquals": (_arns, True),
    "ArnNotLike": (_arns, True),
}


# --- reading a Condition element -----------------------------------------------------------------


def parse(element: Any, *, variables: bool) -> tuple[Condition, ...]:
    """Return the conditions of a Condition element. Raise MalformedPolicy.

    :param variables: ``${...}`` in values are variables, and not text as they are
    """
    if not isinstance(element, dict):
        raise _refused("Policy has an invalid condition")
    found = []
    for name, keys in element.items():
        if not isinstance(keys, dict) or not keys:
            raise _refused("Policy has an invalid condition")
        found += [_condition(name, key, values, variables) for key, values in keys.items()]
    return tuple(found)


def _condition(name: str, key: str, element: Any, variables: bool) -> Condition:
    row = context.find(key)
    if row is None:
        raise _refused("Policy has an invalid condition key", key)
    values = _values(element)
    family, slash, tag = key.partition("/")
    key = family.lower() + slash + tag
    if name == "Null":
        return _null(key, row, values)
    quantifier, colon, word = name.rpartition(":")
    base = word.removesuffix("IfExists")
    if base not in _OPERATORS or (colon and quantifier not in (ALL, ANY)):
        raise _refused(f"Invalid Condition type : {name}")
    if row.many and not colon:
        raise _refused(f"{key} may have many values and needs ForAllValues or ForAnyValue")
    make, negated = _OPERATORS[base]
    if key == "s3:x-amz-copy-source":
        values = [value.removeprefix("/") for value in values]
    try:
        test = make(values, variables)
    except ValueError as error:
        raise _refused(f"Invalid value for Condition type : {name}", key) from error
    missing = base != word or (quantifier == ALL if colon else negated)
    return Condition(
        operator=base,
        quantifier=quantifier,
        if_exists=base != word,
        key=key,
        values=tuple(values),
        read=row.read,
        actions=row.actions,
        test=test,
        negated=negated,
        if_missing=missing,
        lasting=row.lasting and not any("${" in value for value in values),
    )


def _values(element: Any) -> list[str]:
    """The values as text, one or a list of them."""
    items = element if isinstance(element, list) else [element]
    if not items:
        raise _refused("Policy has an invalid condition")
    return [_value(item) for item in items]


def _value(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int | float):
        return str(item)
    if not isinstance(item, str):
        raise _refused("Policy has an invalid condition")
    return item


def _null(key: str, row: Key, values: list[str]) -> Condition:
    """``true`` asks for the key to be missing, ``false`` for it to be there."""
    try:
        wanted = {_boolean(value) for value in values}
    except ValueError as error:
        raise _refused("Invalid value for Condition type : Null") from error
    there = "false" in wanted
    return Condition(
        operator="Null",
        quantifier="",
        if_exists=False,
        key=key,
        values=tuple(values),
        read=row.read,
        actions=row.actions,
        test=lambda value, request: there,
        negated=False,
        if_missing="true" in wanted,
        lasting=row.lasting,
    )


def of_action(conditions: Iterable[Condition], action: str) -> tuple[Condition, ...] | None:
    """Return the conditions that are left for an action, None when they can never hold.

    A key that the action cannot have is missing, so what it says is known before any request.
    """
    left = []
    for condition in conditions:
        if condition.actions is None or action in condition.actions:
            left.append(condition)
        elif not condition.if_missing:
            return None
    return tuple(left)


def _refused(message: str, key: str | None = None) -> S3Error:
    return S3Error("MalformedPolicy", message, Detail=key)
