"""Making thousands of files safe from power loss in one go: one sync of their file system instead of one for each.

What was written, and what may be done once it is safe, is up to the caller.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

from nugetproxy.storage.spool import disk_failures


def sync_file_system(folder: Path) -> None:
    """Wait until everything written so far to the file system of `folder` is on disk, names included.

    Blocks. Raises StorageUnavailable if something could not be written, where the system reports that (Linux).
    """
    with disk_failures("sync the disk"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)


def _sync(descriptor: int) -> None:
    syncfs = _syncfs()
    if syncfs is None:
        os.sync()  # of all file systems
    elif syncfs(descriptor):
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@cache
def _syncfs() -> Any:
    """The system call, which Python does not offer; None on systems without it."""
    import ctypes

    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
