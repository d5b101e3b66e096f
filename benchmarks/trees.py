"""Buckets with many keys, made straight in the tree: files put there are objects.

The bucket itself is created through S3, so that it has an owner. Where the tree of the server is
not known (``--endpoint``) the keys are written through S3, and only as many as that allows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import signing
from benchmarks.bench import Bench, say
from benchmarks.daemon import Subject
from benchmarks.loop import load

THROUGH_S3 = 20_000  # keys at most, where they cannot be made in the tree


def flat(bench: Bench, subject: Subject, count: int) -> str:
    """Return a bucket of so many keys ``k00000000``, ``k00000001``, ..."""
    keys = [flat_key(number) for number in range(count)]
    return _bucket(bench, subject, f"bench-flat-{count}", keys)


def flat_key(number: int) -> str:
    """Return a key of a flat bucket: they sort as their numbers do."""
    return f"k{number:08d}"


def deep(bench: Bench, subject: Subject) -> str:
    """Return a bucket of directories ``d0000``, ``d0001``, ... with keys ``k0000``, ... in each."""
    directories, each = bench.plan.deep
    return _bucket(bench, subject, "bench-deep", deep_keys(range(directories), each))


def deep_prefix(number: int) -> str:
    """Return a directory of the deep tree."""
    return f"d{number:04d}/"


def deep_keys(directories: Iterable[int], each: int) -> list[str]:
    """Return the keys of some directories of the deep tree, in order."""
    return [
        f"{deep_prefix(directory)}k{number:04d}"
        for directory in directories
        for number in range(each)
    ]


def within_reach(subject: Subject, count: int) -> bool:
    """Whether a bucket of so many keys can be made."""
    return subject.tree is not None or count <= THROUGH_S3


def _bucket(bench: Bench, subject: Subject, name: str, keys: Sequence[str]) -> str:
    def fill() -> None:
        say(f"    making {len(keys):,} keys")
        if subject.tree is None:
            _through_s3(subject, name, keys)
        else:
            _in_tree(subject.tree / name, keys)

    return bench.bucket(subject, name, fill)


def _in_tree(folder: Path, keys: Sequence[str]) -> None:
    """Make an empty file for each key: one system call each."""
    for directory in sorted({key.rpartition("/")[0] for key in keys} - {""}):
        (folder / directory).mkdir()
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for key in keys:
            os.mknod(key, 0o644 | stat.S_IFREG, dir_fd=root)
    finally:
        os.close(root)


def _through_s3(subject: Subject, bucket: str, keys: Sequence[str]) -> None:
    endpoint = subject.endpoint
    messages = [signing.request(endpoint, "PUT", f"/{bucket}/{key}", length=0) for key in keys]
    load(endpoint, messages, 8)
