"""What is known of a bucket and of an object, from what lies on disk.

Settings are raw values under short names, as the store reads them. Where records are read anew for
each request, what they hold is not taken apart anew: the parsed forms are kept by the raw ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from s3filters.access import block, grants, ownership, policy
from s3filters.access.block import Block
from s3filters.access.decision import BucketFacts, ObjectFacts
from s3filters.access.grants import Acl
from s3filters.access.ownership import ENFORCED


def of_bucket(record: Any, gateway: Block = block.OFF) -> BucketFacts:
    """Return what a bucket's record says about access.

    :param record: has ``name``, ``owner`` (canonical id, empty for nobody) and ``settings``
    :param gateway: switches that are on for every bucket

    A bucket that nobody owns has no ACLs: a directory that another program made.
    """
    raw = record.settings
    setting = ownership.load(raw.get("ownership", b""))
    switches = raw.get("public-access-block")
    document = raw.get("policy")
    return BucketFacts(
        record.name,
        record.owner,
        setting if setting or record.owner else ENFORCED,
        _acl(raw.get("acl", b"")),
        None if document is None else _policy(document, record.name),
        gateway if switches is None else gateway | block.load(switches),
    )


@lru_cache(maxsize=1024)
def of_object(acl: bytes) -> ObjectFacts:
    """Return what an object says about access by its ACL as it is stored, empty for none."""
    if not acl:
        return ObjectFacts()
    found = grants.decode(acl)
    return ObjectFacts(found.owner, found)


@lru_cache(maxsize=1024)
def _acl(raw: bytes) -> Acl:
    return grants.decode(raw)


@lru_cache(maxsize=64)
def _policy(raw: bytes, bucket: str) -> policy.Policy:
    return policy.load(raw, bucket)
