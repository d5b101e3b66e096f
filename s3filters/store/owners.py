"""To whom new files belong, where a site gives them to the accounts that write them.

Else all belong to the user of the process. A file is given away before it has bytes, so a quota
counts every byte for its user, and before it is synced, so it is durable with the file; a folder
is given away as soon as it is made. What is there already keeps its owner: replacing an object
makes a new file, and only this one belongs to who replaces it.

A group that is not given is left as the kernel chose it: the process's own, or that of a folder
with the setgid bit. Sources: chown(2), capabilities(7), linux/capability.h.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from dataclasses import dataclass

from s3filters.store.errors import AccessDenied
from s3filters.store.filesystem import Unsuitable

log = logging.getLogger("s3filters.store")

KEEP = -1  # leave the user, or the group, as it is
_ACL = "system.posix_acl_access"
_NEEDED = ("user.etag", "user.s3filters.part-size")  # without them parts would be written to it
_STATUS = "/proc/self/status"
_CHOWN, _DAC_OVERRIDE = 1 << 0, 1 << 1
# Without the right, to an id that the user namespace or the file system does not know.
_REFUSED = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class Owner:
    """A user and a group of this machine; KEEP for one that new files are not given to."""

    uid: int = KEEP
    gid: int = KEEP

    def take(self, fd: int) -> None:
        """Give an open file or directory, a new one, to the owner.

        Raise AccessDenied where that is not allowed, OSError: EDQUOT when the quota is used up.
        """
        _give(fd, self.uid, self.gid)

    def take_back(self, fd: int, usual: int) -> None:
        """Let a file that another made, and took, be like a new one, but for whose it is.

        Whoever it belonged to could let others write to it, himself among them, and write
        attributes that would count for the object. What he has open stays open.

        :param usual: descriptor of a new one

        Raise as ``take``.
        """
        found, new = os.fstat(fd), os.fstat(usual)
        if found.st_uid != (new.st_uid if self.uid == KEEP else self.uid):
            _give(fd, new.st_uid, KEEP)  # first, so that nobody changes it meanwhile
            _reset(fd, usual, stat.S_IMODE(new.st_mode))
        _give(fd, KEEP, new.st_gid if self.gid == KEEP else KEEP)


def _reset(fd: int, usual: int, mode: int) -> None:
    acl = _attribute(usual, _ACL)
    if _attribute(fd, _ACL) != acl:
        if acl:
            os.setxattr(fd, _ACL, acl)
        else:
            os.removexattr(fd, _ACL)
    if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
        os.fchmod(fd, mode)
    for name in os.listxattr(fd):
        if name.startswith("user.") and name not in _NEEDED:
            os.removexattr(fd, name)


def _attribute(fd: int, name: str) -> bytes:
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
        return b""


def _give(fd: int, uid: int, gid: int) -> None:
    if (uid, gid) == (KEEP, KEEP):
        return
    try:
        os.fchown(fd, uid, gid)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        ids = [f"{name} {value}" for name, value in (("uid", uid), ("gid", gid)) if value != KEEP]
        log.warning("no file can be given to %s here: %s", " and ".join(ids), error)
        message = "The storage does not let a file belong to the account's user and group."
        raise AccessDenied(message) from error


def check(*, uid: bool, gid: bool) -> None:
    """Raise Unsuitable when files cannot be given to users (``uid``); warn of groups (``gid``)."""
    if not uid and not gid:
        return
    held = _capabilities()
    if uid and ~held & (_CHOWN | _DAC_OVERRIDE):
        raise Unsuitable(
            "chown_uid gives files to other users: that needs CAP_CHOWN, and CAP_DAC_OVERRIDE to "
            "work with them afterwards; start as root, or with these two"
        )
    if gid and not held & _CHOWN:
        log.warning(
            "chown_gid without CAP_CHOWN: files can be given only to groups that the process is "
            "in, and requests of accounts with other groups are refused"
        )


def _capabilities() -> int:
    """Return the effective capabilities of the process, a bit each."""
    with open(_STATUS, encoding="ascii", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == "CapEff":
                return int(value, 16)
    return 0
