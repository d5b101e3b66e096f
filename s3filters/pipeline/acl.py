"""acl: who may do what.

Every request is decided here, before anything is touched, from the record of its bucket, which is
read once and handed on in the Call. What depends on the object as it is, its owner, its ACL or its
tags, becomes a check that the backend calls with the object's record in hand: under the key's lock
where something changes, so there is no moment between the decision and the act. So does the
question whether somebody may learn that there is no object: without ``s3:ListBucket`` a missing key
is AccessDenied. A copy is decided for its source too, DeleteObjects for each of its keys.

Administrators may do all that no policy denies them, among them every key that has no account. The
app at the end of the pipeline must tell what is known of a bucket (``bucket_facts``, as ``fs``
does). Before one that cannot, administrators alone are let through, and the log says so. Without
this filter there are no access checks, and headers that ask for grants are refused.

Ini options of ``[filter:acl]`` are the fields of Options below.

Gates every operation.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Protocol

from s3filters import options
from s3filters.access import actions, block, grants, ownership, policy, principals
from s3filters.access.block import Block
from s3filters.access.context import Context, TagsNotRead
from s3filters.access.decision import (
    MISSING,
    BucketFacts,
    Denial,
    ObjectFacts,
    decide,
    decide_service,
    needs_target,
)
from s3filters.access.grants import Acl as AccessControlList
from s3filters.access.ownership import ENFORCED
from s3filters.access.principals import ADMIN, Requester
from s3filters.pipeline.base import App, Filter
from s3filters.s3.call import KEY, Call, Check
from s3filters.s3.errors import S3Error

log = logging.getLogger("s3filters.pipeline")

_MOST_KNOWN = 10_000  # buckets
_GET_TAGS, _PUT_TAGS = "s3:GetObjectTagging", "s3:PutObjectTagging"
_STORING = frozenset({"PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"})
_OF_UPLOADS = frozenset({"AbortMultipartUpload", "ListParts"})
_SETTING_ACLS = frozenset({"PutBucketAcl", "PutObjectAcl"})


@dataclass(frozen=True, slots=True)
class Options:
    """Options of acl: whether the public is let in, and the four switches for every bucket."""

    anonymous: bool = options.option(
        True,
        options.boolean,
        "Consider requests that are not signed: they may do what grants and policies give to "
        "everyone. false refuses them all.",
    )
    block_public_acls: bool = options.option(
        False, options.boolean, "Refuse to store ACLs that grant to everyone or to all who sign."
    )
    ignore_public_acls: bool = options.option(
        False, options.boolean, "Let grants to everyone, and to all who sign, count for nothing."
    )
    block_public_policy: bool = options.option(
        False, options.boolean, "Refuse to store bucket policies that are public."
    )
    restrict_public_buckets: bool = options.option(
        False,
        options.boolean,
        "Let nobody but owner and administrators into a bucket whose policy is public.",
    )


class Provider(Protocol):
    """The app that knows the buckets."""

    def bucket_facts(self, bucket: str) -> Any:
        """Return the bucket's record: owner and settings, raw. Raise NoSuchBucket."""

    def object_tags(self, record: Any) -> Mapping[str, str]:
        """Return the tags of an object."""


class Acl(Filter):
    """Decides every request."""

    def __init__(self, app: App, settings: Options) -> None:
        super().__init__(app)
        self._anonymous = settings.anonymous
        self._block = Block(
            settings.block_public_acls,
            settings.ignore_public_acls,
            settings.block_public_policy,
            settings.restrict_public_buckets,
        )
        self._known: dict[str, tuple[Any, BucketFacts]] = {}
        self._provider = _provider(app)
        if self._provider is None:
            log.warning("acl: no app behind it knows buckets, so only administrators are let in")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Decide and pass on. An S3Error becomes the reply."""
        call: Call | None = environ.get(KEY)
        if call is None:
            return self.app(environ, start_response)
        app: App
        try:
            self.admit(call, environ)
            app = self._below.get(call.operation) or self._find_below(call.operation)
        except S3Error as error:
            app = error.bare()
        return app(environ, start_response)

    def has(self, operation: str) -> bool:
        """Every operation is decided."""
        return True

    def admit(self, call: Call, environ: Mapping[str, Any]) -> None:
        """Raise AccessDenied, or NoSuchBucket; else leave in the call what is still to be asked."""
        call.guarded = True
        identity = call.identity
        requester = None if identity is None else principals.of(identity)
        if requester is None and not self._anonymous:
            raise S3Error("AccessDenied")
        provider = self._provider
        if provider is None:
            if requester is None or requester.role != ADMIN:
                raise S3Error("AccessDenied")
        elif not call.bucket or call.operation == "CreateBucket":
            self._admit_to_service(call, environ, requester)
        else:
            call.bucket_record, call.facts = self._facts(provider, call.bucket)
            asking = _Asking(requester, call.facts, call, environ, provider)
            admit = _ADMIT.get(call.operation, _admit_to_object)
            admit(asking)
            if call.copy_source is not None:
                self._admit_to_source(provider, asking)

    def _facts(self, provider: Provider, bucket: str) -> tuple[Any, BucketFacts]:
        record = provider.bucket_facts(bucket)
        known = self._known.get(bucket)
        if known is not None and known[0] is record:
            return known
        facts = facts_of(record, self._block)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[bucket] = found = record, facts
        return found

    def _admit_to_service(
        self, call: Call, environ: Mapping[str, Any], requester: Requester | None
    ) -> None:
        creates = call.operation == "CreateBucket"
        action = actions.CREATE_BUCKET if creates else actions.LIST_BUCKETS
        denial = decide_service(requester, action)
        if denial is not None or requester is None:
            raise _refused(denial or Denial.ANONYMOUS, requester, action, call.bucket)
        if creates:
            call.settings = self._new_bucket(environ, requester.id)
        elif requester.role != ADMIN:
            call.owners = requester.ids

    def _new_bucket(self, environ: Mapping[str, Any], owner: str) -> dict[str, bytes] | None:
        """Return the settings that a new bucket is asked to have; None for those of any other."""
        acl = grants.of_headers(environ, owner)
        if acl is None and ownership.HEADER not in environ:
            return None
        setting = ownership.of_header(environ)
        ownership.check_setting(setting, acl, owner)
        if acl is None:
            acl = grants.private(owner)
        self._block.check_acl(acl)
        return {"acl": grants.encode(acl), "ownership": setting.encode()}

    def _admit_to_source(self, provider: Provider, asking: _Asking) -> None:
        """Decide on the source of a copy, as far as that can be done before it is opened."""
        call = asking.call
        source = call.copy_source
        assert source is not None
        facts = call.facts
        if source.bucket != call.bucket:
            _, facts = self._facts(provider, source.bucket)
        there = _Asking(asking.requester, facts, call, asking.environ, provider)
        check = there.of_object(source.key, (actions.of_source(source.version_id),))
        checks: list[Check] = [check]
        if call.params.get("TaggingDirective") == "COPY":
            checks.append(partial(_tags_are_copied, there, asking, source.key))
        call.source_checks = checks


# --- what is known -------------------------------------------------------------------------------


def _provider(app: Any) -> Provider | None:
    while app is not None and not hasattr(app, "bucket_facts"):
        app = getattr(app, "app", None)
    return app  # type: ignore[no-any-return]


def facts_of(record: Any, gateway: Block = block.OFF) -> BucketFacts:
    """Return what a bucket's record says about access.

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


# Where records are read anew for each request, what they hold is not taken apart anew.
@lru_cache(maxsize=4096)
def _acl(raw: bytes) -> AccessControlList:
    return grants.decode(raw)


@lru_cache(maxsize=1024)
def _policy(raw: bytes, bucket: str) -> policy.Policy:
    return policy.load(raw, bucket)


@lru_cache(maxsize=4096)
def _object_facts(raw: bytes) -> ObjectFacts:
    if not raw:
        return ObjectFacts()
    acl = grants.decode(raw)
    return ObjectFacts(acl.owner, acl)


# --- asking --------------------------------------------------------------------------------------


class _Asking:
    """A request before a bucket."""

    __slots__ = ("_context", "call", "environ", "facts", "provider", "requester")

    def __init__(
        self,
        requester: Requester | None,
        facts: BucketFacts,
        call: Call,
        environ: Mapping[str, Any],
        provider: Provider,
    ) -> None:
        self.requester = requester
        self.facts = facts
        self.call = call
        self.environ = environ
        self.provider = provider
        self._context = None
        if facts.policy is not None:
            self._context = Context(environ, requester, call, time.time())

    def denial(
        self,
        action: str,
        key: str = "",
        target: ObjectFacts | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Denial | None:
        """Return why not. Raise TagsNotRead as long as it depends on tags that are not given."""
        context = self._context
        if context is not None:
            context.object_tags, context.request_tags = tags, self.call.tags
        return decide(self.requester, action, self.facts, key, target, context)

    def demand(
        self,
        action: str,
        key: str = "",
        target: ObjectFacts | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Raise AccessDenied, or TagsNotRead, unless the requester may."""
        denial = self.denial(action, key, target, tags)
        if denial is not None:
            raise _refused(denial, self.requester, action, self.facts.name, key)

    def tags_of(self, record: Any) -> Mapping[str, str] | None:
        """Return the tags of an object if anybody is going to ask."""
        return None if self._context is None else self.provider.object_tags(record)

    def of_object(self, key: str, wanted: Sequence[str]) -> _OnObject:
        """Decide as far as the bucket's facts go; return the check for the rest."""
        later = [action for action in wanted if self._is_open(action, key)]
        return _OnObject(self, key, wanted, later)

    def _is_open(self, action: str, key: str) -> bool:
        """Demand an action, or return True when the object must be seen for that."""
        if needs_target(action, self.facts):
            return True
        try:
            self.demand(action, key)
        except TagsNotRead:  # of the body
            return True
        return False


class _OnObject:
    """A check of an object, and of who may know that there is none."""

    __slots__ = ("_asking", "_key", "_later", "_wanted")

    def __init__(
        self, asking: _Asking, key: str, wanted: Sequence[str], later: Sequence[str]
    ) -> None:
        self._asking = asking
        self._key = key
        self._wanted = wanted
        self._later = later

    def __call__(self, record: Any) -> None:
        asking = self._asking
        if record is None:
            for action in self._wanted:
                asking.demand(action, self._key, MISSING, {})
        elif self._later:
            target, tags = _object_facts(record.acl), asking.tags_of(record)
            for action in self._later:
                asking.demand(action, self._key, target, tags)

    @property
    def needed(self) -> bool:
        """Whether an object that is there has still something to say."""
        return bool(self._later)


def _admit_to_object(asking: _Asking) -> None:
    """Whatever acts on a bucket, or on an object that is there."""
    call = asking.call
    wanted = actions.of_call(call, asking.environ)
    if wanted[0] not in actions.OF_OBJECTS:
        for action in wanted:
            asking.demand(action)
    else:
        check = asking.of_object(call.key, wanted)
        if check.needed or wanted[0] not in actions.OF_BUCKET_OWNER:
            call.checks.append(check)
    if call.operation in _SETTING_ACLS:
        call.grants = partial(grants.of_headers, asking.environ)


def _admit_to_new(asking: _Asking) -> None:
    """Whatever makes an object: who may write it, whose it will be, and with which ACL."""
    call, requester = asking.call, asking.requester
    first, *more = actions.of_call(call, asking.environ)
    asking.demand(first, call.key)
    if more:
        new = ObjectFacts("" if requester is None else requester.id)
        for action in more:
            _demand_of_new(asking, action, new)
    call.acl = _new_acl(asking)


def _demand_of_new(asking: _Asking, action: str, new: ObjectFacts) -> None:
    """Demand, as its owner, what is done to a new object beside writing it."""
    call, rules = asking.call, asking.facts.policy
    if rules is None or not rules.asks_object_tags(action):
        asking.demand(action, call.key, new)
        return

    def check(record: Any) -> None:
        tags = {} if record is None else asking.tags_of(record)
        asking.demand(action, call.key, new, tags)

    call.checks.append(check)


def _new_acl(asking: _Asking) -> bytes:
    """Return the ACL to store with a new object, nothing where it has the bucket owner's own."""
    environ, facts = asking.environ, asking.facts
    canned = environ.get("HTTP_X_AMZ_ACL")
    owner = ownership.owner_of_new(facts.ownership, facts.owner, asking.requester, canned)
    acl = grants.of_headers(environ, owner, facts.owner)
    if facts.ownership == ENFORCED:
        ownership.check_acl(facts.ownership, acl, facts.owner)
        return b""
    if acl is None:
        return b"" if owner == facts.owner else grants.encode(grants.private(owner))
    facts.block.check_acl(acl)
    return grants.encode(acl)


def _admit_to_upload(asking: _Asking) -> None:
    """What an upload's initiator may do beside those whom the bucket lets."""
    call = asking.call
    (action,) = actions.of_call(call, asking.environ)
    if asking.denial(action, call.key) is None:
        return

    def check(upload: Any) -> None:
        if upload is not None:
            asking.demand(action, call.key, ObjectFacts(upload.initiator))
        else:  # whoever could have begun it may know that it has ended
            asking.demand("s3:PutObject", call.key)

    call.checks.append(check)


def _admit_to_deletions(asking: _Asking) -> None:
    """DeleteObjects: without a policy all keys are alike, else each is asked for."""
    if asking.facts.policy is None:
        asking.demand(actions.of_deletion(None))
        return

    def permit(key: str, version_id: str | None) -> Sequence[Check]:
        check = asking.of_object(key, (actions.of_deletion(version_id),))
        return (check,) if check.needed else ()

    asking.call.permit = permit


def _tags_are_copied(there: _Asking, here: _Asking, key: str, record: Any) -> None:
    """A check of a copy's source: its tags come along, which takes a permission on either side."""
    if record is not None and record.tags:
        there.demand(_GET_TAGS, key, _object_facts(record.acl), there.tags_of(record))
        requester = here.requester
        new = ObjectFacts("" if requester is None else requester.id)
        _demand_of_new(here, _PUT_TAGS, new)


_ADMIT: dict[str, Callable[[_Asking], None]] = {
    **dict.fromkeys(_STORING, _admit_to_new),
    **dict.fromkeys(_OF_UPLOADS, _admit_to_upload),
    "DeleteObjects": _admit_to_deletions,
}


def _refused(
    denial: Denial, requester: Requester | None, action: str, bucket: str, key: str = ""
) -> S3Error:
    """Return the error of a denial, whose reason is for the log alone."""
    if log.isEnabledFor(logging.DEBUG):
        who = "anonymous" if requester is None else requester.id
        log.debug("acl: %s may not %s %r: %s", who, action, f"{bucket}/{key}", denial.value)
    return denial.error()


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], Acl]:
    """PasteDeploy entry point ``egg:s3filters#acl``."""
    settings = options.read(Options, "filter:acl", global_conf, local_conf)
    return lambda app: Acl(app, settings)
