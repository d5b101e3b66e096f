"""ACLs as clients write and read them."""

from __future__ import annotations

from tests.functional.asking import document
from tests.raw import Answer

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
OWN = ("CanonicalUser", "owner", "FULL_CONTROL")

Grant = tuple[str, str | None, str | None]


def granted(answer: Answer) -> tuple[str | None, list[Grant]]:
    """Return the owner in an answer, and its grants as (type, grantee, permission)."""
    assert answer.status == 200, answer.body
    root = document(answer)
    found = []
    for one in root.iter("Grant"):
        grantee = one.find("Grantee")
        assert grantee is not None
        kind = next(iter(grantee.attrib.values()))
        name = grantee.findtext("ID") or grantee.findtext("URI")
        found.append((kind, name, one.findtext("Permission")))
    return root.findtext("Owner/ID"), found


def xml(*grants: tuple[str, str], owner: str = "owner") -> bytes:
    """Return a document of (attributes and elements of the grantee, permission)."""
    lines = "".join(
        f"<Grant><Grantee xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' {grantee}</Grantee>"
        f"<Permission>{permission}</Permission></Grant>"
        for grantee, permission in grants
    )
    return (
        f"<AccessControlPolicy><Owner><ID>{owner}</ID></Owner>"
        f"<AccessControlList>{lines}</AccessControlList></AccessControlPolicy>"
    ).encode()


def user(name: str) -> str:
    """Return an account as a grantee."""
    return f"xsi:type='CanonicalUser'><ID>{name}</ID>"


def group(uri: str) -> str:
    """Return a group as a grantee."""
    return f"xsi:type='Group'><URI>{uri}</URI>"
