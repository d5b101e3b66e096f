"""Bucket policies: a JSON document becomes statements that are quick to ask.

Everything in the document is enforced or the document is refused: an element, action, resource,
principal, operator or condition key that is not known here is MalformedPolicy, never passed over.
A stored policy that is refused all the same (another program wrote it) closes the bucket to all but
its owner.

A request looks only at what is left to ask of it: statements are kept by action, and then by who
asks over which connection, without those that the one or the other rules out.
Source: AWS IAM, "JSON policy elements"; Amazon S3, "Bucket policies".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from s3filters.access import actions, block, conditions, patterns, principals
from s3filters.access.conditions import Condition
from s3filters.access.context import Connection, Context
from s3filters.access.patterns import Patterns
from s3filters.s3.call import Identity
from s3filters.s3.errors import S3Error

log = logging.getLogger(__name__)

BYTES = 20 * 1024
_ARN = "arn:aws:s3:::"
_VERSIONS = ("2012-10-17", "2008-10-17")
_ELEMENTS = {"Version", "Id", "Statement"}
# Elements of a statement: one of each pair, and no others
_PAIRS = (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource"))
_STATEMENT = {"Sid", "Effect", "Condition"} | {name for pair in _PAIRS for name in pair}
_NO_KEY = "Conditions do not apply to combination of actions and resources in statement"
_MOST_KNOWN = 256  # of an action, somebody and a connection, of each policy


class Verdict(Enum):
    """What a policy says of a request."""

    DENY = "deny"
    ALLOW = "allow"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; ``not_`` fields say that everything else is meant.

    :param resources: None for all that the action can act on
    :param everywhere: the resources are, or hold, all objects of the bucket
    :param lasting: conditions on the connection alone, apart from the others in what ``of_action``
        returns
    """

    allow: bool
    principals: frozenset[str]
    not_principals: bool
    actions: frozenset[str]
    resources: Patterns | None
    not_resources: bool
    conditions: tuple[Condition, ...]
    everywhere: bool = False
    lasting: tuple[Condition, ...] = ()

    def of_action(self, action: str) -> Statement | None:
        """Return what it says of an action, None when that can be nothing."""
        left = conditions.of_action(self.conditions, action)
        if action not in self.actions or left is None:
            return None
        resources = self.resources
        if self.everywhere and action in actions.OF_OBJECTS:
            if self.not_resources:
                return None
            resources = None
        return replace(
            self,
            resources=resources,
            conditions=tuple(one for one in left if not one.lasting),
            lasting=tuple(one for one in left if one.lasting),
        )

    @property
    def always(self) -> bool:
        """True when it speaks of whatever is asked of the action by those whom it is about."""
        return self.resources is None and not self.conditions

    def is_about(self, names: frozenset[str], request: Context) -> bool:
        """True when it speaks of whoever has these names, over the request's connection."""
        if self.principals.isdisjoint(names) is not self.not_principals:
            return False
        return all(condition.holds(request) for condition in self.lasting)

    def applies(self, resource: str, request: Context) -> bool:
        """True when it speaks of the resource and of the request, if it is about who asks."""
        resources = self.resources
        if resources is not None and resources.match(resource, request) is self.not_resources:
            return False
        for condition in self.conditions:  # noqa: SIM110  all() costs more than most conditions
            if not condition.holds(request):
                return False
        return True


Statements = tuple[tuple[Statement, ...], tuple[Statement, ...]]  # those that deny, allow
_NONE: Statements = ((), ())


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy. ``public`` as AWS means it; ``sound`` is False for one that was not understood."""

    statements: tuple[Statement, ...] = ()
    public: bool = False
    sound: bool = True
    _by_action: dict[str, Statements] = field(init=False, repr=False, compare=False)
    _known: dict[tuple[str, frozenset[str], Connection | None], Statements] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _by_tags: frozenset[str] = field(init=False, repr=False, compare=False)
    _by_connection: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the statements by the actions that they speak of: (those that deny, allow)."""
        table, tagged, lasting = {}, set(), False
        for action in actions.KNOWN:
            about = [found for one in self.statements if (found := one.of_action(action))]
            if about:
                table[action] = (
                    tuple(one for one in about if not one.allow),
                    tuple(one for one in about if one.allow),
                )
            if any(_asks_object_tags(one) for one in about):
                tagged.add(action)
            lasting = lasting or any(one.lasting for one in about)
        object.__setattr__(self, "_by_action", table)
        object.__setattr__(self, "_by_tags", frozenset(tagged))
        object.__setattr__(self, "_by_connection", lasting)

    def verdict(
        self, action: str, resource: str, names: frozenset[str], request: Context
    ) -> Verdict:
        """Return what it says; an explicit deny wins.

        :param resource: ``bucket`` or ``bucket/key``
        :param names: of the requester (``principals.names_of``)

        Raise TagsNotRead when it depends on tags that the request does not have yet.
        """
        deny, allow = self._about(action, names, request)
        for statement in deny:
            if statement.applies(resource, request):
                return Verdict.DENY
        for statement in allow:
            if statement.applies(resource, request):
                return Verdict.ALLOW
        return Verdict.SILENT

    def is_settled(self, action: str, names: frozenset[str], request: Context) -> bool:
        """True when nothing is denied over the connection and what is allowed is so for all keys.

        Then the verdict is the same for all requests of the connection. False says nothing.
        """
        deny, allow = self._about(action, names, request)
        return not deny and (not allow or any(one.always for one in allow))

    def _about(self, action: str, names: frozenset[str], request: Context) -> Statements:
        """Return what speaks of an action of somebody, and keep it for the next time he asks."""
        who = action, names, request.connection if self._by_connection else None
        found = self._known.get(who)
        if found is not None:
            return found
        deny, allow = self._by_action.get(action, _NONE)
        found = (
            tuple(one for one in deny if one.is_about(names, request)),
            tuple(one for one in allow if one.is_about(names, request)),
        )
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[who] = found
        return found

    def asks_object_tags(self, action: str) -> bool:
        """True when a verdict on the action may depend on the tags that the object has."""
        return action in self._by_tags

    def check_named(self, knows: Callable[[str], Identity | None] | None, owner: str) -> None:
        """Raise MalformedPolicy when it has a name that nobody has, and so would mean nobody.

        :param knows: says whom an id or access key means; None where nobody can say
        :param owner: of the bucket, who may be named though his account may be gone
        """
        if knows is None:
            return
        named = {name for statement in self.statements for name in statement.principals}
        for name in sorted(named - {principals.EVERYONE}):
            word = principals.bare(name)
            found = knows(word)
            if found is None and word == owner:
                continue
            if found is None or not principals.has_name(found, name):
                raise refused("Invalid principal in policy", principals.word_of(name))


def _asks_object_tags(statement: Statement) -> bool:
    return any(one.key.startswith("s3:existingobjecttag/") for one in statement.conditions)


BROKEN = Policy(public=True, sound=False)


def load(data: bytes, bucket: str) -> Policy:
    """Return a stored policy; one that cannot be enforced is ``BROKEN``, and said in the log."""
    try:
        return parse(data, bucket)
    except S3Error as error:
        log.error(
            "the policy of bucket %s cannot be enforced, so only its owner may use it: %s%s",
            bucket,
            error.message,
            f": {error.detail['Detail']!r}" if error.detail.get("Detail") else "",
        )
        return BROKEN


# --- reading the document ------------------------------------------------------------------------


def parse(data: bytes, bucket: str) -> Policy:
    """Return the policy of a bucket. Raise MalformedPolicy with AWS's words where it has some."""
    if len(data) > BYTES:
        raise refused(
            f"Normalized policy document exceeds the maximum allowed size of {BYTES} bytes."
        )
    document = _document(data)
    _only(document, _ELEMENTS)
    version = document.get("Version", _VERSIONS[1])
    if version not in _VERSIONS:
        raise refused("The policy must contain a valid version string")
    if not isinstance(document.get("Id", ""), str):
        raise refused("Policy has an invalid Id")
    elements = document.get("Statement")
    if isinstance(elements, dict):
        elements = [elements]
    if not isinstance(elements, list) or not elements:
        raise refused("Missing required field Statement")
    _check_sids(elements)
    statements = tuple(_statement(one, bucket, version == _VERSIONS[0]) for one in elements)
    return Policy(statements, block.is_public(statements))


def _document(data: bytes) -> dict[str, Any]:
    if data[:1] != b"{":
        raise refused("Policies must be valid JSON and the first byte must be '{'")
    try:
        found = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()  # halves of surrogate pairs are no text
    except (ValueError, RecursionError) as error:
        message = "This policy contains invalid Json"
        raise refused(message) from error.with_traceback(None)
    document: dict[str, Any] = found
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _no_number(text: str) -> None:
    raise ValueError(text)


def _check_sids(elements: Iterable[Any]) -> None:
    sids = [one.get("Sid") for one in elements if isinstance(one, dict)]
    given = [sid for sid in sids if sid is not None]
    if not all(isinstance(sid, str) for sid in given):
        raise refused("Policy has an invalid Sid")
    if len(set(given)) < len(given):
        raise refused("Statement IDs (SID) in a single policy must be unique.")


def _statement(element: Any, bucket: str, variables: bool) -> Statement:
    if not isinstance(element, dict):
        raise refused("Policy has an invalid statement")
    _only(element, _STATEMENT)
    effect = element.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise refused("Missing required field Effect" if effect is None else "Invalid effect")
    (who, not_who), (what, not_what), (where, not_where) = (
        _one_of(element, *pair) for pair in _PAIRS
    )
    if not_who and effect == "Allow":
        raise refused("Allow with NotPrincipal is not allowed.")
    resources = _resources(where, bucket)
    statement = Statement(
        effect == "Allow",
        principals.parse(who),
        not_who,
        _actions(what, resources, inverted=not_what, everywhere=not_where),
        Patterns(resources, variables=variables),
        not_where,
        conditions.parse(element.get("Condition", {}), variables=variables),
        everywhere=not {f"{bucket}*", f"{bucket}/*"}.isdisjoint(resources),
    )
    _check_keys(statement, resources if variables else [], variables=variables)
    return statement


def _check_keys(statement: Statement, resources: list[str], *, variables: bool) -> None:
    """Raise MalformedPolicy for keys that the actions cannot have.

    One action that has the key is enough for a condition; a variable must have it for all.
    """
    texts = list(resources)
    for condition in statement.conditions:
        if condition.actions is not None and condition.actions.isdisjoint(statement.actions):
            raise refused(_NO_KEY, condition.key)
        if variables and condition.operator.startswith(("String", "Arn")):
            texts += condition.values
    for key in patterns.keys(texts):
        if key.actions is not None and not key.actions >= statement.actions:
            raise refused(_NO_KEY)


def _one_of(element: dict[str, Any], name: str, negated: str) -> tuple[Any, bool]:
    """Return the value of the one that is there, and whether it is the negated one."""
    if (name in element) is (negated in element):
        if name in element:
            raise refused(f"Statement has both {name} and {negated}")
        raise refused(f"Missing required field {name}")
    return (element[negated], True) if negated in element else (element[name], False)


def _words(element: Any, message: str) -> list[str]:
    words = element if isinstance(element, list) else [element]
    if not words or not all(isinstance(word, str) and word for word in words):
        raise refused(message)
    return words


def _resources(element: Any, bucket: str) -> list[str]:
    """Return patterns over ``bucket`` and ``bucket/key``; each must name this bucket."""
    message = "Policy has invalid resource"
    found = []
    for word in _words(element, message):
        behind = word.removeprefix(_ARN + bucket)
        if behind == word or behind[:1] not in ("", "/", "*"):
            raise refused(message, word)
        found.append(bucket + behind)
    return found


def _actions(
    element: Any, resources: list[str], *, inverted: bool, everywhere: bool
) -> frozenset[str]:
    """Return the actions that are meant, of those that act on the resources.

    :param inverted: it is a NotAction
    :param everywhere: the resources are those that are not meant
    """
    on_bucket = everywhere or any("/" not in path for path in resources)
    on_objects = everywhere or any("/" in path or "*" in path for path in resources)
    possible = frozenset(
        (actions.OF_BUCKETS if on_bucket else frozenset())
        | (actions.OF_OBJECTS if on_objects else frozenset())
    )
    meant: set[str] = set()
    for word in _words(element, "Policy has invalid action"):
        named = _named(word)
        if not named:
            raise refused("Policy has invalid action", word)
        if not inverted and named.isdisjoint(possible):
            raise refused("Action does not apply to any resource(s) in statement", word)
        meant |= named
    return possible - meant if inverted else possible & meant


def _named(word: str) -> frozenset[str]:
    pattern = Patterns((word,), variables=False, fold=True)
    if word == "*":
        return actions.KNOWN
    return frozenset(action for action in actions.KNOWN if pattern.match(action))


def _only(element: dict[str, Any], allowed: set[str]) -> None:
    for name in element:
        if name not in allowed:
            raise refused(f"Unknown field {name}")


def refused(message: str, word: str | None = None) -> S3Error:
    """The error of a policy, and the word in it that is meant."""
    return S3Error("MalformedPolicy", message, Detail=word)
