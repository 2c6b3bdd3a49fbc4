"""What goes wrong in a round: nodes are killed or stopped, networks are cut, late, or lose one direction."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, nullcontext
from time import monotonic
from typing import Final

from tests.fakes.network import Network
from tests.soak.fleet.nodes import Fleet, Node

_LONGEST: Final = 2.5
"""Seconds that trouble lasts: longer than the right of a node, or than a writer waits."""

_STARTED_WITHIN: Final = 300.0

_LATE: Final = (0.02, 0.1, 0.3)


class Trouble:
    """`once` causes some trouble, and ends it."""

    def __init__(self, fleet: Fleet, chance: random.Random, counts: Counter[str]) -> None:
        self._fleet = fleet
        self._chance = chance
        self._counts = counts
        self.findings: list[str] = []
        self._starting: set[asyncio.Task[None]] = set()
        self._kinds: dict[str, tuple[int, Callable[[Node], Awaitable[None]]]] = {
            "kill": (6, self._kill),
            "stop": (4, self._stop),
            "database": (10, lambda node: self._disturb(node, node.to_database, "database")),
            "commit": (3, self._cut_at_commit),
            "bucket": (3, lambda node: self._disturb(node, node.to_bucket, "bucket")),
            "clients": (2, lambda node: self._disturb(node, node.from_clients, "clients")),
            "crash": (1, self._crash),
            "nothing": (2, self._nothing),
        }
        """By name: how often it happens, compared with others, and what it is."""

    async def once(self, only: str = "") -> None:
        """One kind of trouble, or only the named one."""
        kind = only or self._chance.choices(list(self._kinds), [weight for weight, _ in self._kinds.values()])[0]
        if self._fleet.up:
            await self._kinds[kind][1](self._chance.choice(self._fleet.up))

    async def all_started(self) -> None:
        """Wait for the nodes that were killed."""
        while self._starting:
            await asyncio.gather(*self._starting)

    async def _kill(self, node: Node) -> None:
        """kill -9 of a node, once another one is left. It is started again, which takes longer than this."""
        if len(self._fleet.up) < 2:
            await self.all_started()
        if node.is_up and len(self._fleet.up) > 1:
            self._counts["kills"] += 1
            node.kill()
            task = asyncio.create_task(self._start(node))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start(self, node: Node) -> None:
        """As often as it takes: a node does not start while it cannot reach the database."""
        until = monotonic() + _STARTED_WITHIN
        while not node.is_up:
            try:
                await node.start()
            except AssertionError as error:
                node.end()
                if monotonic() > until:
                    self.findings.append(f"{node.name} does not start: {error}")
                    return

    async def _stop(self, node: Node) -> None:
        self._counts["stops"] += 1
        processes = node.stop()
        try:
            await self._last()
        finally:
            node.go_on(processes)

    async def _disturb(self, node: Node, link: Network, what: str) -> None:
        how = self._chance.choice(("late", "held", "half", "refusing"))
        self._counts[f"{what} {how}"] += 1
        with node.in_trouble() if what == "database" else nullcontext():
            async with disturbed(link, how, self._chance):
                await self._last()

    async def _cut_at_commit(self, node: Node) -> None:
        """The connection breaks while a node commits: before or after the database learns of that."""
        self._counts["cut at commit"] += 1
        with node.in_trouble():
            node.to_database.cut_at(b"COMMIT", before=self._chance.random() < 0.5)
            await self._last()
            node.to_database.cut_nowhere()

    async def _crash(self, _: Node) -> None:
        """PostgreSQL crashes and is started again."""
        self._counts["database crashes"] += 1
        async with crashed(self._fleet):
            await asyncio.sleep(self._chance.uniform(0, 0.5))

    async def _nothing(self, _: Node) -> None: ...

    async def _last(self) -> None:
        await asyncio.sleep(self._chance.choice((0.1, 0.5, _LONGEST)) * self._chance.uniform(0.5, 1))


@asynccontextmanager
async def disturbed(link: Network, how: str, chance: random.Random) -> AsyncIterator[None]:
    """Afterwards what was held arrives, as TCP sends it again, or the connections are reset."""
    if how == "late":
        link.delay = chance.choice(_LATE)
    elif how == "half":
        link.held = {chance.choice(("to_server", "to_client"))}
    else:
        link.held = {"to_server", "to_client"}
    if how == "refusing":
        link.is_refusing = True
        link.cut()
    try:
        yield
    finally:
        link.delay, link.is_refusing = 0.0, False
        if chance.random() < 0.3:
            link.cut()
        link.held = set()


@asynccontextmanager
async def crashed(fleet: Fleet) -> AsyncIterator[None]:
    """Without PostgreSQL."""
    with ExitStack() as stack:
        for node in fleet.nodes:
            stack.enter_context(node.in_trouble())
        await asyncio.to_thread(fleet.engines.postgres.kill)
        try:
            yield
        finally:
            await asyncio.to_thread(fleet.engines.postgres.start)
