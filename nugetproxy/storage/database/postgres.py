"""PostgreSQL for a fleet of nodes, a `Database`: an event loop in its own thread, which any thread or loop may ask.

Writes are SERIALIZABLE transactions, repeated after a conflict. Those of one process run one after another: in the
order in which they were submitted, and without conflicts among each other.
The meaning of the tables belongs to the modules that own them; connecting belongs to `postgres_connections`.
"""

import asyncio
import contextlib
import importlib
import queue
import random
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.base import Dialect, Fetch, Rows, Transaction
from nugetproxy.storage.database.postgres_connections import Connections, Counted, Limits
from nugetproxy.storage.database.postgres_schema import check, migrate
from nugetproxy.storage.database.postgres_sql import Conflict, ConnectionLost, in_our_terms
from nugetproxy.storage.database.postgres_transactions import (
    ALONE,
    BESIDE_OTHERS,
    SNAPSHOT,
    UNLESS_HELD,
    InTransaction,
    NotBegun,
    begin,
    change,
    commit,
    fetch,
    roll_back,
)

T = TypeVar("T")

# So often a write runs beside those of other processes; then it runs alone, which succeeds.
_ATTEMPTS_BESIDE_OTHERS: Final = 1
_ATTEMPTS: Final = 5
# Seconds, at most, before the second attempt; twice as many before each further one.
_BACKOFF: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Write:
    work: Callable[[Transaction], Any]
    future: "Future[Any]"
    until: float


class PostgresDatabase:
    """One database; `close` it after use. Nothing is connected until it is needed, and again whenever it was lost."""

    dialect: Dialect = "postgres"
    is_read_only = False

    def __init__(
        self, dsn: str, limits: Limits | None = None, counted: Counted | None = None, *, always_writes: bool = False
    ) -> None:
        """`dsn` is a connection string, `postgresql://…`. It may contain a password and is never logged.

        `always_writes`: holds do not apply.
        """
        self._dsn = dsn
        self._counted = counted or Counted()
        self._unless_held = "" if always_writes else UNLESS_HELD
        self._limits = limits or Limits()
        self._loop = _new_event_loop()
        answered = self._counted.statement
        self._connections = Connections(dsn, self._limits, check, answered)
        # No number of readers keeps a write waiting.
        self._connection_to_write = Connections(dsn, replace(self._limits, connections=1), check, answered)
        self._connections_to_change = Connections(dsn, self._limits, check, answered, read_only=False)
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres", daemon=True)
        self._thread.start()
        self._direct: tuple[asyncio.AbstractEventLoop, Connections] | None = None
        self._readers = ThreadPoolExecutor(self._limits.connections, "postgres-reader")
        self._reads = threading.Semaphore(self._limits.connections + self._limits.waiting)
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._is_closed = False
        self._writer = threading.Thread(target=self._write_all, name="postgres-writer", daemon=True)
        self._writer.start()

    def ask_directly(self) -> None:
        """From now on `fetch` on the running event loop uses connections of that loop, as many again: half the work.

        `close` must then be called while that loop is still running.
        """
        self._direct = asyncio.get_running_loop(), Connections(self._dsn, self._limits, check, self._counted.statement)

    async def fetch(self, sql: str, parameters: Sequence[object] = (), /) -> Rows:
        self._refuse_if_closed()
        home = asyncio.get_running_loop()
        if self._direct is not None and self._direct[0] is home:
            return await fetch(self._direct[1], sql, parameters)
        return await self._asked(fetch(self._connections, sql, parameters))

    async def look(self, work: Callable[[Fetch], T], /) -> T:
        # One trip to the loop for each query: a connection that is held in between would take two more.
        return await self._in_reader(
            lambda: work(lambda sql, parameters: self._ask(fetch(self._connections, sql, parameters)))
        )

    async def read(self, work: Callable[[Fetch], T], /) -> T:
        return await self._in_reader(lambda: self._read(work))

    async def change(self, sql: str, parameters: Sequence[object] = (), /) -> int:
        """As `Database.change`. Runs beside all other writes, in one round trip."""
        self._refuse_if_closed()
        return await self._asked(change(self._connections_to_change, sql, parameters))

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[Transaction], T], /) -> Future[T]:
        """As `Database.submit`. Fails with OutcomeUnknown when the server went away while it committed."""
        future: Future[T] = Future()
        if self._is_closed:
            future.set_exception(StorageUnavailable("the database is closed"))
        elif self._writes.qsize() >= self._limits.waiting:
            future.set_exception(StorageUnavailable(f"{self._limits.waiting} writes are waiting for the database"))
        else:
            self._writes.put(_Write(work, future, time.monotonic() + self._limits.statement))
        return future

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._writes.put(None)
        self._writer.join()
        self._readers.shutdown()
        if self._direct is not None:
            home, connections = self._direct
            with contextlib.suppress(RuntimeError):  # the loop is gone, and its connections with it
                home.call_soon_threadsafe(connections.abandon)
        self._ask(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- asking the loop ----------------------------------------------------------------------------------------------

    def _ask(self, answer: Coroutine[Any, Any, T]) -> T:
        """Run it on the engine's loop and wait, in any thread but that loop's."""
        done: Future[T] = Future()
        self._loop.call_soon_threadsafe(self._begin, answer, done)
        return done.result()

    def _begin(self, answer: Coroutine[Any, Any, T], done: Future[T]) -> None:
        self._loop.create_task(answer).add_done_callback(lambda task: _copy(task, done))

    async def _asked(self, answer: Coroutine[Any, Any, T]) -> T:
        """As `_ask`, for an event loop."""
        home = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = home.create_future()

        def begin() -> None:
            self._loop.create_task(answer).add_done_callback(lambda done: _hand_over(done, home, waiter))

        self._loop.call_soon_threadsafe(begin)
        return await waiter

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await self._connections.close()
        await self._connection_to_write.close()
        await self._connections_to_change.close()
        if others:
            await asyncio.wait(others, timeout=self._limits.statement)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _in_reader(self, work: Callable[[], T]) -> T:
        self._refuse_if_closed()
        if not self._reads.acquire(blocking=False):
            raise StorageUnavailable(f"{self._limits.waiting} queries are waiting for the database")
        try:
            future = self._readers.submit(_repeating, work)
        except RuntimeError as error:
            self._reads.release()
            raise StorageUnavailable("the database is closed") from error
        future.add_done_callback(lambda _: self._reads.release())
        return await asyncio.wrap_future(future)

    def _read(self, work: Callable[[Fetch], T]) -> T:
        session = self._ask(begin(self._connections, SNAPSHOT))
        try:
            return work(InTransaction(session, self._ask).fetch)
        finally:
            self._ask(roll_back(self._connections, session))

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        while (write := self._writes.get()) is not None:
            # Cancelled before the work began: withdrawn. From here on a write cannot be withdrawn.
            if not write.future.set_running_or_notify_cancel():
                continue
            try:
                if time.monotonic() > write.until:
                    raise StorageUnavailable(f"other writes kept the database busy for {self._limits.statement:g} s")
                began = time.perf_counter()
                result = self._write(write.work)
                self._counted.write(time.perf_counter() - began)
            except BaseException as error:  # noqa: BLE001 - the caller's own failure, handed to the caller
                write.future.set_exception(error)
            else:
                write.future.set_result(result)

    def _write(self, work: Callable[[Transaction], T]) -> T:
        attempt = 1
        while True:
            try:
                return self._write_once(work, BESIDE_OTHERS if attempt <= _ATTEMPTS_BESIDE_OTHERS else ALONE)
            except Conflict:
                if attempt == _ATTEMPTS:
                    raise
                self._counted.repeated("conflict")
            except NotBegun as error:
                # A connection that was idle while the server was restarted. A new one says what is the matter.
                if attempt > 1:
                    raise error.why from error
                self._counted.repeated("lost")
            time.sleep(random.uniform(0, _BACKOFF * 2**attempt))  # noqa: S311 - no secret
            attempt += 1

    def _write_once(self, work: Callable[[Transaction], T], kind: str) -> T:
        session = self._ask(begin(self._connection_to_write, kind + self._unless_held))
        transaction = InTransaction(session, self._ask)
        try:
            result = work(transaction)
            transaction.finish()
            if transaction.failure is not None:  # the work has ignored it, the database does not
                raise transaction.failure
        except BaseException as error:
            self._ask(roll_back(self._connection_to_write, session))
            if isinstance(transaction.failure, Conflict) and isinstance(error, Exception):
                # Whatever the work made of it: it may have acted on something that never was.
                raise transaction.failure from error
            raise
        self._ask(commit(self._connection_to_write, session))
        return result

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StorageUnavailable("the database is closed")


def bring_up_to_date(dsn: str, limits: Limits | None = None) -> tuple[str, ...]:
    """Apply the migrations of this version that the database lacks; returns their names. Blocks.

    Raises StorageUnavailable when it cannot be reached, DataOfAnotherVersion when a newer version forbids this one.
    """

    async def anything(_: object) -> None: ...

    async def run() -> tuple[str, ...]:
        connections = Connections(dsn, limits or Limits(), anything)
        session = await connections.acquire()
        try:
            return await migrate(session.connection)
        except Exception as error:
            raise in_our_terms(error) from error
        finally:
            connections.release(session)
            await connections.close()

    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop
        return thread.submit(lambda: asyncio.run(run())).result()


def _repeating(work: Callable[[], T]) -> T:
    """Reading a second time harms nobody: the connection may have been idle while the server was restarted."""
    try:
        return work()
    except (ConnectionLost, Conflict, NotBegun):
        try:
            return work()
        except NotBegun as error:
            raise error.why from error


def _hand_over(done: "asyncio.Task[T]", home: asyncio.AbstractEventLoop, waiter: "asyncio.Future[T]") -> None:
    """Give the result to the loop of the caller, which may have been cancelled, or be gone."""
    with contextlib.suppress(RuntimeError):
        home.call_soon_threadsafe(_settle, done, waiter)


def _settle(done: "asyncio.Task[T]", waiter: "asyncio.Future[T]") -> None:
    if waiter.done():
        done.exception()  # or it would be logged as never seen
    else:
        _copy(done, waiter)


def _copy(done: "asyncio.Task[T]", to: "Future[T] | asyncio.Future[T]") -> None:
    if (error := done.exception()) is None:
        to.set_result(done.result())
    else:
        to.set_exception(error)


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed: it halves the CPU time of a query."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return asyncio.new_event_loop()
    return factory()
