"""PostgreSQL that fails: killed, restarted, cut off, silent, replaced. Each error is true, and in time."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from nugetproxy.errors import OutcomeUnknown, StorageUnavailable
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.database.postgres_connections import Limits
from tests.engines.postgres import PostgresServer
from tests.fakes.network import Network, network
from tests.ports import dead_port

FEW = Limits(connections=3, waiting=20)
HASTY = Limits(connections=3, waiting=20, connect=3.0, statement=1.0)
COUNT = "SELECT count(*) FROM policy_seen"


@pytest.fixture
def line(postgres: PostgresServer) -> Iterator[Network]:
    with network(postgres.port) as made:
        yield made


@pytest.fixture
def database(postgres: PostgresServer, line: Network, shared_database: str) -> Iterator[PostgresDatabase]:
    opened = PostgresDatabase(postgres.dsn(shared_database, port=line.port), FEW)
    yield opened
    opened.close()


@pytest.fixture
def hasty(postgres: PostgresServer, line: Network, shared_database: str) -> Iterator[PostgresDatabase]:
    opened = PostgresDatabase(postgres.dsn(shared_database, port=line.port), HASTY)
    yield opened
    opened.close()


async def connected(database: PostgresDatabase) -> None:
    """Wait until it has connections for both: connecting may take longer than it is patient, on a busy machine."""
    for _ in range(20):
        try:
            await database.fetch(COUNT)
            await database.write(lambda _: None)
            return
        except StorageUnavailable:
            await asyncio.sleep(0.5)


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
async def test_a_silent_server_is_given_up(line: Network, hasty: PostgresDatabase, when: str) -> None:
    """It accepts connections and data, and never answers."""
    if when == "connected":
        await connected(hasty)
    line.is_silent = True
    for ask in (lambda: hasty.fetch(COUNT), lambda: hasty.write(seen("a"))):
        with pytest.raises(StorageUnavailable, match="answer"):
            await asyncio.wait_for(ask(), 15)


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
    for _ in range(100):
        if (there := await database.fetch(COUNT)) == [(committed,)]:
            break
        await asyncio.sleep(0.1)  # the server may not have come to it yet
    assert there == [(committed,)]


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(hasty: PostgresDatabase) -> None:
    await connected(hasty)
    with pytest.raises(StorageUnavailable, match="statement timeout"):
        await hasty.fetch("SELECT pg_sleep(20)")
    with pytest.raises(StorageUnavailable, match="statement timeout"):
        await hasty.write(lambda t: t.fetch("SELECT pg_sleep(20)"))
    await hasty.write(seen("a"))


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
    together = threading.Barrier(FEW.connections + 1, timeout=20)
    holding = [
        asyncio.create_task(database.read(lambda _: (together.wait(), go_on.wait(20)))) for _ in range(FEW.connections)
    ]
    await asyncio.to_thread(together.wait)
    answers = asyncio.gather(*(database.fetch(COUNT) for _ in range(FEW.waiting + 5)), return_exceptions=True)
    await asyncio.sleep(0.3)
    go_on.set()
    refused = [str(answer) for answer in await answers if isinstance(answer, Exception)]
    assert refused == ["20 requests are waiting for the database"] * 5
    await asyncio.gather(*holding)


async def test_a_write_does_not_wait_for_readers(database: PostgresDatabase) -> None:
    go_on = threading.Event()
    holding = [asyncio.create_task(database.read(lambda _: go_on.wait(30))) for _ in range(FEW.connections + 2)]
    await asyncio.sleep(0.1)
    await database.write(seen("a"))
    go_on.set()
    await asyncio.gather(*holding)


async def test_writes_that_wait_too_long_are_withdrawn(hasty: PostgresDatabase) -> None:
    await connected(hasty)
    together, go_on = threading.Barrier(2, timeout=20), threading.Event()
    holding = asyncio.create_task(hasty.write(lambda _: (together.wait(), go_on.wait(20))))
    await asyncio.to_thread(together.wait)
    waiting = [asyncio.create_task(hasty.write(seen(str(number)))) for number in range(HASTY.waiting)]
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailable, match="20 writes are waiting"):
        await hasty.write(seen("one too many"))
    await asyncio.sleep(HASTY.statement)
    go_on.set()
    await asyncio.gather(holding, return_exceptions=True)
    assert all(
        isinstance(answer, StorageUnavailable) for answer in await asyncio.gather(*waiting, return_exceptions=True)
    )
    assert await hasty.fetch(COUNT) == [(0,)]


async def test_closing_ends_in_time_while_nothing_answers(line: Network, hasty: PostgresDatabase) -> None:
    """And not after one patience for each write."""
    await connected(hasty)
    line.is_silent = True
    futures = [hasty.submit(seen(str(number))) for number in range(10)]
    begun = time.monotonic()
    await asyncio.to_thread(hasty.close)
    assert time.monotonic() - begun < 20
    assert all(isinstance(future.exception(0), StorageUnavailable) for future in futures)


async def test_every_outcome_that_is_reported_is_true(
    postgres: PostgresServer, line: Network, shared_database: str
) -> None:
    """While the server is killed and connections are cut: what was done is there, what failed is not, each once."""
    databases = [PostgresDatabase(postgres.dsn(shared_database, port=line.port), FEW) for _ in range(2)]
    done, failed, unknown = set[str](), set[str](), set[str]()
    end = threading.Event()

    async def write_on(database: PostgresDatabase, who: str) -> None:
        for number in itertools.count():
            if end.is_set():
                return
            name = f"{who}-{number}"
            try:
                await database.write(lambda t, name=name: (t.fetch(COUNT), seen(name)(t)))  # type: ignore[misc]
                done.add(name)
            except OutcomeUnknown:
                unknown.add(name)
            except StorageUnavailable:
                failed.add(name)
                await asyncio.sleep(0.01)

    def break_it() -> None:
        for number in range(100):
            time.sleep(0.2)
            if number >= 12 and done and unknown:
                break
            if number % 4 == 0:
                postgres.kill()
                postgres.start()
            elif number % 4 == 1:
                line.cut()
            else:
                line.cut_at(b"COMMIT", before=number % 4 == 2)
        end.set()

    writing = [write_on(database, f"{here}{who}") for here, database in enumerate(databases) for who in "ab"]
    await asyncio.gather(asyncio.to_thread(break_it), *writing)
    there = {name for (name,) in postgres.fetch("SELECT lower_id FROM policy_seen", shared_database)}
    for each in databases:
        each.close()

    assert done
    assert unknown
    assert done <= there
    assert not failed & there
    assert there <= done | unknown


@pytest.mark.parametrize(
    ("dsn", "told"),
    [
        ("postgresql://u:p@ss:word@host:port/x", "the connection string is not valid"),
        ("mysql://u:s3cret@127.0.0.1/x", "the connection string is not valid"),
        ("postgresql://nugetproxy:s3cret@127.0.0.1:{port}/postgres", "PostgreSQL refuses the connection;"),
        (
            "postgresql://nugetproxy:testing@127.0.0.1:{port}/missing",
            "PostgreSQL refuses the connection;",
        ),
        ("postgresql://nugetproxy:s3cret@127.0.0.1:{dead}/x", "PostgreSQL cannot be reached: "),
        ("postgresql://nugetproxy:testing@127.0.0.1:{port}/postgres", "must first be migrated .*nugetproxy migrate"),
    ],
)
async def test_what_is_wrong_with_the_connection_is_told_without_its_password(
    postgres: PostgresServer, dsn: str, told: str
) -> None:
    with dead_port() as dead:
        database = PostgresDatabase(dsn.format(port=postgres.port, dead=dead), FEW)
        with capture_logs() as logs, pytest.raises(StorageUnavailable, match=told) as refused:
            await database.fetch("SELECT 1")
        database.close()
    for secret in ("s3cret", "testing", "p@ss"):
        assert secret not in str(refused.value)
        assert secret not in str(logs)
    assert "127.0.0.1" not in str(refused.value)
    assert [line["event"] for line in logs] == ["database_unreachable"]


async def test_queries_asked_directly_need_no_other_thread(postgres: PostgresServer, shared_database: str) -> None:
    database = PostgresDatabase(postgres.dsn(shared_database), FEW)
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
