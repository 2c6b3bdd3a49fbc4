"""Following one upstream's catalog: read what is new, expire the documents of the ids that it names, remember how far.

Rule 1: the record moves only after everything up to there was applied; applying an event twice changes nothing.
Rule 2: "read to its end" is only recorded if nothing can have been missed. In doubt, documents live as they do without
a catalog.
Rule 3: every poll is bounded: in requests, bytes, time, and ids that it remembers.

When to poll belongs to `schedule`, how other processes learn of it to `record`, and what is fresh to `httpcache`.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from nugetproxy import metrics
from nugetproxy.errors import UnreadableDocument, UpstreamNonsense
from nugetproxy.httpcache.stored import ReceivedAnswer, Validators
from nugetproxy.logs import logger
from nugetproxy.mirroring.catalog.backlog import Backlog
from nugetproxy.mirroring.catalog.kept_changes import FindKept, KeptChanges, MarkGone
from nugetproxy.mirroring.catalog.record import CatalogRecord, Followed
from nugetproxy.mirroring.documents.parsing import parsed
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.protocol.bounds import LARGEST_DOCUMENT
from nugetproxy.protocol.times import TICKS_PER_SECOND
from nugetproxy.protocol.v3.catalog_reader import (
    LARGEST_PAGE,
    CatalogIndex,
    CatalogPage,
    Change,
    Commit,
    StatedPage,
    read_catalog_index,
    read_catalog_page,
)

_log = logger()
T = TypeVar("T")

PAGES: Final = 20
"""Pages read in one poll: eleven thousand events of nuget.org."""
CLOCK_MARGIN: Final = 3_600.0
"""Seconds read in addition at the first contact: what follows the catalog upstream may lag behind it."""
LONGEST_GAP: Final = 30 * 86_400
"""Seconds of events that are read after a pause. After a longer one, only those that documents may depend on."""
AHEAD: Final = 86_400
"""Seconds by which an event may be in the future of our clock. A later one would hide all that come after it."""
OLDER: Final = 5
"""Polls in a row that must find the catalog older than before until it counts as replaced: a server of a CDN may be
minutes behind the others."""
REPLACEMENTS: Final = 3
"""Replaced catalogs that are read from their beginning. A server that invents commits would have them read forever."""

_PATIENCE: Final = 15.0
_LONGEST_FETCH: Final = 120.0


@dataclass(slots=True)
class _Round:
    """Reading all pages that an index states, over as many polls as it takes."""

    began: float
    target: Commit
    left: list[StatedPage] = field(default_factory=list)
    is_anchored: bool = True
    """Whether the commit that must be there was found."""


class CatalogFollower:
    """Follows the catalog of one upstream. `changed` is called with the lower-case ids whose documents were expired."""

    def __init__(
        self,
        source: MirroredSource,
        record: CatalogRecord,
        *,
        find_kept: FindKept,
        mark_gone: MarkGone,
        fresh: float,
        changed: Callable[[Collection[str]], None],
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fresh` is how long documents live while the catalog is followed, in seconds. `find_kept` and `mark_gone` are
        as for `KeptChanges`.
        """
        self._source = source
        self.name = source.name
        self._record = record
        self._kept = KeptChanges(source.name, find_kept, mark_gone, self._fetch_leaf)
        self._fresh = fresh
        self._changed = changed
        self._clock = clock
        self._ticks = ticks
        self.url = ""
        """The catalog that is followed; empty before the first poll."""
        self._backlog: Backlog | None = None
        self._round: _Round | None = None
        self._validators: Validators | None = None
        self._older = 0
        self._replacements = 0
        self._is_announced = False

    async def poll(self) -> bool:
        """Read and apply some of what is new. Returns whether that was all, or there is no catalog.

        Raises:
            UpstreamError, Busy: nothing is known to be complete; what was read counts at the next poll.
            StorageUnavailable: documents could not be expired, or the record could not be written.
        """
        url = (await self._source.endpoints()).own_catalog
        if url is None:
            return True
        if url != self.url:
            self._begin(url)
        if self._round is None:
            self._round = await self._next_round(url)
        reading = self._round
        backlog = self._backlog
        if backlog is None:  # `_next_round` made one
            raise UpstreamNonsense(self.name, "its catalog cannot be followed")
        for page in reading.left[:PAGES]:
            await self._read(page, reading, backlog)
            del reading.left[0]
        await self._apply(backlog)
        if reading.left:
            metrics.CATALOG_POLLS.labels(self.name, "behind").inc()
            return False
        self._round = None
        if not reading.is_anchored:
            self._replacements += 1
            if self._replacements > REPLACEMENTS:
                raise UpstreamNonsense(self.name, "its catalog is replaced again and again")
            _log.warning("catalog_replaced", upstream=self.name, catalog=self.url)
            await self._start_again(backlog, reading.target)
            return False
        if not reading.target.stamp:
            return True  # without any event, it does not name those that led to the packages there are
        is_news = reading.target.stamp > backlog.seen
        backlog.seen = max(backlog.seen, reading.target.stamp)
        backlog.anchor = reading.target
        await self._save(backlog, reading.began)
        metrics.CATALOG_POLLS.labels(self.name, "changed" if is_news else "unchanged").inc()
        return True

    # --- where to read ------------------------------------------------------------------------------------------------

    def _begin(self, url: str) -> None:
        """Continue where the last follower stopped, if it followed this catalog."""
        before = self._record.find(self.name)
        is_known = before is not None and before.url == url
        self._backlog = Backlog(before.since, before.cursor, before.newest) if before is not None and is_known else None
        self.url = url
        self._is_announced = False
        self.forget_round()

    def forget_round(self) -> None:
        """Read the index again with the next poll: what it stated cannot be read, and may have been moved."""
        self._round = None
        self._validators = None

    async def _next_round(self, url: str) -> _Round:
        began = self._clock()
        answer = await self._fetch(url, LARGEST_DOCUMENT, self._validators)
        if answer.status == 304 and self._backlog is not None and self._backlog.anchor is not None:
            return _Round(began, self._backlog.anchor)
        if answer.status != 200:
            raise UpstreamNonsense(self.name, f"there is no catalog at {url}")
        index = await self._parsed(read_catalog_index, answer.body)
        if index.newest.stamp > (self._clock() + AHEAD) * TICKS_PER_SECOND:
            raise UpstreamNonsense(self.name, "its catalog has events of the future, or our clock is wrong")
        backlog = await self._backlog_for(index)
        self._validators = Validators(answer.etag, answer.last_modified)
        anchor = backlog.anchor
        is_anchored = anchor is None or not anchor.id or any(page.commit == anchor for page in index.pages)
        return _Round(began, index.newest, list(index.after(backlog.seen)), is_anchored)

    async def _backlog_for(self, index: CatalogIndex) -> Backlog:
        """What was read of this catalog. It starts again where the index does not continue what was read.

        Raises UpstreamNonsense for an index that is older than one before.
        """
        backlog, newest = self._backlog, index.newest
        if backlog is None:
            first = self._first(newest)
            self._backlog = Backlog(first, first, None)
            _log.info("catalog_followed", upstream=self.name, catalog=self.url)
            return self._backlog
        known = max(backlog.seen, backlog.anchor.stamp if backlog.anchor is not None else 0)
        if newest.stamp >= known:
            self._older = 0
            if backlog.since > self._first(newest):  # documents live longer than when it was first read
                await self._start_again(backlog, newest)
            elif newest.stamp - backlog.seen > LONGEST_GAP * TICKS_PER_SECOND:
                _log.warning("catalog_skipped", upstream=self.name, catalog=self.url)
                await self._start_again(backlog, newest)
            return backlog
        self._older += 1
        if self._older < OLDER:
            self._validators = None
            raise UpstreamNonsense(self.name, "its catalog index is older than one before")
        self._older = 0
        _log.warning("catalog_replaced", upstream=self.name, catalog=self.url)
        await self._start_again(backlog, newest)
        return backlog

    def _first(self, newest: Commit) -> int:
        """Where to begin: before every event that a document which is still fresh may lack. By the upstream's clock:
        ours may be wrong."""
        return max(0, newest.stamp - int((self._fresh + CLOCK_MARGIN) * TICKS_PER_SECOND))

    async def _start_again(self, backlog: Backlog, newest: Commit) -> None:
        """Read all that documents may depend on again; until then nothing is followed."""
        backlog.since = backlog.seen = self._first(newest)
        backlog.anchor = None
        self._validators = None
        await self._save(backlog, None)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _read(self, page: StatedPage, reading: _Round, backlog: Backlog) -> None:
        answer = await self._fetch(page.url, LARGEST_PAGE)
        if answer.status != 200:
            raise UpstreamNonsense(self.name, f"its catalog names {page.url}, which does not exist")
        found: CatalogPage = await self._parsed(read_catalog_page, answer.body)
        if found.newest < page.commit.stamp:
            raise UpstreamNonsense(self.name, f"{page.url} is older than its index states")
        reading.is_anchored = reading.is_anchored or backlog.anchor in found.commits
        # What came after the index was written belongs to the next round: other pages may have more of it.
        changes = [each for each in found.changes if backlog.seen < each.commit.stamp <= reading.target.stamp]
        backlog.note(changes, reading.target.stamp, self._ticks())
        if backlog.is_full:
            self._backlog = None
            self.url = ""
            raise UpstreamNonsense(self.name, "its catalog names too many packages at once")
        await self._kept.note(changes)
        for kind, count in _counted(changes):
            metrics.CATALOG_ITEMS.labels(self.name, kind).inc(count)

    async def _fetch_leaf(self, url: str) -> bytes | None:
        answer = await self._fetch(url, LARGEST_PAGE)
        return answer.body if answer.status == 200 else None

    async def _fetch(self, url: str, limit: int, validators: Validators | None = None) -> ReceivedAnswer:
        return await self._source.upstream.fetch(
            url, validators=validators, patience=_PATIENCE, limit=limit, timeout=_LONGEST_FETCH
        )

    async def _parsed(self, read: Callable[[bytes], T], body: bytes) -> T:
        try:
            return await parsed(read, body)
        except UnreadableDocument as error:
            raise UpstreamNonsense(self.name, str(error)) from error

    # --- applying -----------------------------------------------------------------------------------------------------

    async def _apply(self, backlog: Backlog) -> None:
        began = self._ticks()
        ids = backlog.ids(began)
        # A follower before this one may have been killed after it expired documents and before it said so; likewise if
        # the last attempt failed halfway.
        was_announced, self._is_announced = self._is_announced, False
        expired = await self._source.expire_about(ids)
        announced: Collection[str] = expired if was_announced else ids
        if announced:
            self._changed(announced)
        self._is_announced = True
        metrics.CATALOG_EXPIRED.labels(self.name).inc(len(expired))
        await self._kept.work()
        for change, is_overdue in backlog.expired(ids, began):
            if is_overdue or not await self._is_late(change):
                backlog.settle(change)

    async def _is_late(self, change: Change) -> bool:
        """Whether the stored versions list does not show the event yet. Then it is not believed for long."""
        listed = await self._source.stated_versions(change.package_id)
        return (
            listed is not None and change.package is not None and (change.package.version in listed) == change.is_delete
        )

    async def _save(self, backlog: Backlog, polled: float | None) -> None:
        oldest = self._kept.oldest
        cursor = backlog.cursor() if oldest is None else min(backlog.cursor(), oldest - 1)
        await self._record.save(self.name, Followed(self.url, backlog.since, cursor, backlog.anchor, polled))


def _counted(changes: Collection[Change]) -> Iterator[tuple[str, int]]:
    deleted = sum(change.is_delete for change in changes)
    yield "delete", deleted
    yield "details", len(changes) - deleted
