"""MirroredDownloads: one upstream stream, many readers, one commit.

Rule 1: a download is a task of this object and not of a request: a client that disconnects affects no other, and when
all have disconnected it is still finished and stored. Rule 2: among the processes that share a data directory, the
one that holds the lease asks the upstream; the others follow. Fetching, following and reading are in `fetching`,
`following` and `growing`; what the nodes of a fleet share is in `sharing`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path

from nugetproxy import metrics
from nugetproxy.errors import NotMirrored, NugetproxyError, StorageUnavailable, UpstreamUnavailable
from nugetproxy.feeds.base import Answer, GrowingContent, LocalFile
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.contents import (
    CONTENT_SECONDS,
    CommittedPackage,
    Guard,
    Places,
    WantedContent,
    Watch,
    kept_content,
    watch_nothing,
)
from nugetproxy.mirroring.downloads.fetching import ContentFetch
from nugetproxy.mirroring.downloads.following import Following
from nugetproxy.mirroring.downloads.growing import GrowingBody
from nugetproxy.mirroring.downloads.keys import lease_of, package_key
from nugetproxy.mirroring.downloads.sharing import FleetPackages, FleetSource
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.access import PRIVATE, Access
from nugetproxy.storage.blobs.base import BlobInfo, BlobKey
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.data_directory import MIRROR
from nugetproxy.storage.leases import Lease, Leases
from nugetproxy.storage.refusals import Refusals
from nugetproxy.storage.reserve import NO_RESERVE, Reserve
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder
from nugetproxy.storage.spool_notices import SpoolNotice, SpoolNotices

__all__ = ["CommittedPackage", "MirroredDownloads"]

DEFAULT_PATIENCE = 30.0
"""Seconds an upstream may take to recover, for the head and after each break: clients wait 100 s for a head."""
# Enough that a slow check of a large package does not delay small ones; waiting for a disk needs no more.
_THREADS = 8

_log = logger()


class MirroredDownloads:
    """The stored packages of the upstreams, and the downloads running in this process."""

    def __init__(
        self,
        directory: Path,
        leases: Leases,
        memory_relay: int,
        mode: Mode,
        *,
        access: Access = PRIVATE,
        reserve: Reserve = NO_RESERVE,
        patience: float = DEFAULT_PATIENCE,
    ) -> None:
        """`directory` holds `mirror` and `spool`; `memory_relay` is in bytes.

        `access` says who may read stored packages, `reserve` how much disk space to leave free. Removes what dead
        processes left.
        """
        self.on_commit: list[Callable[[CommittedPackage], None]] = []
        self.watch: Watch = watch_nothing
        self.guard: Guard | None = None
        self.shared: FleetPackages | None = None
        self._leases = leases
        self._mode = mode
        self._patience = patience
        self._blobs = FilesystemBlobs(directory / MIRROR, access)
        self._folder = SpoolFolder(directory / "spool", MemoryBudget(memory_relay), reserve)
        self._notices = SpoolNotices(directory / "spool")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="content")
        refusals = Refusals("content_kept_again")
        self._places = Places(self._folder, self._notices, self._blobs, refusals, self._threads)
        self._running: dict[BlobKey, _Download] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder.sweep()
        self._notices.sweep(leases)

    def __repr__(self) -> str:
        return f"<MirroredDownloads in {self._blobs!r}: {len(self._running)} running>"

    def find(self, upstream_name: str, identity: PackageIdentity) -> LocalFile | None:
        """The kept package, not compared with the inventory. Cheap enough for the event loop; if the disk fails, there
        is none."""
        kept = self._stat(_nupkg_key(upstream_name, identity))
        return None if kept is None else self._file(kept)

    async def kept(self, upstream_name: str, identity: PackageIdentity) -> LocalFile | None:
        """The kept package, for serving it: a file that was cut short or changed is not one."""
        kept = self._stat(key := _nupkg_key(upstream_name, identity))
        if kept is None:
            return None
        try:
            if self.guard is not None and not self.guard.looks_right(kept):
                await self.guard.examine(key)
                kept = self._stat(key)
                if kept is None or not self.guard.looks_right(kept):
                    return None
        except StorageUnavailable as error:
            _log.error("content_lookup_failed", why=str(error))
            return None
        return self._file(kept)

    def _stat(self, key: BlobKey) -> BlobInfo | None:
        try:
            return self._blobs.stat(key)
        except StorageUnavailable as error:
            _log.error("content_lookup_failed", why=str(error))
            return None

    def _file(self, kept: BlobInfo) -> LocalFile:
        return LocalFile(self._blobs.path(kept.key), kept.size, int(kept.modified / 1e9), kept.etag)

    def kept_versions(self, upstream_name: str, lid: str) -> tuple[str, ...]:
        """The lower-case versions whose package is kept, in no particular order."""
        try:
            found = [info.key.segments for info in self._blobs.walk(upstream_name, lid)]
        except StorageUnavailable as error:
            _log.error("content_listing_failed", why=str(error))
            return ()
        return tuple(at[2] for at in found if len(at) == 4 and at[3] == f"{lid}.{at[2]}.nupkg")

    async def versions_in_fleet(self, upstream_name: str, lid: str) -> tuple[str, ...]:
        """As `kept_versions`, with those that other nodes have left in the bucket.

        Raises StorageUnavailable if that is not known and none is kept here.
        """
        here = self.kept_versions(upstream_name, lid)
        if self.shared is None:
            return here
        try:
            return tuple({*here, *await self.shared.rows.versions(upstream_name, lid)})
        except StorageUnavailable:
            if not here:
                raise
            return here

    async def from_fleet(
        self, upstream: UpstreamClient, identity: PackageIdentity
    ) -> Answer[LocalFile | GrowingContent] | None:
        """The package from the bucket, for times when the upstream is not asked; None if no node has left it there.

        Raises StorageUnavailable if that is not known, or the bucket fails.
        """
        if self.shared is None or not await self.shared.has(upstream.name, identity):
            return None
        try:
            return await self.open(upstream, identity, "")
        except NotMirrored as error:
            raise StorageUnavailable(f"{identity} cannot be read from the bucket") from error

    async def brought(self, upstream: UpstreamClient, identity: PackageIdentity) -> LocalFile | None:
        """The package as a file that is kept here, after `from_fleet` if necessary; None if it is not available."""
        if self.shared is not None and self.find(upstream.name, identity) is None:
            with suppress(NugetproxyError):
                await self.from_fleet(upstream, identity)
                if (download := self._running.get(_nupkg_key(upstream.name, identity))) is not None:
                    await asyncio.wait([download.task])
        return await self.kept(upstream.name, identity)

    async def open(
        self, upstream: UpstreamClient, identity: PackageIdentity, url: str
    ) -> Answer[LocalFile | GrowingContent]:
        """The package: a file if it is kept, otherwise its bytes as they arrive.

        Returns as soon as the upstream's head is known; for a package of 64 KiB or less, after its checks.

        Raises:
            NotMirrored: offline, and it is not kept.
            DocumentAbsent: the upstream does not have it.
            UpstreamError, StorageUnavailable: it is not available now; no byte was handed out.
        """
        if (kept := await self._kept(upstream.name, identity)) is not None:
            return kept
        if self._mode is Mode.OFFLINE and self.shared is None:
            raise NotMirrored(str(identity))
        download = self._running.get(key := _nupkg_key(upstream.name, identity))
        if download is None or download.body.has_failed:
            download = self._start(key, upstream, identity, url)
        else:
            metrics.COALESCED.labels("content").inc()
            if download.body.is_complete:
                # Only the commit is left: the file is better than another reader of the spool.
                await asyncio.wait([download.task])
                if (kept := await self._kept(upstream.name, identity)) is not None:
                    return kept
        opened = await download.body.opened()
        return Answer(opened, Provenance(Outcome.MISS, fresh_for=CONTENT_SECONDS, stored=download.body.stored))

    async def _kept(self, upstream_name: str, identity: PackageIdentity) -> Answer[LocalFile | GrowingContent] | None:
        kept = await self.kept(upstream_name, identity)
        return None if kept is None else kept_content(kept, kept.modified)

    async def close(self, timeout: float) -> None:
        """Let running downloads finish for `timeout` seconds, then break them off, which their readers notice."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- one download ---

    def _start(self, key: BlobKey, upstream: UpstreamClient, identity: PackageIdentity, url: str) -> "_Download":
        nuspec = BlobKey.of(*key.segments[:-1], identity.nuspec_name)
        wanted = WantedContent(upstream, identity, url, lease_of(key), key, nuspec)
        download = _Download(wanted, GrowingBody(upstream.name))
        download.task = asyncio.create_task(self._run(download), name=f"download {identity}")
        self._running[key] = download
        self._tasks.add(download.task)
        download.task.add_done_callback(partial(self._forget, download))
        return download

    def _forget(self, download: "_Download", task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._running.get(download.wanted.nupkg) is download:
            del self._running[download.wanted.nupkg]

    async def _run(self, download: "_Download") -> None:
        """Lead or follow until the body is complete or failed. Raises nothing but cancellation."""
        wanted, body = download.wanted, download.body
        following = self._following(wanted, body)
        try:
            lease = await following.until_free()
            if lease is not None:
                async with AsyncExitStack() as leading:
                    with lease:
                        source = await leading.enter_async_context(self._source(wanted))
                        committed = await self._lead(wanted, body, lease, following.inheritance, source)
                    if committed is not None:
                        self._tell(committed)
                        if source is not None:
                            await source.share(committed)
        except NugetproxyError as failure:
            body.fail(failure)
        except asyncio.CancelledError:
            body.fail(UpstreamUnavailable(wanted.upstream.name, "this server is shutting down"))
            raise
        except Exception:  # noqa: BLE001 - a fault of ours must not leave readers waiting for ever
            _log.exception("download_failed", package=str(wanted.identity))
            body.fail(StorageUnavailable("the download failed unexpectedly"))
        finally:
            following.end()

    def _following(self, wanted: WantedContent, body: GrowingBody) -> Following:
        return Following(
            wanted.key,
            body,
            upstream=wanted.upstream.name,
            leases=self._leases,
            folder=self._folder,
            notices=self._notices,
            find=partial(self.find, wanted.upstream.name, wanted.identity),
        )

    def _source(self, wanted: WantedContent) -> AbstractAsyncContextManager[FleetSource | None]:
        """Where the bytes come from, if not from the upstream."""
        return nullcontext() if self.shared is None else self.shared.leading(wanted)

    async def _lead(
        self,
        wanted: WantedContent,
        body: GrowingBody,
        lease: Lease,
        inherited: SpoolNotice | None,
        source: FleetSource | None,
    ) -> CommittedPackage | None:
        fetch = ContentFetch(wanted, body, self._places, lease, self._patience, self.watch, source)
        return await fetch.run(inherited)

    def _tell(self, committed: CommittedPackage) -> None:
        for listener in self.on_commit:
            try:
                listener(committed)
            except Exception:  # noqa: BLE001 - the package is kept whatever a listener makes of it
                _log.exception("listener_failed", package=str(committed.identity))


class _Download:
    """A body and the task that fills it."""

    task: asyncio.Task[None]

    def __init__(self, wanted: WantedContent, body: GrowingBody) -> None:
        self.wanted = wanted
        self.body = body

    def __repr__(self) -> str:
        return f"<Download {self.wanted.identity}: {self.body!r}>"


def _nupkg_key(upstream_name: str, identity: PackageIdentity) -> BlobKey:
    return package_key(upstream_name, identity.lower_id, identity.lower_version)
