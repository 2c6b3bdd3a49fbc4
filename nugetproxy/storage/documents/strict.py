"""diskcache without pickle: only what the document store needs of it.

By default diskcache unpickles rows, so anyone who can write its database can run code in the process that reads it
(CVE-2025-69872; its JSONDisk does not help). `StrictDisk` accepts text keys and bytes values and refuses all else.

Values are always stored in the database, never in files beside it: a process killed halfway leaves neither an orphan
nor a row without a body, and a row cannot name a file.
"""

import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import diskcache

from nugetproxy.httpcache.stored import StoredResponse

DATABASE: Final[str] = diskcache.core.DBNAME

# Larger than any document: from this size on diskcache would write files.
_NEVER_A_FILE = 1 << 40
# Seconds a write waits for writers of other processes before it gives up; the document is served anyway.
_BUSY = 2.0
# Rows evicted in one transaction, and the number of transactions that one put may spend on making room.
_CULL_ROWS = 10
_CULL_ROUNDS = 100
# Documents that may be served no longer than this (seconds) are evicted first: absences and searches, of which anyone
# can request any number, must not push out what restores need when the upstream is down.
_SHORT_USE = 86_400.0
# URLs begin with their scheme, so no document has such a key.
_CLOCK_PREFIX = "clock "


class StrictDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Text keys, bytes values, all inside the database. Anything else raises ValueError and is not interpreted."""

    def put(self, key: object) -> tuple[str, bool]:
        if type(key) is not str:
            raise ValueError("keys are text")
        return key, True

    def get(self, key: object, raw: object) -> str:
        if type(key) is not str or raw != 1:
            raise ValueError("a key that is not text")
        return key

    def store(self, value: object, read: bool, key: object = diskcache.UNKNOWN) -> tuple[int, int, None, bytes]:
        if read or type(value) is not bytes:
            raise ValueError("values are bytes")
        return 0, diskcache.core.MODE_RAW, None, value

    def fetch(self, mode: object, filename: object, value: object, read: bool) -> bytes:
        if read or mode != diskcache.core.MODE_RAW or filename is not None or type(value) is not bytes:
            raise ValueError("a value that is not bytes")
        return value

    def remove(self, file_path: object) -> None:
        """Does nothing: our rows have no files, and a forged name must not make us delete one."""


class DocumentCache(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
    """The write side. Every method runs in one thread and raises sqlite3.Error, diskcache.Timeout or OSError."""

    def __init__(self, directory: Path, size_limit: int) -> None:
        try:
            super().__init__(
                str(directory),
                timeout=_BUSY,
                disk=StrictDisk,
                disk_min_file_size=_NEVER_A_FILE,
                eviction_policy="least-recently-used",
                size_limit=size_limit,
                # `_make_room` makes room: what diskcache evicts in a `set` can be smaller than what was set.
                cull_limit=0,
                statistics=0,
                tag_index=0,
                # Returns the pages of evicted rows to the file system; `volume` measures the file.
                sqlite_auto_vacuum=1,
                sqlite_cache_size=1024,
                sqlite_journal_mode="wal",
                sqlite_mmap_size=0,  # a disk error in a mapped page would kill the process
                sqlite_synchronous=1,
            )
        except BaseException:
            # It may have failed after it connected.
            self.close()
            raise

    def keep(self, stored: StoredResponse, useful_for: float | None = None) -> None:
        """Write a document under its URL, and evict if over the limit: short-lived documents, then the least recent."""
        with self._transact() as (sql, _):
            # The clock of the previous document must not be taken for this one's.
            sql("DELETE FROM Cache WHERE raw = 1 AND key = ?", (clock_key(stored.url),))
            self.set(stored.url, stored.to_bytes(), expire=useful_for)
        self._make_room()

    def confirm(self, stored: StoredResponse) -> None:
        """Write the clock of a document: some fifty bytes in a row of their own, whatever the size of the body."""
        with self._transact() as (sql, _):
            self.set(clock_key(stored.url), Clock.of(stored).to_bytes())
            _mark(sql, stored.url)
            now = time.time()
            sql(
                "UPDATE Cache SET expire_time = ? + (expire_time - store_time), store_time = ?"
                " WHERE raw = 1 AND key = ?",
                (now, now, stored.url),
            )

    def expire(self, starts: Iterable[str]) -> list[str]:
        """Mark the documents whose URLs start with one of these as expired; return those that were not."""
        expired = []
        for start in starts:
            rows = self._sql(
                "SELECT key, value FROM Cache WHERE raw = 1 AND key >= ? AND key < ?", (start, start + "\U0010ffff")
            ).fetchall()
            for url, value in rows:
                try:
                    stored = self._with_clock(StoredResponse.from_bytes(value))
                except (ValueError, TypeError):
                    continue  # it cannot be read, so it is not served either
                if not stored.expired:
                    self.set(clock_key(url), Clock.of(replace(stored, expired=True)).to_bytes())
                    expired.append(url)
        return expired

    def _with_clock(self, stored: StoredResponse) -> StoredResponse:
        rows = self._sql("SELECT value FROM Cache WHERE raw = 1 AND key = ?", (clock_key(stored.url),)).fetchall()
        return Clock.from_bytes(rows[0][0]).moved(stored) if rows else stored

    def forget(self, url: str) -> None:
        """Remove a document and its clock."""
        with self._transact() as (sql, _):
            sql("DELETE FROM Cache WHERE raw = 1 AND key IN (?, ?)", (url, clock_key(url)))

    def mark_used(self, urls: Iterable[str]) -> None:
        """Record that these were read: reading itself writes nothing, because it must not wait for a writer."""
        with self._transact() as (sql, _):
            for url in urls:
                _mark(sql, url)

    def _make_room(self) -> None:
        for _ in range(_CULL_ROUNDS):
            if self.volume() <= self.size_limit:
                return
            with self._transact() as (sql, cleanup):
                gone = sql(
                    "DELETE FROM Cache WHERE rowid IN (SELECT rowid FROM Cache WHERE expire_time < ?"
                    " ORDER BY expire_time LIMIT ?)",
                    (time.time() + _SHORT_USE, _CULL_ROWS),
                ).rowcount
                if not gone:
                    self._cull(time.time(), sql, cleanup, limit=_CULL_ROWS)


def _mark(sql: Any, url: str) -> None:
    sql("UPDATE Cache SET access_time = ? WHERE raw = 1 AND key IN (?, ?)", (time.time(), url, clock_key(url)))


def clock_key(url: str) -> str:
    """The key of the row that stores a document's clock."""
    return _CLOCK_PREFIX + url


@dataclass(frozen=True, slots=True)
class Clock:
    """When the upstream last confirmed a document, stored apart from it so that a 304 costs one small row.

    `fetched` and `digest` identify its document: beside any other document it is ignored.
    """

    fetched: float
    confirmed: float
    expired: bool
    digest: str

    _FORM = struct.Struct(">dd?64s")

    @classmethod
    def of(cls, stored: StoredResponse) -> "Clock":
        return cls(stored.fetched, stored.confirmed, stored.expired, stored.digest)

    @classmethod
    def from_bytes(cls, kept: bytes) -> "Clock":
        """Raises ValueError for anything that `to_bytes` does not write."""
        try:
            fetched, confirmed, expired, digest = cls._FORM.unpack(kept)
        except struct.error as error:
            raise ValueError("not a clock") from error
        return cls(fetched, confirmed, expired, digest.decode())

    def to_bytes(self) -> bytes:
        return self._FORM.pack(self.fetched, self.confirmed, self.expired, self.digest.encode())

    def moved(self, stored: StoredResponse) -> StoredResponse:
        """The document with this clock, if the clock belongs to it; else unchanged."""
        if (self.fetched, self.digest) != (stored.fetched, stored.digest):
            return stored
        return replace(stored, confirmed=self.confirmed, expired=self.expired)
