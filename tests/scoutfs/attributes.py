"""Extended attributes: the rules of ScoutFS's own name space, and the control interface."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

from tests.scoutfs import caller, faults, names, protocol
from tests.scoutfs.inodes import KEPT, Inode
from tests.scoutfs.protocol import ROOT, Op, Request, error

if TYPE_CHECKING:
    from tests.scoutfs.server import Double

OWN = b"scoutfs."
BENEATH = b"trusted."  # put before scoutfs.* in the file beneath
TAGS = (b"hide", b"srch", b"totl", b"indx")
SPACES = (b"user", b"trusted", b"security", b"system")
MAX_VALUE = 65535


class Attributes:
    """Answers about extended attributes."""

    def __init__(self, double: Double) -> None:
        self._inodes = double.inodes
        self._faults = double.faults
        self.operations = {
            Op.SETXATTR: self.set,
            Op.GETXATTR: self.get,
            Op.LISTXATTR: self.list,
            Op.REMOVEXATTR: self.remove,
        }

    def set(self, request: Request) -> bytes:
        size, flags = struct.unpack_from("<II", request.body)
        name = request.name(8)
        value = bytes(request.body[8 + len(name) + 1 :][:size])
        if size > MAX_VALUE:
            raise error(errno.E2BIG)
        if request.node == ROOT and self._faults.set(name, value):
            return b""
        inode = self._inodes[request.node]
        os.setxattr(inode.path, self._to_change(inode, name, request.pid), value, flags)
        inode.meta_changed()
        return b""

    def get(self, request: Request) -> bytes:
        size = struct.unpack_from("<I", request.body)[0]
        name = request.name(8)
        if name == b"security.capability":
            raise error(errno.ENODATA)
        if name.startswith(b"system.posix"):
            raise error(errno.EOPNOTSUPP)
        report = self._faults.get(name) if request.node == ROOT else None
        if report is None:
            report = os.getxattr(self._inodes[request.node].path, _beneath(name))
        return _answer(report, size)

    def list(self, request: Request) -> bytes:
        names = visible(self._inodes[request.node], hidden=False)
        return _answer(names, struct.unpack_from("<I", request.body)[0])

    def remove(self, request: Request) -> bytes:
        inode = self._inodes[request.node]
        os.removexattr(inode.path, self._to_change(inode, request.name(), request.pid))
        inode.meta_changed()
        return b""

    def _to_change(self, inode: Inode, name: bytes, pid: int) -> bytes:
        """Return a name's name beneath. Raise EINVAL, EPERM, EOPNOTSUPP."""
        beneath = _beneath(name)
        if name.startswith(OWN) and not caller.is_privileged(pid):
            raise error(errno.EPERM)
        if name.startswith(b"user."):
            names.expect_changeable(inode)
        return beneath


def is_order(request: Request) -> bool:
    """Whether a request is one to the control interface, which neither fails nor counts."""
    if request.node != ROOT or request.op not in (Op.SETXATTR, Op.GETXATTR):
        return False
    return request.name(8).startswith(faults.CONTROL)


def visible(inode: Inode, *, hidden: bool) -> bytes:
    """Return the names, each with a zero behind it, that are hidden, or those that are not."""
    found = []
    for text in os.listxattr(inode.path):
        name = os.fsencode(text)
        if name.startswith(BENEATH + OWN):
            name = name.removeprefix(BENEATH)
        is_hidden = name.startswith(OWN) and b"hide" in name.split(b".")[1:4]
        if text != KEPT and is_hidden == hidden:
            found.append(name + b"\0")
    return b"".join(found)


def _beneath(name: bytes) -> bytes:
    space, *parts = name.split(b".")
    if space == OWN.rstrip(b"."):
        if len(parts) < 2 or parts[0] not in TAGS:
            raise error(errno.EINVAL)  # tags are all that the name space is for
        return BENEATH + name
    if space not in SPACES:
        raise error(errno.EOPNOTSUPP)
    return name


def _answer(value: bytes, size: int) -> bytes:
    if size == 0:
        return protocol.COUNT.pack(len(value), 0)
    if len(value) > size:
        raise error(errno.ERANGE)
    return value
