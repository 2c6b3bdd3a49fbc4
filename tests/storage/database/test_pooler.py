"""PostgreSQL behind PgBouncer in transaction mode: it is recognised, and nothing is left in a session."""

import asyncio
from collections.abc import Iterator

import pytest

from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.postgres import PostgresDatabase, bring_up_to_date
from tests.engines.pgbouncer import pgbouncer
from tests.engines.postgres import PostgresServer

pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def pooler(postgres: PostgresServer) -> Iterator[int]:
    with pgbouncer(postgres) as port:
        yield port


def counting(transaction: Transaction) -> int:
    [(highest,)] = transaction.fetch("SELECT coalesce(max(at), 0) FROM policy_seen")
    transaction.change("INSERT INTO policy_seen VALUES ('a', ?, ?)", (str(highest + 1), highest + 1))
    return int(highest) + 1


async def test_many_connections_share_two_sessions(postgres: PostgresServer, pooler: int, empty_database: str) -> None:
    """From migrating on, everything works while the sessions are exchanged between transactions."""
    dsn = postgres.dsn(empty_database, port=pooler)
    assert await asyncio.to_thread(bring_up_to_date, dsn)
    databases = [PostgresDatabase(dsn) for _ in range(3)]

    async def use(database: PostgresDatabase, number: int) -> None:
        assert await database.fetch("SELECT ?, sum(at) - sum(at) FROM policy_seen", (str(number),)) in (
            [(str(number), 0)],
            [(str(number), None)],
        )
        same, again = await database.read(lambda fetch: [fetch("SELECT count(*) FROM policy_seen", ()) for _ in "12"])
        assert same == again
        assert await database.look(lambda fetch: fetch("SELECT CAST(? AS BIGINT)", (number,))) == [(number,)]

    for database in databases:
        await database.fetch("SELECT 1")
    reading = asyncio.gather(*(use(database, number) for number in range(10) for database in databases))
    taken = await asyncio.gather(*(database.write(counting) for database in databases for _ in range(8)))
    await reading

    assert sorted(taken) == list(range(1, 25))
    [(prepared, sessions)] = await databases[0].fetch(
        "SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend')"
    )
    assert (prepared, sessions <= 2) == (0, True)
    assert await databases[0].fetch("SELECT current_setting('default_transaction_read_only')") == [("off",)]
    for database in databases:
        database.close()
