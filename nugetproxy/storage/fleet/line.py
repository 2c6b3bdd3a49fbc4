"""One connection to PostgreSQL for what must not wait behind other queries: confirmations, leases, hints.

Every statement is a transaction of its own. It is opened when it is needed, again after it was lost, and given up when
there is no answer in time. Behind a pooler that gives each transaction another session, it hears no hints.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import asyncpg

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.base import Rows
from nugetproxy.storage.database.postgres_sql import in_our_terms

_STATEMENTS_KEPT: Final = 32

_CONNECTING: Final = 5
"""Times as long as an answer may take: connecting takes some ten round trips. It goes on while those who asked give up,
so that a later one finds the connection. As it may also lead to a server that is gone, each of them tries once more.
"""


class Line:
    """For one event loop. `close` it after use."""

    def __init__(self, dsn: str, patience: float) -> None:
        """`dsn` may contain a password and is never logged. `patience`: seconds without any answer until no
        answer is waited for.
        """
        self._dsn = dsn
        self._patience = patience
        self._turn = asyncio.Lock()
        self._limits: set[asyncio.Timeout] = set()
        self._connection: Any = None
        self._connecting: set[asyncio.Task[Any]] = set()
        self._is_pooled = False
        self._heard: dict[str, Callable[[str], None]] = {}

    def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with the payload of each hint, and with an empty text when hints may have been lost.

        Before the first `ask`; it is then for as long as the line is connected.
        """
        self._heard[channel] = heard

    async def ask(self, sql: str, *parameters: object) -> Rows:
        """The rows of one statement, with `$1`, `$2` for its parameters.

        Raises StorageUnavailable, also when there is no answer in time: it may have been carried out then.
        """
        try:
            # Waiting for a turn counts: while nothing is answered, nobody waits for all those before. But a queue
            # that moves is no failure: the last in it would take a lease on this node alone, which another node holds.
            async with asyncio.timeout(self._patience) as limit:
                self._limits.add(limit)
                try:
                    async with self._turn:
                        await self._be_connected(limit)
                        rows = await self._answer(sql, parameters)
                finally:
                    self._limits.discard(limit)
            self._answered()
            return rows
        except TimeoutError as error:
            raise StorageUnavailable(f"PostgreSQL has not answered for {self._patience:g} s") from error
        except Exception as error:
            raise in_our_terms(error) from error

    async def close(self) -> None:
        """It can be used again, and is then connected again."""
        self._give_up()
        await self._stop_connecting()

    def _answered(self) -> None:
        until = asyncio.get_running_loop().time() + self._patience
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(until)

    async def _be_connected(self, limit: asyncio.Timeout) -> None:
        """Raises StorageUnavailable if too little time is left for an answer: a statement that is given up costs the
        connection.
        """
        if self._connection is not None and not self._connection.is_closed():
            return
        if not any(task.done() and task.exception() is None for task in self._connecting):
            self._connecting.add(asyncio.create_task(self._connect_in_time()))
        opened = None
        while opened is None:
            done, _ = await asyncio.wait(self._connecting, return_when=asyncio.FIRST_COMPLETED)  # they outlive this
            first = done.pop()
            self._connecting.discard(first)
            if first.exception() is None or not self._connecting:
                opened = first.result()
        self._connection = opened
        await self._stop_connecting()
        left = (limit.when() or 0.0) - asyncio.get_running_loop().time()
        if left < self._patience / 2:
            raise StorageUnavailable(f"connecting to PostgreSQL took {self._patience - left:.1f} s")

    async def _answer(self, sql: str, parameters: tuple[object, ...]) -> Rows:
        try:
            if not self._is_pooled:
                return [tuple(row) for row in await self._connection.fetch(sql, *parameters)]
            # Only the statements of one transaction are sure to reach one session.
            async with self._connection.transaction():
                return [tuple(row) for row in await self._connection.fetch(sql, *parameters)]
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "")[:2] in ("08", "25", "57"):  # lost, read-only after a failover, shutting down
                self._give_up()
            raise
        except BaseException:  # whatever it was: an answer may still be on its way
            self._give_up()
            raise

    async def _stop_connecting(self) -> None:
        connecting, self._connecting = self._connecting, set()
        for task in connecting:
            task.cancel()
        for opened in await asyncio.gather(*connecting, return_exceptions=True):
            if not isinstance(opened, BaseException):
                opened.terminate()

    async def _connect_in_time(self) -> Any:
        async with asyncio.timeout(_CONNECTING * self._patience):
            return await self._connect()

    async def _connect(self) -> Any:
        connection = await self._connect_once()
        if not self._is_pooled and await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid():
            self._is_pooled = True
            connection.terminate()
            connection = await self._connect_once()
        try:
            for channel, heard in self._heard.items() if not self._is_pooled else ():
                await connection.add_listener(channel, lambda _c, _p, _n, payload, heard=heard: heard(payload))
                heard("")
                connection.add_termination_listener(lambda _, heard=heard: heard(""))
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _connect_once(self) -> Any:
        try:
            return await asyncpg.connect(
                self._dsn,
                statement_cache_size=0 if self._is_pooled else _STATEMENTS_KEPT,
                server_settings={"application_name": "nugetproxy fleet"},
            )
        except (asyncpg.exceptions.ClientConfigurationError, ValueError):
            # Its message may quote a part of the password.
            raise StorageUnavailable(
                "the connection string is not valid: expected postgresql://user:password@host:port/database"
            ) from None

    def _give_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # it is gone in any case
                connection.terminate()
