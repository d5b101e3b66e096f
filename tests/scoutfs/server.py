"""The double as a whole: threads that read messages and hand each to what answers it."""

from __future__ import annotations

import errno
import sys
import threading
import traceback
from collections.abc import Callable

from tests.scoutfs import device, protocol
from tests.scoutfs.attributes import Attributes, is_order
from tests.scoutfs.device import Device
from tests.scoutfs.faults import Faults
from tests.scoutfs.files import Files
from tests.scoutfs.inodes import Inodes
from tests.scoutfs.ioctls import Ioctls
from tests.scoutfs.names import Names
from tests.scoutfs.protocol import Op, Request
from tests.scoutfs.sequences import COMMIT_S, Sequences
from tests.scoutfs.waiting import Handler, Waiting

# These get no answer, whatever happens.
_SILENT = (Op.FORGET, Op.BATCH_FORGET, Op.INTERRUPT)


class Double:
    """A mounted double over an open folder (O_PATH), which becomes ours.

    :param format_version: 1 or 2, as ScoutFS has them
    :param every_s: seconds between commits that nobody asks for; 0 is never
    """

    def __init__(
        self, folder: int, mountpoint: str, *, format_version: int = 2, every_s: float = COMMIT_S
    ) -> None:
        self.format_version = format_version
        self.inodes = Inodes(folder, Sequences(every_s))
        self.faults = Faults()
        self.device = Device(mountpoint)
        self.waiting = Waiting(self.device)
        self.names = Names(self)
        self.files = Files(self)
        self.operations: dict[int, Handler] = {
            **self.names.operations,
            **self.files.operations,
            **Attributes(self).operations,
            **Ioctls(self).operations,
            Op.INIT: self.begin,
            Op.INTERRUPT: self.interrupt,
        }
        self._threads: list[threading.Thread] = []

    def start(self, threads: int = 4, ended: Callable[[], None] = lambda: None) -> None:
        """Answer from now on; ``ended`` is called when somebody else has unmounted us."""
        for _ in range(threads):
            thread = threading.Thread(target=self._serve, args=(ended,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Unmount; who waits for data gets EIO. A no-op when it was done by somebody else."""
        self.waiting.end()
        if device.mount_id(self.device.path) == self.device.mount_id:
            device.unmount(self.device.path)

    def begin(self, request: Request) -> bytes:
        """The kernel says hello."""
        _, minor, readahead, offered = protocol.INIT_IN.unpack_from(request.body)
        agreed = (7, min(minor, protocol.MINOR), readahead, offered & protocol.WANTED)
        pages = protocol.MAX_WRITE // 4096
        return protocol.INIT_OUT.pack(*agreed, 64, 48, protocol.MAX_WRITE, 1, pages, *[0] * 9)

    def interrupt(self, request: Request) -> None:
        """A signal came for a request, which matters only when it waits."""
        self.waiting.interrupt(int.from_bytes(request.body[:8], "little"))

    def _serve(self, ended: Callable[[], None]) -> None:
        buffer = device.buffer()
        view = memoryview(buffer)
        while length := self.device.receive(buffer):
            self._answer(protocol.parse(view[:length]))
        ended()

    def _answer(self, request: Request) -> None:
        handler = self.operations.get(request.op)
        if handler is None:
            self.device.reply(request.unique, number=errno.ENOSYS)
            return
        try:
            if request.op not in _SILENT and not is_order(request):
                self.faults.take(request.op)
            answer = handler(request)
        except OSError as failed:
            self.device.reply(request.unique, number=failed.errno or errno.EIO)
        except Exception:  # noqa: BLE001  a slip of ours must not leave the caller waiting
            traceback.print_exc(file=sys.stderr)
            self.device.reply(request.unique, number=errno.EIO)
        else:
            if answer is not None:
                self.device.reply(request.unique, answer)
