"""Accepts connections, and counts each from that moment until it belongs to a lane.

With asyncio's own listening (`create_server`) a connection is invisible until its protocol is created. One that is
accepted in the loop turn of a stop would be dropped, and its client, already accepted, would get a reset. With TLS a
connection is invisible until its handshake is done; those that never finish one are open files that no limit covers.
"""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from nugetproxy.logs import logger
from nugetproxy.web.lane.connections import Connections
from nugetproxy.web.lane.tls import TLSTransport, handshake

LONGEST_HANDSHAKE: Final = 60.0
"""Seconds, when `server.header_timeout` sets no limit: a handshake is only a few kilobytes."""

AT_ONCE: Final = 64
"""Connections accepted before others get their turn; the rest may be accepted by another worker."""

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE: Final = 1.0

_log = logger()


class Listener:
    """Accepts the connections of one listening socket until it is closed."""

    def __init__(
        self,
        listening: socket.socket,
        arriving: Connections,
        protocol: Callable[[], asyncio.BufferedProtocol],
        seconds: float,
        tls: ssl.SSLContext | None,
        in_clear: Callable[[], asyncio.BufferedProtocol],
    ) -> None:
        """`arriving` are the connections that were accepted and have no protocol yet; `protocol` creates it.

        With `tls`, `in_clear` creates the protocol for clients that speak plain HTTP all the same, to tell them so.
        `seconds` is how long a handshake may take; 0 means `LONGEST_HANDSHAKE`. `close` closes `listening`.
        """
        self._listening = listening
        self._arriving = arriving
        self._protocol = protocol
        self._seconds = seconds or LONGEST_HANDSHAKE
        self._tls = tls
        self._in_clear = in_clear
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Accept no more; connections that were accepted continue."""
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
                # The socket stays readable: retrying immediately would keep the process busy with nothing else.
                _log.error("cannot_accept", why=error.strerror)
                self._loop.remove_reader(self._listening)
                self._pause = self._loop.call_later(_PAUSE, self._loop.add_reader, self._listening, self._accept)
                return
            taken.setblocking(False)
            address = str(peer[0]) if isinstance(peer, tuple) else str(peer or "")
            # Without TLS a lane is created in the next turn, and can send the reason of a refusal. With TLS that would
            # only be possible after the handshake, and handshakes are what there are too many of.
            if self._tls is not None and self._arriving.refuses(address) is not None:
                taken.close()
                continue
            arrival = _Arrival(address, self._seconds)
            self._arriving.add(arrival)
            arrival.task = self._loop.create_task(self._let_in(arrival, taken))

    async def _let_in(self, arrival: "_Arrival", taken: socket.socket) -> None:
        connect = self._loop.connect_accepted_socket
        try:
            if self._tls is None:
                await connect(self._protocol, taken)
            elif await self._is_in_clear(taken):
                await connect(self._in_clear, taken)
            else:
                TLSTransport(self._loop, await handshake(taken, self._tls), self._protocol())
        except OSError:  # not TLS, no common version or cipher, gone: includes ssl.SSLError and ConnectionError
            pass
        finally:
            self._arriving.remove(arrival)

    async def _is_in_clear(self, taken: socket.socket) -> bool:
        """Whether the first byte can begin a method: no TLS record begins with a letter."""
        came = asyncio.Event()
        self._loop.add_reader(taken, came.set)
        try:
            await came.wait()
            self._loop.remove_reader(taken)
            return taken.recv(1, socket.MSG_PEEK).isalpha()
        except BaseException:  # cancelled, too: nothing else knows about it yet
            self._loop.remove_reader(taken)
            taken.close()
            raise


class _Arrival:
    """One connection being established, as a `web.lane.connections.Connection`."""

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
        """Its client is about to send a request: the lane answers one even while we stop."""

    def abort(self) -> None:
        self.task.cancel()
