"""What has changed in a directory since a moment: the kernel's own list of it, by inotify(7).

For large directories that change while they are listed: reading 100,000 names again for every page
costs 0.1 s, adding the ten that came since costs nothing. Only on file systems of this machine.

*Why nothing is missed.* The kernel queues the event of a created, linked, renamed or deleted name
before the system call that did it returns, and while it holds the directory's lock. So what was
done when the queue is read is in the queue, in the order in which it was done. A watch begins
before the directory is read; a change that falls into the reading is in the queue too, and what it
says about a name stands above what was read. When the queue overflows or the directory's file
system goes away, the kernel says so and ``lost`` is set: then everything is read again. Source:
fs/notify, inotify(7).

Not safe for several threads at once: whoever has the Watcher has a lock.
"""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE, _DELETE, _MOVED_FROM, _MOVED_TO = 0x100, 0x200, 0x40, 0x80  # linux/inotify.h
_OVERFLOW, _IGNORED, _UNMOUNT = 0x4000, 0x8000, 0x2000
_IS_DIRECTORY, _ONLY_DIRECTORY = 0x4000_0000, 0x0100_0000
_APPEARS, _GOES = _CREATE | _MOVED_TO, _DELETE | _MOVED_FROM
_EVENT = struct.Struct("=iIII")  # wd, mask, cookie, bytes of name with its NULs
_READ = 64 << 10
_MOST = 16  # directories watched at a time

_libc = ctypes.CDLL(None, use_errno=True)


class Watched:
    """Changes of one directory since the watch began.

    ``changes`` maps a name (a directory's with ``/``) to whether it is there now; ``count`` grows
    with each event; ``lost`` means that changes were missed and nothing here can be used.
    """

    __slots__ = ("changes", "count", "lost", "wd")

    def __init__(self, wd: int) -> None:
        self.wd = wd
        self.changes: dict[str, bool] = {}
        self.count = 0
        self.lost = False

    def note(self, mask: int, raw: bytes) -> None:
        """Take in one event. Names that are not UTF-8 are nobody's key."""
        if not mask & (_APPEARS | _GOES):
            self.lost = True  # ignored or unmounted
            return
        try:
            name = raw.rstrip(b"\0").decode()
        except UnicodeDecodeError:
            return
        self.changes[name + "/" if mask & _IS_DIRECTORY else name] = bool(mask & _APPEARS)
        self.count += 1


class Watcher:
    """The watches of one process."""

    def __init__(self) -> None:
        self._fd = -1
        self._process = 0
        self._watched: dict[int, Watched] = {}

    def begin(self, fd: int) -> Watched | None:
        """Watch an open directory from now on. None when the kernel has no more watches for us."""
        if self._process != os.getpid():
            self.close()
            self._process = os.getpid()
            self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or len(self._watched) >= _MOST:
            return None
        mask = _APPEARS | _GOES | _ONLY_DIRECTORY
        wd = _libc.inotify_add_watch(self._fd, b"/proc/self/fd/%d" % fd, mask)
        if wd < 0:
            return None
        self.drain()  # what belongs to an earlier watch of the same directory
        earlier = self._watched.get(wd)
        if earlier is not None:
            earlier.lost = True
        self._watched[wd] = Watched(wd)
        return self._watched[wd]

    def end(self, watched: Watched) -> None:
        """Stop watching."""
        watched.lost = True
        if self._watched.get(watched.wd) is watched:
            del self._watched[watched.wd]
            if self._process == os.getpid():
                _libc.inotify_rm_watch(self._fd, watched.wd)

    def drain(self) -> None:
        """Take in all that has happened until now."""
        if self._process != os.getpid():  # a parent's queue is not ours to read
            self.close()
        while self._fd >= 0 and (events := _read(self._fd)):
            at = 0
            while at < len(events):
                wd, mask, _, size = _EVENT.unpack_from(events, at)
                at += _EVENT.size + size
                if mask & _OVERFLOW:
                    self._forget()
                elif wd in self._watched:
                    self._watched[wd].note(mask, events[at - size : at])
                    if self._watched[wd].lost:
                        del self._watched[wd]

    def close(self) -> None:
        """End all watches."""
        self._forget()
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _forget(self) -> None:
        for watched in list(self._watched.values()):
            self.end(watched)


def _read(fd: int) -> bytes:
    """Return some events, none when there are none."""
    try:
        return os.read(fd, _READ)
    except BlockingIOError:
        return b""
