"""Whether AWS lets somebody do something, told by AWS's sentences about plain tuples and words.

It shares nothing with what it judges. A world is (statements, ownership setting, grants on the
bucket, (owner of the object, grants on it), are public grants ignored, is a public policy
restricted, is the request by TLS). A grant is (grantee, permission), the grantee an account or
``everyone`` or ``signed``. The bucket is ``owner``'s; ``boss`` is an administrator; anybody else is
a stranger, the empty name one who has not signed.

Source: Amazon S3, "How Amazon S3 authorizes a request", "Access control list (ACL) overview",
"Controlling ownership of objects", "Blocking public access"; AWS IAM, "JSON policy elements".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
PEOPLE = ("owner", "boss", "maker", "bob", "eve", "")
PERMISSIONS = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
ACL_ON_BUCKET = {
    "s3:ListBucket": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:PutObject": "WRITE",
    "s3:DeleteObject": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:PutBucketAcl": "WRITE_ACP",
}
ACL_ON_OBJECT = {
    "s3:GetObject": "READ",
    "s3:GetObjectVersion": "READ",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:PutObjectAcl": "WRITE_ACP",
}
ON_BUCKET = ("s3:ListBucket", "s3:GetBucketAcl", "s3:PutBucketAcl", "s3:PutBucketTagging",
             "s3:PutBucketPolicy", "s3:DeleteBucket", "s3:ListBucketMultipartUploads",
             "s3:ListBucketVersions", "s3:GetBucketCORS")  # fmt: skip
ON_OBJECT = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectAcl",
             "s3:PutObjectAcl", "s3:PutObjectTagging", "s3:AbortMultipartUpload",
             "s3:GetObjectVersion", "s3:PutObjectRetention")  # fmt: skip
# What the bucket's owner may do with what is another's
_WHOEVER_OWNS = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")


@dataclass(frozen=True)
class Statement:
    """One statement. ``inverted``: which of its elements is the ``Not`` one, if any."""

    effect: str
    principals: tuple[str, ...]  # names, or "*" alone
    actions: tuple[str, ...]  # names, or "*" alone
    resource: str  # bucket, all (objects), some (of them)
    inverted: str = ""
    tls: bool = False  # only of requests by TLS

    def speaks(self, who: str, action: str, key: str, secure: bool) -> bool:
        """Whether it is about a request; ``key`` is empty where a bucket is acted on."""
        named = self.principals == ("*",) or who in self.principals
        meant = self.actions == ("*",) or action in self.actions
        within = {"bucket": not key, "all": bool(key), "some": key.startswith("some/")}
        place = within[self.resource]
        if self.tls and not secure:
            return False
        return (
            named is not (self.inverted == "Principal")
            and meant is not (self.inverted == "Action")
            and place is not (self.inverted == "Resource")
        )

    def document(self, bucket: str) -> dict[str, Any]:
        """Return it as a policy has it."""
        place = {"bucket": "", "all": "/*", "some": "/some/*"}[self.resource]
        everyone = self.principals == ("*",)
        found = {
            "Effect": self.effect,
            "Principal": "*" if everyone else {"AWS": list(self.principals)},
            "Action": ["s3:*"] if self.actions == ("*",) else list(self.actions),
            "Resource": f"arn:aws:s3:::{bucket}{place}",
        }
        if self.inverted:
            found[f"Not{self.inverted}"] = found.pop(self.inverted)
        if self.tls:
            found["Condition"] = {"Bool": {"aws:SecureTransport": True}}
        return found


World = tuple[
    list[Statement],
    str,
    list[tuple[str, str]],
    tuple[str, list[tuple[str, str]]],
    bool,
    bool,
    bool,
]
EMPTY: World = ([], WRITER, [], ("eve", []), False, False, False)


def granted(found: Iterable[tuple[str, str]], permission: str, who: str, ignore: bool) -> bool:
    """Whether a list of (grantee, permission) grants something."""
    for grantee, what in found:
        if what in (permission, "FULL_CONTROL"):
            if grantee in ("everyone", "signed"):
                if not ignore and (who or grantee == "everyone"):
                    return True
            elif who == grantee:
                return True
    return False


def allows(who: str, action: str, key: str, world: World) -> bool:  # noqa: PLR0911
    """Whether AWS lets somebody do something; as many returns as there are sentences."""
    statements, setting, on_bucket, target, ignore, restrict, secure = world
    about = [one for one in statements if one.speaks(who, action, key, secure)]
    family = who in ("owner", "boss")
    managing = action == "s3:PutBucketPolicy"
    if any(one.effect == "Deny" for one in about) and not (family and managing):
        return False
    if restrict and not family and _is_public(statements):
        return False
    if who == "boss":
        return True
    owner_of_object = "owner" if setting == ENFORCED else target[0]
    if any(one.effect == "Allow" for one in about) and (
        not key or action in _WHOEVER_OWNS or owner_of_object == "owner"
    ):
        return family or not managing
    if action == "s3:AbortMultipartUpload":
        return who in ("owner", target[0]) and who != ""
    if setting == ENFORCED:
        return who == "owner"
    if action in ACL_ON_BUCKET:
        permission = ACL_ON_BUCKET[action]
        own = who == "owner" and permission.endswith("ACP")
        return own or granted(on_bucket, permission, who, ignore)
    if action in ACL_ON_OBJECT:
        permission = ACL_ON_OBJECT[action]
        own = who == owner_of_object and permission.endswith("ACP")
        return own or granted(target[1], permission, who, ignore)
    return who == "owner" or (action == "s3:PutObjectTagging" and who == owner_of_object)


def _is_public(statements: Collection[Statement]) -> bool:
    return any(one.effect == "Allow" and one.principals == ("*",) for one in statements)


# --- worlds --------------------------------------------------------------------------------------

_EFFECTS = st.sampled_from(["Allow", "Allow", "Deny"])
_NAMES = st.lists(st.sampled_from(PEOPLE[:-1]), min_size=1, max_size=2, unique=True).map(tuple)
_PRINCIPALS = st.just(("*",)) | _NAMES


def _statements(names: Collection[str], resources: list[str]) -> st.SearchStrategy[Statement]:
    some = st.lists(st.sampled_from(sorted(names)), min_size=1, unique=True).map(tuple)
    return st.builds(
        Statement,
        _EFFECTS,
        _PRINCIPALS,
        st.just(("*",)) | some,
        st.sampled_from(resources),
        st.sampled_from(["", "", "", "Principal", "Action", "Resource"]),
        st.booleans(),
    ).filter(_is_legal)


def _is_legal(one: Statement) -> bool:
    """S3 refuses an Allow of everyone but some; nobody and nothing are said by no statement."""
    if one.inverted == "Principal":
        return one.effect == "Deny" and one.principals != ("*",)
    return one.inverted != "Action" or one.actions != ("*",)


GRANTS = st.lists(
    st.tuples(
        st.sampled_from(["owner", "bob", "eve", "everyone", "signed"]),
        st.sampled_from(PERMISSIONS),
    ),
    max_size=4,
)
WORLDS: st.SearchStrategy[World] = st.tuples(
    st.lists(
        _statements(ON_BUCKET, ["bucket"]) | _statements(ON_OBJECT, ["all", "some"]), max_size=4
    ),
    st.sampled_from([ENFORCED, PREFERRED, WRITER, ""]),
    GRANTS,
    st.tuples(st.sampled_from(["owner", "eve"]), GRANTS),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
