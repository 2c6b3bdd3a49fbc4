"""When the packages in a fleet's bucket were last used: gathered by each process, written in batches.

Most reads are served by the disk of a node, so the database learns of them here, and not with each read. A package is
written once in some hours, so the time in the table is that far behind (`USE_BEHIND`).
"""

import asyncio
import random
from collections.abc import Iterable
from typing import Final

from cachetools import TTLCache

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.shared_packages import USE_BEHIND, PackageKey, SharedPackages

_SECONDS: Final = 300.0
_BATCH: Final = 500
# While the database is away, a crawler must not make this grow forever.
_MOST: Final = 200_000

_log = logger()


class BucketUses:
    """The uses of one process."""

    def __init__(self, packages: SharedPackages) -> None:
        self._packages = packages
        self._pending: set[PackageKey] = set()
        self._written: TTLCache[PackageKey, None] = TTLCache(_MOST, USE_BEHIND)

    def note(self, keys: Iterable[PackageKey]) -> None:
        """They were used."""
        if len(self._pending) < _MOST:
            self._pending.update(key for key in keys if key not in self._written)

    async def flush(self) -> None:
        """Write the uses. Those that cannot be written are kept for later; never raises because of the database."""
        try:
            while self._pending:
                batch = sorted(self._pending)[:_BATCH]
                await self._packages.note_uses(batch)
                self._pending.difference_update(batch)
                self._written.update(dict.fromkeys(batch))
        except StorageUnavailable as error:
            _log.warning("last_use_not_written", error=str(error))

    async def run(self) -> None:
        """Flush every few minutes until cancelled. Nodes should not write at the same time."""
        while True:
            await asyncio.sleep(_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
            await self.flush()
