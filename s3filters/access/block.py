"""Public access: what is public, and the four switches that keep it out.

An ACL is public when it grants anything to everyone or to everyone who has signed. A policy is
public unless each statement that allows names whom it allows, or is held to fixed values of the
keys below by a condition that a request without them does not fulfil. Source: Amazon S3, "Blocking
public access to your Amazon S3 storage", The meaning of "public".
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from s3filters.access.conditions import network
from s3filters.access.patterns import is_fixed
from s3filters.access.principals import EVERYONE
from s3filters.s3 import xml
from s3filters.s3.errors import S3Error

if TYPE_CHECKING:
    from s3filters.access.conditions import Condition
    from s3filters.access.grants import Acl
    from s3filters.access.policy import Policy, Statement

log = logging.getLogger(__name__)

ROOT = "PublicAccessBlockConfiguration"
# Keys that say who asks, and the operators that hold a request to their values
_WHO = frozenset({"aws:principalaccount", "aws:principalarn", "aws:userid"})
_HOLDING = frozenset(
    {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"}
)
_NARROWEST = {4: 8, 6: 32}  # a network with a shorter prefix is as good as everywhere
_PRIVATE = ipaddress.IPv6Network("fc00::/7")  # but this one; those of IPv4 are narrow enough


@dataclass(frozen=True, slots=True)
class Block:
    """The four switches; all off where nothing was set."""

    block_acls: bool = False  # refuse to store public ACLs
    ignore_acls: bool = False  # grants to the public count for nothing
    block_policy: bool = False  # refuse to store a public policy
    restrict_buckets: bool = False  # a bucket with a public policy is for its owner alone

    def __or__(self, other: Block) -> Block:
        """Return both together: bucket and gateway, of which the stricter counts."""
        return Block(
            self.block_acls or other.block_acls,
            self.ignore_acls or other.ignore_acls,
            self.block_policy or other.block_policy,
            self.restrict_buckets or other.restrict_buckets,
        )

    def check_acl(self, acl: Acl) -> None:
        """Raise AccessDenied when the ACL must not be stored."""
        if self.block_acls and acl.public:
            raise S3Error("AccessDenied", "Public access control lists are blocked here.")

    def check_policy(self, policy: Policy) -> None:
        """Raise AccessDenied when the policy must not be stored."""
        if self.block_policy and policy.public:
            raise S3Error("AccessDenied", "Public policies are blocked here.")


OFF = Block()
ON = Block(True, True, True, True)
_ELEMENTS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def parse(data: bytes) -> Block:
    """Return the document of PutPublicAccessBlock; what it leaves out is off.

    Raise MalformedXML.
    """
    root = xml.parse(data, ROOT)
    xml.only(root, _ELEMENTS)
    return Block(*(_switch(xml.text_of(root, name)) for name in _ELEMENTS))


def load(data: bytes) -> Block:
    """Return what is stored; all switches are on when that cannot be read."""
    try:
        return parse(data)
    except S3Error:
        log.error("a stored public access block cannot be read, so nothing is public")
        return ON


def render(block: Block) -> bytes:
    """Return the answer of GetPublicAccessBlock, which is what to store too."""
    values = [getattr(block, field.name) for field in fields(block)]
    return xml.render(ROOT, dict(zip(_ELEMENTS, values, strict=True)))


def render_status(policy: Policy) -> bytes:
    """Return the answer of GetBucketPolicyStatus."""
    return xml.render("PolicyStatus", {"IsPublic": policy.public})


def _switch(text: str | None) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False, "": False}
    word = (text or "").strip().lower()
    if word not in words:
        raise S3Error("MalformedXML")
    return words[word]


def is_public(statements: Iterable[Statement]) -> bool:
    """True when a policy of these statements is public."""
    return any(
        statement.allow
        and EVERYONE in statement.principals
        and not any(_holds_to_few(condition) for condition in statement.conditions)
        for statement in statements
    )


def _holds_to_few(condition: Condition) -> bool:
    if condition.if_missing:
        return False
    if condition.key == "aws:sourceip" and condition.operator == "IpAddress":
        return all(_is_narrow(value) for value in condition.values)
    return (
        condition.key in _WHO
        and condition.operator in _HOLDING
        and all(is_fixed(value) for value in condition.values)
    )


def _is_narrow(cidr: str) -> bool:
    found = network(cidr)
    if found.prefixlen >= _NARROWEST[found.version]:
        return True
    return isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_PRIVATE)
