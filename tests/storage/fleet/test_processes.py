"""Processes of a node that are killed or stopped: the others take over, and none answers from before a change."""

import asyncio
import contextlib
import signal
import sys
from contextlib import AsyncExitStack

import pytest

from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.fleet.postgres_log import PostgresFleetLog, note
from nugetproxy.storage.fleet.revisions import FleetRevisions
from nugetproxy.storage.fleet.rules import Timing
from nugetproxy.storage.fleet.standing import Standing
from nugetproxy.storage.revisions import Change
from nugetproxy.storage.telling import write_and_tell

TIMING = Timing(beat=0.5, attempt=1.0, right=2.0, wait=2.5, outage=0.0)

# Answers each line with whether it may answer from memory, and the counter of hosted packages.
NODE = """
import asyncio, sys, threading
from pathlib import Path
from nugetproxy.storage.fleet.follower import Follower
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.fleet.postgres_log import PostgresFleetLog, note
from nugetproxy.storage.fleet.revisions import FleetRevisions
from nugetproxy.storage.fleet.rules import Timing
from nugetproxy.storage.fleet.standing import Standing
from nugetproxy.storage.leases import Leases

timing = Timing(beat=0.5, attempt=1.0, right=2.0, wait=2.5, outage=0.0)
path = Path(sys.argv[1])
standing = Standing(path)

async def main():
    log = PostgresFleetLog(Line(sys.argv[2], timing.attempt))
    revisions = FleetRevisions(path, standing, log, note, timing)
    follower = Follower(log, standing, revisions.bump, "node", timing)
    log.listen(follower.hint)
    def answer():
        for line in sys.stdin:
            print("answer", revisions.may_remember(), revisions.hosting, flush=True)
    threading.Thread(target=answer, daemon=True).start()
    await follower.run(Leases(path / "locks"))

asyncio.run(main())
"""


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self) -> tuple[bool, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        async with asyncio.timeout(10):
            while not (line := await self._process.stdout.readline()).startswith(b"answer"):
                assert line, "it has ended"  # else a line of its log
        _, may_remember, counter = line.split()
        return may_remember == b"True", int(counter)

    async def until_it_may_remember(self) -> None:
        async with asyncio.timeout(15):
            while not (await self.ask())[0]:
                await asyncio.sleep(0.02)

    def send(self, what: signal.Signals) -> None:
        self._process.send_signal(what)

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


@pytest.fixture
def dsn(postgres, shared_database):
    return postgres.dsn(shared_database)


@pytest.fixture
async def start(dsn, tmp_path):
    """Start a process of the node with that data directory."""
    async with AsyncExitStack() as stack:

        async def start(name: str) -> Process:
            (tmp_path / name).mkdir(exist_ok=True)
            process = Process(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-c", NODE, str(tmp_path / name), dsn,
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                )
            )  # fmt: skip
            stack.push_async_callback(process.end)
            return process

        yield start


@pytest.fixture
async def write(dsn):
    """A write by a command, which is no node."""
    database, line, standing = PostgresDatabase(dsn), Line(dsn, 5.0), Standing(None)
    revisions = FleetRevisions(None, standing, PostgresFleetLog(line), note, TIMING)

    async def write() -> None:
        await write_and_tell(database, lambda transaction: None, revisions, Change.of_hosting("contoso.one"))

    yield write
    await line.close()
    await asyncio.to_thread(database.close)


async def test_another_process_takes_over_from_a_killed_follower(start, write, postgres, shared_database):
    first = await start("one")
    await first.until_it_may_remember()
    second = await start("one")
    before = await second.ask()
    first.send(signal.SIGKILL)
    await write()

    assert before[0]
    await second.until_it_may_remember()
    assert await second.ask() == (True, before[1] + 1)
    # It goes on with what the first began: no writer waits for a node that is gone.
    assert postgres.fetch("SELECT count(*) FROM fleet_nodes", shared_database) == [(1,)]


async def test_a_node_that_was_stopped_answers_nothing_from_before(start, write):
    node = await start("one")
    await node.until_it_may_remember()
    _, before = await node.ask()
    node.send(signal.SIGSTOP)
    await write()
    asking = asyncio.create_task(node.ask())  # a client's request, that waits in the socket
    await asyncio.sleep(0.1)
    node.send(signal.SIGCONT)
    may_remember, counter = await asking

    assert not may_remember or counter == before + 1
    await node.until_it_may_remember()
    assert await node.ask() == (True, before + 1)
