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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from s3filters import options
from s3filters.access import actions, admission, block, facts, grants, ownership, principals
from s3filters.access.admission import ONLY_ASKING
from s3filters.access.asking import Asking, refusal
from s3filters.access.block import Block
from s3filters.access.decision import BucketFacts, Denial, decide_service, may_everything
from s3filters.access.principals import ADMIN, Requester
from s3filters.pipeline.base import App, Filter, Provider, provider_of
from s3filters.s3 import table
from s3filters.s3.call import KEY, KNOWS, Call
from s3filters.s3.errors import S3Error

log = logging.getLogger("s3filters.pipeline")

_MOST_KNOWN = 1000  # buckets, each of which may have a policy of 20 KB


@dataclass(frozen=True, slots=True)
class Options:
    """Options of acl: whether the public is let in, the switches of every and of new buckets."""

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
    block_public_access: bool = options.option(
        False,
        options.boolean,
        "Make new buckets with all four switches of public access on, as AWS does; their owners "
        "may take them off.",
    )


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
        self._new_blocks = settings.block_public_access
        self._known: dict[str, tuple[Any, BucketFacts]] = {}
        self._provider = provider_of(app)
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
        if call.operation not in ONLY_ASKING:
            return app(environ, start_response)
        try:
            return app(environ, start_response)
        finally:  # see ``asking``
            call.checks, call.shows_tags = [], None

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
            if call.operation in ONLY_ASKING and may_everything(requester, call.facts):
                return
            asking = Asking(requester, call.facts, call, environ, provider.object_tags)
            admission.admit(asking)
            if call.copy_source is not None:
                self._admit_source(provider, asking, call.copy_source.bucket)

    def _facts(self, provider: Provider, bucket: str) -> tuple[Any, BucketFacts]:
        record = provider.bucket_facts(bucket)
        known = self._known.get(bucket)
        if known is not None and (known[0] is record or known[0] == record):
            return known  # where no stat proves a record it is read anew, and is mostly the same
        read = facts.of_bucket(record, self._block)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[bucket] = found = record, read
        return found

    def _admit_source(self, provider: Provider, here: Asking, bucket: str) -> None:
        there = here.facts
        if bucket != here.call.bucket:
            there = self._facts(provider, bucket)[1]
        admission.admit_source(here, there)

    def _admit_to_service(
        self, call: Call, environ: Mapping[str, Any], requester: Requester | None
    ) -> None:
        action = table.OPERATIONS[call.operation].permission
        denial = decide_service(requester, action)
        if denial is not None or requester is None:
            raise refusal(denial or Denial.ANONYMOUS, requester, action, call.bucket)
        if action == actions.CREATE_BUCKET:
            call.settings = self._new_bucket(environ, requester.id)
        elif requester.role != ADMIN:
            call.owners = requester.ids

    def _new_bucket(self, environ: Mapping[str, Any], owner: str) -> dict[str, bytes] | None:
        """Return the settings of a new bucket beside, or instead of, those of any other."""
        usual = {"public-access-block": block.render(block.ON)} if self._new_blocks else {}
        acl = grants.of_headers(environ, owner)
        if acl is None and ownership.HEADER not in environ:
            return usual or None
        setting = ownership.of_header(environ)
        ownership.check_setting(setting, acl, owner)
        grants.check_grantees(acl, environ.get(KNOWS))
        if acl is None:
            acl = grants.private(owner)
        self._block.check_acl(acl)
        if usual and acl.public:
            raise S3Error("InvalidBucketAclWithBlockPublicAccessError")
        return usual | {"acl": grants.encode(acl), "ownership": setting.encode()}


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], Acl]:
    """PasteDeploy entry point ``egg:s3filters#acl``."""
    settings = options.read(Options, "filter:acl", global_conf, local_conf)
    return lambda app: Acl(app, settings)
