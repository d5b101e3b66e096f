"""An upload's directory with parts in it, joined as the store does: what tests begin with."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack
from pathlib import Path

from s3filters.store import assembly
from tests.scoutfs import calls

BLOCK = 4096
MIB = 1 << 20


class Upload:
    """An upload's directory with parts 1, 2, ... in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: dict[int, bytes] = {}
        self.open = 0

    def put(self, number: int, data: bytes, holes: bool = False) -> None:
        """Upload a part, or another in its place; with holes, blocks of zeros are not stored."""
        new = self.path / "new"
        with new.open("wb") as file:
            for at in range(0, len(data), BLOCK if holes else MIB):
                piece = data[at : at + (BLOCK if holes else MIB)]
                if holes and not any(piece):
                    file.seek(len(piece), os.SEEK_CUR)
                else:
                    file.write(piece)
            file.truncate(len(data))
        new.rename(self.path / str(number))
        self.data[number] = data

    def join(self, numbers: list[int]) -> int:
        """Assemble the parts with these numbers; return how many bytes were copied."""
        with ExitStack() as stack:

            def opened(path: Path, flags: int) -> int:
                fd = os.open(path, flags, 0o600)
                stack.callback(os.close, fd)
                return fd

            target = opened(self.path / "joined", os.O_RDWR | os.O_CREAT)
            directory = opened(self.path, os.O_RDONLY)
            parts = [(b"%d" % number, len(self.data[number])) for number in numbers]
            return assembly.move_parts(target, parts, self._open, directory)

    def _open(self, name: bytes) -> int:
        self.open += 1
        return os.open(self.path / os.fsdecode(name), os.O_RDONLY)

    @property
    def joined(self) -> bytes:
        return (self.path / "joined").read_bytes()

    def wanted(self, numbers: list[int]) -> bytes:
        return b"".join(self.data[number] for number in numbers)

    def online(self, number: int) -> int:
        """How many blocks of a part are where they were uploaded."""
        fd = os.open(self.path / str(number), os.O_RDONLY)
        try:
            return calls.stat_more(fd)[0]
        finally:
            os.close(fd)


def filled(tmp: Path, sizes: tuple[int, ...]) -> Upload:
    upload = Upload(tmp)
    for number, size in enumerate(sizes, 1):
        upload.put(number, random.Random(number).randbytes(size))
    return upload
