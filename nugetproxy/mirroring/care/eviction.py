"""Evicting mirrored packages, in small steps off the event loop, one process at a time.

A package goes only if the upstream says that it still has it: what cannot be fetched again stays, and is marked.
Clients that are reading a file finish reading it; a client that asks for it a moment later gets it from the upstream.
Hosted packages are stored elsewhere and cannot be reached from here. The order belongs to `ranking`, the amount to
`budget`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from nugetproxy import metrics
from nugetproxy.executors.threads import UPKEEP, yielding
from nugetproxy.feeds.protected import IsOurs, nothing_is_ours
from nugetproxy.logs import logger
from nugetproxy.mirroring.care.asking import Asking, StillOffered, pause
from nugetproxy.mirroring.care.leases import EVICTION
from nugetproxy.mirroring.care.ranking import ranked
from nugetproxy.mirroring.downloads.keys import lease_of, package_key
from nugetproxy.mirroring.kept.files import FileKey, KeptFile, KeptFiles
from nugetproxy.mirroring.kept.pins import Pins
from nugetproxy.mirroring.kept.symbols import delete_pdbs
from nugetproxy.storage.blobs.base import BlobKey, BlobStore
from nugetproxy.storage.leases import Lease, Leases

REST: Final = 3.0
"""Beside clients: the pause after each step (a question to an upstream, a file, a batch of rows), as a multiple of the
time that it took. Under load steps take longer, so eviction slows down."""

# Rows ranked at once. SQLite reads the whole table for each such window, so it must not be small.
_WINDOW: Final = 2000
# Files removed in one go of the thread.
_BATCH: Final = 50

_log = logger()


@dataclass
class Evicted:
    """What was evicted, or would be, and how many packages stayed for which reason. `bytes` is the sum of sizes."""

    files: list[KeptFile] = field(default_factory=list)
    """Only if they were to be listed."""
    packages: int = 0
    bytes: int = 0
    gone: int = 0
    """The upstream no longer has them."""
    unknown: int = 0
    """The upstream could not be asked."""
    busy: int = 0
    """They were being served or downloaded."""


async def plan(files: KeptFiles, needed: int, now: float, pins: Pins | None = None) -> Evicted:
    """What `Eviction.free` would evict at `now` (unix seconds) if the upstreams still have everything. Asks nobody and
    changes nothing. `pins` are those of a fleet. Raises StorageUnavailable."""
    return await UPKEEP.run(_planned, await _unpinned(await files.oldest(None), pins), needed, now)


class Eviction:
    """Evicts packages of `upstreams` (by name), whose files are in `blobs`."""

    def __init__(
        self,
        files: KeptFiles,
        blobs: BlobStore,
        leases: Leases,
        upstreams: Mapping[str, StillOffered],
        *,
        in_use: Callable[[FileKey], bool] = lambda _: False,
        is_ours: IsOurs = nothing_is_ours,
        pins: Pins | None = None,
        rest: float = REST,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`in_use` tells whether a package was used a moment ago; `is_ours` whether a lower id is protected or hosted
        by now, so that no upstream may be asked about it. `pins` are those of a fleet; `files` knows the others. `rest`
        is as the constant; 0 in a process without clients. `clock` is in unix seconds."""
        self._files = files
        self._blobs = blobs
        self._leases = leases
        self._upstreams = upstreams
        self._in_use = in_use
        self._is_ours = is_ours
        self._pins = pins
        self._rest = rest
        self._clock = clock

    def alone(self) -> AbstractAsyncContextManager[Lease]:
        """Wait for the right to evict, for commands."""
        return self._leases.hold(EVICTION)

    async def free(self, needed: int, *, is_listed: bool = True) -> Evicted:
        """Evict until `needed` bytes are free, or nothing more may go. The caller holds `EVICTION`.

        `is_listed`: whether the result lists the files, which a server has no use for. Raises StorageUnavailable.
        """
        now, result = self._clock(), Evicted()
        await self._files.bring_back_to(int(now))
        asking = Asking(self._upstreams, rest=self._rest)
        last: KeptFile | None = None
        while result.bytes < needed and (window := await self._files.oldest(_WINDOW, after=last)):
            last = window[-1]
            window = await _unpinned(window, self._pins)
            await self._evict(
                await UPKEEP.run(ranked, yielding(window), now), needed, asking, result, is_listed=is_listed
            )
        if result.packages:
            _log.info("mirror_evicted", packages=result.packages, bytes=result.bytes, gone=result.gone,
                      unknown=result.unknown)  # fmt: skip
        return result

    async def evict(self, files: Sequence[KeptFile], *, ask: bool = True) -> Evicted:
        """Evict these packages. `ask` is False for those that are to go even if they cannot be fetched again."""
        result, asking = Evicted(), Asking(self._upstreams, asks=ask, rest=self._rest)
        await self._evict(files, sum(file.occupied for file in files) + 1, asking, result)
        return result

    async def _evict(
        self, files: Sequence[KeptFile], needed: int, asking: Asking, result: Evicted, *, is_listed: bool = True
    ) -> None:
        batch: list[KeptFile] = []
        in_batch = 0
        for file in files:
            if result.bytes >= needed:
                return
            if self._in_use(file.key):
                result.busy += 1
                continue
            offered = None if asking.asks and await self._is_ours(file.lower_id) else await asking.is_offered(file)
            if offered is None:
                result.unknown += 1
            elif not offered:
                result.gone += 1
                await self._files.mark_gone(file.key)
            else:
                batch.append(file)
                in_batch += file.occupied
            if len(batch) == _BATCH or result.bytes + in_batch >= needed:
                await self._remove(batch, result, is_listed=is_listed)
                batch, in_batch = [], 0
        await self._remove(batch, result, is_listed=is_listed)

    async def _remove(self, batch: Sequence[KeptFile], result: Evicted, *, is_listed: bool) -> None:
        if not batch:
            return
        removed, busy = await UPKEEP.run(self._delete, batch)
        result.busy += busy
        began = time.monotonic()
        await self._files.remove(removed)
        for upstream in {file.upstream for file in removed}:
            sizes = [file.occupied for file in removed if file.upstream == upstream]
            metrics.EVICTED_PACKAGES.labels(upstream).inc(len(sizes))
            metrics.EVICTED_BYTES.labels(upstream).inc(sum(sizes))
            result.packages += len(sizes)
            result.bytes += sum(sizes)
        if is_listed:
            result.files += removed
        await asyncio.sleep(pause(self._rest, began))

    def _delete(self, batch: Sequence[KeptFile]) -> tuple[list[KeptFile], int]:
        """The files that are gone now, and the number of those that another process is using. Blocks.

        Raises StorageUnavailable.
        """
        removed = []
        for file in batch:
            began = time.monotonic()
            key = package_key(*file.key)
            lease = self._leases.try_hold(lease_of(key))
            if lease is None:
                continue
            with lease:
                # The package first: a process that is killed here leaves a manifest, which is overwritten or swept.
                self._blobs.delete(key)
                delete_pdbs(self._blobs.path(key).parent)
                self._blobs.delete(BlobKey.of(*key.segments[:3], f"{file.lower_id}.nuspec"))
            removed.append(file)
            time.sleep(pause(self._rest, began))
        return removed, len(batch) - len(removed)


async def _unpinned(files: list[KeptFile], pins: Pins | None) -> list[KeptFile]:
    if pins is None:
        return files
    is_pinned = await pins.held()
    return [file for file in files if not is_pinned(file.lower_id, file.lower_version)]


def _planned(candidates: Sequence[KeptFile], needed: int, now: float) -> Evicted:
    result = Evicted()
    for file in ranked(candidates, now):
        if result.bytes >= needed:
            break
        result.files.append(file)
        result.packages += 1
        result.bytes += file.occupied
    return result
