"""One server of an upstream: its breaker, how long it asked us to wait, and the tasks that wait for it.

Requests are sent by `connections`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from yarl import URL

from nugetproxy.mirroring.upstream.breaker import Breaker
from nugetproxy.mirroring.upstream.egress import Origin
from nugetproxy.mirroring.upstream.throttle import Throttle


class Host:
    """What is known of one server, and the tasks that wait for it."""

    def __init__(self, origin: Origin, breaker: Breaker, new_throttle: Callable[[], Throttle]) -> None:
        self.origin = origin
        self.breaker = breaker
        self.last_url = ""
        self.why = ""
        """The last failure, in words."""
        self.probing: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Timeout] = set()
        self._new_throttle = new_throttle
        self._throttles = {"": new_throttle()}

    def __repr__(self) -> str:
        return f"<Host {self.origin}: {self.breaker}>"

    def set_apart(self, path: str) -> None:
        """Throttle what lies below this path separately: a server may refuse searches and still send packages."""
        if path not in self._throttles:
            self._throttles[path] = self._new_throttle()

    def is_held(self, now: float) -> bool:
        """Whether this server asked us to wait, for whichever part of it."""
        return any(throttle.left(now) is not None for throttle in self._throttles.values())

    def throttle(self, url: URL) -> Throttle:
        """The throttle of the part of the server to which the URL belongs."""
        return self._throttles[max((path for path in self._throttles if url.raw_path.startswith(path)), key=len)]

    @contextlib.asynccontextmanager
    async def patience(self, seconds: float | None) -> AsyncIterator[None]:
        """Raises TimeoutError after this many seconds, or as soon as the breaker opens."""
        async with asyncio.timeout(seconds) as limit:
            self._waiting.add(limit)
            try:
                yield
            finally:
                self._waiting.discard(limit)

    def give_up(self) -> None:
        """Wake all tasks that wait: the breaker has opened."""
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(0)
