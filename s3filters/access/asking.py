"""One request before a bucket: what may be decided now, and what only with the object in hand.

Who the object belongs to, its ACL and its tags are known to whoever opens it. A decision that may
depend on them becomes a check, which the backend calls with the object's record: before it answers
anything of what it read, and under the key's lock before it changes anything, so there is no moment
between the decision and the act. The check is asked too when there is no object: whoever may not
list the bucket is not told.

Checks stand in the Call and know what they need of it. So they do not hold it, nor the environ in
which it stands: each request would be a ring that only the garbage collector takes apart, and that
costs several times what a decision does. They have a copy of the environ. But to copy it costs half
a decision, so where nothing is written they have the environ itself: all is asked then before the
app behind returns, and whoever called it takes the checks away.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from s3filters.access import actions, facts
from s3filters.access.context import Context, TagsNotRead, connection
from s3filters.access.decision import (
    MISSING,
    BucketFacts,
    Denial,
    ObjectFacts,
    decide,
    needs_target,
)
from s3filters.access.principals import Requester, names_of
from s3filters.s3 import table
from s3filters.s3.call import KEY, Call
from s3filters.s3.errors import S3Error

log = logging.getLogger(__name__)

_SHORT = 512  # bytes of an ACL that may be kept with what it grants

Tags = Mapping[str, str]


class Asking:
    """A request before a bucket.

    :param tags_in: returns the tags of an object by its record
    """

    __slots__ = (
        "_call", "_context", "_tags_in", "_version_id", "environ", "facts", "requester",
    )  # fmt: skip

    def __init__(
        self,
        requester: Requester | None,
        bucket: BucketFacts,
        call: Call,
        environ: Mapping[str, Any],
        tags_in: Callable[[Any], Tags],
    ) -> None:
        self.requester = requester
        self.facts = bucket
        self._call = weakref.ref(call)
        if table.OPERATIONS[call.operation].writes:
            environ = dict(environ)
            environ.pop(KEY, None)
        self.environ = environ
        self._tags_in = tags_in
        self._version_id = call.version_id
        self._context: Context | None = None

    @property
    def call(self) -> Call:
        """The Call of the request, which whoever asks has in hand."""
        call = self._call()
        assert call is not None
        return call

    def of_bucket(self, bucket: BucketFacts, version_id: str | None = None) -> Asking:
        """Return the same request before another bucket, or version: those of a copy's source."""
        there = Asking(self.requester, bucket, self.call, self.environ, self._tags_in)
        there._version_id = version_id
        return there

    def denial(
        self,
        action: str,
        key: str = "",
        target: ObjectFacts | None = None,
        tags: Tags | None = None,
    ) -> Denial | None:
        """Return why not. Raise TagsNotRead as long as it depends on tags that are not given."""
        if self.facts.policy is None:
            return decide(self.requester, action, self.facts, key, target)
        request = self._request()
        request.object_tags = tags
        return decide(self.requester, action, self.facts, key, target, request)

    def _request(self) -> Context:
        """Return the request as a policy sees it; most are decided without."""
        if self._context is None:
            self._context = Context(
                self.environ, self.requester, self._call, time.time(), version_id=self._version_id
            )
        return self._context

    def demand(
        self,
        action: str,
        key: str = "",
        target: ObjectFacts | None = None,
        tags: Tags | None = None,
    ) -> None:
        """Raise AccessDenied, or TagsNotRead, unless the requester may."""
        denial = self.denial(action, key, target, tags)
        if denial is not None:
            raise refusal(denial, self.requester, action, self.facts.name, key)

    def demand_of(self, record: Any, action: str, key: str) -> None:
        """Demand an action on an object by its record."""
        granted = self.requester, action, record.acl
        if granted in self.facts.granted:
            return
        self.demand(action, key, facts.of_object(record.acl), self.tags_of(record))
        if self.facts.policy is None and len(record.acl) <= _SHORT:
            self.facts.remember(granted)  # nothing else of an object counts there, nor its key

    def tags_of(self, record: Any) -> Tags | None:
        """Return the tags of an object if anybody is going to ask."""
        return None if self.facts.policy is None else self._tags_in(record)

    def of_object(self, key: str, wanted: Sequence[str]) -> OnObject:
        """Decide as far as the bucket's facts go; return the check for the rest."""
        later: tuple[str, ...] = ()
        for action in wanted:
            if self._is_open(action, key):
                later += (action,)
        return OnObject(self, key, wanted, later)

    def _is_open(self, action: str, key: str) -> bool:
        """Demand an action, or return True when the object must be seen for that."""
        policy = self.facts.policy
        if policy is not None:
            granted = self.requester, action, connection(self.environ)
            if granted in self.facts.granted:
                return False
        if needs_target(action, self.facts):
            return True
        try:
            self.demand(action, key)
        except TagsNotRead:  # of the body
            return True
        if policy is not None and policy.is_settled(
            action, names_of(self.requester), self._request()
        ):
            self.facts.remember(granted)
        return False


class OnObject:
    """A check of an object, and of who may know that there is none."""

    __slots__ = ("_asking", "_key", "_wanted", "later")

    def __init__(
        self, asking: Asking, key: str, wanted: Sequence[str], later: Sequence[str]
    ) -> None:
        self._asking = asking
        self._key = key
        self._wanted = wanted
        self.later = later  # actions that depend on an object that is there

    def __call__(self, record: Any) -> None:
        """Raise AccessDenied, by the object's record or None where there is no object."""
        asking = self._asking
        if record is None:
            for action in self._wanted:
                asking.demand(action, self._key, MISSING, {})
        else:
            for action in self.later:
                asking.demand_of(record, action, self._key)

    def shows_tags(self, record: Any) -> bool:
        """True when the requester may know of the tags of an object that he has been let see."""
        asking = self._asking
        action = actions.of_tags(asking.call.version_id)
        target, tags = facts.of_object(record.acl), asking.tags_of(record)
        return asking.denial(action, self._key, target, tags) is None


def refusal(
    denial: Denial, requester: Requester | None, action: str, bucket: str, key: str = ""
) -> S3Error:
    """Return the error of a denial, whose reason is for the log alone."""
    if log.isEnabledFor(logging.DEBUG):
        who = "anonymous" if requester is None else requester.id
        log.debug("%s may not %s %r: %s", who, action, f"{bucket}/{key}", denial.value)
    return denial.error()
