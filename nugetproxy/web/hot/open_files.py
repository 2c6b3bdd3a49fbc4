"""Open descriptors of the stored files that are being sent (a bounded set), and which parts are in the page cache.

A hot package is known by its path and identity, not by its bytes; they go from the page cache to the socket. Sockets
and answers do not belong here.
"""

import asyncio
import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import Final

RECHECK_SECONDS: Final = 2.0
"""How long a file that was replaced or removed by someone else may still be served."""

DEFAULT_LIMIT: Final = 1024
"""Descriptors kept open for files that are not being read at the moment."""

PROBE: Final = 256 * 1024
"""Bytes between two probes of the page cache. Pages leave it in runs, so what lies between two cached pages is cached
as well; cachestat(2), which is exact, costs a tenth of sending the same bytes.
"""

READ_AT_ONCE: Final = 1024 * 1024
"""Bytes brought into the page cache by one read."""

LOOK_SECONDS: Final = 5.0
"""How often descriptors of deleted files are looked for: until they are closed, the disk space is not free."""

_TRUSTED_SECONDS: Final = 60.0
"""How long bytes that were read count as cached where a file system has no non-blocking read (RWF_NOWAIT)."""


_CACHED_SECONDS: Final = 1.0
"""How long bytes that were found in the page cache are not probed again: those of a hot file are read all the time."""

_MOST_PROBED: Final = 64


class FileChangedError(OSError):
    """The file at a path is not the one that was offered."""


class KeptFile:
    """One file that is served: its path, and what distinguishes it from a different file at the same path.

    `size` is in bytes.
    """

    __slots__ = ("changed", "check_at", "inode", "path", "size")

    def __init__(self, path: Path, size: int) -> None:
        """Stats the file. Raises OSError, FileChangedError when its size is not `size`."""
        found = path.stat()
        if found.st_size != size:
            raise FileChangedError(f"{found.st_size} bytes instead of {size}")
        self.path = str(path)
        self.size = size
        self.inode = found.st_ino
        self.changed = found.st_mtime_ns
        self.check_at = time.monotonic() + RECHECK_SECONDS

    @classmethod
    def known(cls, path: str, size: int, inode: int, changed: int) -> "KeptFile":
        """One that was seen earlier; `is_there` checks it at its first use."""
        file = cls.__new__(cls)
        file.path, file.size, file.inode, file.changed, file.check_at = path, size, inode, changed, 0.0
        return file

    def is_there(self, now: float) -> bool:
        """Whether it is still the same file; checked only every few seconds. `now` is on the monotonic clock."""
        if now < self.check_at:
            return True
        self.check_at = now + RECHECK_SECONDS
        try:
            return self.is_same(os.stat(self.path))  # noqa: PTH116 - Path objects would take more memory
        except OSError:
            return False

    def is_same(self, found: os.stat_result) -> bool:
        return (found.st_ino, found.st_mtime_ns, found.st_size) == (self.inode, self.changed, self.size)


class OpenFile:
    """An open descriptor, shared by all connections that are sending the file. `close` it when done."""

    __slots__ = ("_cached", "_is_evicted", "_users", "_warm_until", "descriptor", "inode", "size")

    def __init__(self, descriptor: int, size: int, inode: int = 0) -> None:
        self.descriptor = descriptor
        self.size = size
        self.inode = inode
        self._users = 0
        self._is_evicted = False
        self._cached: dict[tuple[int, int], float] = {}
        self._warm_until = 0.0

    def is_cached(self, offset: int, count: int) -> bool:
        """Whether these bytes can be read without waiting for a disk."""
        now = time.monotonic()
        if now < self._cached.get((offset, count), 0.0):
            return True
        one = [bytearray(1)]
        try:
            for at in (*range(offset, offset + count, PROBE), offset + count - 1):
                os.preadv(self.descriptor, one, at, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return now < self._warm_until
        if len(self._cached) >= _MOST_PROBED:
            self._cached.clear()
        self._cached[offset, count] = now + _CACHED_SECONDS
        return True

    def warm(self, offset: int, count: int) -> None:
        """Bring these bytes into the page cache. Blocks. Raises OSError."""
        os.posix_fadvise(self.descriptor, offset, count, os.POSIX_FADV_WILLNEED)
        room = memoryview(bytearray(min(count, READ_AT_ONCE)))
        at, end = offset, offset + count
        while at < end and (read := os.preadv(self.descriptor, [room[: end - at]], at)):
            at += read
        self._warm_until = time.monotonic() + _TRUSTED_SECONDS

    def opened(self) -> "OpenFile":
        self._users += 1
        return self

    def close(self) -> None:
        """One user fewer; the descriptor is closed with the last one if it was evicted in the meantime."""
        self._users -= 1
        self._close_if_unused()

    def evict(self) -> None:
        self._is_evicted = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._is_evicted and self._users <= 0 and self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class OpenFiles:
    """The descriptors of one worker; the least recently used are closed first. Only for the event loop's thread."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._open: OrderedDict[str, OpenFile] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, file: KeptFile) -> OpenFile:
        """Its descriptor, for one user. Raises OSError, FileChangedError when a different file is there now."""
        found = self._open.get(file.path)
        if found is not None and found.inode == file.inode:
            self._open.move_to_end(file.path)
            return found.opened()
        self.forget(file)
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        if not file.is_same(os.fstat(descriptor)):
            os.close(descriptor)
            raise FileChangedError(f"{file.path} is another file now")
        found = self._open[file.path] = OpenFile(descriptor, file.size, file.inode)
        while len(self._open) > self._limit:
            self._open.popitem(last=False)[1].evict()
        return found.opened()

    def forget(self, file: KeptFile) -> None:
        """Close it once no connection is sending it."""
        found = self._open.pop(file.path, None)
        if found is not None:
            found.evict()

    def close_deleted(self) -> None:
        """Close those whose file was deleted, as by eviction; a connection that is sending one finishes first."""
        deleted = [path for path, file in self._open.items() if os.fstat(file.descriptor).st_nlink == 0]
        for path in deleted:
            self._open.pop(path).evict()

    async def run(self) -> None:
        """Close deleted files regularly, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.close_deleted()

    def clear(self) -> None:
        while self._open:
            self._open.popitem()[1].evict()
