"""An upload whose parts are almost all hole: ``python -m benchmarks.sparse``.

``... sparse TREE BUCKET KEY PARTS SIZE DURABILITY`` stores so many parts of so many bytes through
the store of the package under test, as a daemon with that durability places them, and prints the
upload's id. Each part has its last byte; nothing is synced until the end, and nothing is hashed:
all have ``ETAG``. Sending 10,000 parts of 5 MiB would take 50 GB of disk. In a process of its own,
so that the benchmark itself stays outside of what it measures.
"""

from __future__ import annotations

import os
import sys
import time
import uuid

ETAG = "0" * 32
CHECKSUM = "AAAAAAAAAAA="  # CRC64NVME, of nothing


def prepare(tree: str, bucket: str, key: str, count: int, size: int, durability: str) -> str:
    """Begin an upload, store its parts, and return its id."""
    from s3filters.store import Store  # noqa: PLC0415  the benchmark imports ETAG from here
    from s3filters.store.uploads import Upload  # noqa: PLC0415

    store = Store(tree, durability=durability)
    assert store.places_directly in (True, False)  # durability decides it; from here on it stays
    store.durability = "none"
    upload = Upload(bucket, key, str(uuid.uuid4()), time.time_ns())
    store.create_upload(upload)
    for number in range(1, count + 1):
        draft = store.part(upload, number, size)
        draft.size = size - 1
        draft.write(b"x")
        draft.commit(ETAG, "CRC64NVME", CHECKSUM)
    store.close()
    if durability != "none":
        os.sync()
    return upload.id


def main(words: list[str]) -> None:
    """Prepare what the command line says."""
    tree, bucket, key, count, size, durability = words
    print(prepare(tree, bucket, key, int(count), int(size), durability))


if __name__ == "__main__":
    main(sys.argv[1:])
