"""The background job that keeps the mirror within its budget. Every process runs it; the one with the lease works."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nugetproxy import metrics
from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.mirroring.care.budget import Disk, days_until_full, limit_of, to_free
from nugetproxy.mirroring.care.eviction import Eviction
from nugetproxy.mirroring.care.leases import EVICTION
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.inventory import Inventory
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.reserve import Reserve

_LOOK_SECONDS: Final = 5.0
_FORECAST_SECONDS: Final = 300.0
# After a pass that could not free enough, for the same reasons as the next one will not.
_PAUSE_SECONDS: Final = 60.0
_WEEK: Final = 7 * 86400.0

_log = logger()


def disk_of(directory: Path, reserve: Reserve) -> Disk:
    """The file system of the data directory. Raises OSError."""
    found = os.statvfs(directory)
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, reserve.size)


class Upkeep:
    """Compares the mirror in `directory` with `budget` (see `budget.limit_of`). `clock` is in unix seconds."""

    def __init__(
        self,
        directory: Path,
        budget: int | float | None,
        reserve: Reserve,
        inventory: Inventory,
        files: KeptFiles,
        eviction: Eviction,
        leases: Leases,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._budget = budget
        self._reserve = reserve
        self._inventory = inventory
        self._files = files
        self._eviction = eviction
        self._leases = leases
        self._clock = clock
        self._not_before = 0.0
        self._disk_settles = 0.0
        self._is_over = False

    async def run(self) -> None:
        """Until cancelled."""
        forecast_at = 0.0
        while True:
            try:
                if time.monotonic() >= forecast_at:
                    forecast_at = time.monotonic() + _FORECAST_SECONDS
                    await self.forecast()
                await self.look()
            except (OSError, StorageUnavailable) as error:
                _log.warning("mirror_care_failed", error=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception:  # noqa: BLE001 - a bug must not leave the mirror without upkeep until the next start
                _log.exception("mirror_care_failed")
                await asyncio.sleep(_PAUSE_SECONDS)
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Evict if the mirror is over its budget. Raises OSError, StorageUnavailable."""
        disk, kept = disk_of(self._directory, self._reserve), self._inventory.totals().bytes
        limit = limit_of(self._budget, disk)
        metrics.MIRROR_BUDGET.set(limit or 0)
        needed = to_free(kept, limit, disk)
        if not needed:
            self._is_over = False
            return
        if limit is not None and kept <= limit and time.monotonic() < self._disk_settles:
            return  # only the disk is short: evicted files that are still open free their space a little later
        if time.monotonic() < self._not_before or (lease := self._leases.try_hold(EVICTION)) is None:
            return
        with lease:
            evicted = await self._eviction.free(needed, is_listed=False)
        self._disk_settles = time.monotonic() + _PAUSE_SECONDS
        if evicted.bytes >= needed or evicted.busy:
            return  # what is in use now may go at the next look
        self._not_before = time.monotonic() + _PAUSE_SECONDS
        if not self._is_over and to_free(self._inventory.totals().bytes, limit, disk):
            self._is_over = True
            _log.warning("mirror_over_budget", bytes=kept - evicted.bytes, budget=limit, gone=evicted.gone,
                         unknown=evicted.unknown, in_use=evicted.busy)  # fmt: skip

    async def forecast(self) -> float:
        """Days until the disk is full, also as a metric. Raises OSError, StorageUnavailable."""
        disk, kept = disk_of(self._directory, self._reserve), self._inventory.totals().bytes
        per_day = await self._files.committed_since(self._clock() - _WEEK) / 7
        days = days_until_full(kept, limit_of(self._budget, disk), disk, per_day)
        metrics.MIRROR_DAYS_UNTIL_FULL.set(days)
        return days
