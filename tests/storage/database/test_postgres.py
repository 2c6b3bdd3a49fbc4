"""PostgreSQL that fails: killed, restarted, cut off, silent, replaced. Each error is true, and in time."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from nugetproxy.errors import OutcomeUnknown, StorageUnavailable
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.database.postgres_connections import Limits
from tests.engines.postgres import PostgresServer
from tests.fakes.network import Network, network
from tests.ports import dead_port

QUICK = Limits(connections=3, waiting=20, connect=1.0, statement=1.0)
COUNT = "SELECT count(*) FROM policy_seen"


@pytest.fixture
def line(postgres: PostgresServer) -> Iterator[Network]:
    with network(postgres.port) as made:
        yield made


@pytest.fixture
def database(postgres: PostgresServer, line: Network, shared_database: str) -> Iterator[PostgresDatabase]:
    opened = PostgresDatabase(postgres.dsn(shared_database, port=line.port), QUICK)
    yield opened
    opened.close()


def seen(name: str):
    return lambda transaction: transaction.change("INSERT INTO policy_seen VALUES (?, '', 0)", (name,))


async def test_a_restart_is_not_noticed_by_who_asks_later(postgres: PostgresServer, database: PostgresDatabase) -> None:
    """Connections that died while they were idle are replaced, for queries and for writes."""
    await database.write(seen("a"))
    await asyncio.gather(*(database.fetch(COUNT) for _ in range(3)))
    for ask in (
        lambda: database.fetch(COUNT),
        lambda: database.look(lambda fetch: fetch(COUNT, ())),
        lambda: database.read(lambda fetch: fetch(COUNT, ())),
        lambda: database.write(lambda t: t.fetch(COUNT)),
    ):
        postgres.stop()
        postgres.start()
        assert await ask() == [(1,)]


@pytest.mark.parametrize(("limits", "used"), [(Limits(), 1), (Limits(age=0), 3), (Limits(idle=0), 3)])
async def test_old_and_forgotten_connections_are_replaced(
    postgres: PostgresServer, line: Network, shared_database: str, limits: Limits, used: int
) -> None:
    database = PostgresDatabase(postgres.dsn(shared_database, port=line.port), limits)
    for _ in range(3):
        await database.fetch(COUNT)
    assert line.connections == used
    database.close()


async def test_a_server_that_is_gone_is_an_error_for_everyone(line: Network, database: PostgresDatabase) -> None:
    line.server = 1
    line.cut()
    for ask in (
        lambda: database.fetch(COUNT),
        lambda: database.look(lambda fetch: fetch(COUNT, ())),
        lambda: database.read(lambda fetch: fetch(COUNT, ())),
        lambda: database.write(seen("a")),
    ):
        with pytest.raises(StorageUnavailable, match=r"^PostgreSQL cannot be reached: "):
            await asyncio.wait_for(ask(), 10)


async def test_while_it_is_gone_few_try_to_connect(line: Network, database: PostgresDatabase) -> None:
    line.server = 1
    with pytest.raises(StorageUnavailable):
        await database.fetch(COUNT)
    before = line.connections
    answers = await asyncio.gather(*(database.fetch(COUNT) for _ in range(50)), return_exceptions=True)
    assert {type(answer).__mro__[1] for answer in answers} == {StorageUnavailable}
    assert line.connections - before <= 1


async def test_it_works_again_when_the_server_is_back(
    postgres: PostgresServer, line: Network, database: PostgresDatabase
) -> None:
    line.server = 1
    with pytest.raises(StorageUnavailable):
        await database.write(seen("a"))
    line.server = postgres.port
    for _ in range(40):
        try:
            await database.write(seen("b"))
            break
        except StorageUnavailable:
            await asyncio.sleep(0.1)
    assert await database.fetch("SELECT lower_id FROM policy_seen") == [("b",)]


@pytest.mark.parametrize("when", ["connected", "new"])
async def test_a_silent_server_is_given_up(line: Network, database: PostgresDatabase, when: str) -> None:
    """It accepts connections and data, and never answers."""
    if when == "connected":
        await database.fetch(COUNT)
    line.is_silent = True
    for ask in (lambda: database.fetch(COUNT), lambda: database.write(seen("a"))):
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable, match="answer"):
            await asyncio.wait_for(ask(), 10)
        assert time.monotonic() - begun < 5


async def test_a_server_killed_in_a_transaction_has_done_nothing(
    postgres: PostgresServer, database: PostgresDatabase
) -> None:
    def work(transaction: Transaction) -> None:
        seen("a")(transaction)
        if not postgres_was_killed.is_set():
            postgres.kill()
            postgres.start()
            postgres_was_killed.set()
        seen("b")(transaction)

    postgres_was_killed = threading.Event()
    with pytest.raises(StorageUnavailable) as lost:
        await database.write(work)
    assert type(lost.value) is not OutcomeUnknown
    assert await database.fetch(COUNT) == [(0,)]
    await database.write(work)
    assert await database.fetch(COUNT) == [(2,)]


@pytest.mark.parametrize(("before", "committed"), [(True, 0), (False, 1)])
async def test_a_commit_without_an_answer_is_of_unknown_outcome(
    line: Network, database: PostgresDatabase, before: bool, committed: int
) -> None:
    """Whether the server got it or not: nobody can tell, so neither success nor failure is told, nothing retried."""
    runs = []

    def work(transaction: Transaction) -> None:
        runs.append(seen("a")(transaction))

    await database.fetch(COUNT)
    line.cut_at(b"COMMIT", before=before)
    with pytest.raises(OutcomeUnknown, match="unknown whether the change was made"):
        await asyncio.wait_for(database.write(work), 10)
    assert len(runs) == 1
    assert await database.fetch(COUNT) == [(committed,)]


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(database: PostgresDatabase) -> None:
    with pytest.raises(StorageUnavailable, match="statement timeout"):
        await database.fetch("SELECT pg_sleep(5)")
    with pytest.raises(StorageUnavailable, match="statement timeout"):
        await database.write(lambda t: t.fetch("SELECT pg_sleep(5)"))
    await database.write(seen("a"))


async def test_a_failure_that_the_work_hides_commits_nothing(database: PostgresDatabase) -> None:
    def work(transaction: Transaction) -> str:
        seen("a")(transaction)
        try:
            seen("a")(transaction)
        except Exception:
            return "done"
        return "done"

    with pytest.raises(Exception, match="duplicate key"):
        await database.write(work)
    assert await database.fetch(COUNT) == [(0,)]


async def test_callers_beyond_the_limit_are_refused(database: PostgresDatabase) -> None:
    go_on = threading.Event()
    holding = [asyncio.create_task(database.read(lambda _: go_on.wait(5))) for _ in range(QUICK.connections)]
    await asyncio.sleep(0.3)
    answers = asyncio.gather(*(database.fetch(COUNT) for _ in range(QUICK.waiting + 5)), return_exceptions=True)
    await asyncio.sleep(0.3)
    go_on.set()
    refused = [str(answer) for answer in await answers if isinstance(answer, Exception)]
    assert refused == ["20 requests are waiting for the database"] * 5
    await asyncio.gather(*holding)


async def test_writes_that_wait_too_long_are_withdrawn(database: PostgresDatabase) -> None:
    go_on = threading.Event()
    holding = asyncio.create_task(database.write(lambda _: go_on.wait(5)))
    await asyncio.sleep(0.1)
    waiting = [asyncio.create_task(database.write(seen(str(number)))) for number in range(QUICK.waiting)]
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailable, match="20 writes are waiting"):
        await database.write(seen("one too many"))
    await asyncio.sleep(QUICK.statement)
    go_on.set()
    await asyncio.gather(holding, return_exceptions=True)
    assert all(
        isinstance(answer, StorageUnavailable) for answer in await asyncio.gather(*waiting, return_exceptions=True)
    )
    assert await database.fetch(COUNT) == [(0,)]


async def test_closing_ends_in_time_while_nothing_answers(line: Network, database: PostgresDatabase) -> None:
    await database.fetch(COUNT)
    line.is_silent = True
    futures = [database.submit(seen(str(number))) for number in range(10)]
    begun = time.monotonic()
    await asyncio.to_thread(database.close)
    assert time.monotonic() - begun < 10
    assert all(isinstance(future.exception(0), StorageUnavailable) for future in futures)


@pytest.mark.parametrize(
    ("dsn", "told"),
    [
        ("postgresql://u:p@ss:word@host:port/x", "the connection string is not valid"),
        ("mysql://u:s3cret@127.0.0.1/x", "the connection string is not valid"),
        ("postgresql://nugetproxy:s3cret@127.0.0.1:{port}/postgres", "PostgreSQL refuses us: password authentication"),
        (
            "postgresql://nugetproxy:testing@127.0.0.1:{port}/missing",
            "PostgreSQL refuses us: database .* does not exist",
        ),
        ("postgresql://nugetproxy:s3cret@127.0.0.1:{dead}/x", "PostgreSQL cannot be reached: "),
        ("postgresql://nugetproxy:testing@127.0.0.1:{port}/postgres", "must first be migrated .*nugetproxy migrate"),
    ],
)
async def test_what_is_wrong_with_the_connection_is_told_without_its_password(
    postgres: PostgresServer, dsn: str, told: str
) -> None:
    with dead_port() as dead:
        database = PostgresDatabase(dsn.format(port=postgres.port, dead=dead), QUICK)
        with pytest.raises(StorageUnavailable, match=told) as refused:
            await database.fetch("SELECT 1")
        database.close()
    for secret in ("s3cret", "testing", "p@ss"):
        assert secret not in str(refused.value)


async def test_queries_asked_directly_need_no_other_thread(postgres: PostgresServer, shared_database: str) -> None:
    database = PostgresDatabase(postgres.dsn(shared_database), QUICK)
    database.ask_directly()
    await database.write(seen("a"))
    asked = [asyncio.create_task(database.fetch(COUNT)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in asked[::2]:
        task.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[1::2] == [[(1,)]] * 10
    assert await asyncio.to_thread(lambda: asyncio.run(database.fetch(COUNT))) == [(1,)]
    database.close()
    with pytest.raises(StorageUnavailable, match="is closed"):
        await database.fetch(COUNT)
    await asyncio.sleep(0)
