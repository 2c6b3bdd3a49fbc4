"""The exclusive right to do one piece of work, among all processes that share a data directory.

A lease is an exclusive `flock` on a file named by its key: the kernel releases it when its process dies, however it
dies, so there is no timeout to choose and nothing to repair. What a lease is *for* is up to its holder.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol

# Seconds between two checks of a lease that another holds; a check costs some twenty microseconds. Short at first, as
# most waits are for a document's fetch, then an eighth of the time waited: in an outage hundreds may be waiting.
_SHORTEST_PAUSE = 0.015
_LONGEST_PAUSE = 0.1
_NAME = re.compile(r"[0-9a-f]{40}")


class Rights(Protocol):
    """Exclusive rights by key: `Leases`, or those of a fleet (`storage.fleet`)."""

    def hold(self, key: str) -> AbstractAsyncContextManager[object]:
        """Wait for the right, however long. Not fair among waiters.

        Raises StorageUnavailable, also from inside, where a right can end before it is given back.
        """


class Lease:
    """One held lease. Released by `release`, as a context manager, or by the end of the process."""

    __slots__ = ("_descriptor", "_leases", "_name")

    def __init__(self, leases: "Leases", name: str, descriptor: int | None) -> None:
        self._leases = leases
        self._name = name
        self._descriptor = descriptor

    @property
    def shared(self) -> bool:
        """Whether other processes see it. False when the disk refused the file: it then holds in this process only."""
        return self._descriptor is not None

    def release(self) -> None:
        """Release it; a second call does nothing."""
        name, self._name = self._name, ""
        if name:
            self._leases._forget(name, self._descriptor)  # a lease and its registry are one thing in two classes

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Leases:
    """Leases by key, as files in one directory (created when missing, private to the user)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: set[str] = set()
        with contextlib.suppress(OSError):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(directory, os.W_OK):
                self._sweep()

    @contextlib.asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Lease]:
        """Wait for the lease, however long; limit the wait with `asyncio.timeout`. Not fair among waiters."""
        began = time.monotonic()
        while (lease := self.try_hold(key)) is None:
            await asyncio.sleep(pause_after(time.monotonic() - began))
        with lease:
            yield lease

    def try_hold(self, key: str) -> Lease | None:
        """The lease, or None while anybody else, in this or another process, holds it.

        Never raises because of the disk: where no file can be created the lease is granted for this process alone,
        because doing work twice is better than not doing it.
        """
        name = _name_of(key)
        if name in self._held:
            return None
        try:
            descriptor = self._lock(self._directory / name)
        except BlockingIOError:
            return None
        except OSError:
            descriptor = None
        self._held.add(name)
        return Lease(self, name, descriptor)

    def try_next(self, before: Lease | None, key: str) -> Lease | None:
        """As `try_hold`; releases `before` in any case, and uses its file again.

        For thousands of keys in a row: it takes half the system time of creating and removing a file for each.
        """
        if before is None:
            return self.try_hold(key)
        if lease := self._renamed(before, _name_of(key)):
            return lease
        before.release()
        return self.try_hold(key)

    def _renamed(self, before: Lease, name: str) -> Lease | None:
        """None if the name is in use, or where files cannot have two names."""
        old, new = self._directory / before._name, self._directory / name
        descriptor = before._descriptor
        if descriptor is None or name in self._held:
            return None
        try:
            # Unlike a rename, this never replaces a file that another process has locked.
            new.hardlink_to(old)
            if not _is_file_at(descriptor, new):  # the folder was removed meanwhile, and the name taken
                new.unlink()
                return None
        except OSError:
            return None
        self._held.add(name)
        with contextlib.suppress(OSError):
            old.unlink()
        self._held.discard(before._name)
        before._name, before._descriptor = "", None
        return Lease(self, name, descriptor)

    def _lock(self, path: Path) -> int:
        """An open, locked descriptor of the file now at `path`; raises BlockingIOError when another holds it."""
        while True:
            descriptor = self._open(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_file_at(descriptor, path):
                    return descriptor
            except BaseException:  # usually that another process holds it, which the caller handles; close it anyway
                os.close(descriptor)
                raise
            # The previous holder removed the file between our open and our lock: this lock is worthless.
            os.close(descriptor)

    def _open(self, path: Path) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            # The folder was removed. Without it every process would do all the work for itself from now on.
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(path, flags, 0o600)

    def _forget(self, name: str, descriptor: int | None) -> None:
        self._held.discard(name)
        if descriptor is not None:
            # Removed while locked, so a process that locks the same inode later finds that it is no longer at the path.
            # If the folder was removed meanwhile, the file of this name may be that of another holder.
            path = self._directory / name
            with contextlib.suppress(OSError):
                if _is_file_at(descriptor, path):
                    path.unlink()
            os.close(descriptor)

    def _sweep(self) -> None:
        """Remove the files that killed processes left; files in use stay."""
        for path in self._directory.iterdir():
            if not _NAME.fullmatch(path.name):
                continue
            with contextlib.suppress(OSError):
                descriptor = self._lock(path)
                try:
                    path.unlink()
                finally:
                    os.close(descriptor)


def pause_after(waited: float) -> float:
    """Seconds until the next check, after `waited` seconds; varies by up to a third to spread the waiters."""
    pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, waited / 8))
    return pause * random.uniform(0.67, 1.33)  # noqa: S311 - not a secret


def _name_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def _is_file_at(descriptor: int, path: Path) -> bool:
    ours = os.fstat(descriptor)
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)
