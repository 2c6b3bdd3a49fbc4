"""Sockets that clients connect to: opened once by the supervisor, or taken from systemd, and shared by all workers.

Shared rather than opened by each worker with SO_REUSEPORT: NuGet clients hold few, long connections, and that option's
hashing leaves a worker without any (docs/decisions/0004).
"""

import errno
import os
import socket
import ssl
from collections.abc import Mapping

# The kernel cuts this to net.core.somaxconn; a build farm's agents all start at once.
BACKLOG = 4096

_FIRST_INHERITED = 3  # sd_listen_fds(3)


class CannotListen(Exception):
    """An address that we cannot listen on; the message says why and what would be right."""


def listen_on(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for every address of a host; an empty host is all addresses of this machine.

    Port 0 takes one free port for all of them. Raises CannotListen.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as failed:
        raise CannotListen(f"{_shown(host, port)} is not an address of this machine: {failed.strerror}") from None
    opened: list[socket.socket] = []
    for family, _, _, _, address in dict.fromkeys(found):
        if family == socket.AF_INET6 and not socket.has_ipv6:
            continue
        wanted = (address[0], port, *address[2:])
        try:
            opened.append(_listening(family, wanted))
        except OSError as failed:
            # A machine without IPv6 still resolves "every address" to it.
            if failed.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and not host:
                continue
            close(opened)
            raise CannotListen(_why(failed, host, port)) from None
        port = port or opened[0].getsockname()[1]
    if not opened:
        raise CannotListen(f"{_shown(host, port)} is not an address of this machine")
    return opened


def inherited(environ: Mapping[str, str]) -> list[socket.socket]:
    """The listening sockets that systemd opened for this process (socket activation); usually none.

    Raises CannotListen if it opened anything else.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "")
    descriptors = range(_FIRST_INHERITED, _FIRST_INHERITED + (int(count) if count.isdecimal() else 0))
    return [_taken_over(descriptor) for descriptor in descriptors]


def _taken_over(descriptor: int) -> socket.socket:
    why = ""
    try:
        taken = socket.socket(fileno=descriptor)
    except OSError as failed:
        why = "is not open" if failed.errno == errno.EBADF else "is not a socket"
    else:
        if taken.family not in (socket.AF_INET, socket.AF_INET6):
            why = "is not a TCP socket"
        elif taken.type != socket.SOCK_STREAM:
            why = "is a datagram socket"
        elif not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            why = "does not listen"
        if why:
            taken.detach()  # it is for another process
    if why:
        raise CannotListen(
            f"LISTEN_FDS names file descriptor {descriptor}, which {why}: expected listening TCP sockets, as opened by "
            "ListenStream= of a systemd .socket unit"
        )
    os.set_inheritable(descriptor, False)
    taken.setblocking(False)
    return taken


def addresses(sockets: list[socket.socket]) -> list[tuple[str, int]]:
    """Host and port of each, as bound."""
    return [each.getsockname()[:2] for each in sockets if each.family in (socket.AF_INET, socket.AF_INET6)]


def close(sockets: list[socket.socket]) -> None:
    """Close them in this process; they stay open in others."""
    for each in sockets:
        each.close()


def tls_context(cert: str, key: str) -> ssl.SSLContext:
    """TLS 1.2 and newer, HTTP/1.1. The files were checked with the settings; raises OSError if they changed since."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(cert, key, password=lambda: "")
    return context


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except BaseException:  # on Ctrl-C too: the port must not stay taken
        opened.close()
        raise
    return opened


def _why(failed: OSError, host: str, port: int) -> str:
    shown = _shown(host, port)
    if failed.errno == errno.EADDRINUSE:
        return f"{shown} is in use by another program; choose another with --listen or server.listen"
    if failed.errno == errno.EACCES:
        return f"{shown} is not permitted: ports below 1024 need CAP_NET_BIND_SERVICE or a front server such as nginx"
    if failed.errno == errno.EADDRNOTAVAIL:
        return f"{shown} is not an address of this machine; 0.0.0.0:{port} is all of IPv4"
    return f"{shown} cannot be listened on: {failed.strerror}"


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
