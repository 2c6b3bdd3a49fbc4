"""A job that one node does for all: by one at a time, and by another when that one is gone."""

import asyncio
import contextlib

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.fleet import duty
from nugetproxy.storage.fleet.duty import do_for_all
from nugetproxy.storage.fleet.leases import FleetLeases
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.leases import Leases
from tests.storage.fleet.test_leases import SHORT


@pytest.fixture
async def nodes(postgres, shared_database, tmp_path, monkeypatch):
    monkeypatch.setattr(duty, "_AFTER_A_FAILURE", 0.01)
    made = [
        FleetLeases(Leases(tmp_path / name), Line(postgres.dsn(shared_database), 5.0), SHORT) for name in ("one", "two")
    ]
    yield made
    for node in made:
        await node.close()


async def test_one_node_works_until_it_is_gone_and_failures_end_nothing(nodes):
    done: list[int] = []

    async def work(number: int) -> None:
        done.append(number)
        if len(done) == 2:
            raise StorageUnavailable("the bucket is down")
        if len(done) == 4:
            raise ZeroDivisionError

    jobs = [asyncio.create_task(do_for_all(nodes[0], "job", lambda _: work(0), 0.02))]
    async with asyncio.timeout(10):
        while len(done) < 6:
            await asyncio.sleep(0.01)
        jobs.append(asyncio.create_task(do_for_all(nodes[1], "job", lambda _: work(1), 0.02)))
        await asyncio.sleep(0.2)
        alone = set(done)
        jobs[0].cancel()
        while 1 not in done:
            await asyncio.sleep(0.01)
    jobs[1].cancel()
    for job in jobs:
        with contextlib.suppress(asyncio.CancelledError):
            await job

    assert alone == {0}
