"""Words for functional tests: signed requests that no client library sends, and what is on disk."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from botocore.exceptions import ClientError

from tests import wire
from tests.raw import EMPTY_SHA256, Answer, Signer

HOST = "s3.test"
SMALL = b"hello"
LARGE = bytes(range(256)) * 1200  # 300 KiB: more than is put, or answered, at one go


class Asker:
    """Sends one signed request to a WSGI app and returns the answer."""

    def __init__(self, app: Callable[..., Any], host: str = HOST) -> None:
        self.app = app
        self.host = host
        self.signer = Signer(host)

    def __call__(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        payload: str = "UNSIGNED-PAYLOAD",
        length: int | None = None,
        environ: Mapping[str, Any] | None = None,
        sign: bool = True,
    ) -> Answer:
        """Ask.

        :param target: path and query as they are on the wire
        :param length: the Content-Length, when it is not that of the body
        :param environ: put over the environ when the request is signed
        """
        lines = dict(headers or {})
        if sign:
            lines = self.signer.headers(method, target, lines, payload)
            del lines["Host"]
        made = wire.environ_of(
            SimpleNamespace(
                method=method, url=f"http://{self.host}{target}", headers=lines, body=body
            )
        )
        if length is not None:
            made["CONTENT_LENGTH"] = str(length)
        status, answered, data = wire.call(self.app, made | dict(environ or {}))
        return Answer(status, {name.lower(): value for name, value in answered}, data)

    def chunked(
        self,
        target: str,
        chunks: list[bytes],
        headers: Mapping[str, str] | None = None,
        *,
        kind: str,
        trailer: str = "",
        forge: bool = False,
    ) -> Answer:
        """PUT an aws-chunked body.

        :param kind: the x-amz-content-sha256, STREAMING-...
        :param trailer: one line, ``name:value``
        :param forge: sign the last chunk of data wrongly
        """
        lines = {"x-amz-decoded-content-length": str(sum(map(len, chunks))), **(headers or {})}
        lines["Content-Encoding"] = "aws-chunked"
        if trailer:
            lines["x-amz-trailer"] = trailer.partition(":")[0]
        signed = self.signer.headers("PUT", target, lines, kind)
        chain = _Chain(self.signer, signed) if "AWS4" in kind else None
        body = b""
        for number, chunk in enumerate([*chunks, b""]):
            extension = chain.of(chunk) if chain else ""
            if forge and number == len(chunks) - 1:
                extension = extension[:-1] + ("0" if extension[-1] != "0" else "1")
            body += f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
        if trailer:
            body += f"{trailer}\r\n".encode()
            if chain:
                body += chain.of_trailer(f"{trailer}\n") + b"\r\n"
        del signed["Host"]
        return self("PUT", target, body + b"\r\n", signed, sign=False)


class _Chain:
    """The signatures of chunks, each made with the one before."""

    def __init__(self, signer: Signer, headers: Mapping[str, str]) -> None:
        self._stamp = headers["x-amz-date"]
        self._scope = f"{self._stamp[:8]}/{signer.region}/s3/aws4_request"
        self._key = signer.key(self._stamp[:8])
        self._last = headers["Authorization"].rpartition("Signature=")[2]

    def _sign(self, kind: str, *digests: str) -> str:
        lines = (f"AWS4-HMAC-SHA256-{kind}", self._stamp, self._scope, self._last, *digests)
        self._last = hmac.new(self._key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
        return self._last

    def of(self, chunk: bytes) -> str:
        return f";chunk-signature={self._sign('PAYLOAD', EMPTY_SHA256, _sha256(chunk))}"

    def of_trailer(self, text: str) -> bytes:
        return f"x-amz-trailer-signature:{self._sign('TRAILER', _sha256(text.encode()))}".encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refusal(call: Callable[..., Any], **args: Any) -> tuple[int, str]:
    """Return status and code of the error that a boto3 call ends in."""
    with pytest.raises(ClientError) as caught:
        call(**args)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def body_of(s3: Any, key: str, bucket: str = "box", **args: Any) -> bytes:
    """Return the bytes that GET answers."""
    return s3.get_object(Bucket=bucket, Key=key, **args)["Body"].read()


def document(answer: Answer) -> Element:
    """Return the XML of an answer, without namespaces."""
    root = fromstring(answer.body)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def told(answer: Answer) -> tuple[int, str]:
    """Return the status of an answer, and its code if it is an error."""
    return answer.status, answer.code


def fields(answer: Answer) -> dict[str, str | None]:
    """Return the elements of an error document in their order."""
    root = document(answer)
    assert root.tag == "Error"
    return {child.tag: child.text for child in root}


def on_disk(folder: Path) -> dict[str, Any]:
    """Return all that is in a folder: name -> bytes, target or None, and the attributes.

    Left out is what costs nothing to have: ``.sgwtmp`` with the lock in it.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == ".sgwtmp" or (path.parent.name, path.name[:4]) == (".sgwtmp", "lock"):
            continue
        if path.is_symlink():
            found[name] = os.readlink(path)
            continue
        attributes = {a: os.getxattr(path, a) for a in os.listxattr(path) if a[:5] == "user."}
        found[name] = path.read_bytes() if path.is_file() else None, attributes
    return found


def http_date(seconds: float) -> str:
    """Return a moment as headers have it."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


def edit(path: Path, data: bytes) -> None:
    """Write to a file as an editor does: in place, and at another time than the last one did."""
    before = path.stat().st_mtime_ns
    path.write_bytes(data)
    if path.stat().st_mtime_ns == before:
        os.utime(path, ns=(before + 1, before + 1))
