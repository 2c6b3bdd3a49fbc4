"""When a catalog is polled, and by which process. What a poll does belongs to `follower`."""

import asyncio
import random
from typing import Final, Protocol

from nugetproxy import metrics
from nugetproxy.errors import NugetproxyError
from nugetproxy.logs import logger
from nugetproxy.storage.leases import Leases

_log = logger()

_LONGEST_POLL: Final = 300.0
_LONGEST_PAUSE: Final = 900.0
"""After failures; the pause doubles with each."""
_CATCHING_UP: Final = 1.0
_STAND_BY: Final = 5.0
_FAILURES_OF_A_ROUND: Final = 3


class Follower(Protocol):
    """The part of CatalogFollower that is used here."""

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    async def poll(self) -> bool: ...

    def forget_round(self) -> None: ...


class Schedule:
    """The polls of one follower, `interval` seconds apart."""

    def __init__(self, follower: Follower, interval: float) -> None:
        self._follower = follower
        self._interval = interval
        self._failures = 0

    async def run(self, leases: Leases) -> None:
        """Follow whenever no other process does, until cancelled."""
        while True:
            lease = leases.try_hold(f"catalog of {self._follower.name}")
            if lease is None:
                await asyncio.sleep(min(self._interval, _STAND_BY))
                continue
            with lease:
                while True:
                    pause = await self.poll()
                    await asyncio.sleep(pause * random.uniform(0.95, 1.0))  # noqa: S311 - not a secret

    async def poll(self) -> float:
        """One poll; returns the seconds until the next one. Only the first of several failures is logged."""
        name = self._follower.name
        try:
            async with asyncio.timeout(_LONGEST_POLL):
                is_complete = await self._follower.poll()
        except (NugetproxyError, TimeoutError) as error:
            if not self._failures:
                why = str(error) or f"not finished after {_LONGEST_POLL:g} s"
                _log.warning("catalog_failed", upstream=name, catalog=self._follower.url, why=why)
            return self._failed()
        except Exception:  # noqa: BLE001 - any bug of ours: following goes on, and it is reported here
            _log.exception("catalog_broke", upstream=name)
            return self._failed()
        if self._failures:
            _log.info("catalog_recovered", upstream=name, polls_failed=self._failures)
        self._failures = 0
        return self._interval if is_complete else min(self._interval, _CATCHING_UP)

    def _failed(self) -> float:
        self._failures += 1
        metrics.CATALOG_POLLS.labels(self._follower.name, "failed").inc()
        if self._failures % _FAILURES_OF_A_ROUND == 0:
            self._follower.forget_round()
        return float(min(self._interval * 2 ** min(self._failures - 1, 10), max(self._interval, _LONGEST_PAUSE)))
