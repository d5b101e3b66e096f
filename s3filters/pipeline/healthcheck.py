"""healthcheck: one path answers ``ok`` to whoever asks, for load balancers.

It says that the process accepts and answers requests; it asks nothing of the storage.

Ini options of ``[filter:healthcheck]``: ``path``, the path to answer (default ``/healthz``).

Answers GET and HEAD of that path where nothing is signed; a bucket of that name can be used still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from s3filters import options
from s3filters.pipeline.base import App
from s3filters.s3.reply import Reply


def absolute(value: str) -> str:
    """A path that begins with a slash and names no bucket's root."""
    path = options.text(value)
    if not path.startswith("/") or path == "/":
        raise ValueError("say a path such as /healthz")
    return path


@dataclass(frozen=True, slots=True)
class Options:
    """Options of healthcheck."""

    path: str = options.option(
        "/healthz", absolute, "Path that answers ok, without authentication."
    )


class Healthcheck:
    """Answers the one path and passes all others on."""

    def __init__(self, app: App, settings: Options) -> None:
        self.app = app
        self._path = settings.path

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer, or pass on."""
        if environ["PATH_INFO"] == self._path and _may_be_a_probe(environ):
            return Reply(200, [("Content-Type", "text/plain")], b"ok")(environ, start_response)
        return self.app(environ, start_response)


def _may_be_a_probe(environ: dict[str, Any]) -> bool:
    """Whether it is not rather a signed request for a bucket of that name."""
    return environ["REQUEST_METHOD"] in ("GET", "HEAD") and "HTTP_AUTHORIZATION" not in environ


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], Healthcheck]:
    """PasteDeploy entry point ``egg:s3filters#healthcheck``."""
    settings = options.read(Options, "filter:healthcheck", global_conf, local_conf)
    return lambda app: Healthcheck(app, settings)
