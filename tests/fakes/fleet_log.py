"""A fleet's log of changes and table of nodes in memory, and the ways in which a database is late or out of reach."""

import asyncio
import random
from dataclasses import dataclass, field

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.fleet.log import Confirmation, Entry, FleetLog
from nugetproxy.storage.fleet.rules import Position, unseen
from nugetproxy.storage.revisions import Change


@dataclass
class Row:
    name: str
    confirmed: int
    beat: int = 0
    is_waited_for: bool = True


@dataclass
class FakeTables:
    """What is committed."""

    entries: list[Entry] = field(default_factory=lambda: [Entry(Position(0, 99), Change())])
    nodes: dict[int, Row] = field(default_factory=dict)

    def commit(self, change: Change) -> int:
        revision = self.entries[-1].position.revision + 1
        self.entries.append(Entry(Position(revision, random.getrandbits(60) + 1), change))
        return revision

    @property
    def newest(self) -> Position:
        return self.entries[-1].position

    def lose(self, count: int) -> None:
        """As a failover to a replica that is behind does."""
        del self.entries[-count:]


class Network:
    """Between one node and the database."""

    def __init__(self, choice: random.Random | None = None, longest: float = 0.0) -> None:
        self.is_cut = False
        self.delay = 0.0
        self._choice = choice or random.Random(1)
        self._longest = longest

    async def pass_through(self) -> None:
        """One way. Sometimes very late, as when a process is stopped for a while."""
        late = self._choice.uniform(0, self._longest) if self._choice.random() >= 0.8 else 0.0
        await asyncio.sleep(self.delay + late)
        if self.is_cut:
            raise StorageUnavailable("cut off")


class FakeFleetLog(FleetLog):
    """Each method looks at what is committed at one moment and may change it at a later one, as PostgreSQL does."""

    def __init__(self, tables: FakeTables, network: Network | None = None) -> None:
        self._tables = tables
        self._network = network or Network()
        self.calls: list[str] = []

    async def _turn(self, what: str) -> None:
        self.calls.append(what)
        await self._network.pass_through()

    async def newest(self) -> Position:
        await self._turn("newest")
        found = self._tables.newest
        await self._network.pass_through()
        return found

    async def oldest(self) -> int:
        await self._turn("oldest")
        return self._tables.entries[0].position.revision

    async def since(self, position: Position) -> list[Entry] | None:
        await self._turn("since")
        found = [entry for entry in self._tables.entries if entry.position.revision >= position.revision]
        await self._network.pass_through()
        return None if unseen(position, [entry.position for entry in found]) is None else found[1:]

    async def enter(self, session: int, name: str, position: Position, instead_of: int) -> None:
        await self._turn("enter")
        self._tables.nodes.pop(instead_of, None)
        self._tables.nodes[session] = Row(name, position.revision)
        await self._network.pass_through()

    async def confirm(self, session: int, beat: int, position: Position) -> Confirmation:
        await self._turn("confirm")
        is_newest = self._tables.newest == position
        await self._network.pass_through()
        row = self._tables.nodes.get(session)
        if row is None or row.beat != beat or not row.is_waited_for:
            answer = Confirmation.LOST
        elif is_newest:
            row.beat, row.confirmed = beat + 1, position.revision
            answer = Confirmation.ACCEPTED
        else:
            answer = Confirmation.BEHIND
        await self._network.pass_through()
        return answer

    async def leave(self, session: int) -> None:
        await self._turn("leave")
        self._tables.nodes.pop(session, None)
        await self._network.pass_through()

    async def lagging(self, revision: int, besides: int) -> int:
        await self._turn("lagging")
        found = len(self._behind(revision, besides))
        await self._network.pass_through()
        return found

    async def give_up(self, revision: int) -> int:
        await self._turn("give_up")
        behind = self._behind(revision, 0)
        for row in behind:
            row.is_waited_for = False
        return len(behind)

    async def tidy(self) -> None:
        await self._turn("tidy")

    def _behind(self, revision: int, besides: int) -> list[Row]:
        return [
            row
            for session, row in self._tables.nodes.items()
            if row.is_waited_for and row.confirmed < revision and session != besides
        ]
