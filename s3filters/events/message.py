"""The message that S3 sends of an event: JSON of version 2.3, one event a message.

Pure. Sources: AWS User Guide, "Event message structure" (fields; the key is encoded as in a URL;
no ``versionId`` without versions and no ``sequencer`` but with PUT and DELETE) and "Supported event
types". S3 itself says 2.1 of all but ``ObjectRestore:Delete``; 2.3 is the same with more in it.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

POST, COMPLETED, DELETE = (
    "ObjectRestore:Post",
    "ObjectRestore:Completed",
    "ObjectRestore:Delete",
)
VERSION = "2.3"
ITSELF = "s3.amazonaws.com"  # who does what nobody asked for just then, in S3's messages


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to an object.

    ``cause`` tells this event from all others of the same name and object: told twice, it is the
    same. ``etag`` has no quotes. ``principal`` and ``address`` are of who asked, empty for nobody
    that is known. ``end_s`` (s since 1970) and ``storage_class`` are of a restored copy, and only
    ``ObjectRestore:Completed`` tells them.
    """

    name: str
    moment_s: float
    region: str
    bucket: str
    owner: str
    key: str
    size: int
    etag: str
    cause: str
    request_id: str = ""
    principal: str = ITSELF
    address: str = ITSELF
    end_s: int = 0
    storage_class: str = ""

    @property
    def id(self) -> str:
        """What is the same when the same event is told again: 64 hexadecimal digits."""
        parts = [self.name, self.bucket, self.key, self.cause]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def encode(event: Event) -> bytes:
    """Return the message, on one line, without a newline at its end."""
    record: dict[str, Any] = {
        "eventVersion": VERSION,
        "eventSource": "aws:s3",
        "awsRegion": event.region,
        "eventTime": _iso(event.moment_s),
        "eventName": event.name,
        "userIdentity": {"principalId": event.principal},
        "requestParameters": {"sourceIPAddress": event.address},
        "responseElements": {
            "x-amz-request-id": event.request_id or event.id[:16].upper(),
            "x-amz-id-2": event.id,
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "s3filters",
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": {"principalId": event.owner},
                "arn": f"arn:aws:s3:::{event.bucket}",
            },
            "object": {
                "key": quote_plus(event.key, safe="/"),
                "size": event.size,
                "eTag": event.etag,
            },
        },
    }
    if event.name == COMPLETED:
        record["glacierEventData"] = {
            "restoreEventData": {
                "lifecycleRestorationExpiryTime": _iso(event.end_s),
                "lifecycleRestoreStorageClass": event.storage_class,
            }
        }
    return json.dumps({"Records": [record]}, separators=(",", ":")).encode()


def _iso(moment_s: float) -> str:
    thousandths = int(moment_s * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(thousandths // 1000))
    return f"{whole}.{thousandths % 1000:03d}Z"
