"""Actions: what S3's permissions are called, what they act on, and which ACL permission has them.

Source: AWS, "Actions, resources, and condition keys for Amazon S3", and "Access control list (ACL)
overview", mapping of ACL permissions. Names that nothing here asks for are known too: a policy may
name them, and what it says of them is true of every request there can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from s3filters.s3 import table
from s3filters.s3.call import Call

LIST_BUCKETS, CREATE_BUCKET = "s3:ListAllMyBuckets", "s3:CreateBucket"
READ, WRITE, READ_ACP, WRITE_ACP, FULL = "READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"

# Actions that no operation of the routing table has for its own, beside "Version" ones below
_OTHERS = (
    "BypassGovernanceRetention",
    "DeleteBucketOwnershipControls",
    "GetObjectVersionForReplication",
    "InitiateReplication",
    "ObjectOwnerOverrideToBucketOwner",
    "ReplicateDelete",
    "ReplicateObject",
    "ReplicateTags",
)
# An action on a version that the request names -> the action on the object
_VERSIONS = {
    "s3:GetObjectVersion": "s3:GetObject",
    "s3:GetObjectVersionAcl": "s3:GetObjectAcl",
    "s3:PutObjectVersionAcl": "s3:PutObjectAcl",
    "s3:GetObjectVersionTagging": "s3:GetObjectTagging",
    "s3:PutObjectVersionTagging": "s3:PutObjectTagging",
    "s3:DeleteObjectVersionTagging": "s3:DeleteObjectTagging",
    "s3:GetObjectVersionAttributes": "s3:GetObjectAttributes",
    "s3:GetObjectVersionTorrent": "s3:GetObjectTorrent",
    "s3:DeleteObjectVersion": "s3:DeleteObject",
}
_OF_VERSION = {action: version for version, action in _VERSIONS.items()}

KNOWN: frozenset[str] = frozenset(
    {row.permission for row in table.OPERATIONS.values() if row.permission.startswith("s3:")}
    | {f"s3:{name}" for name in _OTHERS}
    | set(_VERSIONS)
    | set(_VERSIONS.values())
)
OF_OBJECTS: frozenset[str] = frozenset(
    action
    for action in KNOWN
    if ("Object" in action and "Bucket" not in action) or action.startswith("s3:Replicate")
) | {
    "s3:AbortMultipartUpload",
    "s3:BypassGovernanceRetention",
    "s3:InitiateReplication",
    "s3:ListMultipartUploadParts",
    "s3:ObjectOwnerOverrideToBucketOwner",
}
OF_BUCKETS: frozenset[str] = KNOWN - OF_OBJECTS - {LIST_BUCKETS}

# What a permission in the ACL of a bucket allows. AWS words WRITE in two ways: create alone for
# whoever does not own the object that is there, or any object. S3 itself, and all that is built
# after it, does the second.
BY_BUCKET_ACL: dict[str, str] = {
    "s3:ListBucket": READ,
    "s3:ListBucketVersions": READ,
    "s3:ListBucketMultipartUploads": READ,
    "s3:PutObject": WRITE,
    "s3:DeleteObject": WRITE,
    "s3:GetBucketAcl": READ_ACP,
    "s3:PutBucketAcl": WRITE_ACP,
}
BY_OBJECT_ACL: dict[str, str] = {
    "s3:GetObject": READ,
    "s3:GetObjectVersion": READ,
    "s3:GetObjectTorrent": READ,
    "s3:GetObjectVersionTorrent": READ,
    "s3:GetObjectAcl": READ_ACP,
    "s3:GetObjectVersionAcl": READ_ACP,
    "s3:PutObjectAcl": WRITE_ACP,
    "s3:PutObjectVersionAcl": WRITE_ACP,
}
# What the owner of a bucket may do with objects that are another's
OF_BUCKET_OWNER = frozenset({
    "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:RestoreObject",
    "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts",
})  # fmt: skip
# What the owner of an object may do besides
OF_OBJECT_OWNER = frozenset({
    "s3:GetObjectTagging", "s3:PutObjectTagging", "s3:DeleteObjectTagging",
    "s3:GetObjectVersionTagging", "s3:PutObjectVersionTagging", "s3:DeleteObjectVersionTagging",
    "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes",
})  # fmt: skip
OF_POLICY = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})

# Headers of a new object that ask for more than to write it
_STORING = frozenset({"PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"})
_BY_HEADER: dict[str, str] = {
    "HTTP_X_AMZ_ACL": "s3:PutObjectAcl",
    "HTTP_X_AMZ_GRANT_FULL_CONTROL": "s3:PutObjectAcl",
    "HTTP_X_AMZ_GRANT_READ": "s3:PutObjectAcl",
    "HTTP_X_AMZ_GRANT_READ_ACP": "s3:PutObjectAcl",
    "HTTP_X_AMZ_GRANT_WRITE": "s3:PutObjectAcl",
    "HTTP_X_AMZ_GRANT_WRITE_ACP": "s3:PutObjectAcl",
    "HTTP_X_AMZ_TAGGING": "s3:PutObjectTagging",
    "HTTP_X_AMZ_OBJECT_LOCK_MODE": "s3:PutObjectRetention",
    "HTTP_X_AMZ_OBJECT_LOCK_RETAIN_UNTIL_DATE": "s3:PutObjectRetention",
    "HTTP_X_AMZ_OBJECT_LOCK_LEGAL_HOLD": "s3:PutObjectLegalHold",
}
_HEADERS = _BY_HEADER.keys()
_OF_OPERATION = {name: (row.permission,) for name, row in table.OPERATIONS.items()} | {
    "GetObjectAttributes": ("s3:GetObject", "s3:GetObjectAttributes")
}


def of_call(call: Call, environ: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the actions on what the call's path names; all of them must be allowed.

    DeleteObjects asks for its one action for each of its keys; a copy asks ``of_source`` besides.
    """
    wanted: tuple[str, ...] = _OF_OPERATION[call.operation]
    if call.operation in _STORING and not _HEADERS.isdisjoint(environ):
        more = (need for key, need in _BY_HEADER.items() if environ.get(key))
        wanted += tuple(dict.fromkeys(more))
    if call.version_id is not None:
        return tuple(_OF_VERSION.get(action, action) for action in wanted)
    return wanted


def of_source(version_id: str | None) -> str:
    """Return the action that a copy needs on its source."""
    return "s3:GetObject" if version_id is None else "s3:GetObjectVersion"


def of_tags(version_id: str | None) -> str:
    """Return the action that is needed to learn of an object's tags."""
    return "s3:GetObjectTagging" if version_id is None else "s3:GetObjectVersionTagging"


def of_deletion(version_id: str | None) -> str:
    """Return the action that DeleteObjects needs on one of its keys."""
    return "s3:DeleteObject" if version_id is None else "s3:DeleteObjectVersion"
