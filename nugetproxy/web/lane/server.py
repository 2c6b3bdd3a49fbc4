"""Accepted connections become lanes here, and all of them end here.

A lane (`web.lane.lane`) is one connection; how many are allowed and how they end belongs to `web.lane.connections`.
"""

import asyncio
import socket
import ssl
from functools import partial

from nugetproxy.logs import logger
from nugetproxy.web.lane.connections import Connections
from nugetproxy.web.lane.lane import Lane
from nugetproxy.web.lane.listener import Listener
from nugetproxy.web.lane.shared import LaneShared
from nugetproxy.web.lane.watched import LAST_REQUEST_SECONDS

_log = logger()


class LaneServer:
    """Creates the protocol of every accepted connection, and closes them all; `listen` accepts them.

    The caller runs `drain` after it stopped listening, then cleans up the aiohttp runner of `LaneShared`.
    """

    def __init__(self, shared: LaneShared, tls: ssl.SSLContext | None = None) -> None:
        """With `tls`, clients speak TLS."""
        self._shared = shared
        self.connections = self._shared.connections
        # Counted separately: a connection over the limit can still be told so, and the total is bounded nevertheless.
        self.arriving = Connections(shared.settings)
        self.tally = self._shared.tally
        self._header_timeout = shared.settings.header_timeout
        self._tls = tls

    def listen(self, listening: socket.socket) -> Listener:
        """Accept connections until the result is closed, which also closes the socket."""
        lane, in_clear = partial(Lane, self._shared), partial(_InClear, self._shared)
        return Listener(listening, self.arriving, lane, self._header_timeout, self._tls, in_clear)

    async def drain(self, timeout: float) -> int:
        """Let current responses finish for `timeout` seconds, close everything; returns how many were cut off."""
        if busy := self.connections.busy():
            _log.info("finishing", requests=busy, at_most=timeout)
        await self.arriving.drain(min(timeout, LAST_REQUEST_SECONDS))
        unfinished = await self.connections.drain(timeout)
        self.tally.flush()
        self._shared.disk.shutdown(wait=False, cancel_futures=True)
        return unfinished


class _InClear(Lane):
    """The connection of a client that speaks plain HTTP to a TLS port: told so, as nginx does."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not transport.is_closing():  # not refused for being over the limit
            self._refuse_unread(400, "this port speaks https: use an https:// URL")
