"""Database: the contract of every engine that stores tables, and what one transaction can do.

The meaning of the tables belongs to the modules that own them. They write SQL that every engine understands: parameters
are `?`, or `?1`, `?2` where one is used twice; truth values are 0 and 1; rows are added with `ON CONFLICT`, not with
`INSERT OR`. Where engines differ, `dialect` says which one it is.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")
Dialect = Literal["sqlite", "postgres"]
Rows = list[tuple[Any, ...]]
Fetch = Callable[[str, Sequence[object]], Rows]
"""All rows of a query. Blocks, for microseconds (SQLite) or for a round trip (PostgreSQL)."""
Query = tuple[str, Sequence[object]]
"""The arguments of a `Fetch`."""


class Noting:
    """A `Fetch` that notes what it is asked: a transaction that will ask the same again can ask it ahead."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.asked: list[Query] = []

    def __call__(self, sql: str, parameters: Sequence[object] = ()) -> Rows:
        self.asked.append((sql, parameters))
        return self._fetch(sql, parameters)


class Transaction(Protocol):
    """What a write may do. Every method blocks, and raises StorageUnavailable or ConstraintViolated.

    ConstraintViolated ends the transaction: avoid it with `ON CONFLICT`, do not catch it inside.
    """

    @property
    def dialect(self) -> Dialect: ...

    def fetch(self, sql: str, parameters: Sequence[object] = ..., /) -> Rows:
        """All rows of a query, which sees the changes of this transaction so far."""

    def fetch_ahead(self, queries: Iterable[Query], /) -> None:
        """These queries will probably be asked. An engine for which each is a round trip asks them together now.

        `fetch` uses their rows until a statement changes a table that the query names. So leave out queries of tables
        that a trigger of another one changes.
        """

    def change(self, sql: str, parameters: Sequence[object] = ..., /) -> int:
        """Run one statement; returns how many rows it inserted, updated or deleted."""

    def change_later(self, sql: str, parameters: Sequence[object] = (), /) -> None:
        """As `change`, for an INSERT, UPDATE or DELETE of which only the effect matters. It may fail later, in `fetch`
        or at the commit: where each statement is a round trip, those that change different tables are sent together.
        """

    def change_many(self, sql: str, rows: Iterable[Sequence[object]], /) -> None:
        """Run one statement for each row of parameters."""

    def insert(self, sql: str, parameters: Sequence[object], /, *, key: str) -> int:
        """Insert one row; returns the number that the engine gave to its column `key`, the primary key."""


class Database(Protocol):
    """The contract. Waiting belongs to the event loop, blocking to other threads.

    Every method raises StorageUnavailable when the engine fails or cannot be reached, also after `close`.
    """

    @property
    def dialect(self) -> Dialect: ...

    @property
    def is_read_only(self) -> bool:
        """Whether every write is refused."""

    async def fetch(self, sql: str, parameters: Sequence[object] = (), /) -> Rows:
        """All rows of one quick query."""

    async def look(self, work: Callable[[Fetch], T], /) -> T:
        """`work(fetch)`: a few quick queries, each of which sees what is committed by then."""

    async def read(self, work: Callable[[Fetch], T], /) -> T:
        """`work(fetch)` in another thread: for queries that would block the event loop too long.

        Everything that one `work` fetches is one snapshot.
        """

    async def change(self, sql: str, parameters: Sequence[object] = (), /) -> int:
        """Run one statement, which bears to be run twice, as a write of its own; returns how many rows it changed.

        It sees what is committed by then, and need not wait for other writes. Not for what other writes decide on.
        """

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        """Run `work` inside a transaction and return its result once that is safe from power loss.

        What it reads is true at the time of the commit: no two writes may have decided on each other's past. `work` may
        run again when another write came in between, so it changes nothing but the database. If it raises, nothing
        is written. Cancelling withdraws a write that has not begun, and has no other effect.
        """

    def submit(self, work: Callable[[Transaction], T], /) -> Future[T]:
        """As `write`, for callers that do not wait. They may check the future's exception or ignore it."""

    def close(self) -> None:
        """Finish all submitted writes and let go of the engine. Blocks until they are done."""
