"""Retrying while a temporary failure lasts.

NuGet clients wait a hundred seconds for the head of an answer, but retry errors for only five: holding a request is
better than failing it quickly.
"""

import time
from collections.abc import Callable

from nugetproxy.logs import logger
from nugetproxy.mirroring.upstream.connections import Connections
from nugetproxy.mirroring.upstream.faults import Pacing, PassingFault

_log = logger()


class Bridging:
    """The tries of one call: no new one is started after `patience` seconds."""

    def __init__(
        self, connections: Connections, url: str, *, patience: float, pacing: Pacing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._connections = connections
        self._url = url
        self._patience = patience
        self._pacing = pacing
        self._clock = clock
        self.renew()

    def renew(self) -> None:
        """There was progress: start the patience again."""
        self._failures = 0
        self._deadline = self._clock() + self._patience

    async def over(self, fault: PassingFault) -> None:
        """Return when it is time for the next try.

        Raises:
            UpstreamError: the fault's own if the patience ends before that, or that the breaker is open.
        """
        self._failures += 1
        pause = self._pacing.pause(self._failures, fault.error.retry_after)
        if self._clock() + pause > self._deadline:
            raise fault.error from fault
        _log.debug("upstream_try_failed", url=self._url, why=fault.error.why, pause=round(pause, 3))
        await self._connections.wait(self._url, pause)
