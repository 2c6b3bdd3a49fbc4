"""What one node keeps of the bucket: files on its disk, so that blobs are sent as files and fetched once.

The bucket has every blob; a file here may vanish at any time and is fetched again. A file becomes visible only with
the size and hash that the caller expects. The workers of a node share the folder and its leases. How much is kept, and
what goes first, belongs to `node_space`.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from nugetproxy.errors import NotKeptHere, StorageUnavailable
from nugetproxy.executors.threads import BUCKET, UPKEEP, ThreadExecutor
from nugetproxy.logs import logger
from nugetproxy.metrics import NODE_CACHE_HITS, NODE_CACHE_MISSES
from nugetproxy.storage.access import PRIVATE, Access
from nugetproxy.storage.blobs.base import BlobInfo, BlobKey
from nugetproxy.storage.blobs.checked import CheckedBytes, wrong_content
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.blobs.node_space import NodeSpace
from nugetproxy.storage.blobs.s3 import BucketBlobs
from nugetproxy.storage.blobs.times import described, stands_for, time_of
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.refusals import Refusals
from nugetproxy.storage.spool import Spool, SpoolFolder, disk_failures

LONGEST_WAIT: Final = 60.0
"""Seconds to wait for another worker that fetches the same blob; then it is streamed."""

REFUSED_FOR: Final = 30.0
"""Seconds during which a blob with wrong bytes is not fetched again: every request would fetch all of it in vain."""

_MOST_REFUSED: Final = 1000

_log = logger()


class NodeCache:
    """A `BlobStore` in `bucket`, with files in `directory`. `spools` are on the same file system.

    `budget`: bytes of files kept, None without limit. The reserve of `spools` decides how much of the disk stays free.
    """

    def __init__(
        self,
        bucket: BucketBlobs,
        directory: Path,
        spools: SpoolFolder,
        leases: Leases,
        budget: int | None = None,
        *,
        access: Access = PRIVATE,
        threads: ThreadExecutor = BUCKET,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bucket = bucket
        self._files = FilesystemBlobs(directory, access)
        self._spools = spools
        self._leases = leases
        self._space = NodeSpace(self._files, directory, leases, budget, clock)
        self._threads = threads
        self._clock = clock
        self._running: dict[tuple[BlobKey, str], asyncio.Task[None]] = {}
        self._trimming: asyncio.Task[None] | None = None
        self._refusals = Refusals("node_cache_keeps_again")
        self._refused: dict[tuple[BlobKey, str], float] = {}

    def __repr__(self) -> str:
        return f"<NodeCache of {self._bucket!r}: {len(self._running)} running>"

    def apply_access(self) -> None:
        """As that of `FilesystemBlobs`."""
        self._files.apply_access()

    async def close(self) -> None:
        """Wait for what is being fetched."""
        running = [*self._running.values(), *([self._trimming] if self._trimming else [])]
        await asyncio.gather(*running, return_exceptions=True)

    # --- the bucket's -------------------------------------------------------------------------------------------------

    def stat(self, key: BlobKey) -> BlobInfo | None:
        """Costs a request unless there is a file. Of a blob that another node deleted there may be one for a while."""
        return self._kept(key) or self._bucket.stat(key)

    def open(self, key: BlobKey) -> BinaryIO:
        try:
            return self._files.open(key)
        except KeyError:
            return self._bucket.open(key)

    def commit(self, key: BlobKey, spool: Spool) -> BlobInfo:
        """Returns once the bucket has the bytes; the node keeps them as well, if it can."""
        info, is_new = self._bucket.upload(key, spool)
        if is_new:
            try:
                self._keep(key, spool, info.modified)
            except StorageUnavailable as error:
                self._refusals.refused("node_cache_full", str(error), blob=str(key))
        spool.discard()
        return info

    def delete(self, key: BlobKey) -> None:
        self._files.delete(key)
        self._bucket.delete(key)

    def walk(self, *prefix: str) -> Iterator[BlobInfo]:
        return self._bucket.walk(*prefix)

    # --- the node's ---------------------------------------------------------------------------------------------------

    def path(self, key: BlobKey) -> Path:
        return self._files.path(key)

    async def bring(self, key: BlobKey, size: int, sha512: str) -> None:
        """See `BlobStore`. Without waiting if the file is here, otherwise one download for all who need it."""
        if self._is_here(key, size, sha512):
            NODE_CACHE_HITS.inc()
            return
        wanted = (key, sha512)
        running = self._running.get(wanted)
        if running is None:
            running = self._running[wanted] = asyncio.ensure_future(self._fetch(key, size, sha512))
            running.add_done_callback(partial(self._ended, wanted))
        await asyncio.shield(running)

    async def stream(self, key: BlobKey, size: int, sha512: str) -> AsyncIterator[bytes]:
        checked = CheckedBytes(key, size, sha512)
        NODE_CACHE_MISSES.labels("passed_on").inc()
        self._require_unrefused(key, sha512)
        blocks = self._bucket.blocks(key, size)
        try:
            while block := await self._threads.run(next, blocks, b""):
                if before := checked.next(block):
                    yield before
            last = checked.last()
        except KeyError:
            raise StorageUnavailable(f"blob {key} is missing in the bucket") from None
        yield last

    async def trim(self) -> None:
        """Remove the files that were not used for longest, as far as the budget demands."""
        await UPKEEP.run(self._space.trim)

    # --- fetching -----------------------------------------------------------------------------------------------------

    async def _fetch(self, key: BlobKey, size: int, sha512: str) -> None:
        self._require_unrefused(key, sha512)
        lease = self._leases.hold(f"blob {key}")
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await lease.__aenter__()
        except TimeoutError:
            raise NotKeptHere(f"another process has been fetching {key} for too long") from None
        try:
            if not self._is_here(key, size, sha512):
                await self._threads.run(self._download, key, size, sha512)
        finally:
            await lease.__aexit__(None, None, None)
        if self._space.is_due(size) and self._trimming is None:
            self._trimming = asyncio.ensure_future(self.trim())
            self._trimming.add_done_callback(self._trimmed)

    def _download(self, key: BlobKey, size: int, sha512: str) -> None:
        """Blocks."""
        spool = self._room_for(key, size)
        try:
            for block in self._bucket.blocks(key, size):
                with self._disk_of_ours(key):
                    spool.append(block)
            if spool.size != size or base64.b64encode(spool.sha512).decode() != sha512:
                self._refuse(key, sha512)
                raise wrong_content(key, spool.size, size)
            with self._disk_of_ours(key):
                self._keep(key, spool, time_of(self._clock(), spool.sha512))
            self._refusals.kept()
            NODE_CACHE_MISSES.labels("brought").inc()
        finally:
            spool.end()

    def _room_for(self, key: BlobKey, size: int) -> Spool:
        """An empty spool; raises NotKeptHere."""
        if not self._space.allows(size):
            raise NotKeptHere(f"{key} is larger than all that this node may keep")
        try:
            return self._spools.create("blob", size)
        except StorageUnavailable:
            self._space.make_room(size)
        with self._disk_of_ours(key):
            return self._spools.create("blob", size)

    @contextmanager
    def _disk_of_ours(self, key: BlobKey) -> Iterator[None]:
        """Where a failure is that of this node's disk, and the bucket's content is none the worse."""
        try:
            yield
        except StorageUnavailable as error:
            self._refusals.refused("node_cache_full", str(error), blob=str(key))
            raise NotKeptHere(str(error)) from error

    def _keep(self, key: BlobKey, spool: Spool, modified: int) -> None:
        """Make the spool's bytes the file of the key, instead of any that is there. Raises StorageUnavailable."""
        self._files.delete(key)
        spool.set_times(int(self._clock() * 1e9), modified)
        self._files.commit(key, spool)

    def _kept(self, key: BlobKey) -> BlobInfo | None:
        found = self._files.stat(key)
        return found and described(key, found.size, found.modified)

    def _is_here(self, key: BlobKey, size: int, sha512: str) -> bool:
        """Whether the file is here, which is then marked as used. For the event loop: a few microseconds."""
        path = self._files.path(key)
        with disk_failures("look up a blob"):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return False
        # Keys of mirrored packages may get other bytes, which another node has fetched meanwhile.
        if found.st_size != size or not stands_for(found.st_mtime_ns, sha512):
            return False
        self._space.used(path, found)
        return True

    def _require_unrefused(self, key: BlobKey, sha512: str) -> None:
        if self._refused and self._refused.get((key, sha512), 0.0) > self._clock():
            raise StorageUnavailable(f"the stored bytes of {key} are not those that were committed")

    def _refuse(self, key: BlobKey, sha512: str) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[key, sha512] = self._clock() + REFUSED_FOR

    def _ended(self, wanted: tuple[BlobKey, str], task: "asyncio.Task[None]") -> None:
        del self._running[wanted]
        if not task.cancelled():
            task.exception()  # whoever still waits gets it; nobody may be left

    def _trimmed(self, task: "asyncio.Task[None]") -> None:
        self._trimming = None
        if not task.cancelled() and (error := task.exception()):
            _log.warning("node_cache_not_trimmed", why=str(error))
