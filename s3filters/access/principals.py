"""Who asks, and whom a policy names.

A requester is matched by names: each form that a policy or a grant may use for him is in his set,
made once for a key pair and not once for a request. A policy's principals are such a set too, so
the question is whether two sets meet. There are no roles, sessions, federated users or services
here; a policy that names one is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from s3filters.s3.call import ROLES, Identity
from s3filters.s3.errors import S3Error

ADMIN, USERPLUS, USER = ROLES
EVERYONE = "*"
ANONYMOUS = "65a011a29cdf8ec533ec3d1ccaae921c"  # AWS's canonical id of whoever has not signed

_IAM = "arn:aws:iam::"
_ARN = re.compile(r"arn:aws:iam::[!-)+-9;->@-~]*:(?:root|user/[!-)+->@-~]+)", re.ASCII)
_BARE = re.compile(r"[!-)+-9;->@-~]{1,128}", re.ASCII)  # account number, id or access key
_NOBODY: frozenset[str] = frozenset({EVERYONE})
_MOST_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class Requester:
    """Whoever signed a request; who did not sign is None.

    :param id: canonical id of the account, which owners and grants show
    :param access_keys: of the account; a policy or grant that names one means the account
    :param account: the account's number, the id where there is none
    :param name: of the user in the account, for ``aws:username``; the id where there is none. As in
        AWS, users of several accounts may have the same
    """

    id: str
    access_keys: tuple[str, ...] = ()
    role: str = USER
    account: str = ""
    name: str = ""
    ids: frozenset[str] = field(init=False, compare=False)  # in owners and grants
    names: frozenset[str] = field(init=False, compare=False)  # in policies
    arn: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Work out every name."""
        account, name = self.account or self.id, self.name or self.id
        ids = frozenset(word for word in (self.id, *self.access_keys) if word)
        arn = f"{_IAM}{account}:user/{name}"
        roots = {f"{_IAM}{word}:root" for word in (account, self.id)}
        more = {EVERYONE, arn, f"{_IAM}:user/{self.id}", _canonical(self.id)}
        # With a colon a word is of a form above, which may be somebody else's.
        bare = {word for word in (*ids, account) if ":" not in word}
        object.__setattr__(self, "account", account)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "arn", arn)
        object.__setattr__(self, "names", frozenset(bare | roots | more))

    def __hash__(self) -> int:
        """By what has its hash already: requesters are looked up once a request."""
        return hash(self.names)


_known: dict[str, tuple[Identity, Requester]] = {}  # by access key


def of(identity: Identity) -> Requester:
    """Return the requester of an identity, by the one key that it tells."""
    known = _known.get(identity.access_key)
    if known is not None and known[0] is identity:  # a key's is made anew only when it changes
        return known[1]
    made = _made(identity)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[identity.access_key] = identity, made
    return made


def _made(identity: Identity) -> Requester:
    key, name = identity.access_key, identity.display_name
    return Requester(identity.id, (key,), identity.role, name=name)


def has_name(identity: Identity, name: str) -> bool:
    """True when a name in a policy means somebody."""
    return name in _made(identity).names


def names_of(requester: Requester | None) -> frozenset[str]:
    """Return what policies may call a requester."""
    return _NOBODY if requester is None else requester.names


def parse(element: Any) -> frozenset[str]:
    """Return the names in a Principal or NotPrincipal. Raise MalformedPolicy."""
    if element == EVERYONE:
        return _NOBODY
    if not isinstance(element, dict) or not element:
        raise _invalid()
    found: set[str] = set()
    for kind, value in element.items():
        words = value if isinstance(value, list) else [value]
        check = _CHECKS.get(kind)
        if check is None or not words or not all(isinstance(word, str) for word in words):
            raise _invalid(kind)
        found.update(check(word) for word in words)
    return frozenset(found)


def bare(name: str) -> str:
    """Return the account, id or key that a name in a policy stands for, for a look-up."""
    if name.startswith(_IAM):
        account, _, user = name[len(_IAM) :].partition(":")
        return account or user.removeprefix("user/")
    return word_of(name)


def word_of(name: str) -> str:
    """Return a name as it stands in the policy."""
    return name.removeprefix(_canonical(""))


def _aws(word: str) -> str:
    if word == EVERYONE or _ARN.fullmatch(word) or _BARE.fullmatch(word):
        return word
    raise _invalid(word)


def _canonical_user(word: str) -> str:
    if _BARE.fullmatch(word):
        return _canonical(word)
    raise _invalid(word)


def _canonical(id_: str) -> str:
    return f"canonical:{id_}"  # no bare word has a colon


_CHECKS = {"AWS": _aws, "CanonicalUser": _canonical_user}


def _invalid(word: str | None = None) -> S3Error:
    return S3Error("MalformedPolicy", "Invalid principal in policy", Detail=word)
