"""Keeping the mirrored packages of a fleet within the budget of its bucket, on one node at a time.

Least recently used first; pinned ones stay, and so does what the upstream no longer offers. The row of a package goes
first, its object an hour later: a node that is reading it finishes, and one that comes later asks the upstream.
The disks of the nodes have budgets of their own (`upkeep`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nugetproxy import metrics
from nugetproxy.executors.base import Executor
from nugetproxy.feeds.protected import IsOurs
from nugetproxy.logs import logger
from nugetproxy.mirroring.care.asking import Asking, StillOffered
from nugetproxy.mirroring.care.budget import LOW_WATERMARK
from nugetproxy.mirroring.downloads.shared_packages import Fence, SharedPackages, StoredPackage
from nugetproxy.mirroring.downloads.sharing import Bucket
from nugetproxy.storage.blobs.base import BlobKey

LOOK_SECONDS: Final = 60.0
"""Seconds between two looks."""

GRACE: Final = 3600
"""Seconds between the removal of a package and that of its object. Also the longest time that storing one may take."""

# Rows read at once: for each such window, the database sorts by use.
_WINDOW: Final = 2000
# Packages removed in one transaction, and objects deleted in one go.
_BATCH: Final = 50

_log = logger()


@dataclass
class _Removed:
    packages: int = 0
    bytes: int = 0
    gone: int = 0
    unknown: int = 0


class BucketBudget:
    """Compares what is in `bucket` with `budget`, in bytes; 0: no limit."""

    def __init__(
        self,
        packages: SharedPackages,
        bucket: Bucket,
        threads: Executor,
        upstreams: Mapping[str, StillOffered],
        is_ours: IsOurs,
        *,
        budget: int,
        grace: int = GRACE,
    ) -> None:
        """`threads` wait for the bucket. `is_ours` tells whether a lower id is protected or hosted: no upstream is
        asked about it."""
        self._packages = packages
        self._bucket = bucket
        self._threads = threads
        self._upstreams = upstreams
        self._is_ours = is_ours
        self._budget = budget
        self._grace = grace
        self._is_over = False

    async def look(self, fence: Fence) -> None:
        """Evict if the bucket is over its budget, and delete what was removed a while ago.

        `fence` is called in each transaction that removes anything. Raises StorageUnavailable.
        """
        packages, size = await self._packages.total()
        metrics.BUCKET_PACKAGES.set(packages)
        metrics.BUCKET_BYTES.set(size)
        metrics.BUCKET_BUDGET.set(self._budget)
        if self._budget and size > self._budget:
            await self._free(size, fence)
        else:
            self._is_over = False
        await self._delete_objects(fence)
        await self._packages.forget_absences(fence)

    async def _free(self, size: int, fence: Fence) -> None:
        needed = size - int(self._budget * LOW_WATERMARK)
        removed, asking = _Removed(), Asking(self._upstreams, rest=0.0)
        last: StoredPackage | None = None
        while removed.bytes < needed and (window := await self._packages.oldest(_WINDOW, last)):
            last = window[-1]
            await self._evict(window, needed, asking, removed, fence)
        if removed.packages:
            _log.info("bucket_evicted", packages=removed.packages, bytes=removed.bytes, gone=removed.gone,
                      unknown=removed.unknown)  # fmt: skip
        is_over = size - removed.bytes > self._budget
        if is_over and not self._is_over:
            _log.warning("bucket_over_budget", bytes=size - removed.bytes, budget=self._budget, gone=removed.gone,
                         unknown=removed.unknown)  # fmt: skip
        self._is_over = is_over

    async def _evict(
        self, window: list[StoredPackage], needed: int, asking: Asking, removed: _Removed, fence: Fence
    ) -> None:
        batch: list[StoredPackage] = []
        in_batch = 0
        for package in window:
            if removed.bytes + in_batch >= needed:
                break
            offered = None if await self._is_ours(package.lower_id) else await asking.is_offered(package)
            if offered is None:
                removed.unknown += 1
            elif not offered:
                removed.gone += 1
                await self._packages.mark_gone(package, fence)
            else:
                batch.append(package)
                in_batch += package.size
            if len(batch) == _BATCH:
                await self._remove(batch, removed, fence)
                batch, in_batch = [], 0
        await self._remove(batch, removed, fence)

    async def _remove(self, batch: list[StoredPackage], removed: _Removed, fence: Fence) -> None:
        for package in await self._packages.remove(batch, fence) if batch else ():
            metrics.BUCKET_EVICTED.labels(package.upstream).inc()
            metrics.BUCKET_EVICTED_BYTES.labels(package.upstream).inc(package.size)
            removed.packages += 1
            removed.bytes += package.size

    async def _delete_objects(self, fence: Fence) -> None:
        while blobs := await self._packages.doomed(self._grace, _BATCH, fence):
            for blob in blobs:
                await self._threads.run(self._bucket.delete, BlobKey(tuple(blob.split("/"))))
            await self._packages.deleted(blobs)
