"""One download led by this process: from the upstream into a spool, checked, committed.

Rule 1: a broken download is resumed if the upstream can prove that it is the same file, otherwise restarted. Rule 2:
a failure of our disk does not affect the client: the bytes are passed on through memory, and not stored. Readers of
the growing bytes belong to `growing`; the choice of the leader to `mirrored_downloads`.
"""

import asyncio
import base64
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from nugetproxy import metrics
from nugetproxy.errors import NugetproxyError, StorageUnavailable, UpstreamError, UpstreamNonsense
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.checks import AcceptedContent, ContentRejectedError, Received, Stated, check_content
from nugetproxy.mirroring.downloads.contents import (
    CommittedPackage,
    Incoming,
    Places,
    Source,
    WantedContent,
    Watch,
    Watcher,
    watch_nothing,
)
from nugetproxy.mirroring.downloads.following import notice_of_failure
from nugetproxy.mirroring.downloads.growing import WITHHELD, GrowingBody
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobInfo
from nugetproxy.storage.leases import Lease
from nugetproxy.storage.spool import BLOCK, ReadableBytes, Spool, disk_failures
from nugetproxy.storage.spool_notices import SpoolNotice, Stage, stem_of

# A body that still breaks off after the upstream client tried to resume it is requested again: at most this many times,
# and only while every try brings at least one new byte.
MOST_BREAKS = 3
_SECONDS_AFTER_A_BREAK = 0.1
# Bytes of one package. Some feeds have packages over 4 GB; none are known over 16, and an endless stream must not
# fill the disk.
MAX_PACKAGE_SIZE = 16 * 1024**3
# Seconds that a failure stays readable for the other processes that wait: longer than the longest polling interval.
_FAILURE_IS_SHOWN = 0.25

_PARTIAL = 206

_log = logger()
P = ParamSpec("P")
T = TypeVar("T")


class ContentFetch:
    """
    Fills one body. `run` is called once, by the holder of `lease`; it releases the lease when others should not wait.
    """

    def __init__(
        self, wanted: WantedContent, body: GrowingBody, places: Places, lease: Lease, patience: float,
        watch: Watch = watch_nothing, source: Source | None = None,
    ) -> None:  # fmt: skip
        """`source` is where the bytes come from, if not from the upstream."""
        self._source: Source = source or wanted.upstream
        self._watch = watch
        self._watcher: Watcher | None = None
        self._began = time.monotonic()
        self._wanted = wanted
        self._name = wanted.upstream.name
        self._body = body
        self._places = places
        self._lease = lease
        self._patience = patience
        self._spool: Spool | None = None
        self._earlier: list[Spool] = []
        """Spools of tries that were given up: readers may have bytes of them, with which the next ones are compared."""
        self._stated = Stated()
        self._validator = ""
        self._is_private = False
        self._log = _log.bind(upstream=self._name, package=str(wanted.identity))

    def __repr__(self) -> str:
        return f"<ContentFetch {self._wanted.identity}: {self._spool!r}>"

    async def run(self, inherited: SpoolNotice | None) -> CommittedPackage | None:
        """Fetch, check, release to the readers, commit. None if the package could not be stored.

        `inherited` is what a leader that died reported about the bytes that the body already has.

        Raises the upstream's failure (DocumentAbsent, UpstreamError), or StorageUnavailable if neither disk nor memory
        can take the bytes.
        """
        try:
            if inherited is not None:
                await self._inherit(inherited)
            accepted, spool = await self._receive_accepted()
            self._body.complete()
            await self._tell(Stage.COMPLETE)
            return await self._keep(spool, accepted)
        except NugetproxyError as failure:
            self._body.fail(failure)
            self._give_up_spool()
            for given_up in self._earlier:
                given_up.end()  # nobody reads it any more
            await self._tell_failure(failure)
            raise
        finally:
            if self._spool is not None:
                self._spool.discard()
            if not self._is_private:
                self._places.notices.withdraw(self._wanted.key)

    # --- receiving ---

    async def _receive_accepted(self) -> tuple[AcceptedContent, Spool]:
        """A body that fails a check is fetched once more in full: the fault may lie with one edge server."""
        try:
            return await self._receive_and_check()
        except ContentRejectedError as rejected:
            self._reject(rejected)
        try:
            return await self._receive_and_check()
        except ContentRejectedError as rejected:
            self._reject(rejected)
            raise UpstreamNonsense(self._name, rejected.why) from rejected

    def _reject(self, rejected: ContentRejectedError) -> None:
        metrics.CONTENT_REJECTED.labels(self._name, rejected.check).inc()
        self._log.warning("content_rejected", check=rejected.check, why=rejected.why)
        self._body.suspend()
        self._give_up_spool()
        self._validator = ""

    def _give_up_spool(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None and self._body.source is spool:
            spool.discard()
            self._earlier.append(spool)
        elif spool is not None:
            spool.end()

    async def _receive_and_check(self) -> tuple[AcceptedContent, Spool]:
        await self._receive()
        spool = self._spool
        if spool is None:
            raise ContentRejectedError("length", "nothing came")
        if self._body.source is not spool:
            await self._body.replace(spool)
        return await self._in_thread(_check, spool, self._stated, self._wanted.identity), spool

    async def _receive(self) -> None:
        most, breaks = -1, 0
        while not self._is_whole():
            broken = await self._stream()
            if broken is None:
                return
            received, breaks = self._spool.size if self._spool is not None else 0, breaks + 1
            if received <= most or breaks > MOST_BREAKS:
                raise broken
            most = received
            self._log.info("download_broken", received=received, why=broken.why)
            await asyncio.sleep(_SECONDS_AFTER_A_BREAK * breaks)

    def _is_whole(self) -> bool:
        return self._spool is not None and self._spool.size == self._stated.total

    async def _stream(self) -> UpstreamError | None:
        """
        Receive until the end (None) or a break. Failures before the body are raised: the client has already retried
        them.
        """
        start = 0
        if self._spool is not None and self._validator and self._stated.total is not None:
            start = self._spool.size
        validator = self._validator if start else ""
        async with self._source.download(
            self._wanted.url, start=start, if_range=validator, patience=self._patience
        ) as answer:
            try:
                await self._begin(answer, start)
                async for chunk in answer.chunks():
                    await self._append(chunk)
            except UpstreamError as broken:
                return broken
        return None

    async def _begin(self, answer: Incoming, start: int) -> None:
        """Continue after the bytes already received, or start a new spool."""
        if answer.status == _PARTIAL:
            if start and answer.start == start and answer.total in (None, self._stated.total):
                metrics.UPSTREAM_RESUMED.labels(self._name).inc()
                return
            self._validator = ""
            raise UpstreamNonsense(self._name, "it sent another range than requested")
        if answer.total is not None and answer.total > MAX_PACKAGE_SIZE:
            raise ContentRejectedError("length", f"{answer.total} bytes are announced")
        self._stated = Stated(answer.total, answer.sha512, answer.md5)
        self._validator = _strong_validator(answer)
        self._give_up_spool()
        self._watcher = self._watch(self._wanted.identity)
        self._spool = await self._create(answer.total)
        self._body.stored = self._spool.path is not None
        self._body.announce(answer.total, answer.content_type)
        if not self._body.handed:
            self._body.use(self._spool)
        await self._tell(Stage.GROWING)

    async def _create(self, total: int | None) -> Spool:
        if not self._is_private:
            try:
                return await self._in_thread(self._places.folder.create, stem_of(self._wanted.key), total)
            except StorageUnavailable as error:
                self._lose_the_disk(error)
        return await self._in_thread(self._places.folder.create_in_memory, total)

    async def _append(self, chunk: bytes) -> None:
        spool, total = self._spool, self._stated.total
        assert spool is not None, "it began"
        if spool.size + len(chunk) > (MAX_PACKAGE_SIZE if total is None else total):
            raise ContentRejectedError("length", f"more than {total or MAX_PACKAGE_SIZE} bytes were received")
        if self._watcher is not None and not self._watcher(chunk):
            self._watcher = None
        try:
            await self._in_thread(spool.append, chunk)
        except StorageUnavailable as error:
            if spool.path is None:
                raise
            await self._in_thread(spool.move_to_memory, total)
            self._lose_the_disk(error)
            await self._in_thread(spool.append, chunk)
        if self._body.source is spool:
            self._body.grown()
        elif spool.size >= self._body.handed:
            await self._body.replace(spool)

    async def _inherit(self, notice: SpoolNotice) -> None:
        """Continue where a leader died: its bytes are copied into our spool, which also computes their hashes."""
        source = self._body.source
        if source is None or not notice.validator or notice.total is None:
            return
        try:
            self._spool = await self._in_thread(self._copy, source)
        except StorageUnavailable:
            return  # start over: that path can do without a disk
        self._stated = Stated(notice.total, notice.sha512 or None, base64.b64decode(notice.md5) or None)
        self._validator = notice.validator
        self._body.use(self._spool, proven=self._spool.size)
        await self._tell(Stage.GROWING)

    def _copy(self, source: ReadableBytes) -> Spool:
        spool = self._places.folder.create(stem_of(self._wanted.key))
        try:
            with disk_failures("read the spool of a process that died"):
                for offset in range(0, source.size, BLOCK):
                    spool.append(source.read(offset, BLOCK))
        except StorageUnavailable:
            spool.discard()
            raise
        return spool

    # --- keeping ---

    async def _keep(self, spool: Spool, accepted: AcceptedContent) -> CommittedPackage | None:
        if spool.path is None:
            return None
        try:
            kept = await self._in_thread(self._commit, spool, accepted.nuspec)
        except StorageUnavailable as error:
            self._note_refusal("content_not_kept", error)
            return None
        self._places.refusals.kept()
        if kept is None:
            return None
        sha512 = base64.b64encode(spool.sha512).decode()
        return CommittedPackage(
            self._name,
            self._wanted.identity,
            accepted.manifest,
            self._places.blobs.path(self._wanted.nupkg),
            kept.size,
            accepted.content_hash,
            sha512,
            kept.modified,
            max(1, round((time.monotonic() - self._began) * 1000)),
        )

    def _commit(self, spool: Spool, nuspec: bytes | None) -> BlobInfo | None:
        """The nuspec first, so that a package that is found always has it next to it, unless it is too large.

        None if a file is there already, which keeps its bytes: the inventory must not describe it by ours.
        """
        if self._places.blobs.stat(self._wanted.nupkg) is not None:
            return None
        if nuspec is not None:
            self._commit_nuspec(nuspec, spool)
        return self._places.blobs.commit(self._wanted.nupkg, spool)

    def _commit_nuspec(self, nuspec: bytes, package: Spool) -> None:
        """With the time of the package, which shows later that nobody changed it."""
        small = self._places.folder.create(stem_of(self._wanted.key))
        try:
            small.append(nuspec)
            small.take_time_of(package)
            self._places.blobs.commit(self._wanted.nuspec, small)
        finally:
            small.discard()

    def _lose_the_disk(self, error: StorageUnavailable) -> None:
        """
        From now on the bytes are only in this process, so others should not wait: every process relays to its own
        clients.
        """
        self._note_refusal("content_relayed", error)
        self._is_private, self._body.stored = True, False
        self._places.notices.withdraw(self._wanted.key)
        self._lease.release()

    def _note_refusal(self, event: str, error: StorageUnavailable) -> None:
        metrics.STORE_FAILURES.labels("content").inc()
        self._places.refusals.refused(event, str(error), upstream=self._name, package=str(self._wanted.identity))

    # --- telling the other processes ---

    async def _tell(self, stage: Stage) -> None:
        """A body that is withheld entirely needs no notice: its followers find it committed."""
        spool, total = self._spool, self._stated.total
        if self._is_private or spool is None or spool.path is None or (total is not None and total <= WITHHELD):
            return
        notice = SpoolNotice(
            self._wanted.key,
            stage,
            spool.path.name,
            total,
            self._body.content_type,
            self._validator,
            self._stated.sha512 or "",
            base64.b64encode(self._stated.md5 or b"").decode(),
        )
        with suppress(OSError):
            await self._in_thread(self._places.notices.write, notice)

    async def _tell_failure(self, failure: NugetproxyError) -> None:
        notice = notice_of_failure(self._wanted.key, failure)
        if self._is_private or notice is None:
            return
        with suppress(OSError):
            await self._in_thread(self._places.notices.write, notice)
            await asyncio.sleep(_FAILURE_IS_SHOWN)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._places.threads, partial(work, *args, **kwargs))


def _check(spool: Spool, stated: Stated, identity: PackageIdentity) -> AcceptedContent:
    with disk_failures("read the spool back"), spool.binary() as file:
        return check_content(Received(file, spool.size, spool.sha512, spool.md5), stated, identity)


def _strong_validator(answer: Incoming) -> str:
    """
    A validator for If-Range: RFC 9110 requires byte-for-byte equality, which a weak entity tag does not guarantee.
    """
    return answer.last_modified if not answer.etag or answer.etag.startswith("W/") else answer.etag
