"""Transactions of PostgreSQL: how each kind begins and ends, and what is asked inside one.

The functions run on the event loop of the connections. Which thread waits for them, and what is repeated, does not
belong here.
"""

import contextlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

from nugetproxy.errors import ConstraintViolated, OutcomeUnknown, StorageUnavailable
from nugetproxy.storage.database.base import Dialect, Query, Rows
from nugetproxy.storage.database.postgres_connections import Connections, Session
from nugetproxy.storage.database.postgres_sql import (
    Conflict,
    ConnectionLost,
    concerns,
    numbered,
    side_by_side,
    together,
)

_WRITE: Final = "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE; {limits}LOCK TABLE write_turns IN "
UNLESS_HELD: Final = "; SELECT require_no_hold()"
"""Of a write that must not be made during a hold, at the end of its kind. Raises TakesNoChanges."""
# A lock does not decide what the transaction sees; its first query does.
BESIDE_OTHERS: Final = _WRITE + "ROW SHARE MODE"
"""A write that runs at the same time as others."""
ALONE: Final = _WRITE + "EXCLUSIVE MODE"
"""A write that waits until no other runs, and makes later ones wait: it meets no conflict."""
SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {limits}"
"""All its queries see the same state."""
_ONE_QUERY: Final = "BEGIN READ ONLY; {limits}"


class NotBegun(Exception):
    """The connection was lost before the transaction began: nothing can have been done. `why` says how."""

    def __init__(self, why: ConnectionLost) -> None:
        self.why = why
        super().__init__(str(why))


async def begin(connections: Connections, kind: str) -> Session:
    """A connection inside a new transaction. Raises NotBegun when another connection may do better."""
    session = await connections.acquire()
    try:
        await _execute(session, kind.format(limits=_limits(session)))
    except BaseException as error:
        await roll_back(connections, session)
        if isinstance(error, ConnectionLost) and not session.is_silent:
            raise NotBegun(error) from error
        raise
    return session


async def commit(connections: Connections, session: Session) -> None:
    """Commit, and give the connection back. Raises OutcomeUnknown when the answer is missing."""
    try:
        status = await _execute(session, "COMMIT")
    except (Conflict, ConstraintViolated):
        raise
    except Exception as error:
        raise OutcomeUnknown(f"it is unknown whether the change was made: {error}") from error
    finally:
        await roll_back(connections, session)
    if status != "COMMIT":
        raise StorageUnavailable(f"PostgreSQL did not commit: {status}")


async def roll_back(connections: Connections, session: Session) -> None:
    """End the transaction if one is open, and give the connection back."""
    try:
        if not session.connection.is_closed() and session.connection.is_in_transaction():
            with contextlib.suppress(StorageUnavailable):  # then the connection is not used again
                await _execute(session, "ROLLBACK")
    finally:
        connections.release(session)


async def fetch(connections: Connections, sql: str, parameters: Sequence[object]) -> Rows:
    """All rows of one query, which sees what is committed."""
    for attempt in (1, 2):
        session = await connections.acquire()
        try:
            return await _fetch_over(session, sql, parameters)
        except (ConnectionLost, Conflict):
            # A connection that was idle while the server was restarted, or a query prepared before a migration.
            if attempt == 2 or session.is_silent:
                raise
        finally:
            if session.is_pooled:
                await roll_back(connections, session)
            else:
                connections.release(session)
    raise AssertionError


async def change(connections: Connections, sql: str, parameters: Sequence[object]) -> int:
    """Run one statement, committed by itself; twice if it is unknown whether it was. Returns how many rows it changed.

    `connections` are for writing.
    """
    for attempt in (1, 2):
        session = await connections.acquire()
        try:
            if session.is_pooled:
                await _execute(session, f"BEGIN READ WRITE; {_limits(session)}")
            status = await session.answer(session.connection.execute(numbered(sql), *parameters))
            if session.is_pooled:
                await _execute(session, "COMMIT")
            return _rows_changed(status)
        except (ConnectionLost, Conflict):
            if attempt == 2 or session.is_silent:
                raise
        finally:
            await roll_back(connections, session)
    raise AssertionError


async def _fetch_over(session: Session, sql: str, parameters: Sequence[object]) -> Rows:
    if session.is_pooled:
        # Only statements of one transaction are sure to reach one session.
        await _execute(session, _ONE_QUERY.format(limits=_limits(session)))
        rows = await session.answer(session.connection.fetch(numbered(sql), *parameters))
        await _execute(session, "ROLLBACK")
    else:
        rows = await session.answer(session.connection.fetch(numbered(sql), *parameters))
    return list(map(tuple, rows))


class InTransaction:
    """A `Transaction`, for a thread that may block. `failure` is the first: PostgreSQL commits nothing after one.

    `finish` it before the commit.
    """

    dialect: Dialect = "postgres"

    def __init__(self, session: Session, ask: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        """`ask` runs a coroutine on the loop of the connection, and waits for its result."""
        self._session = session
        self._ask = ask
        self._known: dict[tuple[str, tuple[object, ...]], Rows] = {}
        self._later: list[tuple[str, tuple[object, ...]]] = []
        self.failure: Exception | None = None

    def fetch(self, sql: str, parameters: Sequence[object] = (), /) -> Rows:
        if self._known and (known := self._known.get((sql, tuple(parameters)))) is not None:
            return list(known)
        self.finish()
        return self._rows(numbered(sql), parameters)

    def fetch_ahead(self, queries: Iterable[Query], /) -> None:
        self.finish()
        wanted = [(sql, tuple(parameters)) for sql, parameters in queries]
        text = side_by_side(tuple((sql, len(parameters)) for sql, parameters in wanted))
        [found] = self._rows(text, [value for _, parameters in wanted for value in parameters])
        self._known = {query: list(map(tuple, rows or ())) for query, rows in zip(wanted, found, strict=True)}

    def change(self, sql: str, parameters: Sequence[object] = (), /) -> int:
        self._begin_change(sql)
        return self._change(sql, parameters)

    def change_later(self, sql: str, parameters: Sequence[object] = (), /) -> None:
        if any(concerns(sql, earlier) or concerns(earlier, sql) for earlier, _ in self._later):
            self.finish()
        self._forget(sql)
        self._later.append((sql, tuple(parameters)))

    def change_many(self, sql: str, rows: Iterable[Sequence[object]], /) -> None:
        self._begin_change(sql)
        self._answer(self._session.connection.executemany(numbered(sql), [tuple(row) for row in rows]))

    def insert(self, sql: str, parameters: Sequence[object], /, *, key: str) -> int:
        self._begin_change(sql)
        [(number,)] = self._rows(numbered(f"{sql} RETURNING {key}"), parameters)
        return int(number)

    def finish(self) -> None:
        """Run what was left for later."""
        if not self._later:
            return
        later, self._later = self._later, []
        if len(later) == 1:
            self._change(*later[0])
        else:
            text = together(tuple((sql, len(parameters)) for sql, parameters in later))
            self._rows(text, [value for _, parameters in later for value in parameters])

    def _begin_change(self, sql: str) -> None:
        self.finish()
        self._forget(sql)

    def _forget(self, sql: str) -> None:
        if self._known:
            self._known = {query: rows for query, rows in self._known.items() if not concerns(sql, query[0])}

    def _change(self, sql: str, parameters: Sequence[object]) -> int:
        return _rows_changed(self._answer(self._session.connection.execute(numbered(sql), *parameters)))

    def _rows(self, sql: str, parameters: Sequence[object]) -> Rows:
        return list(map(tuple, self._answer(self._session.connection.fetch(sql, *parameters))))

    def _answer(self, waiting: Coroutine[Any, Any, Any]) -> Any:
        if self.failure is not None:
            waiting.close()
            raise self.failure
        try:
            return self._ask(self._session.answer(waiting))
        except Exception as error:
            self.failure = error
            raise


def _rows_changed(status: str) -> int:
    """How many rows a statement changed, from what the server says: "INSERT 0 1", "UPDATE 1"."""
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else -1


def _limits(session: Session) -> str:
    """Behind a pooler, settings end with the transaction; otherwise the session has them."""
    return f"{session.limits.as_settings}; " if session.is_pooled else ""


async def _execute(session: Session, sql: str) -> str:
    return str(await session.answer(session.connection.execute(sql)))
