"""Connections to PostgreSQL: opened when needed, bounded in number, given up when the server does not answer.

All of this runs on one event loop. What is asked over a connection, and in which transaction, does not belong here.
A pooler that gives each transaction another session (PgBouncer) is recognised, and then nothing is left in a session:
no prepared statement, no setting.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncpg

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.database.postgres_sql import ConnectionLost, in_our_terms, one_line

T = TypeVar("T")
Check = Callable[[Any], Awaitable[None]]
"""Raises StorageUnavailable when a new connection must not be used. Called inside a transaction."""

_log = logger()

# The server itself ends a statement after its limit; this much later it must have answered.
_GRACE: Final = 2.0
# While the server is unreachable, one caller per so many seconds tries; the others fail without waiting.
_PROBE_EVERY: Final = 1.0
_STATEMENTS_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of connections and of waiting callers; seconds.

    A process has at most `connections` to read, as many for its event loop, as many for single changes, and one for
    transactions that write.
    """

    connections: int = 4
    waiting: int = 512
    connect: float = 5.0
    statement: float = 10.0
    idle: float = 120.0
    """A connection idle for longer is not used again: a firewall may have forgotten it."""
    age: float = 600.0
    """An older connection is not used again: a new one finds the server in charge, and checks the schema."""

    @property
    def as_settings(self) -> str:
        """The statements that set the limits for the current transaction."""
        milliseconds = int(self.statement * 1000)
        names = ("statement_timeout", "idle_in_transaction_session_timeout")
        return "; ".join(f"SET LOCAL {name} = {milliseconds}" for name in names)


@dataclass(frozen=True, slots=True)
class Counted:
    """What is called with seconds, or a reason, when something was done. Nothing here may import metrics: a worker
    migrates before it knows where they go.
    """

    statement: Callable[[float], object] = lambda _: None
    write: Callable[[float], object] = lambda _: None
    repeated: Callable[[str], object] = lambda _: None


class Session:
    """One connection, while it is in use. `connection` is asyncpg's."""

    __slots__ = (
        "_answered",
        "_loop",
        "connection",
        "idle_since",
        "is_lost",
        "is_pooled",
        "is_silent",
        "limits",
        "until",
    )

    def __init__(
        self, connection: Any, limits: Limits, answered: Callable[[float], object], *, is_pooled: bool
    ) -> None:
        self.connection = connection
        self._answered = answered
        self.is_pooled = is_pooled
        self.idle_since = time.monotonic()
        self.until = self.idle_since + limits.age
        self.limits = limits
        self._loop = asyncio.get_running_loop()
        self.is_silent = False
        self.is_lost = False

    async def answer(self, waiting: Awaitable[T]) -> T:
        """The server's answer to one statement. Raises ConnectionLost when there is none in time, and others."""
        deadline = self._loop.call_later(self.limits.statement + _GRACE, self._give_up)
        began = time.perf_counter()
        try:
            return await waiting
        except Exception as error:
            if self.is_silent:
                raise ConnectionLost(f"PostgreSQL has not answered for {self.limits.statement + _GRACE:g} s") from error
            translated = in_our_terms(error)
            if isinstance(translated, ConnectionLost):
                self.is_lost = True
                self.connection.terminate()
            raise translated from error
        except asyncio.CancelledError:
            self.connection.terminate()  # a statement may still run there
            raise
        finally:
            deadline.cancel()
            self._answered(time.perf_counter() - began)

    @property
    def is_usable(self) -> bool:
        """Whether somebody else may use it next."""
        return (
            not self.connection.is_closed()
            and not self.connection.is_in_transaction()
            and time.monotonic() < self.until
        )

    def _give_up(self) -> None:
        self.is_silent = True
        self.connection.terminate()


class Connections:
    """The pool. `acquire`, then `release`."""

    def __init__(
        self,
        dsn: str,
        limits: Limits,
        check: Check,
        answered: Callable[[float], object] = lambda _: None,
        *,
        read_only: bool = True,
    ) -> None:
        """`answered` is called with the seconds that each statement took. `read_only`: unless a transaction says
        otherwise. Behind a pooler, each has to say what it is.
        """
        self._is_read_only = read_only
        self._dsn = dsn
        self._answered = answered
        self._limits = limits
        self._check = check
        self._is_pooled: bool | None = None
        self._idle: list[Session] = []
        self._count = 0
        self._waiters: deque[asyncio.Future[Session | None]] = deque()
        self._failure: StorageUnavailable | None = None
        self._next_probe = 0.0
        self._is_closed = False

    async def acquire(self) -> Session:
        """A connection. Raises StorageUnavailable when there is none within the limits."""
        if self._is_closed:
            raise StorageUnavailable("the database is closed")
        if (session := self._newest_idle()) is not None:
            return session
        if self._count >= self._limits.connections:
            if (session := await self._turn()) is not None:
                return session
        else:
            self._count += 1
        try:
            return await self._connect()
        except BaseException:
            self._let_go()
            raise

    def release(self, session: Session) -> None:
        """Give it back; one that is closed, or inside a transaction, is replaced when it is needed."""
        if session.is_silent:
            self._failed(ConnectionLost("PostgreSQL does not answer"))
        if session.is_silent or session.is_lost:
            # The others lead to the same place, where there is another server now, or none: nobody need learn it again.
            for idle in self._idle:
                idle.connection.terminate()
        if self._is_closed or not session.is_usable:
            session.connection.terminate()
            self._let_go()
            return
        session.idle_since = time.monotonic()
        while self._waiters:
            if not (waiter := self._waiters.popleft()).done():
                waiter.set_result(session)
                return
        self._idle.append(session)

    def abandon(self) -> None:
        """As `close`, without telling the server."""
        self._is_closed = True
        for session in self._idle:
            session.connection.terminate()

    async def close(self) -> None:
        """Close those that are idle; those in use are closed when they are released."""
        self._is_closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(StorageUnavailable("the database is closed"))
        idle, self._idle = self._idle, []
        for session in idle:
            with contextlib.suppress(Exception):  # it is given up in any case
                await session.connection.close(timeout=1)
            self._count -= 1

    def _newest_idle(self) -> Session | None:
        """Those that are used least become idle for long, and are closed."""
        oldest = time.monotonic() - self._limits.idle
        while self._idle:
            session = self._idle.pop()
            if session.idle_since > oldest and session.is_usable:
                return session
            session.connection.terminate()
            self._count -= 1
        return None

    async def _turn(self) -> Session | None:
        """A connection that another caller gave back, or None for the right to open one."""
        if len(self._waiters) >= self._limits.waiting:
            raise StorageUnavailable(f"{self._limits.waiting} requests are waiting for the database")
        waiter: asyncio.Future[Session | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._limits.statement):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # It was handed over at the very moment that this caller gave up.
                if (session := waiter.result()) is None:
                    self._let_go()
                else:
                    self.release(session)
            else:
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise StorageUnavailable(
                    f"all {self._limits.connections} connections to the database are busy for "
                    f"{self._limits.statement:g} s"
                ) from error
            raise

    def _let_go(self) -> None:
        """One connection fewer: somebody who waits may open another."""
        while self._waiters:
            if not (waiter := self._waiters.popleft()).done():
                waiter.set_result(None)
                return
        self._count -= 1

    async def _connect(self) -> Session:
        now = time.monotonic()
        if self._failure is not None and now < self._next_probe:
            raise type(self._failure)(*self._failure.args)
        # The others need not wait for the outcome of this attempt.
        self._next_probe = now + self._limits.connect + _PROBE_EVERY
        try:
            async with asyncio.timeout(self._limits.connect):
                session = await self._connect_once()
                if session is None:  # a pooler, which nobody had told us
                    session = await self._connect_once()
                    assert session is not None
        except TimeoutError as error:
            self._failed(failure := ConnectionLost(f"PostgreSQL has not answered for {self._limits.connect:g} s"))
            raise failure from error
        except StorageUnavailable as error:
            self._failed(error)
            raise
        except BaseException:  # cancelled: the next caller tries
            self._next_probe = 0.0
            raise
        if self._failure is not None:
            self._failure = None
            _log.info("database_reachable")
        return session

    def _failed(self, failure: StorageUnavailable) -> None:
        """Keep it for callers that do not wait; log it once, with what clients must not see."""
        if self._failure is None or str(self._failure) != str(failure):
            _log.warning("database_unreachable", error=str(failure), detail=one_line(failure.__cause__ or ""))
        self._failure = failure
        self._next_probe = time.monotonic() + _PROBE_EVERY

    async def _connect_once(self) -> Session | None:
        """None when there is a pooler in between for which this connection was not made."""
        connection = None
        try:
            connection = await asyncpg.connect(
                self._dsn,
                timeout=self._limits.connect,
                statement_cache_size=0 if self._is_pooled else _STATEMENTS_KEPT,
                server_settings={"application_name": "nugetproxy"},
            )
            await connection.execute(f"BEGIN READ ONLY; {self._limits.as_settings}")
            is_pooled = await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid()
            if is_pooled and not self._is_pooled:
                self._is_pooled = True
                connection.terminate()
                return None
            # A sum of integers has this type.
            await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number)
            await self._check(connection)
            settings = self._limits.as_settings.replace("SET LOCAL", "SET")
            lasting = "" if is_pooled else f"; {settings}; SET default_transaction_read_only = {self._is_read_only}"
            await connection.execute(f"ROLLBACK{lasting}")
        except BaseException as error:
            if connection is not None:
                connection.terminate()
            if isinstance(error, asyncpg.exceptions.ClientConfigurationError | ValueError) and connection is None:
                # Its message may quote a part of the password.
                raise ConnectionLost(
                    "the connection string is not valid: expected postgresql://user:password@host:port/database"
                ) from None
            if isinstance(error, Exception):
                raise in_our_terms(error) from error
            raise
        return Session(connection, self._limits, self._answered, is_pooled=bool(is_pooled))


def _number(text: str) -> int | float:
    return float(text) if "." in text or text == "NaN" else int(text)
