"""boto3 without a socket: its requests become WSGI calls, its answers come from them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import boto3
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config

ENDPOINT = "http://s3.test"
# A name of its own, as boto3 makes up its long one anew for each request.
LEAST = {"retries": {"max_attempts": 0}, "s3": {"addressing_style": "path"}, "user_agent": "tests"}


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterable[bytes]:
        yield self.read()


def environ_of(request: Any) -> dict[str, Any]:
    """Return the environ that a WSGI server makes of a prepared request."""
    url = urlsplit(request.url)
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
        "RAW_PATH_INFO": url.path,
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": url.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    raw = [("Host", url.netloc)]
    for name, value in request.headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        raw.append((name, text))
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
    environ["headers_raw"] = raw
    if body and "CONTENT_LENGTH" not in environ:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def call(
    app: Callable[..., Iterable[bytes]], environ: dict[str, Any]
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Call the app once; return status, headers and the whole body."""
    started: list[Any] = []
    answer = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    try:
        body = b"".join(answer)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    status, headers = started[-1]
    return int(status[:3]), headers, body


def client(
    app: Callable[..., Iterable[bytes]], access_key: str, secret_key: str, **config: Any
) -> Any:
    """Return a boto3 client whose requests go to the app."""
    made = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(**LEAST | config),
    )

    def send(request: Any, **_: Any) -> AWSResponse:
        status, headers, body = call(app, environ_of(request))
        return AWSResponse(request.url, status, HeadersDict(headers), _Raw(body))

    made.meta.events.register("before-send.s3", send)
    return made
