"""Starts the server: ``egg:s3filters#eventlet`` in an ini, ``serve`` in a program.

The app is loaded in each worker, not before. That lets SIGHUP bring in a changed ini, changed
credentials and a changed certificate without a moment in which nobody serves.
"""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable, Mapping

from paste.deploy import appconfig, loadapp

from s3filters import options as ini
from s3filters.server.listeners import Listener, ListenError, tls_context
from s3filters.server.master import Master
from s3filters.server.options import Options
from s3filters.server.service import App
from s3filters.server.worker import Place, work

log = logging.getLogger("s3filters.server")

SECTION = "server:main"
SPARE_DESCRIPTORS = 1024  # files that a worker may open beside two for each connection


def serve(
    load_app: Callable[[], App],
    options: Options,
    *,
    on_bound: Callable[[], None] = lambda: None,
    on_ready: Callable[[list[str]], None] | None = None,
) -> int:
    """Serve until told to stop, and return the exit code.

    :param load_app: called in each new worker, so each reload reads everything anew
    :param on_bound: called once, when all addresses are ours and nobody serves yet; what it raises
        ends all and is raised
    :param on_ready: called once, when all workers serve, with the endpoints (URLs, unix:PATH)

    Raise ListenError when an address or the certificate cannot be used.
    """
    return _serve(lambda generation: load_app(), options, on_bound, on_ready)


def _serve(
    load: Callable[[int], App],
    options: Options,
    on_bound: Callable[[], None],
    on_ready: Callable[[list[str]], None] | None,
) -> int:
    raise_descriptor_limit(2 * options.connections + SPARE_DESCRIPTORS)
    workers = options.workers or len(os.sched_getaffinity(0))
    tls_context(options)  # a certificate that cannot be used is told before anything starts
    listeners = open_listeners(options, workers)

    def work_for(generation: int, place: Place) -> int:
        return work(lambda: load(generation), options, listeners, place)

    def ready() -> None:
        endpoints = [listener.endpoint for listener in listeners]
        log.info("listening on %s with %d workers", ", ".join(endpoints), workers)
        if on_ready is not None:
            on_ready(endpoints)

    try:
        on_bound()
        return Master(
            listeners, workers, work_for, drain_timeout=options.drain_timeout, on_ready=ready
        ).run()
    finally:
        for listener in listeners:
            listener.close(remove=True)


def raise_descriptor_limit(wanted: int) -> None:
    """Let the processes open ``wanted`` files, as far as the system lets us, or more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_listeners(options: Options, workers: int) -> list[Listener]:
    """Listen on all addresses, or on none: raise ListenError."""
    listeners: list[Listener] = []
    try:
        for address in options.listen:
            listeners.append(Listener(address, options, workers))
    except ListenError:
        for listener in listeners:
            listener.close(remove=True)
        raise
    return listeners


def server_runner(app: App, global_conf: Mapping[str, str], **local_conf: str) -> None:
    """PasteDeploy's ``paste.server_runner``: serve the app until told to stop.

    After SIGHUP the ini that the app came from is loaded again.
    """
    options = ini.read(Options, SECTION, global_conf, local_conf)
    try:
        code = _serve(_reloader(app, global_conf), options, lambda: None, None)
    except ListenError as error:
        raise SystemExit(f"s3filters: {error}") from error
    if code:
        raise SystemExit(code)


def _reloader(app: App, global_conf: Mapping[str, str]) -> Callable[[int], App]:
    """The app as it was given to the first generation, loaded from its ini for later ones.

    What the caller set above the ini's [DEFAULT] stays above it; the rest is read again.
    """
    path = global_conf.get("__file__")
    if path is None:
        return lambda generation: app
    uri = f"config:{os.path.abspath(path)}"
    try:
        in_file = appconfig(uri).global_conf
    except LookupError:  # its app is not called main, so we do not know which one this is
        return lambda generation: app
    given = {key: text for key, text in global_conf.items() if in_file.get(key) != text}

    def load(generation: int) -> App:
        loaded: App = app if generation == 0 else loadapp(uri, global_conf=given)
        return loaded

    return load
