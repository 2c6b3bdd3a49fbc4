"""One server of an upstream: its breaker, and everybody who waits for it. Who asks it is `connections`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from nugetproxy.mirroring.breaker import Breaker
from nugetproxy.mirroring.egress import Origin


class Host:
    """What we know of one server, and everybody who waits for it."""

    def __init__(self, origin: Origin, breaker: Breaker) -> None:
        self.origin = origin
        self.breaker = breaker
        self.last_url = ""
        self.why = ""
        """The last failure, in words."""
        self.probing: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Timeout] = set()

    def __repr__(self) -> str:
        return f"<Host {self.origin}: {self.breaker}>"

    @contextlib.asynccontextmanager
    async def patience(self, seconds: float | None) -> AsyncIterator[None]:
        """Raises TimeoutError after so many seconds, or as soon as the breaker opens."""
        async with asyncio.timeout(seconds) as limit:
            self._waiting.add(limit)
            try:
                yield
            finally:
                self._waiting.discard(limit)

    def give_up(self) -> None:
        """Wake all who wait: the breaker has opened."""
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(0)
