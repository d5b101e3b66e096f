"""Object ownership: whose a new object is, and whether ACLs count at all.

With ``BucketOwnerEnforced``, which new buckets have, everything is the bucket owner's and no ACL
counts. With the others the writer owns what he wrote, or the bucket's owner where
``BucketOwnerPreferred`` meets the canned ACL ``bucket-owner-full-control``. A bucket without the
setting is as with ``ObjectWriter``. Source: Amazon S3, "Controlling ownership of objects".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from s3filters.access import grants
from s3filters.access.grants import Acl
from s3filters.access.principals import ANONYMOUS, Requester
from s3filters.s3 import xml
from s3filters.s3.errors import S3Error

ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
SETTINGS = (ENFORCED, PREFERRED, WRITER)
HEADER = "HTTP_X_AMZ_OBJECT_OWNERSHIP"


def parse(data: bytes) -> str:
    """Return the setting in the document of PutBucketOwnershipControls. Raise MalformedXML."""
    root = xml.parse(data, "OwnershipControls")
    xml.only(root, ("Rule",))
    rules = root.findall("Rule")
    if len(rules) != 1:
        raise S3Error("MalformedXML")
    xml.only(rules[0], ("ObjectOwnership",))
    setting = xml.text_of(rules[0], "ObjectOwnership")
    if setting not in SETTINGS:
        raise S3Error("MalformedXML")
    return setting


def render(setting: str) -> bytes:
    """Return the answer of GetBucketOwnershipControls."""
    return xml.render("OwnershipControls", {"Rule": {"ObjectOwnership": setting}})


def of_header(environ: Mapping[str, Any]) -> str:
    """Return the setting that CreateBucket asks for. Raise InvalidArgument."""
    setting: str = environ.get(HEADER) or ENFORCED
    if setting not in SETTINGS:
        name = "x-amz-object-ownership"
        message = f"Invalid {name} header: {setting}"
        raise S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=setting)
    return setting


def load(data: bytes) -> str:
    """Return the setting in a bucket's attribute, empty for none, the strictest for nonsense."""
    text = data.decode("utf-8", "replace").strip()
    return text if text in SETTINGS or not text else ENFORCED


def check_acl(setting: str, acl: Acl | None, bucket_owner: str) -> None:
    """Raise AccessControlListNotSupported for an ACL that would not count.

    Full control for the bucket's owner is what there is, so it may be asked for in any form.
    """
    if setting != ENFORCED or acl is None:
        return
    full = grants.private(bucket_owner).grants[0]
    if full not in acl.grants or acl.users() - {bucket_owner, acl.owner}:
        raise S3Error("AccessControlListNotSupported")
    if any(grant.kind != grants.USER for grant in acl.grants):
        raise S3Error("AccessControlListNotSupported")


def check_setting(setting: str, acl: Acl | None, bucket_owner: str) -> None:
    """Raise InvalidBucketAclWithObjectOwnership when the bucket's ACL grants more than that."""
    if setting == ENFORCED and acl is not None:
        more = [grant for grant in acl.grants if grant.grantee != bucket_owner]
        if more:
            raise S3Error("InvalidBucketAclWithObjectOwnership")


def owner_of_new(
    setting: str, bucket_owner: str, requester: Requester | None, canned: str | None = None
) -> str:
    """Return the id of whoever owns what the requester puts now.

    :param canned: the canned ACL of the request, if any
    """
    if setting == ENFORCED:
        return bucket_owner
    if setting == PREFERRED and canned == "bucket-owner-full-control":
        return bucket_owner
    return ANONYMOUS if requester is None else requester.id


def shown(setting: str, acl: Acl | None, bucket_owner: str, owner: str) -> Acl:
    """Return the ACL to answer: without ACLs, that the bucket's owner has full control."""
    if setting == ENFORCED:
        return grants.private(bucket_owner)
    return grants.private(owner) if acl is None else acl
