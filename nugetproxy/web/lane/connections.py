"""The open connections of one worker: how many are allowed, how long each may stay silent, and how they end.

What is sent over a connection belongs to `web.lane.lane`. aiohttp has no time-out for an unfinished head and none for a
client that stopped reading, so both are here, for every connection alike.
"""

import asyncio
import time
from collections import Counter
from typing import Protocol

from nugetproxy import metrics
from nugetproxy.config import ServerSettings

# At the limit, this many idle connections are closed to make room: their clients open another without an error.
RECLAIMED_AT_ONCE = 32

_RECLAIM_SECONDS = 1.0


class Connection(Protocol):
    """One open connection, as far as its end is concerned."""

    address: str

    def overdue(self, now: float) -> str | None:
        """Why this connection has lasted too long (a label of CONNECTIONS_REFUSED); None while it may continue."""

    def is_idle(self) -> bool:
        """Whether every request received so far, even in part, has been answered completely."""

    def end(self, reason: str) -> None:
        """Close now, and send the client the reason where that still makes sense."""

    def finish(self) -> None:
        """Close as soon as the current response is complete; immediately when there is none."""

    def abort(self) -> None:
        """Close now and drop unsent bytes."""


class Connections:
    """Admits connections, watches them with one timer, and closes them all. Only for the event loop's thread."""

    def __init__(self, settings: ServerSettings) -> None:
        self.is_draining = False
        self._settings = settings
        self._open: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self._sweep_seconds = min(1.0, *(s / 4 for s in self._limits(settings)))
        self._timer: asyncio.TimerHandle | None = None
        self._reclaimed_at = float("-inf")
        self._all_gone = asyncio.Event()
        self._all_gone.set()

    def __len__(self) -> int:
        return len(self._open)

    def refuses(self, address: str) -> str | None:
        """Why another connection from `address` is refused; None if it is not. Counts the refusal."""
        reason = None
        settings = self._settings
        if len(self._open) >= settings.max_connections and not self._reclaim():
            reason = "limit"
        elif 0 < settings.max_connections_per_address <= self._by_address[address]:
            reason = "address_limit"
        if reason is not None:
            metrics.CONNECTIONS_REFUSED.labels(reason).inc()
        return reason

    def add(self, connection: Connection) -> None:
        self._open.add(connection)
        self._by_address[connection.address] += 1
        self._all_gone.clear()
        metrics.CONNECTIONS.inc()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._sweep_seconds, self._sweep)

    def remove(self, connection: Connection) -> None:
        """Harmless for a connection that was never added."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        metrics.CONNECTIONS.dec()
        address = connection.address
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        if not self._open:
            self._all_gone.set()

    def busy(self) -> int:
        """How many have a request that is not answered completely."""
        return sum(not connection.is_idle() for connection in self._open)

    async def drain(self, timeout: float) -> int:
        """Close idle connections now, others when their response is complete; abort the rest after `timeout` seconds.

        Returns how many were aborted. The caller has already stopped listening.
        """
        self.is_draining = True
        for connection in list(self._open):
            connection.finish()
        try:
            async with asyncio.timeout(timeout):
                await self._all_gone.wait()
        except TimeoutError:
            pass
        unfinished = list(self._open)
        for connection in unfinished:
            connection.abort()
        if unfinished:
            await asyncio.sleep(0)  # connection_lost is called in the loop's next turn
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return len(unfinished)

    def _sweep(self) -> None:
        self._timer = None
        now = time.monotonic()
        for connection in list(self._open):
            reason = connection.overdue(now)
            if reason is not None:
                metrics.CONNECTIONS_REFUSED.labels(reason).inc()
                connection.end(reason)
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(self._sweep_seconds, self._sweep)

    def _reclaim(self) -> bool:
        """Close some idle connections to make room for a new one; tries at most once a second."""
        now = time.monotonic()
        if now - self._reclaimed_at < _RECLAIM_SECONDS:
            return False
        self._reclaimed_at = now
        idle = [connection for connection in self._open if connection.is_idle()][:RECLAIMED_AT_ONCE]
        for connection in idle:
            metrics.CONNECTIONS_REFUSED.labels("idle").inc()
            connection.end("idle")
            self.remove(connection)
        return bool(idle)

    @staticmethod
    def _limits(settings: ServerSettings) -> tuple[float, ...]:
        return tuple(
            max(0.04, seconds) for seconds in (settings.header_timeout, settings.idle_timeout, settings.stall_timeout)
        )
