"""One S3 request, understood: what ``s3api`` makes and everything behind it reads.

From here on nobody reads raw headers again. A Call carries AWS's own names: the operation, and its
parameters under botocore's spelling, already typed and in range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3filters.s3.body import Body
    from s3filters.s3.conditions import Conditions
    from s3filters.s3.headers import ObjectHeaders
    from s3filters.s3.ranges import Range

KEY = "s3filters.call"  # where s3api puts the Call in the environ
IDENTITY = "s3filters.identity"
REQUEST_ID = "s3filters.request_id"
READABLE = "s3filters.readable"  # where cors puts what lets a page read what is not from behind it
KNOWS = "s3filters.knows"  # where sigauth puts what says whom an id or access key means

Check = Callable[[Any], None]

ROLES = ("admin", "userplus", "user")  # what an account may do before any grant is asked


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed the request: a key, and the account that it belongs to.

    ``access_key`` is the key that signed; ``id`` the account's canonical id, which owner elements
    show and grants name (of a key without an account the access key itself). ``role`` is one of
    ROLES: ``admin`` may do everything, ``userplus`` make buckets, ``user`` what it is granted.
    ``uid`` and ``gid`` are None where the account has none, ``project`` is 0 then.
    """

    access_key: str
    id: str
    display_name: str = ""
    role: str = "user"
    uid: int | None = None
    gid: int | None = None
    project: int = 0


@dataclass(slots=True)
class CopySource:
    """A decoded ``x-amz-copy-source``, with its conditions."""

    bucket: str
    key: str
    version_id: str | None
    conditions: Conditions


@dataclass(slots=True, weakref_slot=True)
class Call:
    """One request.

    ``conditions`` are those of the target (If-Match and its kin); ``headers`` are what a PUT stores
    beside the bytes; ``range`` is the asked range, unresolved; ``body`` is None where the operation
    has none. ``checks`` are called by the backend with the current record of the target (or None)
    in hand: before it changes anything, under the target's lock, or before it answers anything of
    what it read. A check refuses by raising S3Error. ``source_checks`` are those of the source of a
    copy; ``permit`` gives those of a key and version id that stand in the body.

    The last fields are ``acl``'s: without it they are as here. ``guarded``: somebody has decided
    that the request may be answered. ``facts`` say who may do what in the bucket, and ``owners``
    whose buckets a list shows, all where it is None. ``acl`` is stored with a new object and
    ``settings`` with a new bucket; ``grants`` reads the ACL in the headers for an owner, and the
    owner of the bucket if it is for an object; ``knows`` says whether an id there, or in a policy,
    is anybody's, None where nobody can say. ``tags`` are those of a body, once they are read.
    ``shows_tags`` says by an object's record whether the requester may know of its tags, who may
    where it is None.
    """

    operation: str
    bucket: str = ""  # empty where the operation has none
    key: str = ""
    version_id: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    conditions: Conditions | None = None
    headers: ObjectHeaders | None = None
    range: Range | None = None
    copy_source: CopySource | None = None
    body: Body | None = None
    identity: Identity | None = None
    request_id: str = ""
    remote: str = ""  # address of who asks, where it is known
    checks: list[Check] = field(default_factory=list)
    source_checks: Sequence[Check] = ()
    permit: Callable[[str, str | None], Sequence[Check]] | None = None
    tiered: bool = False  # set by glacier: cold storage classes can be asked for
    tiering: Any = None  # set by glacier: how objects are shown whose data may be on tape
    multipart: bool = False  # set by s3multi: the backend may answer the multipart operations
    guarded: bool = False
    bucket_record: Any = None  # the store's, read once
    facts: Any = None
    owners: frozenset[str] | None = None
    acl: bytes = b""
    settings: Mapping[str, bytes] | None = None
    grants: Callable[[str, str | None], Any] | None = None
    knows: Callable[[str], Identity | None] | None = None
    tags: Mapping[str, str] | None = None
    shows_tags: Callable[[Any], bool] | None = None
