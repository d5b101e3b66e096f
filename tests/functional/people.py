"""Accounts of every role, one key each, and how a bucket is told what they may do.

Settings are written as attributes of the bucket's directory, in the form of Versity's gateway, so
no operation that is itself decided is needed for that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.functional.asking import HOST, Asker
from tests.raw import Answer, Signer

# name -> role; the name is the account's id. "plain" is a key without an account.
ROLES = {"boss": "admin", "owner": "userplus", "maker": "userplus", "bob": "user", "eve": "user"}
ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
EVERYONE = {"Type": "Group", "Access": "all-users"}
SIGNED = {"Type": "Group", "Access": "authenticated-users"}


def key_of(name: str) -> str:
    """Return the access key of an account."""
    return f"AK{name.upper()}"


def write(credentials: Path, more: Iterable[str] = ()) -> None:
    """Write the accounts beside the credentials file, and a key for each into it.

    :param more: ids of accounts that have no key
    """
    with credentials.open("a") as file:
        for name in ROLES:
            line = {"access_key": key_of(name), "secret_key": name * 8, "account": name}
            file.write(json.dumps(line | {"created_at": 1_700_000_000, "enabled": True}) + "\n")
    accounts = [
        {"id": name, "display_name": name.title(), "role": role} for name, role in ROLES.items()
    ]
    accounts += [{"id": name, "display_name": name, "role": "user"} for name in more]
    path = credentials.parent / "accounts.json"
    path.touch(0o600)
    path.write_text(json.dumps({"version": 1, "accounts": accounts}))


class People:
    """Sends requests of these accounts to a pipeline."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app
        self._plain = Asker(app)
        self._askers = {}
        for name in ROLES:
            asker = Asker(app)
            asker.signer = Signer(HOST, key_of(name), name * 8)
            self._askers[name] = asker

    def __call__(
        self,
        who: str | None,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        """Ask as an account, as ``plain``, or as nobody for None."""
        asker = self._plain if who in (None, "plain") else self._askers[who]
        if who is None:
            more["sign"] = False
        return asker(method, target, body, headers, **more)

    def signer(self, who: str) -> Signer:
        """Return what signs for an account."""
        return self._askers[who].signer

    def of(self, app: Callable[..., Any]) -> People:
        """Return the same people before another pipeline."""
        return People(app)


def configure(folder: Path, *, owner: str = "", acl: Any = None, **settings: Any) -> None:
    """Set what a bucket says about access; a value of None takes a setting away.

    :param owner: whose bucket it is
    :param acl: grants beside the owner's full control, as Versity stores them
    """
    if owner or acl is not None:
        grants = [{"Permission": "FULL_CONTROL", "Access": owner, "Type": "CanonicalUser"}]
        text = json.dumps({"Owner": owner, "Grantees": grants + list(acl or ())})
        os.setxattr(folder, "user.acl", text.encode())
    for name, value in settings.items():
        attribute = _ATTRIBUTES[name]
        if value is None:
            if attribute in os.listxattr(folder):
                os.removexattr(folder, attribute)
        else:
            os.setxattr(folder, attribute, value.encode() if isinstance(value, str) else value)


_ATTRIBUTES = {
    "ownership": "user.ownership",
    "policy": "user.policy",
    "block": "user.s3filters.public-access-block",
}


def grant(permission: str, to: str | Mapping[str, str]) -> dict[str, str]:
    """Return a grant as it is stored."""
    grantee = {"Type": "CanonicalUser", "Access": to} if isinstance(to, str) else to
    return {**grantee, "Permission": permission}


def policy(*statements: Mapping[str, Any], bucket: str = "box") -> str:
    """Return a policy; a statement allows everyone everything of all objects but for what it says.

    ``Resource`` is given as what stands behind the bucket's name.
    """
    whole = []
    for one in statements:
        usual = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "/*"}
        made = usual | one
        places: Iterable[str] = made["Resource"]
        places = [places] if isinstance(places, str) else places
        made["Resource"] = [f"arn:aws:s3:::{bucket}{place}" for place in places]
        whole.append(made)
    return json.dumps({"Version": "2012-10-17", "Statement": whole})


def only(*names: str) -> dict[str, list[str]]:
    """Return the Principal that is these accounts."""
    return {"AWS": list(names)}


def block(**switches: bool) -> str:
    """Return a public access block."""
    words = "".join(f"<{name}>{str(on).lower()}</{name}>" for name, on in switches.items())
    root = "PublicAccessBlockConfiguration"
    return f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{words}</{root}>'
