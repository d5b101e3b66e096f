"""What every filter behind ``s3api`` shares: look at the Call, refuse it, answer it, or pass it on.

A filter names the S3 operations that it touches in two tables: ``gates`` look, may refuse or change
the Call, and let it through; ``answers`` reply. One object serves all requests of a worker, so it
holds nothing that belongs to one. A filter that has nothing for an operation is passed by: the one
before it calls the next that has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Protocol

from s3filters.s3.call import KEY, Call
from s3filters.s3.errors import S3Error

log = logging.getLogger("s3filters.pipeline")

_said: set[tuple[str, ...]] = set()  # a daemon's workers, forked behind the first time, know

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Provider(Protocol):
    """The app that knows the buckets."""

    def bucket_facts(self, bucket: str) -> Any:
        """Return the bucket's record: owner and settings, raw. Raise NoSuchBucket."""

    def object_tags(self, record: Any) -> Mapping[str, str]:
        """Return the tags of an object."""


def provider_of(app: Any) -> Provider | None:
    """Return the first app from here on that knows the buckets, None when none does."""
    while app is not None and not hasattr(app, "bucket_facts"):
        app = getattr(app, "app", None)
    return app  # type: ignore[no-any-return]


def say_once(found: tuple[str, ...]) -> None:
    """Log what was found at the start, and warnings behind it, once for a process and its workers.

    :param found: what is so, and what is missing there
    """
    if found in _said:
        return
    _said.add(found)
    what, *missing = found
    log.info("%s", what)
    for words in missing:
        log.warning("%s", words)


class Filter:
    """A filter behind ``s3api``; subclasses fill the tables with names of their own methods."""

    gates: ClassVar[dict[str, str]] = {}  # operation (or "*" for every one) -> method(call) -> None
    answers: ClassVar[dict[str, str]] = {}  # operation -> method(call) -> a WSGI app

    def __init__(self, app: App) -> None:
        self.app = app
        self._gates = {name: getattr(self, method) for name, method in self.gates.items()}
        self._answers = {name: getattr(self, method) for name, method in self.answers.items()}
        self._every = self._gates.pop("*", None)
        self._below: dict[str, App] = {}  # operation -> the next app that has something for it

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Gate, then answer or pass on. An S3Error becomes the reply."""
        call: Call | None = environ.get(KEY)
        if call is None:  # not ours: embedded behind a foreign front, or an app's own path
            return self.app(environ, start_response)
        try:
            if self._every is not None:
                self._every(call)
            gate = self._gates.get(call.operation)
            if gate is not None:
                gate(call)
            answer = self._answers.get(call.operation)
            app: App
            if answer is not None:
                app = answer(call)
            else:
                app = self._below.get(call.operation) or self._find_below(call.operation)
        except S3Error as error:
            app = error.bare()
        return app(environ, start_response)

    def has(self, operation: str) -> bool:
        """Whether the filter has anything to do with an operation; overridden with ``__call__``."""
        return bool(self._every or operation in self._gates or operation in self._answers)

    def _find_below(self, operation: str) -> App:
        app = self.app
        while isinstance(app, Filter) and not app.has(operation):
            app = app.app
        self._below[operation] = app
        return app
