"""Where the workers of one supervisor share their metrics (prometheus_client's multiprocess files).

In memory where the system supports it: the files are written through mmap, and such a write to a full disk kills the
worker with SIGBUS, just when its answers from the upstream are needed most. Each supervisor has its own directory, so
that metrics of a second one on the same data directory stay separate; the next supervisor removes what a killed one
left.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - the directories made in it are private to the user and have random names
_PREFIX = "nugetproxy-metrics-"
_OWNED = "owned"
# Seconds: a younger directory without a lock file is being created by another supervisor.
_MAKING_SECONDS = 60.0


class MetricsDirectory:
    """One supervisor's directory; it exists from `prepare` to `remove`."""

    def __init__(self, memory: Path = _MEMORY) -> None:
        self._memory = memory
        self._path: Path | None = None
        self._lock: int | None = None

    def prepare(self, data: str) -> str:
        """Create it, empty, unless that was done. Raises OSError.

        In memory; otherwise below `data`, or, if that is read-only, in the folder for temporary files.
        """
        if self._path is None:
            try:
                self._make(self._memory)
            except OSError:
                below = Path(data) / "metrics"
                try:
                    below.mkdir(0o700, parents=True, exist_ok=True)
                except OSError:
                    below = Path(tempfile.gettempdir())
                self._make(below)
        return str(self._path)

    def forget(self, pid: int) -> None:
        """Drop the live gauges of a dead worker; its counters are kept."""
        if self._path is not None:
            for file in self._path.glob(f"gauge_live*_{pid}.db"):
                file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete it; no worker may be running any more."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
        self._path = self._lock = None

    def _make(self, parent: Path) -> None:
        _sweep(parent)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = os.open(path / _OWNED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._path, self._lock = path, lock


def _sweep(parent: Path) -> None:
    """Delete directories of our user whose supervisor is gone: the kernel has released its lock."""
    for path in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if found.st_uid == os.geteuid() and path.is_dir() and _is_abandoned(path, found.st_mtime):
                shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: Path, modified: float) -> bool:
    try:
        lock = os.open(path / _OWNED, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return time.time() - modified > _MAKING_SECONDS
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
