"""What the store's tests share: a store with one bucket on a temporary folder."""

import os

import pytest

from s3filters.store import Store
from s3filters.store.metadata import Attributes, Checksums

BUCKET = "box"


def attributes(**changes):
    given = {
        "etag": "5d41402abc4b2a76b9719d911017c592",
        "headers": {"content-type": "text/plain"},
        "user": {"one": "1"},
        "checksums": Checksums("CRC64NVME", "FULL_OBJECT", "M3eFcAZSQlc="),
    }
    return Attributes(**(given | changes))


class Box:
    """A store, its bucket ``box``, and words for tests."""

    def __init__(self, root, **options):
        root.mkdir(exist_ok=True)
        self.root = root
        self.path = root / BUCKET
        self.steps = []
        options = {"durability": "none", "trace": self.steps.append} | options
        self.store = Store(root, **options)
        if not self.path.exists():
            self.store.create_bucket(BUCKET, "me")

    def put(self, key, data=b"hello", **options):
        changes = options.pop("changes", {})
        return self.store.put_small(BUCKET, key, data, attributes(**changes), **options)

    def get(self, key):
        with self.store.open(BUCKET, key) as opened:
            return b"".join(opened.blocks(1000))

    def head(self, key, **options):
        return self.store.head(BUCKET, key, **options)

    def delete(self, key, check=None):
        return self.store.delete(BUCKET, key, check)

    def files(self):
        """Everything in the bucket, without ``.sgwtmp``: paths of directories end in ``/``."""
        found = []
        for folder, folders, names in os.walk(self.path):
            if ".sgwtmp" in folders:
                folders.remove(".sgwtmp")
            at = os.path.relpath(folder, self.path)
            prefix = "" if at == "." else at + "/"
            found += [prefix + name for name in names] + [f"{prefix}{name}/" for name in folders]
        return sorted(found)

    def on_their_way(self):
        """Hidden files that a put left."""
        hidden = self.path / ".sgwtmp"
        return [n for n in os.listdir(hidden) if n.startswith("put.")] if hidden.exists() else []


@pytest.fixture
def make_box(tmp_path):
    boxes = []

    def make(**options):
        boxes.append(Box(tmp_path / "root", **options))
        return boxes[-1]

    yield make
    for box in boxes:
        box.store.close()


@pytest.fixture
def box(make_box):
    return make_box()


@pytest.fixture
def no_open_files():
    """Fail a test that leaves a descriptor open."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= len(before)
