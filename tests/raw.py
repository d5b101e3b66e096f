"""Requests as bytes on a wire, signed by a signature V4 of our own.

Nothing of the package is imported here, so a fault there cannot hide itself. ``Connection`` asks
and waits; ``RawConnection`` sends the bytes that it is given when it is told to, for tests that
break requests or finish many at one instant.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path

ACCESS_KEY = "AKIATESTS3FILTERS000"
SECRET_KEY = "tests/only+secret0000000000000000000000"
REGION = "us-east-1"
AMZ_DATE = "%Y%m%dT%H%M%SZ"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Signer:
    """Signature V4 by header, with the payload's hash given or left unsigned."""

    host: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION

    def key(self, day: str) -> bytes:
        """The signing key of a day written ``20261121``."""
        return _signing_key(self.secret_key, day, self.region)

    def headers(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        payload: str = "UNSIGNED-PAYLOAD",
    ) -> dict[str, str]:
        """Return the headers given, and those that sign the request.

        :param target: path and query exactly as they go on the wire
        :param payload: value of x-amz-content-sha256
        """
        now = time.strftime(AMZ_DATE, time.gmtime())
        signed = {name.lower(): " ".join(value.split()) for name, value in (headers or {}).items()}
        signed |= {"host": self.host, "x-amz-date": now, "x-amz-content-sha256": payload}
        signature = self._signature(method, target, signed, payload, now)
        return {
            **(headers or {}),
            "Host": self.host,
            "x-amz-date": now,
            "x-amz-content-sha256": payload,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{self._scope(now)}, "
            f"SignedHeaders={';'.join(sorted(signed))}, Signature={signature}",
        }

    def presigned(self, method: str, target: str, expires_s: str = "60") -> str:
        """Return the target with a query that signs it; ``expires_s`` may be any text."""
        now = time.strftime(AMZ_DATE, time.gmtime())
        words = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.access_key}/{self._scope(now)}",
            "X-Amz-Date": now,
            "X-Amz-Expires": expires_s,
            "X-Amz-SignedHeaders": "host",
        }
        whole = f"{target}{'&' if '?' in target else '?'}{urllib.parse.urlencode(words)}"
        signature = self._signature(method, whole, {"host": self.host}, "UNSIGNED-PAYLOAD", now)
        return f"{whole}&X-Amz-Signature={signature}"

    def _scope(self, now: str) -> str:
        return f"{now[:8]}/{self.region}/s3/aws4_request"

    def _signature(
        self, method: str, target: str, signed: Mapping[str, str], payload: str, now: str
    ) -> str:
        path, _, query = target.partition("?")
        canonical = "\n".join(
            [
                method,
                path,
                canonical_query(query),
                *(f"{name}:{signed[name]}" for name in sorted(signed)),
                "",
                ";".join(sorted(signed)),
                payload,
            ]
        )
        digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{now}\n{self._scope(now)}\n{digest}"
        return hmac.new(self.key(now[:8]), text.encode(), hashlib.sha256).hexdigest()


@functools.lru_cache(maxsize=32)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return key


def canonical_query(query: str) -> str:
    """The query sorted and encoded as signature V4 wants it; latin-1 text stands for bytes."""
    pairs = []
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        pairs.append(tuple(_encoded(word) for word in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(word: str) -> str:
    raw = urllib.parse.unquote_to_bytes(word.encode("latin-1"))
    return urllib.parse.quote(raw, safe="-_.~")


@dataclass
class Answer:
    """Status, headers (lower-case names) and whole body of one reply."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The ``<Code>`` of an error body, or an empty text."""
        return self.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


class Connection:
    """One keep-alive connection that signs what it sends; dialled again when it was closed."""

    def __init__(self, port: int, ca: Path | None = None, timeout_s: float = 30.0) -> None:
        self._signer = Signer(f"127.0.0.1:{port}")
        context = ssl.create_default_context(cafile=str(ca)) if ca else None
        self._http: HTTPConnection = (
            HTTPSConnection("127.0.0.1", port, timeout=timeout_s, context=context)
            if context
            else HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        )

    def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        payload: str = "UNSIGNED-PAYLOAD",
    ) -> Answer:
        """Send one signed request and read the whole reply. Raise OSError or HTTPException."""
        return self.send(
            method, target, body, self._signer.headers(method, target, headers, payload)
        )

    def send(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request as it is, unsigned. Raise OSError or HTTPException."""
        try:
            self._http.request(method, target, body or None, dict(headers or {}))
            reply: HTTPResponse = self._http.getresponse()
            return Answer(reply.status, {n.lower(): v for n, v in reply.getheaders()}, reply.read())
        except BaseException:
            self._http.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class RawConnection:
    """One keep-alive connection on which the test writes every byte itself."""

    def __init__(self, port: int, timeout_s: float = 30.0) -> None:
        self.signer = Signer(f"127.0.0.1:{port}")
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The bytes of a whole signed request, none of them sent."""
        lines = self.signer.headers(method, target, headers)
        lines["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body

    def answer(self, method: str) -> Answer:
        """Read one reply. Raise OSError or HTTPException."""
        with closing(HTTPResponse(self.socket, method=method)) as reply:
            reply.begin()
            headers = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, headers, reply.read())

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()
