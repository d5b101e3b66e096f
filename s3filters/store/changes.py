"""Which inodes of ScoutFS have changed since somebody last asked, on whatever node, in a few calls.

    changes = Changes(fd)       an open directory, which stays open
    changes.since(1000)         None: look at everything
    changes.since(1000)         a set of inode numbers (``st_ino``): look at these, often none
    changes.since(1000)         None again when more than 1,000 changed: look at everything

For those who would else look at thousands of objects every minute to find the one that came back.

*What is told*: every inode whose data came or went (staged, released), or of which a byte, an
attribute of any name space, a time, an owner or a link changed, also by whoever asks; so is a new
one, and the directory in which a name was made, renamed or removed. A removed inode is not: it is
in no index any more. There may be too many, and one may be told twice.

*When*: once the transaction is on the disk, which is at the next fsync of anything on that node
and some ten seconds later at most. A node's open transaction holds back those of others behind it.

*Why nothing is missed.* ScoutFS numbers its transactions, and each inode bears the number of the
one that changed it last, in an index that the kernel walks in order, up to the last number below
that of any transaction that is still open (``scoutfs.walk``, ``scoutfs.committed_seq``).

1. The mark is set before everything is looked at. A change that this look did not see was made
   after the mark, in a transaction that was open then or began later: its number is higher.
2. An inode that changes again moves to the number of another open transaction. That may be lower,
   when it is another node's; but like all open ones it is above whatever was told. So the inode is
   behind the mark from its change on, and is met there as soon as its transaction is committed.
3. What the kernel told is final: nothing is ever put in at or below a number that it has told of,
   since all transactions with such numbers have ended. So the mark may stand right behind the last
   one told, also in the middle of a transaction's, where a call had no room for the rest.
4. An inode is looked at after it was told. A change that this look did not see was made after the
   index was read, in a transaction that was open then or began later: as in 1.
5. When there are too many the mark is set anew first, and then everything is looked at: as in 1.

So whoever gets a set or None has to look *after* the call, and to be done with that before the
next; whoever fails in between calls ``forget``. Nothing is written down: after a start everything
is looked at once. Not safe for several threads at once.
"""

from __future__ import annotations

import errno
from collections.abc import Container

from s3filters.store import scoutfs
from s3filters.store.scoutfs import Position

_CALL = 4096  # inodes told by one call
_FOREIGN = (errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # no such call, or no index


class Changes:
    """The changes of one file system.

    :param fd: an open directory on it, for as long as this is used
    :param call: how many inodes one call of the kernel may tell
    """

    def __init__(self, fd: int, call: int = _CALL) -> None:
        self._fd = fd
        self._call = call
        self._mark: Position | None = None
        self.known = True  # False: this kernel or file system cannot tell, ``since`` is None always

    def begin(self) -> None:
        """Set the mark here and now: what is changed from now on is told by ``since``.

        Raise OSError; then there is no mark.
        """
        self._mark = None
        if not self.known:
            return
        try:
            self._mark = Position(scoutfs.committed_seq(self._fd) + 1, 0, 0)
        except OSError as error:
            self._refused(error)

    def forget(self) -> None:
        """Take the mark away: the next ``since`` sets a new one and tells None."""
        self._mark = None

    def since(self, most: int, among: Container[int] | None = None) -> set[int] | None:
        """Return the inodes that changed since the mark, and set it behind them.

        None when everything is to be looked at: there was no mark, more than ``most`` changed (then
        the mark is set anew), or changes cannot be told here. Where they can it takes one call for
        each 4,096 that changed and one more at most, and where there was no mark one in all.

        :param most: how many changes to read, of whatever inodes, since all of them have to be
        :param among: the inodes to tell of, so that no others take memory; None for all

        Raise OSError, such as one of the network; the same changes are told the next time.
        """
        if self._mark is not None:
            try:
                found = self._walk(self._mark, most, among)
            except OSError as error:
                self._refused(error)
            else:
                if found is not None:
                    return found
        self.begin()
        return None

    def _walk(self, mark: Position, most: int, among: Container[int] | None) -> set[int] | None:
        """Return what is at a mark and behind it, and set ours behind that; None for too many."""
        found, left = set[int](), most + 1
        while left:
            room = min(self._call, left)
            told = scoutfs.walk(self._fd, scoutfs.META_SEQ, mark, room)
            found.update(each.ino for each in told if among is None or each.ino in among)
            left -= len(told)
            if told:
                mark = told[-1].next()
            if len(told) < room:
                self._mark = mark
                return found
        return None

    def _refused(self, error: OSError) -> None:
        """Note that changes cannot be told here. Raise any other error."""
        if error.errno not in _FOREIGN:
            raise error
        self.known = False
