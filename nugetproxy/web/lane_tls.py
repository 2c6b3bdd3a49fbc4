"""Connections until TLS is agreed on: counted, limited and timed like any other. Then each is a lane's.

With asyncio's own listening (`create_server(ssl=...)`) nobody hears of a connection before its handshake is done, and
those that never finish one are open files that no limit knows of.
"""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

import structlog

from nugetproxy.web.connections import Connections

LONGEST_HANDSHAKE: Final = 60.0
"""Seconds, where `server.header_timeout` sets no limit: a handshake is a few kilobytes."""

AT_ONCE: Final = 64
"""Connections taken before others get their turn; what is left may be taken by another worker."""

# asyncio has a time-out of its own, which counts nothing; it only must not come before ours.
_LATER: Final = 10.0

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE: Final = 1.0

_log = structlog.get_logger(__name__)


class TlsListener:
    """Takes the connections of one listening socket until it is closed."""

    def __init__(
        self,
        listening: socket.socket,
        connections: Connections,
        tls: ssl.SSLContext,
        seconds: float,
        protocol: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        """`connections` are those in a handshake; `seconds` is how long one may take, 0: `LONGEST_HANDSHAKE`.

        `protocol` makes what goes on with a connection. `listening` is closed by `close`.
        """
        self._listening = listening
        self._connections = connections
        self._tls = tls
        self._seconds = seconds or LONGEST_HANDSHAKE
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Take no more; those that were taken go on."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                taken, peer = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                # The socket stays readable: asking at once again would be all that this process does.
                _log.error("cannot_accept", why=error.strerror)
                self._loop.remove_reader(self._listening)
                self._pause = self._loop.call_later(_PAUSE, self._loop.add_reader, self._listening, self._accept)
                return
            taken.setblocking(False)
            address = str(peer[0]) if isinstance(peer, tuple) else str(peer or "")
            if self._connections.refuses(address) is None:
                handshake = _Handshake(address, self._seconds)
                self._connections.add(handshake)
                handshake.task = self._loop.create_task(self._agree(handshake, taken))
            else:
                taken.close()  # a sentence could only be said after the handshake, which is what there are too many of

    async def _agree(self, handshake: "_Handshake", taken: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol, taken, ssl=self._tls, ssl_handshake_timeout=self._seconds + _LATER
            )
        except OSError:  # no TLS, no common ground, gone: ssl.SSLError and ConnectionError, too
            pass
        finally:
            self._connections.remove(handshake)


class _Handshake:
    """One connection, as `web.connections.Connection`."""

    task: asyncio.Task[None]

    def __init__(self, address: str, seconds: float) -> None:
        self.address = address
        self._seconds = seconds
        self._since = time.monotonic()

    def overdue(self, now: float) -> str | None:
        return "header_timeout" if now - self._since >= self._seconds else None

    def is_idle(self) -> bool:
        return False

    def end(self, reason: str) -> None:
        self.abort()

    def finish(self) -> None:
        """Its client is about to ask: the lane answers one request even while we stop."""

    def abort(self) -> None:
        self.task.cancel()
