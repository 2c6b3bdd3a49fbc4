"""Rounds: clients work for a moment on ids of their own, something goes wrong, and the history is checked."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from typing import Final

from nugetproxy.hosting.packages import HostedPackages
from nugetproxy.hosting.upkeep import check_blobs
from nugetproxy.storage.fleet.rules import Timing
from tests.soak.fleet.checker import explain
from tests.soak.fleet.clients import VERSIONS, Client, Notes, Stage
from tests.soak.fleet.history import Act, Step
from tests.soak.fleet.nodes import QUICK, Fleet, Node, engines, fleet
from tests.soak.fleet.trouble import Trouble

CLIENTS: Final = 6
OUTAGES: Final = (0.0, 0.0, 3.0)
"""`storage.shared.outage` of each node: two that never answer from before an acknowledged change, and one that may."""
_REPORTED: Final = 20
SECONDS: Final = 0.9
"""How long clients work in a round."""
_HEALED_WITHIN: Final = 60.0
"""Seconds after the end of all trouble until a node must answer."""


class Rounds:
    """`findings` is what was wrong, `counts` what happened."""

    def __init__(self, fleet: Fleet, seed: int, *, only: str = "", seconds: float = SECONDS) -> None:
        """`only`: the one kind of trouble that every round has; see `trouble`. `seconds`: how long clients work."""
        self._fleet = fleet
        self._seed = seed
        self._only = only
        self._seconds = seconds
        self.counts: Counter[str] = Counter()
        self.findings: list[str] = []
        self._trouble = Trouble(fleet, random.Random(f"{seed}/trouble"), self.counts)
        # A node that was cut off learns of what it missed within this time; see decision 32.
        self._lag = 1.1 * fleet.timing.right
        self._key = ""
        self._played: list[tuple[int, Client, Stage, Notes]] = []

    async def run(self, rounds: Iterable[int]) -> None:
        self._key = self._key or await self._fleet.new_key(f"all {self._seed}")
        for number in rounds:
            await self.round(number)
        await self._trouble.all_started()
        self.findings += self._trouble.findings
        self._trouble.findings.clear()

    async def look_back(self) -> None:
        """After all rounds: whatever was acknowledged in any of them is still there."""
        for number, client, stage, notes in self._played:
            for package_id in stage.ids:
                node = random.choice(self._fleet.up)
                self.counts["looked back at"] += await client.read_registration(node, package_id, "")
            self._judge(number, notes)
        stores = self._fleet.managed.stores
        missing = await check_blobs(stores.database, HostedPackages(stores.database), stores.hosted)
        self.findings += [f"the bucket lacks {key}" for key in missing]

    async def round(self, number: int) -> None:
        """One round."""
        chance, notes = random.Random(f"{self._seed}/{number}"), Notes()
        stage = await self._stage(number, notes)
        clients = [Client(f"{number}.{each}", stage, notes, random.Random(f"{self._seed}/{number}/{each}"))
                   for each in range(CLIENTS)]  # fmt: skip
        # Something to unlist and to delete.
        first = [client.push(chance.choice(self._fleet.up), package_id, VERSIONS[0])
                 for client, package_id in zip(clients, stage.ids, strict=False)]  # fmt: skip
        await asyncio.gather(*first)
        until = monotonic() + self._seconds
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(_work(client, until))
            group.create_task(self._worries(chance))
            group.create_task(self._revoke(stage, notes, chance))
        await self._look_everywhere(clients[0], stage, notes)
        self.counts["rounds"] += 1
        self.counts["steps"] += sum(map(len, notes.steps.values()))
        self.counts += notes.counts
        self._judge(number, notes)
        self._played.append((number, clients[0], stage, notes))

    async def _stage(self, number: int, notes: Notes) -> Stage:
        register, begun = f"key {number}", monotonic()
        key = await self._fleet.new_key(f"{self._seed} {number}")
        notes.steps[register].append(Step(Act.PUSH, begun, monotonic(), "key", node="command"))
        ids = (f"Contoso.R{self._seed}.N{number}", f"Contoso.R{self._seed}.M{number}")
        return Stage(ids, self._fleet.nodes, self._key, {register: key})

    async def _worries(self, chance: random.Random) -> None:
        for _ in range(1 if self._only else chance.choice((1, 1, 2))):
            await asyncio.sleep(chance.uniform(0, 0.3))
            await self._trouble.once(self._only)

    async def _revoke(self, stage: Stage, notes: Notes, chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(0.1, self._seconds))
        for register, key in stage.volatile.items():
            change = Step(Act.DELETE, monotonic(), node="command")
            try:
                await self._fleet.managed.directory.revoke_key(key)
            except Exception:  # PostgreSQL may be away just now
                notes.steps[register].append(change)
            else:
                notes.steps[register].append(Step(Act.DELETE, change.begun, monotonic(), node="command"))

    async def _look_everywhere(self, client: Client, stage: Stage, notes: Notes) -> None:
        """Without trouble, every node must answer soon."""

        async def look(node: Node) -> None:
            until = monotonic() + _HEALED_WITHIN
            for package_id in stage.ids:
                while node.is_up and not await client.read_everything(node, package_id):
                    if monotonic() > until:
                        notes.found(f"{node.name} does not answer {_HEALED_WITHIN:g} s after all trouble")
                        return
                    await asyncio.sleep(0.1)

        await asyncio.gather(*(look(node) for node in self._fleet.up))

    def _judge(self, number: int, notes: Notes) -> None:
        wrong = [*notes.findings]
        notes.findings.clear()
        for register, steps in sorted(notes.steps.items()):
            if (why := explain(steps, self._lag)) is not None:
                wrong.append(f"{register}: {why}")
        for each in wrong:
            print(f"FOUND in round {number}: {each}", flush=True)
        self.findings += wrong


async def _work(client: Client, until: float) -> None:
    while monotonic() < until:
        await client.step()


async def soak(folder: Path, seed: int, rounds: int, *, only: str = "", timing: Timing = QUICK) -> int:
    """Rounds until something is found, and what is left at the end. Returns the exit code."""
    with engines(folder) as shared:
        async with fleet(folder, shared, OUTAGES, timing) as three:
            running = Rounds(three, seed, only=only)
            began = monotonic()
            for first in range(0, rounds, _REPORTED):
                await running.run(range(first, min(rounds, first + _REPORTED)))
                each = (monotonic() - began) / running.counts["rounds"]
                print(f"{running.counts['rounds']} rounds, {each:.2f} s each, {running.counts['kills']} kills, "
                      f"{len(running.findings)} findings", flush=True)  # fmt: skip
            await running.look_back()
            for name, count in sorted(running.counts.items()):
                print(f"{count:8} {name}")
    return 1 if running.findings else 0
