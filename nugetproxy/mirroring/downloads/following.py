"""Following a download led by another process of this machine: its growing file is read as it grows.

A follower asks no upstream. When the leader dies, in whatever way, the kernel releases its lease; the follower then
takes it and becomes the leader.
"""

import asyncio
import time
from collections.abc import Callable

from nugetproxy import metrics
from nugetproxy.errors import (
    DocumentAbsent,
    NugetproxyError,
    UpstreamError,
    UpstreamNonsense,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from nugetproxy.feeds.base import LocalFile
from nugetproxy.mirroring.downloads.growing import GrowingBody
from nugetproxy.storage.leases import Lease, Leases, pause_after
from nugetproxy.storage.spool import OpenedFile, SpoolFolder
from nugetproxy.storage.spool_notices import SpoolNotice, SpoolNotices, Stage

# Trying to take the lease costs more than checking for progress, and dead leaders are rare.
_LOOKS_PER_TRY = 4
# Seconds without progress after which a leader is considered to hang. Its own timeouts are well below this.
_SILENCE = 180.0

_FAILURES: dict[str, type[UpstreamError]] = {
    kind.__name__: kind for kind in (UpstreamUnavailable, UpstreamTimeout, UpstreamNonsense, UpstreamError)
}


class Following:
    """One body, filled with the bytes that another process receives."""

    def __init__(
        self,
        key: str,
        body: GrowingBody,
        *,
        upstream: str,
        leases: Leases,
        folder: SpoolFolder,
        notices: SpoolNotices,
        find: Callable[[], LocalFile | None],
    ) -> None:
        self._told: SpoolNotice | None = None
        self._key = key
        self._body = body
        self._upstream = upstream
        self._leases = leases
        self._folder = folder
        self._notices = notices
        self._find = find
        self._began = self._news = time.monotonic()
        self._part = ""
        self._file: OpenedFile | None = None
        self._seen = 0

    @property
    def inheritance(self) -> SpoolNotice | None:
        """What the last leader reported about the bytes that the body has; None if they are from an earlier leader."""
        return self._told if self._body.source is self._file else None

    def end(self) -> None:
        """Let go of the leader's file. The traceback of a failure may refer to this object for hours."""
        self._file = None

    async def until_free(self) -> Lease | None:
        """Follow until the body is complete or failed (None), or until nobody leads: then return the lease.

        With the lease, this process leads. Raises the leader's failure, unless it failed before we came;
        UpstreamTimeout if it hangs.
        """
        looks = 0
        while not await self._look():
            if looks % _LOOKS_PER_TRY == 0 and (lease := self._leases.try_hold(self._key)) is not None:
                if not await self._settled_meanwhile(lease):
                    return lease
                return None
            if not looks:
                metrics.COALESCED.labels("content").inc()
            looks += 1
            if time.monotonic() - self._news > _SILENCE:
                raise UpstreamTimeout(self._upstream, "the process that fetches it makes no progress")
            await asyncio.sleep(pause_after(time.monotonic() - self._news))
        await self._until_committed()
        return None

    async def _settled_meanwhile(self, lease: Lease) -> bool:
        """The leader may have made progress between our last check and the release of its lease."""
        try:
            settled = await self._look()
        except BaseException:  # also if cancelled: a lease that is never released keeps everyone from fetching
            lease.release()
            raise
        if settled:
            lease.release()
        return settled

    async def _until_committed(self) -> None:
        """The readers have all they need; the next request should find the file and not start another download."""
        while self._find() is None:
            if (lease := self._leases.try_hold(self._key)) is not None:
                lease.release()
                return
            await asyncio.sleep(pause_after(0.0))

    async def _look(self) -> bool:
        """Read what has changed. True when the body is complete."""
        notice = self._notices.read(self._key)
        if notice is None:
            return await self._look_for_the_committed()
        if notice.stage is Stage.FAILED:
            if notice.ended >= self._began:
                raise _failure_in(notice, self._upstream)
            return False
        if notice.part != self._part:
            self._begin(notice)
        if self._file is not None and notice.part == self._part:
            await self._take_in(self._file, is_whole=notice.stage is Stage.COMPLETE)
        return self._body.is_complete

    async def _look_for_the_committed(self) -> bool:
        kept = self._find()
        if kept is None:
            return False
        try:
            file = OpenedFile.open(kept.path)
        except OSError:
            return False  # it was removed again
        if self._file is None or not self._file.is_file(kept.path):
            self._file = file
            self._body.announce(kept.size, kept.content_type)
        await self._take_in(self._file, is_whole=True)
        return True

    def _begin(self, notice: SpoolNotice) -> None:
        file = self._folder.open_part(notice.part)
        if file is None:
            return  # withdrawn or committed between its notice and our check
        self._file, self._part, self._seen, self._told = file, notice.part, 0, notice
        self._body.announce(notice.total, notice.content_type)

    async def _take_in(self, file: OpenedFile, *, is_whole: bool) -> None:
        size = file.size
        if self._body.source is not file and (is_whole or size >= self._body.handed):
            await self._body.replace(file)
        elif size != self._seen:
            self._body.grown()
        if size != self._seen:
            self._seen, self._news = size, time.monotonic()
        if is_whole:
            self._body.complete()


def notice_of_failure(key: str, failure: NugetproxyError) -> SpoolNotice | None:
    """What to report to followers; None for a problem of this process only, which they may not have."""
    ended = time.monotonic()
    if isinstance(failure, DocumentAbsent):
        kind, left = DocumentAbsent.__name__, failure.left
        return SpoolNotice(key, Stage.FAILED, failure=kind, why=failure.url, retry_after=left, ended=ended)
    if isinstance(failure, UpstreamError):
        kind, after = type(failure).__name__, failure.retry_after
        return SpoolNotice(key, Stage.FAILED, failure=kind, why=failure.why, retry_after=after, ended=ended)
    return None


def _failure_in(notice: SpoolNotice, upstream: str) -> NugetproxyError:
    if notice.failure == DocumentAbsent.__name__:
        return DocumentAbsent(notice.why, notice.retry_after)
    return _FAILURES.get(notice.failure, UpstreamError)(upstream, notice.why, notice.retry_after)
