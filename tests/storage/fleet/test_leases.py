"""Leases among nodes: one holder, also when nodes die, stop or are cut off, and nothing is committed by another."""

import asyncio
import contextlib
import signal
import sys
import time

import pytest

from nugetproxy.metrics import FLEET_JOB_HELD
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.fleet.leases import FleetLeases, LeaseLost, Term
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.leases import Leases
from tests.contracts.lease import LeaseContract, take
from tests.fakes.network import network

SHORT = Term(lasts=2.5, renewed=0.3)


@pytest.fixture
def net(postgres):
    """Between the first node and the database."""
    with network(postgres.port) as net:
        yield net


@pytest.fixture
async def leases(postgres, shared_database, net, tmp_path):
    made = FleetLeases(Leases(tmp_path / "one"), Line(postgres.dsn(shared_database, port=net.port), 1.0), SHORT)
    yield made
    await made.close()


@pytest.fixture
async def others(postgres, shared_database, tmp_path):
    """Those of another node."""
    made = FleetLeases(Leases(tmp_path / "two"), Line(postgres.dsn(shared_database), 5.0), SHORT)
    yield made
    await made.close()


@pytest.fixture
def database(postgres, shared_database):
    database = PostgresDatabase(postgres.dsn(shared_database))
    yield database
    database.close()


class TestFleetLeases(LeaseContract):
    """Two nodes."""


class TestFleetLeasesOfOneNode(LeaseContract):
    """Two processes of a node."""

    @pytest.fixture
    async def others(self, postgres, shared_database, tmp_path):
        made = FleetLeases(Leases(tmp_path / "one"), Line(postgres.dsn(shared_database), 5.0), SHORT)
        yield made
        await made.close()


async def test_a_lease_lasts_as_long_as_it_is_held(leases, others):
    async with leases.hold("a") as lease:
        await asyncio.sleep(SHORT.lasts * 1.2)
        lease.require()
        assert await others.try_hold("a") is None


async def test_a_metric_says_who_does_a_job(leases, others):
    def held() -> float:
        return float(FLEET_JOB_HELD.labels("job")._value.get())

    async with leases.hold("job"):
        assert held() == 1
    assert held() == 0


async def test_tokens_grow_from_holder_to_holder(leases, others):
    tokens = []
    for which in (leases, others, leases):
        async with which.hold("a") as lease:
            tokens.append(lease.token)

    assert tokens == sorted(set(tokens))


async def test_a_waiter_is_woken_by_the_release(leases, others):
    lease = await take(leases, "a")
    waiting = asyncio.create_task(others.hold("a").__aenter__())
    await asyncio.sleep(0.8)  # by now it looks rarely
    began = time.monotonic()
    await lease.release()
    await waiting

    assert time.monotonic() - began < 0.3


async def test_a_holder_that_is_cut_off_ends_before_another_begins(leases, others, net):
    ended = []
    inside = asyncio.Event()

    async def work():
        async with leases.hold("job"):
            inside.set()
            try:
                await asyncio.sleep(30)
            finally:
                ended.append("first")

    working = asyncio.create_task(work())
    await inside.wait()
    net.is_silent = True
    async with asyncio.timeout(10), others.hold("job"):
        ended.append("second began")
        with pytest.raises(LeaseLost, match="'job' was not renewed"):
            await working

    assert ended == ["first", "second began"]


async def test_a_holder_that_lost_its_lease_cannot_commit(leases, others, net, database):
    """
    Whatever its clock says: a process may be stopped between looking at it and committing.
    """
    lease = await take(leases, "a")
    await database.write(lease.check)
    net.is_silent = True
    async with asyncio.timeout(10):
        while (other := await others.try_hold("a")) is None:
            await asyncio.sleep(0.1)

    with pytest.raises(LeaseLost):
        lease.require()
    with pytest.raises(LeaseLost):
        await database.write(lease.check)
    await database.write(other.check)
    await other.release()


async def test_nobody_takes_over_while_the_holder_commits(leases, others, net, database):
    lease = await take(leases, "a")
    net.is_silent = True
    checked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(transaction):
        lease.check(transaction)
        loop.call_soon_threadsafe(checked.set)
        time.sleep(SHORT.lasts + 1.0)
        return time.monotonic()

    committing = asyncio.create_task(database.write(slowly))
    await checked.wait()
    async with others.hold("a"):
        taken_over = time.monotonic()
    assert taken_over > await committing


async def test_without_a_database_a_lease_holds_on_its_node(leases, net, postgres, shared_database, tmp_path):
    """
    Fetching twice is better than not fetching. But jobs wait until the database is back.
    """
    net.is_silent = True
    neighbour = FleetLeases(Leases(tmp_path / "one"), Line(postgres.dsn(shared_database), 5.0), SHORT)
    lease = await take(leases, "a")

    assert not lease.shared
    lease.require()
    assert await take(neighbour, "a") is None
    waiting = asyncio.create_task(leases.hold("job").__aenter__())
    await asyncio.sleep(1.2)
    assert not waiting.done()
    net.is_silent = False
    async with asyncio.timeout(10):
        assert (await waiting).shared
    await lease.release()
    await neighbour.close()


WORKING = """
import asyncio, sys
from pathlib import Path
from nugetproxy.storage.fleet.leases import FleetLeases, LeaseLost, Term
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.leases import Leases

async def main():
    leases = FleetLeases(Leases(Path(sys.argv[1])), Line(sys.argv[2], 1.0), Term(lasts=2.5, renewed=0.3))
    try:
        async with leases.hold("job"):
            print("begun", flush=True)
            await asyncio.sleep(60)
    except LeaseLost:
        print("lost", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_job_is_taken_over_from_a_node_that_dies_or_hangs(how, others, postgres, shared_database, tmp_path):
    dsn = postgres.dsn(shared_database)
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKING, str(tmp_path / "three"), dsn, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"begun\n"
        assert await others.try_hold("job") is None
        worker.send_signal(how)
        began = time.monotonic()
        async with asyncio.timeout(10), others.hold("job"):
            assert time.monotonic() - began < SHORT.lasts + 1.5
            if how is signal.SIGSTOP:
                worker.send_signal(signal.SIGCONT)
                assert b"fleet_lease_lost" in await worker.stdout.readline()
                assert await worker.stdout.readline() == b"lost\n"
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()


def test_the_defaults_let_a_job_be_taken_over_within_30_seconds():
    term = Term()

    assert term.lasts + 1 < 30
    assert term.trusted > 2 * term.renewed
