"""Making many files safe from power loss: several fsyncs at a time, because file systems commit waiting ones together.

One after another, each waits for the disk. What the files are, and when they may be used, is up to the caller.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from nugetproxy.storage.spool import disk_failures

SYNCS_AT_ONCE: Final = 16
"""More would gain little: 16 threads sync some thousands of small files a second on an SSD."""


def sync_all(paths: Iterable[Path]) -> None:
    """Sync files and folders. Blocks until all are safe. Raises StorageUnavailable."""
    with ThreadPoolExecutor(SYNCS_AT_ONCE, thread_name_prefix="sync") as pool:
        for _ in pool.map(sync, paths):
            pass


def sync(path: Path) -> None:
    """Sync one file or folder; one that is gone needs nothing. Blocks; raises StorageUnavailable."""
    with disk_failures(f"sync {path.name}"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
