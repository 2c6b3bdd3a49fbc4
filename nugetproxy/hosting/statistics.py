"""Download counts: collected in memory, added to the database in batches.

Counting costs a dictionary lookup, never a write; counts since the last batch are lost when a process is killed, which
is acceptable for a statistic.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.hosting.acts import NoIndex, SearchIndex
from nugetproxy.logs import logger
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.database.base import Database, Transaction

_log = logger()

BATCH_SECONDS: Final = 15.0
# A crawler that requests every version once must not grow this forever while the disk is full.
_MOST_PENDING: Final = 100_000


class Statistics:
    """The counts of one process, on top of the shared database."""

    def __init__(self, database: Database, index: SearchIndex | None = None, *, is_read_only: bool = False) -> None:
        """`index` is notified of ids whose downloads changed. `is_read_only`: nothing is counted."""
        self._database = database
        self._is_read_only = is_read_only
        self._index = index or NoIndex()
        self._pending: Counter[tuple[str, str]] = Counter()

    def count(self, package: PackageIdentity, downloads: int = 1) -> None:
        """Count a download. The caller knows whether the version is hosted."""
        if self._is_read_only:
            return
        key = (package.lower_id, package.lower_version)
        if key in self._pending or len(self._pending) < _MOST_PENDING:
            self._pending[key] += downloads

    async def downloads_of(self, lower_id: str) -> dict[str, int]:
        """Downloads by lower version, of all processes up to their last batch."""
        rows = await self._database.fetch(
            "SELECT lower_version, downloads FROM hosted_downloads WHERE lower_id = ?", (lower_id,)
        )
        return dict(rows)

    async def total_of(self, lower_id: str) -> int:
        return sum((await self.downloads_of(lower_id)).values())

    async def flush(self) -> None:
        """Write the counts. What cannot be written is kept for later; never raises because of the disk."""
        batch, self._pending = self._pending, Counter()
        if not batch:
            return
        try:
            await self._database.write(lambda transaction: add_downloads(transaction, batch, self._index))
        except StorageUnavailable as error:
            self._pending.update(batch)
            _log.warning("downloads_not_counted", error=str(error))

    async def run(self, seconds: float = BATCH_SECONDS) -> None:
        """Flush at this interval until cancelled; the canceller flushes once more."""
        while True:
            await asyncio.sleep(seconds)
            await self.flush()


def add_downloads(transaction: Transaction, downloads: Mapping[tuple[str, str], int], index: SearchIndex) -> None:
    """Add to the counts, by lower id and version, in the caller's transaction."""
    transaction.change_many(
        "INSERT INTO hosted_downloads VALUES (?, ?, ?)"
        " ON CONFLICT (lower_id, lower_version)"
        " DO UPDATE SET downloads = hosted_downloads.downloads + excluded.downloads",
        [(*key, count) for key, count in downloads.items()],
    )
    index.downloads_counted(transaction, {lower_id for lower_id, _ in downloads})
