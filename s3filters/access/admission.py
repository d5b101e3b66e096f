"""Which questions an operation puts to a bucket: a row for each kind of operation.

``admit`` decides what can be decided now, and leaves in the Call what the backend is to ask with an
object in hand (``checks``, ``source_checks``, ``permit``) or to store (``acl``). A copy is decided
for its source too, DeleteObjects for each of its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from s3filters.access import actions, facts, grants, ownership
from s3filters.access.asking import Asking, refusal
from s3filters.access.context import TagsNotRead
from s3filters.access.decision import BucketFacts, Denial, ObjectFacts
from s3filters.access.ownership import ENFORCED
from s3filters.s3 import table
from s3filters.s3.call import KNOWS, Check
from s3filters.s3.errors import S3Error

_PUT_TAGS = "s3:PutObjectTagging"
_PUT_ACL = "s3:PutObjectAcl"
_TO_BUCKET_OWNER = "bucket-owner-full-control"
_STORING = frozenset({"PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"})
_OF_UPLOADS = frozenset({"AbortMultipartUpload", "ListParts"})
_NAMING = frozenset({"PutBucketAcl", "PutBucketPolicy", "PutObjectAcl"})  # accounts, in the body
_SHOWING_TAGS = frozenset({"GetObject", "HeadObject"})
# Operations of which nothing is left in the call for somebody who may do everything
ONLY_ASKING = frozenset(name for name, row in table.OPERATIONS.items() if not row.writes)


def admit(asking: Asking) -> None:
    """Raise AccessDenied, or leave in the call what is still to be asked of its target."""
    _ADMIT.get(asking.call.operation, _to_what_is_there)(asking)


def admit_source(here: Asking, bucket: BucketFacts) -> None:
    """Decide on the source of a copy, as far as that can be done before it is opened.

    :param here: before the target's bucket
    :param bucket: of the source
    """
    call = here.call
    source = call.copy_source
    assert source is not None
    there = here.of_bucket(bucket, source.version_id)
    check = there.of_object(source.key, (actions.of_source(source.version_id),))
    checks: list[Check] = [check]
    if call.params.get("TaggingDirective") == "COPY":
        action = actions.of_tags(source.version_id)
        checks.append(partial(_tags_are_copied, there, here, source.key, action))
    call.source_checks = checks


def _to_what_is_there(asking: Asking) -> None:
    """Whatever acts on a bucket, or on an object that is there."""
    call = asking.call
    wanted = actions.of_call(call, asking.environ)
    if wanted[0] not in actions.OF_OBJECTS:
        for action in wanted:
            asking.demand(action)
        if table.OPERATIONS[call.operation].writes:
            call.checks.append(partial(_demand_of_bucket, asking, wanted))
    else:
        check = asking.of_object(call.key, wanted)
        if check.later or wanted[0] not in actions.OF_BUCKET_OWNER:
            call.checks.append(check)
        if call.operation in _SHOWING_TAGS:
            call.shows_tags = check.shows_tags
    if call.operation in _NAMING:
        call.grants = partial(grants.of_headers, asking.environ)
        call.knows = asking.environ.get(KNOWS)


def _demand_of_bucket(asking: Asking, wanted: Sequence[str], record: Any) -> None:
    """A check of a bucket's record under its lock: what others have changed since counts."""
    now = asking.of_bucket(facts.of_bucket(record, asking.facts.block))
    for action in wanted:
        now.demand(action)


def _to_new(asking: Asking) -> None:
    """Whatever makes an object: who may write it, whose it will be, and with which ACL."""
    call = asking.call
    first, *more = actions.of_call(call, asking.environ)
    asking.demand(first, call.key)
    if asking.requester is None and call.operation == "CreateMultipartUpload":
        message = "Anonymous users cannot initiate multipart uploads. Please authenticate."
        raise S3Error("AccessDenied", message)
    for action in more:
        _demand_of_new(asking, action)
    call.acl = _new_acl(asking)


def _demand_of_new(asking: Asking, action: str) -> None:
    """Demand, as its owner, what is done to a new object beside writing it.

    Where no ACL counts, those that are taken are what there is: whoever may write may send them
    unless a policy denies it. AWS's policies that require such a header allow s3:PutObject alone.
    Nor is anything else asked of whoever has not signed and gives the bucket's owner full control.
    """
    call, requester = asking.call, asking.requester
    key = call.key
    new = ObjectFacts("" if requester is None else requester.id)
    free = action == _PUT_ACL and (
        asking.facts.ownership == ENFORCED
        or (requester is None and asking.environ.get("HTTP_X_AMZ_ACL") == _TO_BUCKET_OWNER)
    )

    def demand(tags: Mapping[str, str] | None) -> None:
        denial = asking.denial(action, key, new, tags)
        if denial is not None and not (free and denial is Denial.NOT_GRANTED):
            raise refusal(denial, requester, action, asking.facts.name, key)

    try:
        demand(None)
        return
    except TagsNotRead:  # of what it replaces
        pass

    def check(record: Any) -> None:
        demand({} if record is None else asking.tags_of(record))

    call.checks.append(check)


def _new_acl(asking: Asking) -> bytes:
    """Return the ACL to store with a new object, nothing where it has the bucket owner's own."""
    environ, bucket = asking.environ, asking.facts
    canned = environ.get("HTTP_X_AMZ_ACL")
    owner = ownership.owner_of_new(bucket.ownership, bucket.owner, asking.requester, canned)
    acl = grants.of_headers(environ, owner, bucket.owner)
    if bucket.ownership == ENFORCED:
        ownership.check_acl(bucket.ownership, acl, bucket.owner)
        return b""
    if acl is None:
        return b"" if owner == bucket.owner else grants.encode(grants.private(owner))
    grants.check_grantees(acl, environ.get(KNOWS), bucket.owner)
    bucket.block.check_acl(acl)
    return grants.encode(acl)


def _to_upload(asking: Asking) -> None:
    """What an upload's initiator may do beside those whom the bucket lets."""
    call = asking.call
    key = call.key
    (action,) = actions.of_call(call, asking.environ)
    if asking.denial(action, key) is None:
        return

    def check(upload: Any) -> None:
        if upload is not None:
            asking.demand(action, key, ObjectFacts(upload.initiator))
        else:  # whoever could have begun it may know that it has ended
            asking.demand("s3:PutObject", key)

    call.checks.append(check)


def _to_deletions(asking: Asking) -> None:
    """DeleteObjects: without a policy all keys are alike, else each is asked for.

    But a grant to write does not let anybody delete versions, the one that there is among them.
    """
    if asking.facts.policy is None:
        asking.demand(actions.of_deletion(None))
        if asking.denial(actions.of_deletion("null")) is None:
            return

    def permit(key: str, version_id: str | None) -> Sequence[Check]:
        one = asking if version_id is None else asking.of_bucket(asking.facts, version_id)
        check = one.of_object(key, (actions.of_deletion(version_id),))
        return (check,) if check.later else ()

    asking.call.permit = permit


def _tags_are_copied(there: Asking, here: Asking, key: str, action: str, record: Any) -> None:
    """A check of a copy's source: its tags come along, which takes a permission on either side."""
    if record is not None and record.tags:
        there.demand(action, key, facts.of_object(record.acl), there.tags_of(record))
        _demand_of_new(here, _PUT_TAGS)


_ADMIT: dict[str, Callable[[Asking], None]] = {
    **dict.fromkeys(_STORING, _to_new),
    **dict.fromkeys(_OF_UPLOADS, _to_upload),
    "DeleteObjects": _to_deletions,
}
