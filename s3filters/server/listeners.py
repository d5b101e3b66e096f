"""The sockets that connections come in by: TCP on v4 and v6, and unix sockets in the file system.

The master makes them once and keeps them, so no connection is lost while workers come and go. A
socket file that nobody listens on any more is replaced; one in use, or a file of another kind, is
not.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import stat
from contextlib import suppress

from s3filters.server.options import LAST_PORT, Options

_TCP = re.compile(r"\[?([^\]]*?)\]?:(\d+)")


class ListenError(Exception):
    """An address that cannot be listened on; the message is one line for the person who asked."""


class Listener:
    """One address of the ``listen`` option, and the sockets that serve it.

    ``sockets`` has one that all workers share, or one for each worker (SO_REUSEPORT).
    """

    def __init__(self, address: str, options: Options, workers: int) -> None:
        self._file: tuple[str, int] | None = None  # path and inode of a socket file of ours
        self._tls = bool(options.certificate)
        self.sockets: list[socket.socket] = []
        try:
            if address.startswith("unix:"):
                self._bind_path(address[5:], options.socket_permission)
            else:
                self._bind_tcp(address, workers if options.sockets == "reuseport" else 0)
            for sock in self.sockets:
                sock.setblocking(False)
                sock.listen(options.backlog)
        except OSError as error:
            self.close(remove=True)
            raise ListenError(f"cannot listen on {address}: {error.strerror}") from error

    @property
    def endpoint(self) -> str:
        """The address as a client writes it: a URL, or unix:PATH."""
        name = self.sockets[0].getsockname()
        if self._file is not None:
            return f"unix:{self._file[0]}"
        host = f"[{name[0]}]" if ":" in name[0] else name[0]
        return f"{'https' if self._tls else 'http'}://{host}:{name[1]}"

    def socket_for(self, slot: int) -> socket.socket:
        """The socket that the worker of this slot accepts from."""
        return self.sockets[slot % len(self.sockets)]

    @property
    def shared(self) -> bool:
        """Whether all workers accept from one socket."""
        return len(self.sockets) == 1

    def close(self, *, remove: bool) -> None:
        """Stop listening; ``remove`` the socket file if it is still ours."""
        for sock in self.sockets:
            sock.close()
        if remove and self._file is not None:
            path, inode = self._file
            with suppress(OSError):
                if os.lstat(path).st_ino == inode:
                    os.unlink(path)

    def _bind_path(self, path: str, permission: int) -> None:
        _remove_stale(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sockets.append(sock)
        before = os.umask(0o777 & ~permission)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        self._file = path, os.lstat(path).st_ino

    def _bind_tcp(self, address: str, each: int) -> None:
        """Bind one socket, or ``each`` that share the port. Port 0 takes any free one."""
        match = _TCP.fullmatch(address)
        if match is None or int(match[2]) > LAST_PORT:
            raise OSError(0, "this is not HOST:PORT")
        family, kind, protocol, _, name = socket.getaddrinfo(
            match[1] or "0.0.0.0",
            int(match[2]),
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        for _ in range(max(each, 1)):
            sock = socket.socket(family, kind, protocol)
            self.sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted ones inherit it
            if each:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(name)
            name = sock.getsockname()


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(0, "there is a file that is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(0, "another process listens there")


def tls_context(options: Options) -> ssl.SSLContext | None:
    """The TLS settings, None without a certificate. Raise ListenError when it cannot be used."""
    if not options.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.certificate, options.key or None)
    except (OSError, ssl.SSLError) as error:
        raise ListenError(f"cannot use the certificate {options.certificate}: {error}") from error
    return context
