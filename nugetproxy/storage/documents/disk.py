"""Documents on disk, in diskcache, shared by all workers.

Reads run on the calling thread, which is the event loop's: they wait for no writer and take some ten microseconds.
Writes go through one thread per process, because a SQLite writer may have to wait for writers of other processes.

Nothing here may stop the proxy from serving: a damaged database is set aside and replaced by a new one, and where
nothing can be written or read, nothing is kept.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import diskcache

from nugetproxy.errors import StorageUnavailable
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.logs import logger
from nugetproxy.storage.access import PRIVATE, close_file, set_folder_mode
from nugetproxy.storage.database.read_only import ReadOnlyDatabase
from nugetproxy.storage.documents.strict import DATABASE, Clock, DocumentCache, StrictDisk, clock_key
from nugetproxy.storage.reserve import NO_RESERVE, Reserve

_log = logger()
T = TypeVar("T")

# Reads are recorded for the eviction order with the next write; at most this many are held back.
_MANY_READS = 1000
# Seconds between two attempts to open a store that could not be opened (a full or read-only disk).
_REOPEN = 5.0
# Seconds a read waits when SQLite must first recover from a killed process; otherwise reads never wait.
_READ_BUSY = 0.25
# Beginnings of URLs whose documents one write expires: a few milliseconds.
_STARTS = 200
_SIDE_FILES = ("", "-wal", "-shm")
_WRITE_ERRORS = (sqlite3.Error, diskcache.Timeout, OSError)


class DiskDocuments:
    """A DocumentStore in a directory of its own (created when missing, private to the user).

    `size_limit` is in bytes; beyond it the least recently used go. `reserve` is what it leaves free on the disk.
    `read_only`: nothing can be written there, so nothing is kept. Opening never raises: see the module.
    """

    def __init__(
        self, directory: Path, size_limit: int, reserve: Reserve = NO_RESERVE, *, read_only: bool = False
    ) -> None:
        self._reserve = reserve
        self._is_read_only = read_only
        self._copied: ReadOnlyDatabase | None = None
        self._directory = directory
        self._size_limit = size_limit
        self._path = directory / DATABASE
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="documents")
        self._cache: DocumentCache | None = None
        self._opened: int | None = None
        self._next_open = 0.0
        self._reader: sqlite3.Connection | None = None
        self._is_frozen = False
        self._reader_lock = threading.Lock()
        self._disk = StrictDisk(str(directory))
        self._used: set[str] = set()
        self._is_closed = False
        if read_only:
            return
        try:
            self._make_directory()
        except OSError as error:
            _log.error("document_store_unusable", path=str(directory), error=str(error))
        # In the writer thread like every later write; this starts the pool, and nothing is served before.
        self._writer.submit(self._ensure_open).result()

    def close(self) -> None:
        """Finish pending writes and close the database. Later reads find nothing, later writes are refused."""
        if self._is_closed:
            return
        self._is_closed = True
        self._writer.submit(self._close_cache)
        self._writer.shutdown(wait=True)
        self._close_reader()
        if self._copied is not None:
            self._copied.close()

    # --- reading ------------------------------------------------------------------------------------------------------

    def get(self, url: str, *, skip_hot: bool = False) -> StoredResponse | None:
        """See DocumentStore. Nothing here is hot."""
        if self._is_closed:
            return None
        try:
            stored = self._read(url)
        except (sqlite3.Error, OSError) as error:
            self._close_reader()
            if _is_damage(error) and not self._is_read_only:
                self._writer.submit(self._begin_anew, self._inode())
            else:
                _log.warning("document_store_unreadable", error=str(error))
            return None
        except ValueError as error:
            # Not written by us, or torn: treated as not kept; the next answer replaces it.
            _log.warning("kept_document_unreadable", url=url, error=str(error))
            return None
        if stored is not None:
            self._note_use(url)
        return stored

    @property
    def is_shared(self) -> bool:
        """See DocumentStore."""
        return False

    async def reread(self, url: str) -> StoredResponse | None:
        """See DocumentStore."""
        return self.get(url)

    def size_bytes(self) -> int:
        """See DocumentStore."""
        size = 0
        for suffix in _SIDE_FILES:
            with contextlib.suppress(OSError):
                size += self._beside(suffix).stat().st_size
        return size

    def _read(self, url: str) -> StoredResponse | None:
        with self._reader_lock:
            if self._reader is None:
                if not self._path.exists():
                    return None
                self._reader = self._open_reader()
            rows = self._reader.execute(
                "SELECT key, mode, filename, value FROM Cache WHERE raw = 1 AND key IN (?, ?)", (url, clock_key(url))
            ).fetchall()
        values = {self._disk.get(key, 1): (mode, filename, value) for key, mode, filename, value in rows}
        if url not in values:
            return None
        stored = StoredResponse.from_bytes(self._disk.fetch(*values[url], read=False))
        if stored.url != url:
            raise ValueError("kept under another URL")
        clock = values.get(clock_key(url))
        return stored if clock is None else Clock.from_bytes(self._disk.fetch(*clock, read=False)).moved(stored)

    def _open_reader(self) -> sqlite3.Connection:
        if self._is_read_only:
            self._copied = self._copied or ReadOnlyDatabase(self._path)
            return _connect(self._copied.uri, is_uri=True)
        self._is_frozen = False
        try:
            return _connect(str(self._path))
        except sqlite3.OperationalError:
            if self._beside("-wal").exists():
                raise
            # On a full disk SQLite cannot create the files that it reads through; without a log the database file is
            # complete, and can be opened as immutable.
            self._is_frozen = True
            return _connect(f"file:{quote(str(self._path))}?immutable=1", is_uri=True)

    def _note_use(self, url: str) -> None:
        if self._is_read_only:
            return
        self._used.add(url)
        if len(self._used) >= _MANY_READS:
            self._writer.submit(self._mark, self._take_used())

    def _take_used(self) -> set[str]:
        used, self._used = self._used, set()
        return used

    # --- writing ------------------------------------------------------------------------------------------------------

    async def put(self, stored: StoredResponse, *, useful_for: float | None = None) -> None:
        """See DocumentStore. Refused when only the reserve is left; confirming and deleting need no space."""
        await self._write(lambda cache: self._keep(cache, stored, useful_for))

    async def confirm(self, stored: StoredResponse) -> None:
        """See DocumentStore."""
        await self._write(lambda cache: cache.confirm(stored))

    async def expire(self, starts: Sequence[str]) -> list[str]:
        """See DocumentStore. In small steps: other writes get their turn in between."""
        expired: list[str] = []
        for at in range(0, len(starts), _STARTS):
            part = starts[at : at + _STARTS]
            await self._write(lambda cache, part=part: expired.extend(cache.expire(part)))  # type: ignore[misc]
        return expired

    async def delete(self, url: str) -> None:
        """See DocumentStore."""
        await self._write(lambda cache: cache.forget(url))

    async def _write(self, work: Callable[[DocumentCache], None]) -> None:
        if self._is_closed:
            raise StorageUnavailable("the document store is closed")
        if self._is_read_only:
            raise StorageUnavailable("the document store is read-only")
        await asyncio.get_running_loop().run_in_executor(self._writer, self._work, work, self._take_used())

    # Everything below runs in the writer thread.

    def _keep(self, cache: DocumentCache, stored: StoredResponse, useful_for: float | None) -> None:
        self._reserve.check(len(stored.body))
        cache.keep(stored, useful_for)

    def _work(self, work: Callable[[DocumentCache], None], used: set[str]) -> None:
        inode = self._inode()
        try:
            self._attempt(work)
        except _WRITE_ERRORS as error:
            if not _is_damage(error):
                raise StorageUnavailable(f"the document store cannot be written: {_reason(error)}") from error
            self._begin_anew(inode)
            try:
                self._attempt(work)
            except _WRITE_ERRORS as again:
                raise StorageUnavailable(f"the document store cannot be written: {_reason(again)}") from again
        self._mark(used)

    def _attempt(self, work: Callable[[DocumentCache], None]) -> None:
        cache = self._ensure_open()
        if cache is None:
            raise OSError("it could not be opened")
        try:
            work(cache)
        except _WRITE_ERRORS:
            # A failed COMMIT can leave its transaction open; the next use opens a new connection.
            cache.close()
            raise
        if self._is_frozen:
            # The disk can be written after all, so the reader's assumption no longer holds.
            self._close_reader()

    def _mark(self, used: set[str]) -> None:
        if used and self._cache is not None:
            with contextlib.suppress(*_WRITE_ERRORS):  # only the eviction order is lost
                self._cache.mark_used(used)

    def _ensure_open(self) -> DocumentCache | None:
        if self._cache is not None and self._inode() != self._opened:
            # Another process started a new one, or the file was removed: nobody would find what we write there.
            self._close_cache()
        if self._cache is None and time.monotonic() >= self._next_open:
            inode = self._inode()
            try:
                self._cache = self._open()
            except Exception as error:  # noqa: BLE001 - a forged settings row can make diskcache fail in any way
                if _is_damage(error) or not isinstance(error, _WRITE_ERRORS):
                    self._begin_anew(inode)
                else:
                    self._stay_closed(error)
        return self._cache

    def _make_directory(self) -> None:
        self._directory.mkdir(PRIVATE.folder, parents=True, exist_ok=True)
        set_folder_mode(self._directory, PRIVATE.folder)

    def _open(self) -> DocumentCache:
        if not self._directory.exists():
            self._make_directory()  # diskcache would create one that everybody can read
        # SQLite gives its other files the same mode as this one.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE.file))
        close_file(self._path)
        cache = DocumentCache(self._directory, self._size_limit)
        self._opened = self._inode()
        # Ours may have opened a file that was replaced.
        self._close_reader()
        return cache

    def _begin_anew(self, damaged: int | None) -> None:
        """Set the database with this inode aside, unless another process has already done so, and open a new one."""
        self._close_cache()
        self._close_reader()
        try:
            with _alone(self._directory / "damaged.lock"):
                if damaged is not None and damaged == self._inode():
                    for suffix in _SIDE_FILES:
                        with contextlib.suppress(FileNotFoundError):
                            self._beside(suffix).replace(self._beside(suffix + ".damaged"))
                    _log.error("document_store_damaged", path=str(self._path), moved_to=f"{self._path}.damaged")
                self._cache = self._open()
        except Exception as error:  # noqa: BLE001 - whatever it is, serving goes on without a store
            self._stay_closed(error)

    def _stay_closed(self, error: Exception) -> None:
        self._next_open = time.monotonic() + _REOPEN
        _log.error("document_store_unusable", path=str(self._path), error=_reason(error))

    def _close_cache(self) -> None:
        cache, self._cache = self._cache, None
        if cache is not None:
            with contextlib.suppress(*_WRITE_ERRORS):
                cache.close()

    def _close_reader(self) -> None:
        with self._reader_lock:
            reader, self._reader = self._reader, None
            if reader is not None:
                with contextlib.suppress(sqlite3.Error):
                    reader.close()

    def _beside(self, suffix: str) -> Path:
        return self._directory / (DATABASE + suffix)

    def _inode(self) -> int | None:
        try:
            return self._path.stat().st_ino
        except OSError:
            return None


def _connect(database: str, *, is_uri: bool = False) -> sqlite3.Connection:
    # Guarded by a lock: only one thread at a time uses the connection, whichever it is.
    reader = sqlite3.connect(database, _READ_BUSY, isolation_level=None, check_same_thread=False, uri=is_uri)
    try:
        reader.execute("PRAGMA mmap_size = 0").fetchall()  # a disk error in a mapped page would kill the process
        reader.execute("PRAGMA cache_size = 1024").fetchall()
        reader.execute("SELECT 1 FROM Cache LIMIT 1").fetchall()
    except BaseException:  # the caller handles damage; an open file would keep its space after it was moved aside
        reader.close()
        raise
    return reader


def _is_damage(error: BaseException) -> bool:
    """Whether the file itself is damaged, as opposed to a full disk, a lock or a missing permission."""
    if isinstance(error, sqlite3.OperationalError):
        return "no such table" in str(error) or "no such column" in str(error)
    return isinstance(error, sqlite3.DatabaseError)


def _reason(error: BaseException) -> str:
    return "another process is writing" if isinstance(error, diskcache.Timeout) else str(error)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
