"""Unmet requests: what clients asked for and did not get, because it is not kept and no upstream could be asked.

Counted in memory and written in batches, in the inventory's database. Clients choose the names, so both are bounded:
of too many, those that were requested most often stay. Which requests count belongs to `mirroring.wanted`.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.sqlite import SqliteDatabase

BATCH_SECONDS: Final = 2.0
"""Who looks at a failed restore asks soon after it. Unmet requests are rare, so a write every other second is cheap."""
MOST_STORED: Final = 10_000
"""Rows in the database: a few MB, and more than a list for people to look at."""
_MOST_PENDING: Final = 2_000

_COLUMNS: Final = "lower_id, lower_version, package_id, version, times, first, last"
_UPSERT: Final = f"""
INSERT INTO unmet_requests ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (lower_id, lower_version) DO UPDATE SET
    times = times + excluded.times, first = min(first, excluded.first), last = max(last, excluded.last)
"""  # noqa: S608 - ours
_TRIM: Final = """
DELETE FROM unmet_requests WHERE (lower_id, lower_version) IN
    (SELECT lower_id, lower_version FROM unmet_requests ORDER BY times DESC, last DESC LIMIT -1 OFFSET ?)
"""
# A package that was fetched or imported since is no longer wanted; nor is an id of which any version is kept, because
# its list is answered.
_STILL: Final = """
NOT EXISTS (SELECT 1 FROM mirrored_packages AS kept WHERE kept.lower_id = unmet_requests.lower_id
            AND unmet_requests.lower_version IN ('', kept.lower_version))
"""

_log = logger()

Key = tuple[str, str]
"""Lower id and lower version; the version is empty if only the id was requested."""


@dataclass(frozen=True, slots=True)
class UnmetRequest:
    """What was requested, as the client spelled it, how often, and when (unix seconds). The version may be empty."""

    package_id: str
    version: str
    times: int
    first: int
    last: int
    key: Key


class UnmetRequests:
    """The unmet requests of one process, and all that are stored. `clock` is in unix seconds."""

    def __init__(
        self, database: SqliteDatabase, clock: Callable[[], float] = time.time, *, most: int = MOST_STORED
    ) -> None:
        self._database = database
        self._clock = clock
        self._most = most
        self._pending: dict[Key, UnmetRequest] = {}

    def note(self, package_id: PackageId, version: NuGetVersion | None = None) -> None:
        """Count a request for the package, or for the id alone."""
        now = int(self._clock())
        key = package_id.lower, "" if version is None else version.lower
        known = self._pending.get(key)
        if known is not None:
            self._pending[key] = replace(known, times=known.times + 1, last=now)
        elif len(self._pending) < _MOST_PENDING:
            spelled = "" if version is None else version.normalized
            self._pending[key] = UnmetRequest(package_id.text, spelled, 1, now, now, key)

    async def flush(self) -> None:
        """Write the requests. Those that cannot be written are kept for later; never raises because of the disk."""
        if not self._pending or self._database.is_read_only:
            return
        batch, self._pending = self._pending, {}
        try:
            await self._database.write(lambda transaction: self._add(transaction, batch.values()))
        except StorageUnavailable as error:
            self._pending = _joined(batch, self._pending)
            _log.warning("unmet_requests_not_written", error=str(error))

    async def run(self, seconds: float = BATCH_SECONDS) -> None:
        """Flush at this interval until cancelled; the canceller flushes once more."""
        while True:
            await asyncio.sleep(seconds)
            await self.flush()

    def stored(self, since: int = 0) -> list[UnmetRequest]:
        """The requests last made since this unix time for what is still not kept, most frequent first.

        Raises StorageUnavailable.
        """
        rows = self._database.fetch_now(
            f"SELECT {_COLUMNS} FROM unmet_requests WHERE last >= ? AND {_STILL}"  # noqa: S608 - ours
            " ORDER BY times DESC, lower_id, lower_version",
            (since,),
        )
        return [UnmetRequest(row[2], row[3], row[4], row[5], row[6], (row[0], row[1])) for row in rows]

    async def clear(self, until: int) -> None:
        """Forget the stored requests that were not made after this unix time. Raises StorageUnavailable."""
        await self._database.write(
            lambda transaction: transaction.change("DELETE FROM unmet_requests WHERE last <= ?", (until,))
        )

    def _add(self, transaction: Transaction, requests: Iterable[UnmetRequest]) -> None:
        rows = ((*each.key, each.package_id, each.version, each.times, each.first, each.last) for each in requests)
        transaction.change_many(_UPSERT, rows)
        transaction.change(_TRIM, (self._most,))


def _joined(older: Mapping[Key, UnmetRequest], newer: Mapping[Key, UnmetRequest]) -> dict[Key, UnmetRequest]:
    both = dict(older)
    for key, each in newer.items():
        known = both.get(key)
        both[key] = each if known is None else replace(known, times=known.times + each.times, last=each.last)
    return both
