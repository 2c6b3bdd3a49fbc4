"""The append-only log of what happened to hosted packages: the source of the catalog.

Rule 1: an event is written in the transaction that makes it true; nothing changes or removes one (triggers prevent it).
Rule 2: stamps strictly increase in commit order, whatever the clocks of the processes say, because each is assigned in
a transaction that has read the newest one. So a reader that follows with a cursor never misses an event.
"""

import uuid
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from nugetproxy.executors.threads import RENDERING
from nugetproxy.hosting.manifests import stored_manifest
from nugetproxy.protocol.v3.catalog import (
    CATALOG_PAGE_SIZE,
    CatalogDetails,
    CatalogItem,
    CatalogPageRow,
    CatalogTimes,
    PackageEntry,
)
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.storage.database.base import Database, Fetch, Query, Rows, Transaction
from nugetproxy.storage.database.lists import LONGEST, listed, padded

_ITEM_COLUMNS: Final = "e.stamp, e.commit_id, e.kind, p.package_id, p.version, p.lower_id, p.lower_version"
_ITEMS: Final = f"SELECT {_ITEM_COLUMNS} FROM hosted_events AS e JOIN hosted_pushes AS p USING (push)"  # noqa: S608  columns are ours


NEWEST_EVENT: Final[Query] = (
    # Two queries, because SQLite reads one maximum from its index but scans the whole table for two.
    "SELECT (SELECT max(sequence) FROM hosted_events), (SELECT max(stamp) FROM hosted_events)",
    (),
)
"""What `insert_event` asks."""


class EventKind(StrEnum):
    """DETAILS describes the state of a version; DELETE says that it is gone."""

    DETAILS = "details"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class State:
    """The mutable part of a version. Times in unix microseconds."""

    listed: bool
    published: int
    last_edited: int
    deprecation: Deprecation | None

    def row(self) -> tuple[object, ...]:
        """The four columns that tables have for it."""
        deprecation = orjson.dumps(self.deprecation.as_dict()).decode() if self.deprecation else None
        return int(self.listed), self.published, self.last_edited, deprecation


@dataclass(frozen=True, slots=True)
class HostedEvent:
    """One line of the log. `sequence` counts from 1 without gaps, `stamp` is in ticks of 100 ns since 1970."""

    sequence: int
    stamp: int
    commit_id: str


@dataclass(frozen=True, slots=True)
class EventLeaf:
    """An event with all its details. `push` is the number of the push; `details` is None for a deletion."""

    item: CatalogItem
    push: int
    verbatim_version: str
    details: CatalogDetails | None


def insert_event(
    transaction: Transaction, kind: EventKind, lower_id: str, push: int, state: State, now: int
) -> HostedEvent:
    """Append an event, in the caller's transaction. `now` in ticks; the stamp is later if the log is ahead of it."""
    [(sequence, newest)] = transaction.fetch(*NEWEST_EVENT)
    event = HostedEvent((sequence or 0) + 1, max(now, (newest or 0) + 1), str(uuid.uuid4()))
    transaction.change_later(
        "INSERT INTO hosted_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (event.sequence, event.stamp, event.commit_id, kind.value, lower_id, push, *state.row()),
    )
    return event


class HostedEvents:
    """Reading the log. Every method may raise StorageUnavailable."""

    def __init__(self, database: Database, page_size: int = CATALOG_PAGE_SIZE) -> None:
        """`page_size` must never change for a log that has readers."""
        self._database = database
        self._page_size = page_size

    async def after(self, stamp: int, limit: int) -> tuple[CatalogItem, ...]:
        """At most `limit` events after `stamp` (ticks), oldest first."""
        rows = await self._database.fetch(f"{_ITEMS} WHERE e.stamp > ? ORDER BY e.stamp LIMIT ?", (stamp, limit))
        return tuple(map(_item, rows))

    async def pages(self) -> tuple[CatalogPageRow, ...]:
        """All pages, by number. All except the last are full."""
        rows = await self._database.look(self._last_of_pages)
        return tuple(
            CatalogPageRow(number, sequence - number * self._page_size, stamp, commit_id)
            for number, (sequence, stamp, commit_id) in enumerate(rows)
        )

    def _last_of_pages(self, fetch: Fetch) -> Rows:
        """The last event of each full page, and the newest of all."""
        [(newest,)] = fetch("SELECT max(sequence) FROM hosted_events", ())
        left, rows = [*range(self._page_size, newest or 0, self._page_size), newest or 0], []
        while left:
            ends, left = padded(left[:LONGEST]), left[LONGEST:]
            rows += fetch(
                "SELECT sequence, stamp, commit_id FROM hosted_events"  # noqa: S608  parameters
                f" WHERE sequence IN {listed(ends)} ORDER BY sequence",
                ends,
            )
        return rows

    async def page(self, number: int) -> tuple[CatalogItem, ...]:
        """The events of one page, oldest first; empty for a page that does not exist (yet)."""
        first = number * self._page_size + 1
        rows = await self._database.fetch(
            f"{_ITEMS} WHERE e.sequence BETWEEN ? AND ? ORDER BY e.sequence", (first, first + self._page_size - 1)
        )
        return tuple(map(_item, rows))

    async def times(self) -> CatalogTimes:
        [row] = await self._database.fetch("SELECT created, deleted, edited FROM hosted_times")
        return CatalogTimes(*row)

    async def find(self, stamp: int) -> EventLeaf | None:
        """The event with this stamp (ticks)."""
        rows = await self._database.fetch(
            f"SELECT {_ITEM_COLUMNS}, e.push,"  # noqa: S608  columns are ours
            " p.manifest, e.listed, p.pushed, e.published, e.last_edited, p.size, p.sha512, e.deprecation, p.entries"
            " FROM hosted_events AS e JOIN hosted_pushes AS p USING (push) WHERE e.stamp = ?",
            (stamp,),
        )
        # It lists all files of the package, possibly tens of thousands.
        return await RENDERING.run(_leaf, rows[0]) if rows else None


def _leaf(row: tuple[Any, ...]) -> EventLeaf:
    item = _item(row[:7])
    push, manifest_text, listed, created, published, last_edited, size, sha512, deprecation, entries = row[7:]
    manifest = stored_manifest(manifest_text, item.package_id, item.version)
    if item.is_delete:
        return EventLeaf(item, push, manifest.verbatim_version, None)
    deprecated = Deprecation.from_dict(orjson.loads(deprecation)) if deprecation else None
    details = CatalogDetails(
        manifest, bool(listed), created, published, last_edited, size, sha512, deprecated, unpacked(entries)
    )
    return EventLeaf(item, push, manifest.verbatim_version, details)


def packed(entries: tuple[PackageEntry, ...]) -> bytes:
    """The files of an archive as stored: compressed, because thousands of names shrink to a tenth."""
    return zlib.compress(orjson.dumps([(entry.name, entry.size, entry.compressed_size) for entry in entries]))


def unpacked(stored: bytes) -> tuple[PackageEntry, ...]:
    """The reverse of `packed`."""
    return tuple(PackageEntry(*entry) for entry in orjson.loads(zlib.decompress(stored)))


def _item(row: tuple[Any, ...]) -> CatalogItem:
    stamp, commit_id, kind, package_id, version, lower_id, lower_version = row
    return CatalogItem(stamp, commit_id, kind == EventKind.DELETE, package_id, version, lower_id, lower_version)
