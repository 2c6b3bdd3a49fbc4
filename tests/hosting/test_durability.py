"""Durability: processes killed in the middle of pushes, and many pushes of the same version together."""

import asyncio
import hashlib
import multiprocessing
import os
import random
import signal
import time
from base64 import b64encode
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from nugetproxy.errors import PackageExists
from nugetproxy.hosting.publish import Pushed
from nugetproxy.hosting.upkeep import check_blobs, sweep_unreferenced_blobs
from tests.builders import make_nupkg
from tests.engines.main_database import fetched, only_sqlite
from tests.hosting.house import House
from tests.hosting.pusher import package_of, push_for_ever

pytestmark = only_sqlite

ROUNDS = 300
PUSHERS = 50

# Forked from a process that has loaded everything: a round costs milliseconds, not the start of an interpreter.
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["tests.hosting.pusher"])


def _push(directory: str, name: str, told: str) -> None:
    asyncio.run(push_for_ever(Path(directory), name, Path(told)))


def test_kill_loses_no_acknowledged_push_and_leaves_no_half_one(tmp_path: Path) -> None:
    """
    A process that pushes constantly is killed at a random moment, hundreds of times on one data directory.
    """
    House(tmp_path).close()
    moments = random.Random(20260102)
    for round_ in range(ROUNDS):
        told = tmp_path / f"told{round_}"
        process = FORK.Process(target=_push, args=(str(tmp_path), f"r{round_}", str(told)))
        process.start()
        assert process.pid is not None
        _wait_for(told, round_)
        time.sleep(moments.uniform(0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        process.close()
    asyncio.run(_check(tmp_path))


def _wait_for(told: Path, round_: int) -> None:
    """Every other round is killed after its first push, most others during it, some while the database is opened."""
    deadline = time.monotonic() + 20
    while round_ % 10 and time.monotonic() < deadline:
        if told.exists() and (not round_ % 2 or told.stat().st_size):
            return
        time.sleep(0.001)


async def _check(directory: Path) -> None:
    house = House(directory)
    acknowledged = {line for file in directory.glob("told*") for line in file.read_text().split()}
    there = {package.identity.lower_version: package for package in await house.packages.of("contoso.killed")}
    assert len(acknowledged) >= ROUNDS / 2
    assert acknowledged <= there.keys()
    # Nothing is half done: each row has its bytes, its event, its audit line and an owner.
    for version, package in there.items():
        number, name = version.split(".")[0], version.rpartition("-")[2]
        content = house.blobs.path(package.blob).read_bytes()
        assert content == package_of(name, int(number))
        assert package.sha512 == b64encode(hashlib.sha512(content).digest()).decode()
    assert [item.lower_version for item in await house.events.after(0, 100_000)] == [
        package.identity.lower_version for package in sorted(there.values(), key=lambda package: package.sequence)
    ]
    audited = [line.subject for line in await house.audit.entries(limit=100_000)]
    assert len(audited) == len(set(audited)) == len(there)
    assert [owner.name for owner in await house.ownership.owners("contoso.killed")] == ["alice"]
    assert await check_blobs(house.database, house.packages, house.blobs) == ()
    # What a killed push left is invisible garbage, and is removed.
    garbage = len(house.files()) - len(there)
    swept = await sweep_unreferenced_blobs(house.database, house.packages, house.blobs, unneeded_for=0, older_than=-60)
    assert swept.blobs == garbage
    assert len(house.files()) == len(there)
    assert fetched(house.database, "PRAGMA integrity_check") == [("ok",)]
    house.spools.sweep()
    assert house.leftovers() == []
    house.close()


def _race(directory: str, first: int, barrier: Barrier, results: Any) -> None:
    async def push_all() -> list[tuple[int, str]]:
        house = House(Path(directory))
        actor = await house.actor()
        numbers = range(first, first + PUSHERS // 2)
        spools = [house.spool(make_nupkg(payload=f"pusher {number}".encode())) for number in numbers]
        await asyncio.to_thread(barrier.wait, 30)
        answers = await asyncio.gather(
            *(house.publish.push(actor, spool, address="") for spool in spools), return_exceptions=True
        )
        house.close()
        return [(number, type(answer).__name__) for number, answer in zip(numbers, answers, strict=True)]

    results.put(asyncio.run(push_all()))


def test_of_fifty_who_push_one_version_one_wins(tmp_path: Path) -> None:
    """
    Two processes, twenty-five pushers each: one succeeds, and its bytes are served.
    """
    opened = House(tmp_path)
    asyncio.run(opened.actor())
    barrier, results = FORK.Barrier(2), FORK.Queue()
    processes = [
        FORK.Process(target=_race, args=(str(tmp_path), first, barrier, results)) for first in (0, PUSHERS // 2)
    ]
    for process in processes:
        process.start()
    answers = dict(results.get(timeout=60) + results.get(timeout=60))
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    winners = [number for number, answer in answers.items() if answer == Pushed.__name__]
    assert len(winners) == 1
    assert {answer for number, answer in answers.items() if number not in winners} == {PackageExists.__name__}
    (file,) = opened.files()  # the losers have removed theirs
    assert file.read_bytes() == make_nupkg(payload=f"pusher {winners[0]}".encode())
    assert len(asyncio.run(opened.events.after(0, 100))) == 1
    assert [line.result for line in asyncio.run(opened.audit.entries(limit=100))].count("done") == 1
    opened.close()
