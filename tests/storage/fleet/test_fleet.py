"""Nodes that share a real PostgreSQL, each behind a network that can cut it off."""

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.fleet.follower import Follower
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.fleet.postgres_log import PostgresFleetLog, note
from nugetproxy.storage.fleet.revisions import FleetRevisions
from nugetproxy.storage.fleet.rules import Timing
from nugetproxy.storage.fleet.standing import Standing
from nugetproxy.storage.revisions import Change
from nugetproxy.storage.telling import write_and_tell
from tests.fakes.network import Network, network
from tests.ports import free_port

TIMING = Timing(beat=0.5, attempt=1.0, right=2.0, wait=2.5, outage=0.0)
CHANGE = Change.of_hosting("contoso.one")


class Node:
    def __init__(self, dsn: str, net: Network, name: str, timing: Timing) -> None:
        self.net = net
        self._server = net.server
        self.database = PostgresDatabase(dsn)
        self.standing = Standing(None)
        self.line, self.following_line = Line(dsn, 1.0), Line(dsn, 1.0)
        log, followed = PostgresFleetLog(self.line), PostgresFleetLog(self.following_line)
        self.revisions = FleetRevisions(None, self.standing, log, note, timing)
        self.follower = Follower(followed, self.standing, self.revisions.bump, name, timing)
        followed.listen(self.follower.hint)
        self.following: asyncio.Task[None] | None = None

    def cut(self) -> None:
        """Reset its connections, and refuse new ones."""
        self.net.server = free_port()
        self.net.cut()

    def silence(self) -> None:
        """Nothing arrives, as with a firewall that drops packets."""
        self.net.is_silent = True

    def mend(self) -> None:
        self.net.server, self.net.is_silent = self._server, False

    def follow(self) -> None:
        self.following = asyncio.create_task(self.follower.follow())

    async def write(self, number: int | None = None) -> int:
        """Insert a number, by default the next one. Returns it once it is acknowledged."""
        sql = "INSERT INTO here SELECT coalesce(?1::BIGINT, max(n) + 1, 1) FROM here RETURNING n"
        [(inserted,)] = await write_and_tell(
            self.database, lambda transaction: transaction.fetch(sql, (number,)), self.revisions, CHANGE
        )
        return int(inserted)

    async def read(self) -> int:
        return int((await self.database.fetch("SELECT coalesce(max(n), 0) FROM here"))[0][0])

    async def close(self) -> None:
        if self.following is not None:
            self.following.cancel()
            await asyncio.gather(self.following, return_exceptions=True)
        self.cut()
        await self.line.close()
        await self.following_line.close()
        await asyncio.to_thread(self.database.close)


@pytest.fixture
async def make(postgres, shared_database):
    postgres.execute("CREATE TABLE here (n BIGINT)", shared_database)
    async with AsyncExitStack() as stack:

        async def make(name: str, timing: Timing = TIMING) -> Node:
            net = stack.enter_context(network(postgres.port))
            node = Node(postgres.dsn(shared_database, port=net.port), net, name, timing)
            stack.push_async_callback(node.close)
            node.follow()
            async with asyncio.timeout(10):
                while not node.revisions.may_remember():
                    await asyncio.sleep(0.01)
            return node

        yield make


async def test_after_a_write_all_nodes_have_seen_it(make):
    nodes = [await make(name) for name in ("one", "two", "three")]
    for number in range(10):
        before = [node.revisions.hosting for node in nodes]
        await nodes[number % 3].write()

        # A node that was too slow to confirm answers nothing from memory.
        now = [node.revisions.hosting for node in nodes]
        assert all(is_ > was or is_ < 0 for is_, was in zip(now, before, strict=True))
        assert max(now) > 0


@pytest.mark.parametrize("how", ["cut", "silence"])
async def test_a_node_that_is_cut_off_has_no_right_once_a_write_is_acknowledged(make, how):
    one, two = await make("one"), await make("two")
    getattr(two, how)()
    began = time.monotonic()
    await one.write(7)

    assert not two.revisions.may_remember()
    assert time.monotonic() - began < TIMING.wait + 1
    began = time.monotonic()
    await one.write(8)
    assert time.monotonic() - began < 1  # nobody waits for it again
    two.mend()
    async with asyncio.timeout(10):
        while not two.revisions.may_remember():
            await asyncio.sleep(0.01)
    assert two.standing.position == one.standing.position


async def test_when_the_database_is_gone_all_go_on_for_the_outage_and_then_fail_closed(make, postgres):
    timing = Timing(beat=0.5, attempt=0.5, right=2.0, wait=2.5, outage=4.0)
    nodes = [await make("one", timing), await make("two", timing)]
    postgres.stop()
    try:
        await asyncio.sleep(3.0)
        remembered = [node.revisions.may_remember() for node in nodes]
        with pytest.raises(StorageUnavailable):
            await nodes[0].write(7)
        await asyncio.sleep(1.2)
        forgotten = [node.revisions.may_remember() for node in nodes]
    finally:
        postgres.start()

    assert (remembered, forgotten) == ([True, True], [False, False])
    async with asyncio.timeout(20):
        while not all(node.revisions.may_remember() for node in nodes):
            await asyncio.sleep(0.05)
        while True:
            with contextlib.suppress(StorageUnavailable):
                await nodes[0].write(8)
                break
    assert await nodes[1].read() == 8


async def test_no_answer_from_memory_is_older_than_an_acknowledged_write(make):
    """
    Writers and readers on three nodes, of which one or the other is cut off at any time.
    """
    nodes = [await make(name) for name in ("one", "two", "three")]
    acknowledged, outdated, answers = [0], list[tuple[int, int]](), [0, 0]
    until = time.monotonic() + 4.0

    async def write(node: Node) -> None:
        while time.monotonic() < until:
            with contextlib.suppress(StorageUnavailable):
                acknowledged[0] = max(await node.write(), acknowledged[0])
            await asyncio.sleep(0.05)

    async def read(node: Node) -> None:
        memory = (0, 0)
        while time.monotonic() < until:
            await asyncio.sleep(0.005)
            before = acknowledged[0]
            counter = node.revisions.hosting
            if memory[0] != counter:
                with contextlib.suppress(StorageUnavailable):
                    async with asyncio.timeout(3):
                        memory = (counter, await node.read())
                        answers[0] += 1
            else:
                answers[1] += 1
                if memory[1] < before:
                    outdated.append((memory[1], before))

    async def trouble() -> None:
        for turn in range(3):
            await asyncio.sleep(0.4)
            nodes[turn].cut()
            await asyncio.sleep(0.8)
            nodes[turn].mend()

    await asyncio.gather(trouble(), *(write(node) for node in nodes), *(read(node) for node in nodes))
    assert outdated == []
    assert acknowledged[0] > 10
    assert min(answers) > 20
