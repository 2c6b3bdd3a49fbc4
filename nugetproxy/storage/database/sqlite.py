"""SQLite for one machine, a `Database`: direct reads, one writer thread with group commit.

Reads take a few microseconds and run on the calling thread; those that take milliseconds have threads. The writes of a
process queue for one thread, which commits all that are waiting in one transaction, so a burst costs one fsync; SQLite
waits for other processes that write the same file.
The meaning of the tables belongs to the modules that own them.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from nugetproxy.errors import ConstraintViolated, StorageUnavailable, TakesNoChanges
from nugetproxy.storage.database.base import Dialect, Fetch, Query, Rows, Transaction
from nugetproxy.storage.database.holds import SQLITE_HOLD
from nugetproxy.storage.database.migrate import difference, migrate, refuse_older
from nugetproxy.storage.database.read_only import ReadOnlyDatabase
from nugetproxy.storage.private_files import make_private_file

T = TypeVar("T")
_Write = Callable[[Transaction], Any]

# SQLite itself waits this long for another process's write transaction before it gives up.
_BUSY_SECONDS: Final = 10.0
# More writes in one transaction would gain nothing and only make the others wait longer.
_GROUP: Final = 512
# Concurrent slow reads, each with a connection: SQLite releases Python's lock, so they use as many cores.
_SLOW_READERS: Final = 4


class _Connection(sqlite3.Connection):
    """A connection that is a `Transaction` while one is open."""

    dialect: Dialect = "sqlite"

    def fetch(self, sql: str, parameters: Sequence[object] = (), /) -> Rows:
        return self.execute(sql, parameters).fetchall()

    def change(self, sql: str, parameters: Sequence[object] = (), /) -> int:
        return self.execute(sql, parameters).rowcount

    def fetch_ahead(self, queries: Iterable[Query], /) -> None:
        """Nothing is gained: a query takes microseconds."""

    def change_later(self, sql: str, parameters: Sequence[object] = (), /) -> None:
        self.execute(sql, parameters)

    def change_many(self, sql: str, rows: Iterable[Sequence[object]], /) -> None:
        self.executemany(sql, rows)

    def insert(self, sql: str, parameters: Sequence[object], /, *, key: str) -> int:
        number = self.execute(sql, parameters).lastrowid
        assert number is not None, f"{key} is the number of a row"
        return number


class SqliteDatabase:
    """One database file; `close` it after use. A new file gets its tables; an older one is not migrated here."""

    dialect: Dialect = "sqlite"

    def __init__(
        self, path: Path, schema: str, *, in_memory: bool = False, read_only: bool = False, always_writes: bool = False
    ) -> None:
        """`schema` names the migrations that apply. `in_memory`: nothing is written to `path`, which is just a name.
        `read_only`: nothing can be written there; writes are refused. `always_writes`: holds do not apply.

        Raises StorageUnavailable when the file cannot be opened or created, DataOfAnotherVersion when its schema is
        that of another version (see `storage.database.upgrading`).
        """
        self._path = path
        self._may_be_held = schema == "main" and not always_writes
        self.is_read_only = read_only
        with _translating(path):
            self._file = ReadOnlyDatabase(path) if read_only else None
        # An in-memory database lives as long as one of its connections: the reader's.
        self._uri = f"file:{quote(str(path))}?mode=memory&cache=shared" if in_memory else path.absolute().as_uri()
        if self._file is not None:
            self._uri = self._file.uri
        self._reader: sqlite3.Connection | None = None
        self._writes: queue.SimpleQueue[tuple[_Write, Future[Any]] | None] = queue.SimpleQueue()
        if not in_memory and not read_only:
            make_private_file(path)  # SQLite gives its other files the same owner and mode
        with _translating(path):
            self._reader = self._connect()
            try:
                _check_schema(self._reader, schema)
                self._reader.execute("PRAGMA query_only = ON")
            except BaseException:  # whatever it was, the file must not stay open
                self._reader.close()
                raise
        self._thread = threading.Thread(target=self._write_all, name=f"writer-{path.name}", daemon=True)
        self._thread.start()
        self._slow_reads = ThreadPoolExecutor(_SLOW_READERS, f"reader-{path.name}")
        self._of_thread = threading.local()
        self._slow_readers: list[sqlite3.Connection] = []
        # Using one connection in two threads, or closing it while another thread reads, crashes the process.
        self._owner = threading.get_ident()
        self._guests = threading.Lock()
        self._guest_reader: sqlite3.Connection | None = None
        self._is_closed = False
        self._takes_writes = True

    async def fetch(self, sql: str, parameters: Sequence[object] = (), /) -> Rows:
        return self.fetch_now(sql, parameters)

    async def look(self, work: Callable[[Fetch], T], /) -> T:
        return work(self.fetch_now)

    def fetch_now(self, sql: str, parameters: Sequence[object] = (), /) -> Rows:
        """As `fetch`, for data that is always on this machine, such as the inventory.

        On the thread that created this (the event loop's) without waiting; other threads queue.

        Raises StorageUnavailable, also after `close`.
        """
        with _translating(self._path):
            if threading.get_ident() == self._owner:
                return self._open(self._reader).execute(sql, parameters).fetchall()
            with self._guests:
                if self._guest_reader is None and not self._is_closed:
                    self._guest_reader = self._connect()
                    self._guest_reader.execute("PRAGMA query_only = ON")
                return self._open(self._guest_reader).execute(sql, parameters).fetchall()

    async def read(self, work: Callable[[Fetch], T], /) -> T:
        try:
            future = self._slow_reads.submit(self._read, work)
        except RuntimeError as error:  # it takes nothing after `close`
            raise self._closed() from error
        return await asyncio.wrap_future(future)

    async def change(self, sql: str, parameters: Sequence[object] = (), /) -> int:
        return await self.write(lambda transaction: transaction.change(sql, parameters))

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        """As `Database.write`. Writes that wait together share one commit; one that raises is rolled back alone."""
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[Transaction], T], /) -> Future[T]:
        future: Future[T] = Future()
        if self._takes_writes:
            self._writes.put((work, future))
        else:
            future.set_exception(self._closed())
        return future

    def close(self) -> None:
        self._takes_writes = False
        self._writes.put(None)
        self._thread.join()
        self._slow_reads.shutdown()
        with self._guests:
            self._is_closed = True
            for reader in (self._guest_reader, *self._slow_readers, self._reader):
                if reader is not None:
                    reader.close()
            self._guest_reader = self._reader = None
        if self._file is not None:
            self._file.close()

    def _open(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise self._closed()
        return connection

    def _closed(self) -> StorageUnavailable:
        return StorageUnavailable(f"database {self._path.name} is closed")

    def _connect(self) -> _Connection:
        connection = sqlite3.connect(
            self._uri,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
            factory=_Connection,
        )
        if not self.is_read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _read(self, work: Callable[[Fetch], T]) -> T:
        with _translating(self._path):
            reader = self._slow_reader()
            reader.execute("BEGIN")
            try:
                return work(lambda sql, parameters: reader.execute(sql, parameters).fetchall())
            finally:
                reader.execute("ROLLBACK")

    def _slow_reader(self) -> sqlite3.Connection:
        """The connection of the calling thread; `close` closes it once the threads are gone."""
        reader: sqlite3.Connection | None = getattr(self._of_thread, "reader", None)
        if reader is None:
            reader = self._connect()
            reader.execute("PRAGMA query_only = ON")
            self._of_thread.reader = reader
            self._slow_readers.append(reader)
        return reader

    def _write_all(self) -> None:
        if self.is_read_only:
            self._refuse_all(StorageUnavailable(f"database {self._path.name} is read-only"))
            return
        try:
            with _translating(self._path):
                connection = self._connect()
        except StorageUnavailable as error:
            self._refuse_all(error)
            return
        try:
            while (first := self._writes.get()) is not None:
                group = [first]
                last = False
                while len(group) < _GROUP and not self._writes.empty():
                    item = self._writes.get()
                    if item is None:
                        last = True
                        break
                    group.append(item)
                self._commit(connection, group)
                if last:
                    return
        finally:
            connection.close()

    def _refuse_all(self, error: StorageUnavailable) -> None:
        """Without a connection (the disk is full, gone or read-only) no caller may wait forever."""
        while (item := self._writes.get()) is not None:
            if item[1].set_running_or_notify_cancel():
                item[1].set_exception(error)

    def _commit(self, connection: _Connection, group: list[tuple[_Write, Future[Any]]]) -> None:
        # Cancelled before the work began: withdrawn. From here on a write cannot be withdrawn.
        group = [(work, future) for work, future in group if future.set_running_or_notify_cancel()]
        answers: list[tuple[Future[Any], Any]] = []
        try:
            with _translating(self._path):
                connection.execute("BEGIN IMMEDIATE")
                if self._may_be_held and (held := connection.fetch(SQLITE_HOLD)):
                    raise TakesNoChanges(held[0][0])
                for work, future in group:
                    connection.execute("SAVEPOINT one")
                    try:
                        answers.append((future, work(connection)))
                    except Exception as error:  # noqa: BLE001  the caller's own failure, handed to the caller
                        connection.execute("ROLLBACK TO one")
                        future.set_exception(_translated(self._path, error))
                    connection.execute("RELEASE one")
                connection.execute("COMMIT")
        except StorageUnavailable as error:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
        else:
            for future, answer in answers:
                future.set_result(answer)


def _check_schema(connection: sqlite3.Connection, schema: str) -> None:
    found = difference(connection, schema)
    if found.is_new:
        migrate(connection, schema)
    elif found.pending:
        raise refuse_older(connection, found)


def fetching(connection: sqlite3.Connection) -> Fetch:
    """Reads inside a write, with the signature of `SqliteDatabase.fetch_now`: they see its changes so far."""
    return lambda sql, parameters: connection.execute(sql, parameters).fetchall()


def _translated(path: Path, error: Exception) -> Exception:
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintViolated(str(error))
    if isinstance(error, OverflowError) and "SQLite" in str(error):
        return ConstraintViolated("SQLite cannot store an integer of more than 64 bits")
    if isinstance(error, sqlite3.Error | OSError):
        return StorageUnavailable(f"database {path.name}: {error}")
    return error


@contextlib.contextmanager
def _translating(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, OverflowError) as error:
        raise _translated(path, error) from error
