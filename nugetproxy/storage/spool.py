"""Spool: incoming bytes, hashed as they are written and readable while they grow.

Rule 1: bytes in a spool are invisible to lookups. A commit (`storage.blobs`) makes them visible atomically; in every
other case they are removed.
Rule 2: the disk may fail at any byte. A spool then continues in memory, within a budget, so that clients are served.
What the bytes mean, and whether they are correct, is not known here.
"""

import errno
import fcntl
import hashlib
import io
import os
import secrets
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.access import PRIVATE
from nugetproxy.storage.own_place import OwnPlace
from nugetproxy.storage.reserve import NO_RESERVE, Reserve

BLOCK = 256 * 1024
"""Bytes per read: large enough that the call costs little beside the copy, small enough for hundreds of readers."""

PART_SUFFIX = ".part"
_NO_NOWAIT = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class ReadableBytes(Protocol):
    """Bytes that are available up to `size`, and may grow."""

    @property
    def size(self) -> int: ...

    def read_now(self, offset: int, length: int) -> bytes | None:
        """At most `length` bytes, without waiting for a disk; None when that would need a disk access."""

    def read(self, offset: int, length: int) -> bytes:
        """As `read_now`, but may wait: call it in a thread."""


@contextmanager
def disk_failures(doing: str) -> Iterator[None]:
    """Turn the operating system's errors into ours."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"cannot {doing}: {error.strerror or type(error).__name__}") from error


class OpenedFile:
    """A file open for reading; its descriptor is closed when the last reference is gone.

    Readers come and go in any order, and some never begin, so this relies on the interpreter's reference counting.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises OSError."""
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    @property
    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def is_file(self, path: Path) -> bool:
        """Whether `path` names this very file."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self.descriptor))
        except OSError:
            return False

    def read_now(self, offset: int, length: int) -> bytes | None:
        block = bytearray(length)
        try:
            count = os.preadv(self.descriptor, [block], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in _NO_NOWAIT:
                raise
            # In-memory file systems do not support the flag, and never wait anyway.
            return os.pread(self.descriptor, length, offset)
        return bytes(memoryview(block)[:count])

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.descriptor, length, offset)


class _NoFile(OpenedFile):
    """In place of a file that is no longer needed: reading and writing it fails."""

    def __init__(self) -> None:
        self.descriptor = -1


class MemoryBudget:
    """How many bytes all spools of this process together may hold in memory."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give(self, size: int) -> None:
        with self._lock:
            self._left += size


class Spool:
    """One incoming body. Created by a `SpoolFolder`.

    `append`, `move_to_memory` and `move_to` block: call them in a thread, one at a time. `read_now` is for the event
    loop.
    """

    def __init__(
        self, file: OpenedFile, path: Path | None, budget: MemoryBudget, reserve: Reserve = NO_RESERVE
    ) -> None:
        self.size = 0
        self._reserve = reserve
        self._file = file
        self._path = path
        self._budget = budget
        self._sha512: _Hash = hashlib.sha512()
        self._md5: _Hash = hashlib.md5(usedforsecurity=False)

    def __repr__(self) -> str:
        return f"<Spool {self._path.name if self._path else 'in memory'}: {self.size} bytes>"

    @property
    def path(self) -> Path | None:
        """The file of the bytes; None when they are in memory, committed or discarded."""
        return self._path

    @property
    def sha512(self) -> bytes:
        return self._sha512.digest()

    @property
    def md5(self) -> bytes:
        return self._md5.digest()

    def append(self, block: bytes) -> None:
        """Raises StorageUnavailable; the content is then unchanged, and the same block may be tried again."""
        file = self._file  # so that it stays open while this writes, whatever happens to the spool
        with disk_failures("write to the spool"):
            if isinstance(file, _MemoryFile):
                file.reserve(self.size + len(block))
                _write_all(os.pwrite, file.descriptor, block, self.size)
            else:
                self._reserve.check(len(block))
                _write_all(write_to_disk, file.descriptor, block, self.size)
        self._sha512.update(block)
        self._md5.update(block)
        # Readers check the size without a lock: the bytes are written before it is updated.
        self.size += len(block)

    def read_now(self, offset: int, length: int) -> bytes | None:
        return self._file.read_now(offset, min(length, self.size - offset))

    def read(self, offset: int, length: int) -> bytes:
        return self._file.read(offset, min(length, self.size - offset))

    def binary(self) -> BinaryIO:
        """The bytes as a file with its own position, to be closed by the caller.

        It needs no descriptor: when none is left, the bytes so far can still be checked and sent.
        """
        return io.BufferedReader(OwnPlace(self._file))

    def move_to_memory(self, total: int | None) -> None:
        """Continue without the disk. `total` is the expected final size, when known.

        Raises:
            StorageUnavailable: the budget is used up, or the disk does not return what was written.
        """
        memory = _MemoryFile(self._budget)
        memory.reserve(max(total or 0, self.size))
        with disk_failures("read the spool back"):
            for offset in range(0, self.size, BLOCK):
                block = self.read(offset, BLOCK)
                if len(block) != min(BLOCK, self.size - offset):
                    raise OSError(errno.EIO, "the spool became shorter")
                _write_all(os.pwrite, memory.descriptor, block, offset)
        self.discard()
        self._file = memory

    def move_to(self, target: Path, *, mode: int = PRIVATE.file) -> None:
        """Rename the bytes, safe on disk, to another path. Readers of the spool can go on reading.

        `mode` is the mode of the file from now on. Raises StorageUnavailable.
        """
        if self._path is None:
            raise StorageUnavailable("cannot keep what is only in memory")
        file = self._file
        with disk_failures("commit a spool"):
            if mode != PRIVATE.file:
                os.fchmod(file.descriptor, mode)
            os.fsync(file.descriptor)
            self._path.rename(target)
        self._path = None

    def take_time_of(self, other: "Spool") -> None:
        """Give the file the modification time of another. Raises StorageUnavailable."""
        if self._path is not None and other.path is not None:
            with disk_failures("set the time of a spool"):
                modified = other.path.stat().st_mtime_ns
                os.utime(self._path, ns=(modified, modified))

    def set_times(self, used: int, modified: int) -> None:
        """Give the file an access and a modification time, in nanoseconds since 1970. Raises StorageUnavailable."""
        if self._path is not None:
            with disk_failures("set the times of a spool"):
                os.utime(self._path, ns=(used, modified))

    def discard(self) -> None:
        """Remove the file name. Current readers can finish; the space is free after the last one."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()
            self._path = None

    def end(self) -> None:
        """As `discard`, for a spool that nobody will read any more: its space is free immediately.

        The traceback of an error may refer to the spool until the next garbage collection, which can be hours away.
        """
        self.discard()
        self._file = _NoFile()


class _Hash(Protocol):
    def update(self, block: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Digested:
    """A hash of bytes that others have written: nothing can be added."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def update(self, block: bytes, /) -> None:
        raise ValueError("an adopted spool is complete")

    def digest(self) -> bytes:
        return self._digest


class SpoolFolder:
    """The folder of this machine's spools, one file each, locked by the process that writes it."""

    def __init__(self, directory: Path, memory: MemoryBudget, reserve: Reserve = NO_RESERVE) -> None:
        """`reserve`: the space that its spools leave free on the disk."""
        self.directory = directory
        self._memory = memory
        self._reserve = reserve

    def create(self, stem: str, total: int | None = None) -> Spool:
        """An empty spool on the disk. Its file name begins with `stem`; `total` is the expected size.

        Raises StorageUnavailable, also when that would use the reserve.
        """
        self._reserve.check(total or 0)
        with disk_failures("create a spool"):
            self.directory.mkdir(PRIVATE.folder, parents=True, exist_ok=True)
            while True:
                path = self.directory / f"{stem}.{secrets.token_hex(8)}{PART_SUFFIX}"
                file = OpenedFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE.file))
                fcntl.flock(file.descriptor, fcntl.LOCK_EX)
                # A sweep may have run between the two lines above and taken the file for a leftover.
                if os.fstat(file.descriptor).st_nlink:
                    return Spool(file, path, self._memory, self._reserve)

    def adopt(self, name: str, sha512: bytes, md5: bytes) -> Spool:
        """The spool with this file name, written and closed by another process of ours, which knows its digests.

        Until then no process holds it: one that starts at that moment sweeps it. Raises StorageUnavailable.
        """
        path = self.directory / name
        with disk_failures("open a spool"):
            file = OpenedFile(os.open(path, os.O_RDWR | os.O_CLOEXEC))
            fcntl.flock(file.descriptor, fcntl.LOCK_EX)
            spool = Spool(file, path, self._memory)
            spool.size = file.size
        spool._sha512, spool._md5 = _Digested(sha512), _Digested(md5)
        return spool

    def create_in_memory(self, total: int | None) -> Spool:
        """An empty spool in memory; `total` bytes are reserved for it. Raises StorageUnavailable over the budget."""
        file = _MemoryFile(self._memory)
        file.reserve(total or 0)
        return Spool(file, None, self._memory)

    def open_part(self, name: str) -> OpenedFile | None:
        """The growing file of another process, by the name it announced; None when it is gone."""
        if "/" in name or not name.endswith(PART_SUFFIX):
            return None
        try:
            return OpenedFile.open(self.directory / name)
        except OSError:
            return None

    def sweep(self) -> int:
        """Remove the spools of processes that have ended; returns how many. Never raises."""
        swept = 0
        with suppress(OSError):
            for path in sorted(self.directory.glob(f"*{PART_SUFFIX}")):
                with suppress(OSError):
                    file = OpenedFile.open(path)
                    fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                    swept += 1
        return swept


def write_to_disk(descriptor: int, block: bytes | memoryview, offset: int) -> int:
    """Every byte of every spool on disk passes here: tests simulate a full disk at this point."""
    return os.pwrite(descriptor, block, offset)


class _MemoryFile(OpenedFile):
    """An anonymous file in memory; its share of the budget is returned when the last reader is gone.

    Raises StorageUnavailable where the budget or the system does not allow it.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        with disk_failures("create a file in memory"):
            super().__init__(_anonymous_descriptor())
        self._budget = budget
        self._reserved = [0]
        weakref.finalize(self, _give_back, budget, self._reserved)

    def reserve(self, size: int) -> None:
        more = size - self._reserved[0]
        if more <= 0:
            return
        if not self._budget.take(more):
            raise StorageUnavailable("the disk cannot be written, and too many downloads are held in memory")
        self._reserved[0] = size


def _give_back(budget: MemoryBudget, reserved: list[int]) -> None:
    budget.give(reserved[0])


def _anonymous_descriptor() -> int:
    try:
        return os.memfd_create("nugetproxy-spool", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        # No such call on this system: a nameless file in the temporary folder is the nearest thing.
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())


class _Write(Protocol):
    def __call__(self, descriptor: int, block: memoryview, offset: int, /) -> int: ...


def _write_all(write: _Write, descriptor: int, block: bytes, offset: int) -> None:
    rest = memoryview(block)
    while rest:
        count = write(descriptor, rest, offset)
        rest, offset = rest[count:], offset + count
