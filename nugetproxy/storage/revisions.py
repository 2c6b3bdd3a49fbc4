"""Two counters shared by all processes of a data directory: how often accounts and hosted packages changed.

Everything cached in memory (hot answers, learned credentials, prefix tables) remembers the number it was built under
and is invalid once the number differs. Reading a counter is a read of shared memory, cheap enough for every request.
The counters do not say what changed.
"""

import contextlib
import fcntl
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.private_files import open_private

FILE: Final = "revisions"

_ACCOUNTS: Final = 0
_HOSTING: Final = 1
_SIZE: Final = 16  # two native 64-bit counters


class Revisions:
    """The counters in `directory`, which must exist. Both only grow, also across restarts.

    The order that makes them correct: a writer commits, then bumps; a reader reads the counter, then the data it
    caches. So data cached under a number is never older than that number. A process killed between its commit and its
    bump leaves others with outdated data: bump both when a process takes over from one that may have died.
    """

    def __init__(self, directory: Path | None) -> None:
        """None: counters of this process alone, where nothing can be written or no other process matters.

        Raises StorageUnavailable when the file cannot be opened, created or filled.
        """
        # flock keeps other processes out, but not other threads of this one: they share the descriptor.
        self._lock = threading.Lock()
        self._descriptor = (
            os.memfd_create(FILE, os.MFD_CLOEXEC) if directory is None else open_private(directory / FILE)
        )
        try:
            with self._alone():
                if os.fstat(self._descriptor).st_size < _SIZE:
                    # Written, not truncated to: a hole in a mapped file on a full disk kills the process touching it.
                    os.pwrite(self._descriptor, bytes(_SIZE), 0)
            self._memory = mmap.mmap(self._descriptor, _SIZE)
        except OSError as error:
            os.close(self._descriptor)
            raise StorageUnavailable(f"{FILE} cannot be used: {error.strerror}") from error
        self._counters = memoryview(self._memory).cast("Q")

    @property
    def accounts(self) -> int:
        """Differs once anything about users, keys, owners or prefixes has changed."""
        return self._counters[_ACCOUNTS]

    @property
    def hosting(self) -> int:
        """Differs once anything about hosted packages has changed."""
        return self._counters[_HOSTING]

    def bump_accounts(self) -> None:
        """Notify all processes, after the commit. Waits for other writers of the counters, for microseconds."""
        self._bump(_ACCOUNTS)

    def bump_hosting(self) -> None:
        """As `bump_accounts`."""
        self._bump(_HOSTING)

    def close(self) -> None:
        """Release the memory; nothing may be read afterwards."""
        self._counters.release()
        self._memory.close()
        os.close(self._descriptor)

    def _bump(self, counter: int) -> None:
        with self._alone():
            self._counters[counter] += 1

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
