"""Headers that ask for what is not done here and must not be ignored in silence.

A client that asks for encryption, a lock or a grant and gets a 200 believes that it has it. Each
such header is a row: the values that change nothing are let through, all others are NotImplemented
by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from s3filters.s3.errors import S3Error

# environ key -> values (lower case) that ask for nothing more than what is done anyway
_HARMLESS: dict[str, frozenset[str]] = {
    "HTTP_X_AMZ_BUCKET_OBJECT_LOCK_ENABLED": frozenset({"false"}),
    "HTTP_X_AMZ_COPY_SOURCE_SERVER_SIDE_ENCRYPTION_CUSTOMER_ALGORITHM": frozenset(),
    "HTTP_X_AMZ_IF_MATCH_LAST_MODIFIED_TIME": frozenset(),
    "HTTP_X_AMZ_IF_MATCH_SIZE": frozenset(),
    "HTTP_X_AMZ_OBJECT_LOCK_EVENT_HOLD": frozenset({"off"}),
    "HTTP_X_AMZ_OBJECT_LOCK_LEGAL_HOLD": frozenset({"off"}),
    "HTTP_X_AMZ_OBJECT_LOCK_MODE": frozenset(),
    "HTTP_X_AMZ_OBJECT_LOCK_RETAIN_UNTIL_DATE": frozenset(),
    "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION": frozenset(),
    "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID": frozenset(),
    "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_BUCKET_KEY_ENABLED": frozenset({"false"}),
    "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_CONTEXT": frozenset(),
    "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_CUSTOMER_ALGORITHM": frozenset(),
    "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_CUSTOMER_KEY": frozenset(),
    "HTTP_X_AMZ_WRITE_OFFSET_BYTES": frozenset(),
}
_KEYS = _HARMLESS.keys()
# The same of grants, which the ``acl`` filter understands; without it they are refused.
_GRANTS: dict[str, frozenset[str]] = {
    "HTTP_X_AMZ_ACL": frozenset({"private", "bucket-owner-full-control"}),
    "HTTP_X_AMZ_GRANT_FULL_CONTROL": frozenset(),
    "HTTP_X_AMZ_GRANT_READ": frozenset(),
    "HTTP_X_AMZ_GRANT_READ_ACP": frozenset(),
    "HTTP_X_AMZ_GRANT_WRITE": frozenset(),
    "HTTP_X_AMZ_GRANT_WRITE_ACP": frozenset(),
    "HTTP_X_AMZ_OBJECT_OWNERSHIP": frozenset({"bucketownerenforced"}),
}
_GRANT_KEYS = _GRANTS.keys()
_READ_KEY = "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_CUSTOMER_ALGORITHM"


def check_write(environ: Mapping[str, Any]) -> None:
    """Raise NotImplemented for a header that a change must not ignore."""
    if not environ.keys().isdisjoint(_KEYS):
        _check(environ, _HARMLESS)


def check_grants(environ: Mapping[str, Any]) -> None:
    """Raise NotImplemented for a header that asks for grants, where nobody decides by them."""
    if not environ.keys().isdisjoint(_GRANT_KEYS):
        _check(environ, _GRANTS)


def _check(environ: Mapping[str, Any], rows: Mapping[str, frozenset[str]]) -> None:
    for key, harmless in rows.items():
        value = environ.get(key)
        if value is not None and value.strip().lower() not in harmless:
            name = key[5:].lower().replace("_", "-")
            raise S3Error("NotImplemented", f"The header {name} is not implemented.", Header=name)


def check_read(environ: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for a key of the client: nothing here is encrypted with one."""
    if _READ_KEY in environ:
        message = "The encryption parameters are not applicable to this object."
        raise S3Error("InvalidRequest", message)
