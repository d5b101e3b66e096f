"""How attributes are written: in Versity's form, before anybody can see the file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import lru_cache

from s3filters.store import boundaries, gojson, xattrs
from s3filters.store.boundaries import Boundaries
from s3filters.store.metadata import (
    ACL,
    ALGORITHMS,
    DEFAULT_TYPE,
    NAMES,
    SEAL,
    STORAGE_CLASS,
    TAGGING,
    Attributes,
    Checksums,
    Record,
)


def write(
    fd: int,
    attributes: Attributes,
    seal: os.stat_result | None,
    *,
    again: bool = False,
    data_version: int | None = None,
) -> Boundaries | None:
    """Store the attributes on an open file that nobody can see yet.

    :param again: it may have others from before, which go
    :param seal: the file's stat after its last byte was written; None for a directory, whose
        mtime changes with every file in it
    :param data_version: the file's, on ScoutFS, as its stat

    Return what could be stored of the parts, None when there are none.
    Raise MetadataTooLarge, InsufficientStorage, OSError.
    """
    wanted = encode(attributes, seal, data_version)
    if again:
        stale = set(NAMES).intersection(os.listxattr(fd)) - {name for name, _ in wanted}
        for name in stale:
            os.removexattr(fd, name)
    xattrs.write(fd, wanted)
    if not attributes.parts:
        return None
    return boundaries.write(fd, attributes.upload_id, attributes.parts, attributes.part_checksums)


def encode(
    attributes: Attributes, seal: os.stat_result | None, data_version: int | None = None
) -> list[tuple[str, bytes]]:
    """Return the attributes in the order in which they are set, without those of the parts."""
    raw = [("user.etag", b'"%b"' % attributes.etag.encode())]
    if seal is not None:
        words = b"%d %d" % (seal.st_size, seal.st_mtime_ns)
        if data_version is not None:
            words += b" %d %d" % (data_version, seal.st_ino)
        raw.append((SEAL, words))
    for name, text in attributes.headers.items():
        if text:
            raw.append(("user." + name, text.encode()))
    if attributes.checksums is not None:
        raw.append(("user.checksums", _checksums_json(attributes.checksums)))
    if attributes.user:
        raw.append(("user.metadata", gojson.encode(dict(sorted(attributes.user.items())))))
    if attributes.tags:
        raw.append((TAGGING, tags_value(attributes.tags)))
    if attributes.storage_class != "STANDARD":
        raw.append((STORAGE_CLASS, attributes.storage_class.encode()))
    if attributes.acl:
        raw.append((ACL, attributes.acl))
    return raw


def tags_value(tags: Mapping[str, str]) -> bytes:
    """Return tags as they are stored, of a bucket too."""
    return gojson.encode(dict(sorted(tags.items())))


def record_of(
    attributes: Attributes, found: os.stat_result, kept: Boundaries | None = None
) -> Record:
    """Return the record that reading the file would give now that the attributes are written.

    :param kept: what ``write`` returned
    """
    headers = attributes.headers
    if not isinstance(headers, dict) or "content-type" not in headers or "" in headers.values():
        headers = {name: text for name, text in headers.items() if text}
        headers.setdefault("content-type", DEFAULT_TYPE)
    is_directory = stat.S_ISDIR(found.st_mode)
    return Record(
        size=0 if is_directory else found.st_size,
        mtime_ns=found.st_mtime_ns,
        ino=found.st_ino,
        dev=found.st_dev,
        ctime_ns=found.st_ctime_ns,
        etag=attributes.etag,
        headers=headers,
        user=dict(attributes.user) if attributes.user else {},
        checksums=attributes.checksums,
        storage_class=attributes.storage_class,
        boundaries=kept,
        tags=len(attributes.tags or ()),
        is_directory=is_directory,
        acl=attributes.acl,
        tagging=tags_value(attributes.tags) if attributes.tags else b"",
    )


@lru_cache(maxsize=64)
def _checksums_template(algorithm: str, kind: str) -> bytes:
    values = ",".join(
        f'"{name}":"%b"' if name == algorithm else f'"{name}":null' for name in ALGORITHMS
    )
    return f'{{"Algorithm":"{algorithm}","Type":"{kind}",{values}}}'.encode()


def _checksums_json(checksums: Checksums) -> bytes:
    return _checksums_template(checksums.algorithm, checksums.type) % checksums.value.encode()
