"""How much a node keeps of the bucket, and what goes first: the files that were used longest ago.

The time of use is the access time of a file, set by us: it is shared by all workers, outlives them, and does not depend
on how the file system is mounted. What a file holds is of no interest here.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from nugetproxy.logs import logger
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.leases import Leases

USED_EVERY: Final = 30.0
"""Seconds after which another use of a file is noted: a hot file costs one system call in that time."""

SPARED_FOR: Final = 2 * USED_EVERY
"""Seconds since its last use during which a file is never removed: it may have been promised and not yet opened."""

_FULL: Final = 0.95
_TRIMMED: Final = 0.9
_CHECKED: Final = 0.05
"""Parts of the budget: when files are removed, what is left then, and what is added until the next check."""

_log = logger()


class _File(NamedTuple):
    used: float
    size: int
    key: BlobKey


class NodeSpace:
    """The space of `files`, which are below `directory`. `budget` in bytes, None without limit."""

    def __init__(
        self,
        files: FilesystemBlobs,
        directory: Path,
        leases: Leases,
        budget: int | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files = files
        self._directory = directory
        self._leases = leases
        self._budget = budget
        self._clock = clock
        self._added: float = budget or 0  # after a start it is unknown how much there is

    def allows(self, size: int) -> bool:
        """Whether a file of this size may be kept at all."""
        return self._budget is None or size <= self._budget * _TRIMMED

    def used(self, path: Path, found: os.stat_result) -> None:
        """Note that a file is used. Never fails."""
        if self._clock() - found.st_atime > USED_EVERY:
            with suppress(OSError):
                os.utime(path, ns=(int(self._clock() * 1e9), found.st_mtime_ns))

    def is_due(self, added: int) -> bool:
        """Whether it is time to `trim`, now that so many bytes were added by this process."""
        if self._budget is None:
            return False
        self._added += added
        return self._added >= self._budget * _CHECKED

    def trim(self) -> int:
        """Remove files until the budget is kept; returns how many. Blocks. Nothing while another process does it."""
        self._added = 0
        budget = self._budget
        if budget is None:
            return 0
        return self._remove(lambda total: budget * _TRIMMED if total > budget * _FULL else total)

    def make_room(self, size: int) -> int:
        """Remove files to free `size` bytes and some more, because the disk is full; returns how many. Blocks."""
        return self._remove(lambda total: total * _TRIMMED - size)

    def _remove(self, goal: Callable[[int], float]) -> int:
        lease = self._leases.try_hold(f"trim {self._directory}")
        if lease is None:
            return 0
        with lease:
            files = sorted(self._all(), key=attrgetter("used"))
            total = sum(file.size for file in files)
            left, most, removed = total, goal(total), 0
            for file in files:
                if left <= most or file.used > self._clock() - SPARED_FOR:
                    break
                self._files.delete(file.key)
                left -= file.size
                removed += 1
        if removed:
            _log.info("node_cache_trimmed", files=removed, bytes=total - left, left=left)
        return removed

    def _all(self) -> Iterator[_File]:
        for info in self._files.walk():
            with suppress(OSError):
                yield _File(self._files.path(info.key).stat().st_atime, info.size, info.key)
