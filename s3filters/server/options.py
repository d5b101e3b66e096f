"""The options of ``[server:main]``: where to listen, with how many workers, within which limits.

Times are seconds, sizes are bytes. A request keeps the limits of request line and header before any
filter sees it; a presigned URL of a 1,024-byte key with a session token fits the defaults.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from s3filters.options import OptionError, choice, option, seconds, text, whole

LAST_PORT = 65535


def permission(value: str) -> int:
    """An octal file permission such as 660."""
    if not re.fullmatch(r"\s*0?[0-7]{3}\s*", value):
        raise ValueError("say an octal permission such as 660")
    return int(value, 8)


def addresses(value: str) -> tuple[str, ...]:
    """One or more addresses with commas between: HOST:PORT, [V6]:PORT or unix:PATH."""
    words = tuple(word.strip() for word in value.split(",") if word.strip())
    for word in words:
        if not re.fullmatch(r"unix:.+|(\[[0-9A-Fa-f:.%\w]+\]|[^\[\]:]*):\d{1,5}", word):
            raise ValueError(f"{word} is not HOST:PORT, [V6]:PORT or unix:PATH")
        if not word.startswith("unix:") and int(word.rpartition(":")[2]) > LAST_PORT:
            raise ValueError(f"{word}: the last port is {LAST_PORT}")
    if not words:
        raise ValueError("say at least one address")
    return words


@dataclass(frozen=True, slots=True)
class Options:
    """``[server:main]`` with ``use = egg:s3filters#eventlet``."""

    listen: tuple[str, ...] = option(
        ("127.0.0.1:9900",),
        addresses,
        "Where to listen: HOST:PORT, [V6]:PORT or unix:PATH, several with commas between.",
    )
    workers: int = option(0, whole(0, 1024), "Worker processes; 0 makes one a core.")
    sockets: str = option(
        "shared",
        choice("shared", "reuseport"),
        "shared: the workers accept from one socket and the least loaded one takes a connection;"
        " reuseport: a socket each, and the kernel's hash decides.",
    )
    backlog: int = option(2048, whole(1, 65535), "Connections that may wait to be accepted.")
    connections: int = option(
        4096, whole(1, 1_000_000), "Connections of a worker at once; one green thread each."
    )
    threads: int = option(24, whole(1, 256), "Real threads of a worker, for work that may block.")
    certificate: str = option("", text, "PEM file with the certificate chain; makes it TLS.")
    key: str = option("", text, "PEM file with the private key; empty: it is in the certificate's.")
    request_line_limit: int = option(16384, whole(64, 60000), "Bytes of a request line.")
    header_limit: int = option(32768, whole(128, 60000), "Bytes of request line and header fields.")
    header_count: int = option(128, whole(1, 10000), "Header fields of a request.")
    header_timeout: float = option(
        20.0, seconds, "Seconds from a request's first byte to its header's end, TLS handshake too."
    )
    idle_timeout: float = option(75.0, seconds, "Seconds of a connection between two requests.")
    read_timeout: float = option(
        60.0, seconds, "Seconds in which a client sends nothing of a body."
    )
    write_timeout: float = option(
        60.0, seconds, "Seconds in which a client takes nothing of an answer."
    )
    drain_timeout: float = option(
        30.0,
        seconds,
        "Seconds that requests in flight have when a worker is told to leave; then they are cut.",
    )
    socket_permission: int = option(0o660, permission, "Permission of unix sockets, octal.")

    def __post_init__(self) -> None:
        """Raise OptionError for a key alone: who names one wants TLS, and would serve without."""
        if self.key and not self.certificate:
            raise OptionError("[server:main] key is set and certificate is not: TLS needs it")
