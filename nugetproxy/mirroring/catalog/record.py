"""How far each upstream's catalog was followed, in the ledger: for the next follower, and for every other process.

The process that follows a catalog writes; all processes read how long they may rely on it, at most once a second.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.httpcache.freshness import followed_until
from nugetproxy.protocol.v3.catalog_reader import Commit
from nugetproxy.storage.database.sqlite import SqliteDatabase

_LOOK_AGAIN: Final = 1.0

_UPSERT: Final = """
INSERT INTO followed_catalogs (upstream, url, since, cursor, newest, newest_commit, polled) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream) DO UPDATE SET url = excluded.url, since = excluded.since, cursor = excluded.cursor,
    newest = excluded.newest, newest_commit = excluded.newest_commit, polled = excluded.polled
"""


@dataclass(frozen=True, slots=True)
class Followed:
    """`since` and `cursor` in ticks: every event between them was applied, and has settled.

    `newest` is the newest event applied. `polled` is when the last poll that read the catalog to its end began,
    in seconds since the epoch; None for never.
    """

    url: str
    since: int
    cursor: int
    newest: Commit | None
    polled: float | None


class CatalogRecord:
    """The record in one database. `interval` is the time between two polls in seconds; `clock` is seconds since the
    epoch; `ticks` is in seconds of which only differences matter."""

    def __init__(
        self,
        database: SqliteDatabase,
        interval: float,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._interval = interval
        self._clock = clock
        self._ticks = ticks
        self._looked: dict[str, tuple[float, Followed | None]] = {}

    def find(self, upstream: str) -> Followed | None:
        """Raises StorageUnavailable."""
        rows = self._database.fetch_now(
            "SELECT url, since, cursor, newest, newest_commit, polled FROM followed_catalogs WHERE upstream = ?",
            (upstream,),
        )
        if not rows:
            return None
        url, since, cursor, newest, commit_id, polled = rows[0]
        return Followed(url, since, cursor, Commit(newest, commit_id) if newest else None, polled)

    async def save(self, upstream: str, followed: Followed) -> None:
        """Raises StorageUnavailable."""
        newest = followed.newest or Commit(0)
        row = (upstream, followed.url, followed.since, followed.cursor, newest.stamp, newest.id, followed.polled)
        await self._database.write(lambda transaction: transaction.change(_UPSERT, row))
        self._looked.pop(upstream, None)

    def until(self, upstream: str) -> float:
        """Until when every change of this upstream's documents is known to expire them, in seconds since the epoch."""
        followed = self._recent(upstream)
        return followed_until(followed.polled, self._interval, self._clock()) if followed is not None else -math.inf

    def lag(self, upstream: str) -> float | None:
        """Seconds since the last poll that read the catalog to its end began; None if there was none."""
        followed = self._recent(upstream)
        if followed is None or followed.polled is None:
            return None
        return max(0.0, self._clock() - followed.polled)

    def _recent(self, upstream: str) -> Followed | None:
        now = self._ticks()
        looked = self._looked.get(upstream)
        if looked is None or now - looked[0] >= _LOOK_AGAIN:
            try:
                looked = now, self.find(upstream)
            except StorageUnavailable:
                looked = now, None
            self._looked[upstream] = looked
        return looked[1]
