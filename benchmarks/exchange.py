"""One signed request and its whole answer, over a connection of its own or a kept one.

For setting up and for single pages of a listing, where the closed loop would be too much.
"""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import quote
from xml.sax.saxutils import unescape

from benchmarks import signing
from benchmarks.loop import LoadError
from benchmarks.signing import Endpoint


@dataclass(frozen=True, slots=True)
class Page:
    """A page of ListObjectsV2."""

    keys: list[str]
    prefixes: list[str]
    token: str | None  # of the page after it

    @classmethod
    def parse(cls, data: bytes) -> Page:
        """Return what a ListBucketResult says."""
        text = data.decode()
        token = re.search(r"<NextContinuationToken>(.*?)</NextContinuationToken>", text)
        return cls(
            [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", text)],
            re.findall(r"<CommonPrefixes><Prefix>(.*?)</Prefix>", text),
            unescape(token[1]) if token else None,
        )


class Client:
    """A keep-alive connection that signs what it sends."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.connection = HTTPConnection(endpoint.host, endpoint.port, timeout=120)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def send(
        self, method: str, path: str, query: str = "", body: bytes = b"", good: tuple[int, ...] = ()
    ) -> bytes:
        """Return the body of the answer. Raise LoadError unless it is 2xx or one of ``good``."""
        head = signing.request(
            self.endpoint, method, path, query=query, sha256=signing.UNSIGNED
        ).decode()
        lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
        target = f"{path}?{query}" if query else path
        self.connection.request(method, target, body or None, dict(lines))
        answer = self.connection.getresponse()
        data = answer.read()
        if not 200 <= answer.status < 300 and answer.status not in good:
            raise LoadError(f"{method} {target}: {answer.status} {data[:500].decode('latin-1')}")
        return data

    def make_bucket(self, bucket: str) -> None:
        """Create the bucket; one that is there already is ours."""
        self.send("PUT", f"/{bucket}", good=(http.client.CONFLICT,))

    def page(self, bucket: str, **params: str) -> Page:
        """Return a page of ListObjectsV2; ``params`` are its query words, ``_`` for ``-``."""
        return Page.parse(self.send("GET", f"/{bucket}", page_query(**params)))

    def empty(self, bucket: str) -> None:
        """Delete the bucket and all that is in it, one key at a time."""
        while keys := self.page(bucket).keys:
            for key in keys:
                self.send("DELETE", f"/{bucket}/{quote(key)}")
        self.send("DELETE", f"/{bucket}")


def page_query(**params: str) -> str:
    """Return the query of a ListObjectsV2, encoded and sorted as Signature V4 wants it."""
    words = {"list-type": "2"} | {name.replace("_", "-"): text for name, text in params.items()}
    return "&".join(f"{name}={quote(words[name], safe='-_.~')}" for name in sorted(words))
