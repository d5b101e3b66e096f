"""Opens names beneath a directory, and nothing outside of it.

Everything the store opens it opens here, relative to the root that is held open, with openat2(2)
and RESOLVE_BENEATH: the kernel refuses ``..`` and symbolic links that lead out, also while
somebody changes the tree. Symbolic links inside the root are followed. An absolute one, which
RESOLVE_BENEATH refuses, is followed when its target lies in the root: the name is resolved first,
and the result opened with no link allowed in it, so what is opened is inside whatever changed in
between.

Where openat2 is missing (before Linux 5.6, or a sandbox forbids it) each component is opened by
itself without following links, and links are resolved in the same way.

``cached=True`` adds RESOLVE_CACHED: the look-up uses what the kernel has in memory or fails with
BlockingIOError. Source: openat2(2), linux/openat2.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

_SYS_OPENAT2 = 437  # the same on every architecture: asm-generic/unistd.h
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH, _CACHED = 0x02, 0x04, 0x08, 0x20
_ATTEMPTS = 8  # EAGAIN without RESOLVE_CACHED: a rename or mount raced with a ".." in a link


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def _syscall(library: ctypes.CDLL) -> ctypes._NamedFuncPointer:
    function = library.syscall
    function.argtypes = (
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
    )
    function.restype = ctypes.c_long
    return function


_open_waiting = _syscall(ctypes.CDLL(None, use_errno=True))
# Never waits, so it keeps the interpreter lock: giving it away could cost more than the call.
_open_cached = _syscall(ctypes.PyDLL(None, use_errno=True))


class Kind:
    """A way of opening: flags and mode of open(2), and the structures that openat2 reads.

    ``links``, ``strict`` and ``cached`` are addresses of a struct open_how.
    """

    __slots__ = ("_keep", "cached", "flags", "links", "mode", "strict")

    def __init__(self, flags: int, mode: int = 0) -> None:
        self.flags = flags | os.O_CLOEXEC
        self.mode = mode
        self._keep = [
            _OpenHow(self.flags, mode, _BENEATH | _NO_MAGICLINKS | extra)
            for extra in (0, _NO_SYMLINKS, _CACHED)
        ]
        self.links, self.strict, self.cached = (ctypes.addressof(how) for how in self._keep)


# To read an object: O_NONBLOCK and O_NOCTTY so that a FIFO or a terminal put there cannot hold us.
READ = Kind(os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
# To look at an object: fstat works, the file itself is not opened.
LOOK = Kind(os.O_PATH)
# A directory to work in; not O_PATH, because fsync and flock want a real one.
DIRECTORY = Kind(os.O_RDONLY | os.O_DIRECTORY)
# A file to lock, and the same made if it is not there.
LOCK = Kind(os.O_RDWR | os.O_NOFOLLOW)
NEW_LOCK = Kind(os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
_WAY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # to what is ours


class Root:
    """A directory held open, and the only way to what is in it.

    ``outside``: READ and LOOK may follow symbolic links that lead out of it.
    """

    def __init__(self, path: str | os.PathLike[str], *, outside: bool = False) -> None:
        self.path = os.path.realpath(path)
        self.fd = os.open(self.path, DIRECTORY.flags)
        self.outside = outside
        self.can_openat2 = _probe(self.fd, DIRECTORY.links)
        self.can_cached = self.can_openat2 and _probe(self.fd, DIRECTORY.cached)

    def open(self, path: bytes, kind: Kind) -> int:
        """Return a new descriptor of a path (no ``..``, no ``/`` at an end), as ``kind`` says.

        Raise OSError: ENOENT, ENOTDIR, EXDEV for a link that leads out, and whatever open(2) has.
        """
        if self.can_openat2:
            fd = _open_waiting(_SYS_OPENAT2, self.fd, path, kind.links, 24)
            if fd >= 0:
                return fd  # type: ignore[no-any-return]
            number = ctypes.get_errno()
            if number not in (errno.EXDEV, errno.EAGAIN):
                raise OSError(number, os.strerror(number))
        return self._open_slowly(path, kind)

    def open_ours(self, path: bytes, kind: Kind) -> int:
        """Return a new descriptor of what is ours in a bucket: ``bucket/.sgwtmp/…``.

        The bucket may be a symbolic link, and nothing behind it. Raise OSError: ENOTDIR for a link
        on the way or in the place of a directory, ELOOP for one in the place of a file, and
        whatever ``open`` has.
        """
        if self.can_openat2:
            fd = _open_waiting(_SYS_OPENAT2, self.fd, path, kind.strict, 24)
            if fd >= 0:
                return fd  # type: ignore[no-any-return]
            number = ctypes.get_errno()
            if number != errno.ELOOP:
                raise OSError(number, os.strerror(number))
        bucket, *above, last = path.split(b"/")
        at = self.open(bucket, DIRECTORY)
        try:
            for component in above:
                below = os.open(component, _WAY, dir_fd=at)
                os.close(at)
                at = below
            return os.open(last, kind.flags | os.O_NOFOLLOW, kind.mode, dir_fd=at)
        finally:
            os.close(at)

    def open_cached(self, path: bytes, kind: Kind) -> int:
        """Return a new descriptor without waiting for a disk.

        Raise BlockingIOError when that is not possible, else OSError as ``open`` does.
        """
        fd = _open_cached(_SYS_OPENAT2, self.fd, path, kind.cached, 24)
        if fd >= 0:
            return fd  # type: ignore[no-any-return]
        number = ctypes.get_errno()
        if number in (errno.EXDEV, errno.EAGAIN, errno.ELOOP):
            raise BlockingIOError(errno.EAGAIN, "not in memory")
        raise OSError(number, os.strerror(number))

    def _open_slowly(self, path: bytes, kind: Kind) -> int:
        """Open a path that has links in it, or where the kernel cannot keep us beneath."""
        for _ in range(_ATTEMPTS):
            inside = self._resolve(path, kind)
            if inside == b".." or inside.startswith(b"../"):
                if self.outside and kind in (READ, LOOK):
                    return os.open(path, kind.flags, dir_fd=self.fd)
                raise OSError(errno.EXDEV, "leads out of the root")
            try:
                return self._open_strictly(inside, kind)
            except OSError as error:
                # A link has appeared since it was resolved: look again.
                if error.errno not in (errno.ELOOP, errno.EAGAIN):
                    raise
        raise OSError(errno.ELOOP, "too many symbolic links, or they change all the time")

    def _resolve(self, path: bytes, kind: Kind) -> bytes:
        """Return the path, relative to the root, that the links in it lead to."""
        root = os.fsencode(self.path)
        above, last = os.path.split(path)
        if kind.flags & os.O_NOFOLLOW:
            real = os.path.join(os.path.realpath(os.path.join(root, above)), last)
        else:
            real = os.path.realpath(os.path.join(root, path))
        return os.path.relpath(real, root)

    def _open_strictly(self, path: bytes, kind: Kind) -> int:
        """Open a path in which no component is a link. Raise ELOOP when one is."""
        if self.can_openat2:
            fd = _open_waiting(_SYS_OPENAT2, self.fd, path, kind.strict, 24)
            if fd < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            return fd  # type: ignore[no-any-return]
        *above, last = path.split(b"/")
        at = os.dup(self.fd)
        try:
            for component in above:
                below = _open_one(at, component, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                os.close(at)
                at = below
            return _open_one(at, last, kind.flags, kind.mode)
        finally:
            os.close(at)


def _open_one(at: int, component: bytes, flags: int, mode: int = 0) -> int:
    """Open one name in a directory. Raise ELOOP when it is a link, whatever the flags say."""
    try:
        fd = os.open(component, flags | os.O_NOFOLLOW, mode, dir_fd=at)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(component, dir_fd=at, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, "a symbolic link") from None
        raise
    if flags & os.O_PATH and stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.ELOOP, "a symbolic link")
    return fd


def _probe(root: int, how: int) -> bool:
    """True when the kernel knows openat2 and these resolve flags, and lets us use them."""
    fd = int(_open_waiting(_SYS_OPENAT2, root, b".", how, 24))
    if fd >= 0:
        os.close(fd)
    return fd >= 0
