"""Access control lists: who was granted what on a bucket or an object.

Read from headers (a canned ACL or ``x-amz-grant-*``) and from XML, answered as XML, stored as the
JSON of Versity's gateway (``user.acl`` of a bucket), and in the same form in an attribute of our
own for objects. Groups that Versity does not know are stored so that it takes them for nobody.
Source: Amazon S3, "Access control list (ACL) overview".
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from s3filters.access import actions
from s3filters.access.principals import Requester
from s3filters.s3 import xml
from s3filters.s3.call import Identity
from s3filters.s3.errors import S3Error

log = logging.getLogger(__name__)

OBJECT_ATTRIBUTE = "user.s3filters.acl"  # of an object; a bucket's is Versity's user.acl
MOST = 100  # grants of one ACL
USER, GROUP = "CanonicalUser", "Group"
PERMISSIONS = (
    actions.FULL, actions.READ, actions.WRITE, actions.READ_ACP, actions.WRITE_ACP
)  # fmt: skip

_GROUPS = "http://acs.amazonaws.com/groups/"
EVERYONE = f"{_GROUPS}global/AllUsers"
SIGNED = f"{_GROUPS}global/AuthenticatedUsers"
LOG_DELIVERY = f"{_GROUPS}s3/LogDelivery"
PUBLIC = frozenset({EVERYONE, SIGNED})
# group -> its name in the attribute; Versity's gateway knows the first
_STORED = {EVERYONE: "all-users", SIGNED: "authenticated-users", LOG_DELIVERY: "log-delivery"}
_OF_STORED = {name: group for group, name in _STORED.items()}

Display = Callable[[str], str]  # canonical id -> display name, empty for none


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission of one grantee: a canonical id, or a group's address."""

    kind: str
    grantee: str
    permission: str


@dataclass(frozen=True, slots=True)
class Acl:
    """An ACL. ``public``: it grants something to everyone, or to everyone who has signed."""

    owner: str
    grants: tuple[Grant, ...] = ()
    public: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Work out once what requests ask."""
        public = any(one.kind == GROUP and one.grantee in PUBLIC for one in self.grants)
        object.__setattr__(self, "public", public)

    def allows(
        self, permission: str, requester: Requester | None, *, ignore_public: bool = False
    ) -> bool:
        """True when a grant gives the permission to the requester, or to a group he is in."""
        giving = permission, actions.FULL
        for grant in self.grants:
            if grant.permission not in giving:
                continue
            if grant.kind == USER:
                if requester is not None and grant.grantee in requester.ids:
                    return True
            elif not ignore_public and (
                grant.grantee == EVERYONE or (grant.grantee == SIGNED and requester is not None)
            ):
                return True
        return False

    def users(self) -> frozenset[str]:
        """Return the ids that it names, to be looked up."""
        return frozenset(one.grantee for one in self.grants if one.kind == USER)


def private(owner: str) -> Acl:
    """Return the ACL that there is when nobody gave one."""
    return Acl(owner, (Grant(USER, owner, actions.FULL),))


# --- canned ACLs and headers ---------------------------------------------------------------------

# canned ACL -> grants beside the owner's
_CANNED: dict[str, tuple[tuple[str, str], ...]] = {
    "private": (),
    "public-read": ((EVERYONE, actions.READ),),
    "public-read-write": ((EVERYONE, actions.READ), (EVERYONE, actions.WRITE)),
    "authenticated-read": ((SIGNED, actions.READ),),
    "log-delivery-write": ((LOG_DELIVERY, actions.WRITE), (LOG_DELIVERY, actions.READ_ACP)),
}
_FOR_BUCKET_OWNER = {
    "bucket-owner-read": actions.READ,
    "bucket-owner-full-control": actions.FULL,
}
_CANNED_KEY = "HTTP_X_AMZ_ACL"
_BY_HEADER = {
    f"HTTP_X_AMZ_GRANT_{permission}": permission
    for permission in (
        actions.READ,
        actions.WRITE,
        actions.READ_ACP,
        actions.WRITE_ACP,
        actions.FULL,
    )
}
_KEYS = frozenset({_CANNED_KEY, *_BY_HEADER})
_ENTRY = re.compile(r'\s*(\w+)\s*=\s*(?:"([^"]*)"|([^",\s]+))\s*(?:,|$)')


def canned(name: str, owner: str, bucket_owner: str | None = None) -> Acl:
    """Return a canned ACL.

    :param owner: of the bucket or object
    :param bucket_owner: for an object; None for a bucket, which has no use for the ACLs that name
        the bucket's owner

    Raise InvalidArgument, or NotImplemented for ``aws-exec-read``: there is no such service here.
    """
    own = private(owner)
    if name in _FOR_BUCKET_OWNER:
        if bucket_owner is None or bucket_owner == owner:
            return own
        return Acl(owner, (*own.grants, Grant(USER, bucket_owner, _FOR_BUCKET_OWNER[name])))
    if name == "aws-exec-read":
        raise S3Error("NotImplemented", "The canned ACL aws-exec-read is not implemented.")
    if name not in _CANNED or (name == "log-delivery-write" and bucket_owner is not None):
        raise S3Error("InvalidArgument", ArgumentName="x-amz-acl", ArgumentValue=name)
    return Acl(owner, own.grants + tuple(Grant(GROUP, *pair) for pair in _CANNED[name]))


def of_headers(
    environ: Mapping[str, Any], owner: str, bucket_owner: str | None = None
) -> Acl | None:
    """Return the ACL that headers ask for, None when they ask for none.

    Grants in headers stand alone: the owner has none that they do not give. Raise InvalidRequest
    for both kinds at once, InvalidArgument, UnresolvableGrantByEmailAddress.
    """
    if _KEYS.isdisjoint(environ):
        return None
    name = environ.get(_CANNED_KEY)
    given = [(environ[key], what) for key, what in _BY_HEADER.items() if environ.get(key)]
    if name and given:
        message = "Specifying both Canned ACLs and Header Grants is not allowed"
        raise S3Error("InvalidRequest", message)
    if name:
        return canned(name, owner, bucket_owner)
    if not given:
        return None
    found = [grant for text, what in given for grant in _entries(text, what)]
    return Acl(owner, _bounded(found, "InvalidArgument"))


def check_grantees(
    acl: Acl | None, knows: Callable[[str], Identity | None] | None, *owners: str
) -> None:
    """Raise InvalidArgument when it grants to somebody whom nobody knows.

    :param knows: says whom an id or access key means; None where nobody can say
    :param owners: who may be named though his account may be gone
    """
    if acl is None or knows is None:
        return
    for id_ in acl.users() - {acl.owner, *owners}:
        if not knows(id_):
            raise _no_user(id_)


def _entries(text: str, permission: str) -> list[Grant]:
    found, place = [], 0
    while place < len(text):
        match = _ENTRY.match(text, place)
        maker = _GRANTEES.get(match[1].lower()) if match is not None else None
        if match is None or maker is None:
            name = f"x-amz-grant-{permission.lower().replace('_', '-')}"
            message = "Argument format not recognized"
            raise S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=text)
        kind, grantee = maker(match[3] if match[2] is None else match[2])
        found.append(Grant(kind, grantee, permission))
        place = match.end()
    return found


def _user(id_: str) -> tuple[str, str]:
    if not id_:
        raise _no_user(id_)
    return USER, id_


def _no_user(id_: str) -> S3Error:
    name = "CanonicalUser/ID"
    return S3Error("InvalidArgument", "Invalid id", ArgumentName=name, ArgumentValue=id_)


def _group(uri: str) -> tuple[str, str]:
    if uri not in _STORED:
        message = "Invalid group uri"
        raise S3Error("InvalidArgument", message, ArgumentName="Group/URI", ArgumentValue=uri)
    return GROUP, uri


def _by_email(address: str) -> tuple[str, str]:
    raise S3Error("UnresolvableGrantByEmailAddress", EmailAddress=address)


_GRANTEES: dict[str, Callable[[str], tuple[str, str]]] = {
    "id": _user,
    "uri": _group,
    "emailaddress": _by_email,
}


def _bounded(found: Iterable[Grant], code: str = "MalformedACLError") -> tuple[Grant, ...]:
    grants = tuple(dict.fromkeys(found))
    if len(grants) > MOST:
        raise S3Error(code, f"An access control list has at most {MOST} grants.")
    return grants


# --- XML -----------------------------------------------------------------------------------------

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
# xsi:type -> (element that tells the grantee, what it gives, elements that may be there too)
_TYPES: dict[str, tuple[str, Callable[[str], tuple[str, str]], tuple[str, ...]]] = {
    USER: ("ID", _user, ("DisplayName",)),
    GROUP: ("URI", _group, ()),
    "AmazonCustomerByEmail": ("EmailAddress", _by_email, ()),
}


def parse(data: bytes, owner: str) -> Acl:
    """Return the ACL of a document for a bucket or object of that owner.

    Raise MalformedACLError, InvalidArgument, UnresolvableGrantByEmailAddress, and AccessDenied when
    the document names another owner: an ACL gives nothing away but access.
    """
    try:
        root = xml.parse(data, "AccessControlPolicy")
        xml.only(root, ("Owner", "AccessControlList"))
        named = _named_owner(root)
        lists = root.findall("AccessControlList")
        if len(lists) != 1:
            raise _malformed()
        xml.only(lists[0], ("Grant",))
        found = [_grant(one) for one in lists[0]]
    except S3Error as error:
        if error.code != "MalformedXML":
            raise
        raise _malformed() from error.with_traceback(None)
    if named != owner:
        raise S3Error("AccessDenied", "An access control list cannot change the owner.")
    return Acl(owner, _bounded(found))


def _named_owner(root: Element) -> str:
    owners = root.findall("Owner")
    if len(owners) != 1:
        raise _malformed()
    xml.only(owners[0], ("ID", "DisplayName"))
    named = xml.text_of(owners[0], "ID")
    if not named:
        raise _malformed()
    return named


def _grant(element: Element) -> Grant:
    xml.only(element, ("Grantee", "Permission"))
    grantees, permission = element.findall("Grantee"), xml.text_of(element, "Permission")
    if len(grantees) != 1 or permission not in PERMISSIONS:
        raise _malformed()
    kind = _TYPES.get(grantees[0].get(f"{{{_XSI}}}type", ""))
    if kind is None:
        raise _malformed()
    name, maker, besides = kind
    xml.only(grantees[0], (name, *besides))
    text = xml.text_of(grantees[0], name)
    if text is None:
        raise _malformed()
    return Grant(*maker(text.strip()), permission)


def _malformed() -> S3Error:
    return S3Error("MalformedACLError")


def render(acl: Acl, display: Display = lambda id_: "") -> bytes:
    """Return the answer of GetBucketAcl and GetObjectAcl."""
    grants = "".join(
        f'<Grant><Grantee xmlns:xsi="{_XSI}" xsi:type="{one.kind}">'
        f"{_grantee(one, display)}</Grantee>"
        f"<Permission>{one.permission}</Permission></Grant>"
        for one in acl.grants
    )
    owner = _grantee(Grant(USER, acl.owner, ""), display)
    text = (
        f'{xml.DECLARATION}<AccessControlPolicy xmlns="{xml.NAMESPACE}"><Owner>{owner}</Owner>'
        f"<AccessControlList>{grants}</AccessControlList></AccessControlPolicy>"
    )
    return text.encode()


def _grantee(grant: Grant, display: Display) -> str:
    if grant.kind == GROUP:
        return f"<URI>{xml.escape(grant.grantee)}</URI>"
    name = display(grant.grantee)
    shown = f"<DisplayName>{xml.escape(name)}</DisplayName>" if name else ""
    return f"<ID>{xml.escape(grant.grantee)}</ID>{shown}"


# --- the attribute -------------------------------------------------------------------------------


def encode(acl: Acl) -> bytes:
    """Return the attribute, which Versity's gateway understands."""
    grantees = [
        {
            "Permission": one.permission,
            "Access": _STORED[one.grantee] if one.kind == GROUP else one.grantee,
            "Type": one.kind,
        }
        for one in acl.grants
    ]
    return json.dumps({"Owner": acl.owner, "Grantees": grantees}, separators=(",", ":")).encode()


def decode(data: bytes) -> Acl:
    """Return the ACL of an attribute; what in it cannot be understood grants nothing.

    Names of fields are compared without regard to case, as Versity's gateway does. A bucket without
    an owner is nobody's.
    """
    if not data:
        return Acl("")
    try:
        document = _folded(json.loads(data))
        owner, grantees = document.get("owner"), document.get("grantees") or []
        if not isinstance(owner, str) or not isinstance(grantees, list):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        log.error("a stored access control list cannot be read, so it grants nothing")
        return Acl("")
    found = [_stored(_folded(one)) for one in grantees[:MOST] if isinstance(one, dict)]
    return Acl(owner, tuple(one for one in found if one is not None))


def _folded(element: Any) -> dict[str, Any]:
    if not isinstance(element, dict):
        raise TypeError
    return {name.lower(): value for name, value in element.items()}


def _stored(element: dict[str, Any]) -> Grant | None:
    kind, access = element.get("type", ""), element.get("access")
    permission = element.get("permission")
    if not isinstance(access, str) or not access or permission not in PERMISSIONS:
        return None
    if kind in (USER, "", None):
        return Grant(USER, access, permission)
    group = _OF_STORED.get(access) if kind == GROUP else None
    return None if group is None else Grant(GROUP, group, permission)
