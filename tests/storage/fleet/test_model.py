"""The promise of a fleet, on a model of it: no node answers from before an acknowledged change.

Real followers and writers, with a database in memory that is late, unreachable or slow to reply; nodes that are killed,
stopped for seconds and started again; clocks that run at different rates.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.fleet.follower import Follower
from nugetproxy.storage.fleet.revisions import FleetRevisions
from nugetproxy.storage.fleet.rules import Timing
from nugetproxy.storage.fleet.standing import Standing
from nugetproxy.storage.revisions import Change
from tests.fakes.fleet_log import FakeFleetLog, FakeTables, Network
from tests.fakes.virtual_time import run_in_virtual_time

STRICT = Timing(outage=0.0)
SECONDS = 60.0
SEEDS = (0, 1, 10, 18, 27, 33, 38, 54)
"""Of these, 10 fails where a right counts from the answer, and the five after it where entering gives the right."""
CHANGE = Change.of_hosting("contoso.one")


@dataclass
class Answer:
    from_memory: bool
    outdated_for: float
    """Seconds between the acknowledgement of the first change that it lacks and the request; negative: none."""
    is_connected_for: float
    """Seconds since the node was last cut off."""


class Node:
    def __init__(self, fleet: "Fleet", number: int) -> None:
        self._fleet = fleet
        choice = fleet.choice
        self.network = Network(choice, longest=choice.choice((0.05, 2.0, 9.0)))
        rate = choice.uniform(0.95, 1.05)
        offset = choice.uniform(0, 1e6)
        loop = asyncio.get_running_loop()
        self.standing = Standing(None, lambda: int((offset + rate * loop.time()) * 1e9))
        self.log = FakeFleetLog(fleet.tables, self.network)
        self.revisions = FleetRevisions(
            None, self.standing, self.log, lambda _, change: fleet.tables.commit(change), fleet.timing
        )
        self.follower = Follower(self.log, self.standing, self.revisions.bump, f"node {number}", fleet.timing)
        self.tasks: list[asyncio.Task[None]] = []
        self._memory: tuple[int, int] | None = None
        self.connected = 0.0

    def start(self) -> None:
        self.tasks.append(asyncio.create_task(self.follower.follow()))

    async def kill(self) -> None:
        """As kill -9 of the follower's process: it says goodbye to nobody. Others of the node live on."""
        was, self.network.is_cut = self.network.is_cut, True
        until = self.standing._values[1]
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        self.standing._values[1] = until
        self.network.is_cut = was

    async def hints(self) -> None:
        while True:
            await asyncio.sleep(self._fleet.choice.uniform(0, 0.5))
            self.follower.hint()

    async def read(self) -> None:
        """Clients of this node, each of whom asks for the newest version."""
        while True:
            await asyncio.sleep(self._fleet.choice.uniform(0.0, 0.3))
            asked = asyncio.get_running_loop().time()
            counter = self.revisions.hosting
            if self._memory is not None and self._memory[0] == counter:
                self._note(self._memory[1], asked, from_memory=True)
                continue
            with contextlib.suppress(StorageUnavailable):
                await self.network.pass_through()
                answer = self._fleet.tables.newest.revision
                self._memory = (counter, answer)
                await self.network.pass_through()
                self._note(answer, asked, from_memory=False)

    def _note(self, revision: int, asked: float, *, from_memory: bool) -> None:
        lacking = [when for number, when in self._fleet.acknowledged.items() if number > revision]
        connected = 0.0 if self.network.is_cut else asked - self.connected
        self._fleet.answers.append(Answer(from_memory, asked - min(lacking, default=math.inf), connected))

    async def write(self) -> None:
        while True:
            await asyncio.sleep(self._fleet.choice.uniform(0.0, 4.0))
            if self.network.is_cut:
                continue
            number = self._fleet.tables.commit(CHANGE)
            # A writer may be killed here, between its commit and the rest.
            if self._fleet.choice.random() < 0.1:
                continue
            await asyncio.sleep(self._fleet.choice.uniform(0.0, 0.2))
            self.revisions.committed(number, CHANGE)
            await self.revisions.seen_everywhere(number)
            self._fleet.acknowledged[number] = asyncio.get_running_loop().time()


class Fleet:
    def __init__(self, seed: int, timing: Timing) -> None:
        self.choice = random.Random(seed)
        self.timing = timing
        self.tables = FakeTables()
        self.acknowledged: dict[int, float] = {}
        self.answers: list[Answer] = []

    async def live(self) -> None:
        nodes = [Node(self, number) for number in range(3)]
        tasks = []
        for node in nodes:
            node.start()
            tasks += [asyncio.create_task(work()) for work in (node.read, node.hints, node.write)]
        tasks += [asyncio.create_task(self._trouble(node)) for node in nodes]
        await asyncio.sleep(SECONDS)
        for task in (*tasks, *(task for node in nodes for task in node.tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _trouble(self, node: Node) -> None:
        while True:
            await asyncio.sleep(self.choice.uniform(0.0, 12.0))
            if self.choice.random() < 0.5:
                node.network.is_cut = True
                await asyncio.sleep(self.choice.choice((0.1, 3.0, 12.0)))
                node.network.is_cut = False
                node.connected = asyncio.get_running_loop().time()
            else:
                await node.kill()
                await asyncio.sleep(self.choice.choice((0.0, 1.0, 12.0)))
                node.start()


def lived(seeds: Sequence[int], timing: Timing) -> list[Answer]:
    fleets = [Fleet(seed, timing) for seed in seeds]
    for fleet in fleets:
        run_in_virtual_time(fleet.live())
    assert sum(len(fleet.acknowledged) for fleet in fleets) > 5 * len(seeds)
    answers = [answer for fleet in fleets for answer in fleet.answers]
    assert sum(answer.from_memory for answer in answers) > 50 * len(seeds)
    return answers


def test_no_node_answers_from_before_an_acknowledged_change():
    assert max(answer.outdated_for for answer in lived(SEEDS, STRICT)) < 0


def test_a_node_that_cannot_ask_goes_on_for_a_while():
    """
    Only such nodes answer from before an acknowledged change, and only until they have been cut off for long enough.
    """
    timing = Timing(outage=8.0)
    outdated = [answer for answer in lived(SEEDS, timing) if answer.outdated_for >= 0]

    assert outdated
    assert all(answer.from_memory for answer in outdated)
    assert max(answer.outdated_for for answer in outdated) <= timing.outage * 1.05
