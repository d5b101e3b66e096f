"""The decision: may this requester do this to that.

1. An explicit deny of the policy ends it, for administrators too. Only the owner of the bucket and
   administrators may always read, replace and delete the policy, so that nobody is locked out.
2. An administrator may do everything else, as the root of the account that owns all buckets.
3. A bucket with a public policy that is restricted, and one whose policy was not understood, is for
   its owner and administrators alone.
4. What the policy allows is allowed; on objects, for those that the bucket's owner owns.
5. The owner of the bucket may do the rest. But where ACLs count, what an ACL can grant is by the
   ACL, for owners too, who yet always read and write it; whoever began an upload may end it.
6. All else is denied.

Source: Amazon S3, "How Amazon S3 authorizes a request", for a bucket and for an object operation.
Facts are loaded by the caller, once a request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from s3filters.access import actions, principals
from s3filters.access.block import OFF, Block
from s3filters.access.context import Connection, Context
from s3filters.access.grants import Acl
from s3filters.access.ownership import ENFORCED
from s3filters.access.policy import Policy, Verdict
from s3filters.access.principals import ADMIN, USERPLUS, Requester
from s3filters.s3.call import ROLES
from s3filters.s3.errors import S3Error

_OWNERS = (actions.READ_ACP, actions.WRITE_ACP)  # what an owner keeps whatever the ACL says
_BUCKETS_SIDE = actions.OF_BUCKETS | actions.OF_BUCKET_OWNER
_OF_SERVICE = {actions.LIST_BUCKETS: ROLES, actions.CREATE_BUCKET: (ADMIN, USERPLUS)}
_MOST_GRANTED = 256
# Who may do what, over which connection or with an object of which ACL as it is stored
Granted = tuple[Requester | None, str, Connection | bytes]
_UPLOADS = frozenset({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"})


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """What a bucket says about access. ``owner`` is empty when it is nobody's.

    ``granted`` remembers what was decided for all keys, and for all requests of a connection or
    for all objects with an ACL.
    """

    name: str
    owner: str
    ownership: str = ""
    acl: Acl | None = None
    policy: Policy | None = None
    block: Block = OFF  # of bucket and gateway together
    granted: set[Granted] = field(default_factory=set, init=False, repr=False, compare=False)

    def remember(self, granted: Granted) -> None:
        """Remember that somebody may do something, whatever else he says."""
        if len(self.granted) >= _MOST_GRANTED:
            self.granted.clear()
        self.granted.add(granted)


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What an object says; of an upload ``owner`` is its initiator.

    An empty owner is the bucket's: the file of another program, an object of Versity's gateway.
    """

    owner: str = ""
    acl: Acl | None = None


MISSING = ObjectFacts()  # where there is no object; known by identity


class Denial(Enum):
    """Why not, for the log; ``error`` is what the client is told."""

    BY_POLICY = "explicit deny in the bucket policy"
    BROKEN_POLICY = "the bucket policy is not understood"
    RESTRICTED = "the bucket has a public policy and is restricted to its owner"
    NOT_OWNER = "only the bucket owner's account may do this, whatever the policy allows"
    NOT_GRANTED = "neither policy nor ACL allows it"
    ROLE = "the role of the account does not include it"
    ANONYMOUS = "the request is not signed"

    def error(self) -> S3Error:
        """Return the error: MethodNotAllowed where S3 tells so, else AccessDenied."""
        code = "MethodNotAllowed" if self is Denial.NOT_OWNER else "AccessDenied"
        return S3Error(code)


def decide(
    requester: Requester | None,
    action: str,
    bucket: BucketFacts,
    key: str = "",
    target: ObjectFacts | None = None,
    request: Context | None = None,
) -> Denial | None:
    """Return None when the requester may, else why not.

    :param action: of ``actions.KNOWN``, on the bucket or on the key in it
    :param target: the object as it is now, None when nobody has looked, which is enough where
        ``needs_target`` says so; ``MISSING`` asks who may learn that there is none: whoever may
        list the bucket
    :param request: for conditions; only a bucket with a policy needs it

    Raise TagsNotRead when the policy asks for tags that the request has not read yet.
    """
    owns = requester is not None and bucket.owner in requester.ids
    rules = requester is not None and requester.role == ADMIN
    inside, allowed = owns or rules, False
    if bucket.policy is not None:
        found = _by_policy(requester, action, bucket, key, request, inside)
        if isinstance(found, Denial):
            return found
        allowed = found and _is_bucket_owners(action, bucket, target)
    if target is MISSING and action not in _BUCKETS_SIDE:
        return decide(requester, "s3:ListBucket", bucket, request=request)
    if allowed and action in actions.OF_POLICY and not inside:
        return Denial.NOT_OWNER
    if rules or (owns and (bucket.ownership == ENFORCED or _beyond_acls(action))):
        return None
    allowed = allowed or _by_acl(requester, action, bucket, target)
    return None if allowed else Denial.NOT_GRANTED


def may_everything(requester: Requester | None, bucket: BucketFacts) -> bool:
    """True when the requester may do everything in the bucket, so that nothing needs to be asked.

    False says nothing: ``decide`` does.
    """
    if requester is None or bucket.policy is not None:
        return False
    if requester.role == ADMIN:
        return True
    return bucket.ownership == ENFORCED and bucket.owner in requester.ids


def _by_policy(
    requester: Requester | None,
    action: str,
    bucket: BucketFacts,
    key: str,
    request: Context | None,
    inside: bool,
) -> Denial | bool:
    """Return what the policy refuses, or whether it allows."""
    policy = bucket.policy
    if policy is None or request is None:
        raise TypeError("a policy is asked with a request")
    if not policy.sound:
        return False if inside else Denial.BROKEN_POLICY
    resource = f"{bucket.name}/{key}" if action in actions.OF_OBJECTS else bucket.name
    verdict = policy.verdict(action, resource, principals.names_of(requester), request)
    if verdict is Verdict.DENY and not (inside and action in actions.OF_POLICY):
        return Denial.BY_POLICY
    if policy.public and bucket.block.restrict_buckets and not inside:
        return Denial.RESTRICTED
    return verdict is Verdict.ALLOW


def _is_bucket_owners(action: str, bucket: BucketFacts, target: ObjectFacts | None) -> bool:
    """True when the bucket's owner has the action to give."""
    if bucket.ownership == ENFORCED or action in _BUCKETS_SIDE:
        return True
    return target is not None and target.owner in ("", bucket.owner)


def _beyond_acls(action: str) -> bool:
    return action not in actions.BY_BUCKET_ACL and action not in actions.BY_OBJECT_ACL


def _by_acl(
    requester: Requester | None, action: str, bucket: BucketFacts, target: ObjectFacts | None
) -> bool:
    """True when an ACL allows it, or being the owner of the object or upload."""
    if action in _UPLOADS:
        return target is not None and _is(requester, target.owner)
    if bucket.ownership == ENFORCED:
        return False
    permission = actions.BY_BUCKET_ACL.get(action)
    if permission is not None:
        return _granted(requester, permission, bucket.acl, bucket.owner, bucket.block)
    return _by_object(requester, action, bucket, target)


def _by_object(
    requester: Requester | None, action: str, bucket: BucketFacts, target: ObjectFacts | None
) -> bool:
    permission = actions.BY_OBJECT_ACL.get(action)
    if target is None or (permission is None and action not in actions.OF_OBJECT_OWNER):
        return False
    owner = target.owner or bucket.owner
    if permission is None:
        return _is(requester, owner)
    return _granted(requester, permission, target.acl, owner, bucket.block)


def _granted(
    requester: Requester | None, permission: str, acl: Acl | None, owner: str, block: Block
) -> bool:
    if _is(requester, owner) and (acl is None or permission in _OWNERS):
        return True
    return acl is not None and acl.allows(permission, requester, ignore_public=block.ignore_acls)


def _is(requester: Requester | None, id_: str) -> bool:
    return requester is not None and id_ in requester.ids


def needs_target(action: str, bucket: BucketFacts) -> bool:
    """True when the decision may depend on the object: its owner, its ACL, its tags."""
    if action not in actions.OF_OBJECTS:
        return False
    if bucket.policy is not None and bucket.policy.asks_object_tags(action):
        return True
    return action in _UPLOADS or (bucket.ownership != ENFORCED and action not in _BUCKETS_SIDE)


def decide_service(requester: Requester | None, action: str) -> Denial | None:
    """Decide on what is asked of the service and of no bucket, which no policy speaks of.

    Every account may list buckets (its own), those of more than the least role may create them, and
    administrators do what else there is.
    """
    if requester is None:
        return Denial.ANONYMOUS
    return None if requester.role in _OF_SERVICE.get(action, (ADMIN,)) else Denial.ROLE
