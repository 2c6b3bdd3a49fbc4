"""The way in: accepts connections, and counts each from that moment until it is a lane's.

With asyncio's own listening (`create_server`) nobody hears of a connection before its protocol is made. One that was
accepted in the turn of a stop would then be dropped, and its client, who had been let in, would meet a reset. With TLS
nobody hears of it before its handshake is done, and those that never finish one are open files that no limit knows of.
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
"""Seconds, where `server.header_timeout` sets no limit: a handshake is a few kilobytes."""

AT_ONCE: Final = 64
"""Connections taken before others get their turn; what is left may be taken by another worker."""

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE: Final = 1.0

_log = logger()


class Listener:
    """Takes the connections of one listening socket until it is closed."""

    def __init__(
        self,
        listening: socket.socket,
        arriving: Connections,
        protocol: Callable[[], asyncio.BufferedProtocol],
        seconds: float,
        tls: ssl.SSLContext | None,
        in_clear: Callable[[], asyncio.BufferedProtocol],
    ) -> None:
        """`arriving` are those that were accepted and have no protocol yet; `protocol` makes it.

        With `tls`, `in_clear` makes the protocol of who speaks plain HTTP all the same, to tell them. `seconds` is how
        long a handshake may take, 0: `LONGEST_HANDSHAKE`. `listening` is closed by `close`.
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
            # In clear a lane is made in the next turn, and can say what one too many is refused for. With TLS that
            # could only be said after the handshake, which is what there are too many of.
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
        except OSError:  # no TLS, no common ground, gone: ssl.SSLError and ConnectionError, too
            pass
        finally:
            self._arriving.remove(arrival)

    async def _is_in_clear(self, taken: socket.socket) -> bool:
        """Whether what comes begins as a method does: no record of TLS begins with a letter."""
        came = asyncio.Event()
        self._loop.add_reader(taken, came.set)
        try:
            await came.wait()
            self._loop.remove_reader(taken)
            return taken.recv(1, socket.MSG_PEEK).isalpha()
        except BaseException:  # cancelled, too: nobody else knows of it yet
            self._loop.remove_reader(taken)
            taken.close()
            raise


class _Arrival:
    """One connection on its way in, as `web.lane.connections.Connection`."""

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
