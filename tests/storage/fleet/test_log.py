"""The log of changes, in the model and in PostgreSQL."""

import asyncio
import contextlib
import threading

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.fleet.postgres_log import PostgresFleetLog, change_of, note, text_of
from nugetproxy.storage.revisions import ANYTHING, Change
from tests.contracts.fleet_log import ONE, TWO, FleetLogContract
from tests.engines.pgbouncer import pgbouncer
from tests.fakes.fleet_log import FakeFleetLog, FakeTables
from tests.fakes.network import network


class TestTheModel(FleetLogContract):
    @pytest.fixture
    def tables(self):
        return FakeTables()

    @pytest.fixture
    def log(self, tables):
        return FakeFleetLog(tables)

    @pytest.fixture
    def commit(self, tables):
        async def commit(change):
            return tables.commit(change)

        return commit


@pytest.fixture
def dsn(postgres, shared_database):
    return postgres.dsn(shared_database)


@pytest.fixture
async def line(dsn):
    line = Line(dsn, 5.0)
    yield line
    await line.close()


@pytest.fixture
def database(dsn):
    database = PostgresDatabase(dsn)
    yield database
    database.close()


@pytest.fixture
def log(line):
    return PostgresFleetLog(line)


class TestPostgres(FleetLogContract):
    @pytest.fixture
    def commit(self, database):
        async def commit(change):
            return await database.write(lambda transaction: note(transaction, change))

        return commit


class TestPostgresBehindAPooler(TestPostgres):
    """Each transaction may get another session, so no statement may need two, nor leave anything in one."""

    @pytest.fixture
    async def line(self, postgres, shared_database):
        with pgbouncer(postgres) as port:
            line = Line(postgres.dsn(shared_database, port=port), 5.0)
            yield line
            await line.close()


async def test_a_number_is_drawn_only_once_the_one_before_is_visible(database, dsn, log):
    """
    Otherwise a node would confirm a change, and so those before it, of which it has not seen one.
    """
    loop, noted, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def slowly(transaction):
        number = note(transaction, ONE)
        loop.call_soon_threadsafe(noted.set)
        assert go_on.wait(10)
        return number

    other = PostgresDatabase(dsn)  # of another node
    start = await log.newest()
    first = asyncio.create_task(database.write(slowly))
    await noted.wait()
    second = asyncio.create_task(other.write(lambda transaction: note(transaction, TWO)))
    await asyncio.wait([second], timeout=0.3)

    assert (second.done(), await log.since(start)) == (False, [])
    go_on.set()
    assert await first < await second
    found = await log.since(start)
    assert found is not None
    assert [entry.change for entry in found] == [ONE, TWO]
    other.close()


async def test_a_queue_that_moves_is_no_failure(dsn):
    """
    Many who ask at the same time wait longer than for one answer; who gets none in that time has not been heard.
    """
    line = Line(dsn, 1.0)
    asked = (line.ask("SELECT pg_sleep(0.25)::TEXT") for _ in range(6))
    assert await asyncio.gather(*asked) == [[("",)]] * 6
    with pytest.raises(StorageUnavailable):
        await line.ask("SELECT pg_sleep(5)::TEXT")
    await line.close()


async def test_what_is_rolled_back_is_not_in_the_log(database, log):
    start = await log.newest()
    with pytest.raises(ZeroDivisionError):
        await database.write(lambda transaction: note(transaction, ONE) / 0)

    assert await log.since(start) == []


async def test_a_change_hints(database, log):
    hints = asyncio.Queue[int]()
    log.listen(lambda: hints.put_nowait(1))
    await log.newest()
    assert hints.qsize() == 1  # earlier hints were not heard

    await database.write(lambda transaction: note(transaction, ONE))
    async with asyncio.timeout(5):
        await hints.get()
        await hints.get()


async def test_old_entries_and_nodes_are_removed_but_never_the_newest(database, log, line):
    for _ in range(3):
        await database.write(lambda transaction: note(transaction, ONE))
    newest = await log.newest()
    await log.enter(5, "gone", newest, 0)
    await log.enter(6, "there", newest, 0)
    await log.give_up(newest.revision + 1)
    await line.ask("UPDATE fleet_changes SET at = at - interval '2 hours'")
    await line.ask("UPDATE fleet_nodes SET seen = seen - interval '2 days' WHERE session = 5")
    await log.tidy()

    assert await line.ask("SELECT revision FROM fleet_changes") == [(newest.revision,)]
    assert await line.ask("SELECT session FROM fleet_nodes") == [(6,)]


@pytest.mark.parametrize("change", [Change(), ONE, TWO, ANYTHING, Change(groups=frozenset((7, 65_535)))])
def test_changes_survive_being_stored(change):
    assert change_of(text_of(change)) == change


def test_a_word_of_a_later_version_outdates_everything():
    assert change_of("hosting licences 17") == ANYTHING


async def test_a_line_is_connected_again(postgres, shared_database):
    with network(postgres.port) as net:
        line = Line(postgres.dsn(shared_database, port=net.port), 0.5)
        assert await line.ask("SELECT 1") == [(1,)]
        net.cut()
        with pytest.raises(StorageUnavailable):
            await line.ask("SELECT 1")
        assert await line.ask("SELECT 1") == [(1,)]
        net.is_silent = True
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match=r"not answered for 0\.5 s"):
                await line.ask("SELECT 1")
        net.is_silent = False
        assert await line.ask("SELECT $1::BIGINT", 7) == [(7,)]
        await line.close()


async def test_connecting_may_take_longer_than_an_answer(postgres, shared_database):
    with network(postgres.port) as net:
        net.delay = 0.05  # so that connecting takes a second, and an answer 0.2 s
        line = Line(postgres.dsn(shared_database, port=net.port), 0.5)
        with pytest.raises(StorageUnavailable):
            await line.ask("SELECT 1")
        for _ in range(10):
            with contextlib.suppress(StorageUnavailable):
                assert await line.ask("SELECT 1") == [(1,)]
                break
        else:
            pytest.fail("it was never connected")
        connections = net.connections
        assert await line.ask("SELECT 1") == [(1,)]
        assert net.connections == connections
        await line.close()


async def test_a_mistake_in_a_statement_costs_no_connection(line):
    [(pid,)] = await line.ask("SELECT pg_backend_pid()")
    with pytest.raises(StorageUnavailable):
        await line.ask("SELECT * FROM nowhere")

    assert await line.ask("SELECT pg_backend_pid()") == [(pid,)]


async def test_a_connection_string_is_not_repeated():
    line = Line("postgresql://user:secret@host:port/name", 1.0)
    with pytest.raises(StorageUnavailable) as caught:
        await line.ask("SELECT 1")

    assert "secret" not in str(caught.value)
