"""A soak: begins with everything, pauses twice to compare, and ends with nothing wrong and nothing left over.

Workers are only replaced before the first pause: in the second half, memory and descriptors must not grow.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nugetproxy.hosting.upkeep import check_blobs
from nugetproxy.mirroring.kept.inventory import open_ledger
from tests.engines.main_database import fetched
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import files_below
from tests.hosting.house import House
from tests.private import Accounts
from tests.serving import Server
from tests.soak.clients import EXACT_LISTS, Client, everything_listed
from tests.soak.commands import FIRST_RANGE, Commands, Operator, settings
from tests.soak.processes import deleted_files, descriptors, memory
from tests.soak.publisher import Publisher
from tests.soak.truth import Policy, Possible, Truth
from tests.soak.upstream_life import UpstreamLife

CLIENTS: Final = 8
PUBLISHERS: Final = 2
GROWTH: Final = 24_000_000
"""Bytes that a worker's memory may grow in the second half, while caches fill: measured is 12 MB in four minutes."""

LAZY: Final = 12
"""Descriptors that a worker may have more at the end: connections to its databases, which threads open on first use."""

_FRESH_SECONDS: Final = 15.0
"""How long clients may wait for a change of the upstream at a pause: a few polls of its catalog, after failures."""
_LOOKS: Final = 3
_ALWAYS: Final = ("lists", "packages", "status 403", "pushed", "published", "faults", "mirror verify")
_IN_LONG_SOAKS: Final = ("evicted", "deleted", "deleted upstream", "policy allow", "policy revoke", "reloads", "kills")
_LONG: Final = 240.0


@dataclass
class _Level:
    """What the workers held at a pause, by process id."""

    memory: dict[int, int] = field(default_factory=dict)
    descriptors: dict[int, Counter[str]] = field(default_factory=dict)


class Soak:
    """`truth` has what was found and counted."""

    def __init__(self, folder: Path, seed: int, seconds: float, *, may_kill: bool = True) -> None:
        self.truth = Truth(policy=Possible(Policy(FIRST_RANGE)))
        self._data = folder / "data"
        self._config = folder / "data.toml"
        self._seed = seed
        self._seconds = seconds
        self._may_kill = may_kill
        self._is_running = asyncio.Event()
        self._busy = 0
        self._actors: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        async with FakeUpstream() as upstream:
            self._upstream = upstream
            life = UpstreamLife(upstream, self.truth, self._chance("upstream"))
            life.begin()
            self._server = Server(self._data, "--workers", "2", config=settings(upstream.url))
            await asyncio.to_thread(self._server.start)
            try:
                await self._through(life)
            finally:
                for task in self._actors:
                    task.cancel()
                await asyncio.gather(*self._actors, return_exceptions=True)
                code = await asyncio.to_thread(self._server.stop)
            await self._look_behind(code)

    async def _through(self, life: UpstreamLife) -> None:
        commands = Commands(self._data, self._config, self.truth)
        key = await asyncio.to_thread(self._key)
        publishers = [
            Publisher(self._server, self.truth, commands, self._chance(f"publisher {n}"), f"Contoso.Soak{n}", key)
            for n in range(PUBLISHERS)
        ]
        for publisher in publishers:
            await publisher.begin()
        operator = Operator(
            self._server, self.truth, commands, self._chance("operator"), self._config, self._upstream.url,
            may_kill=self._may_kill,
        )  # fmt: skip
        clients = [
            Client(self._server, self.truth, self._chance(f"client {n}"), keeps_alive=n % 2 == 0)
            for n in range(CLIENTS)
        ]
        for client in clients:
            self._start(client.step, client.leave)
        for each in (*(publisher.step for publisher in publishers), operator.step, life.step, life.trouble):
            self._start(each)

        self._is_running.set()
        await asyncio.sleep(self._seconds * 0.4)
        operator.may_replace = False
        await asyncio.sleep(self._seconds * 0.1)
        first = await self._pause(life, operator)
        self._is_running.set()
        await asyncio.sleep(self._seconds * 0.5)
        second = await self._pause(life, operator)
        self._compare(first, second)
        evicted = await asyncio.to_thread(self._server.metric, "nugetproxy_mirror_evicted_packages_total")
        self.truth.counts["evicted"] = int(evicted) + self.truth.counts["evicted by command"]
        for name in ("mirror_quarantined_total", "catalog_conflicts_total"):
            if await asyncio.to_thread(self._server.metric, f"nugetproxy_{name}"):
                self.truth.found(f"nugetproxy_{name} is not 0")

    # --- actors ---

    def _chance(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}/{name}")

    def _start(self, step: Callable[[], Awaitable[None]], leave: Callable[[], Awaitable[None]] | None = None) -> None:
        async def act() -> None:
            while True:
                if leave is not None and not self._is_running.is_set():
                    await leave()
                await self._is_running.wait()
                self._busy += 1
                try:
                    await step()
                except Exception as error:
                    self.truth.found(f"{getattr(step, '__qualname__', step)} broke: {error!r}")
                    await asyncio.sleep(1)
                finally:
                    self._busy -= 1

        self._actors.append(asyncio.create_task(act()))

    # --- pauses ---

    async def _pause(self, life: UpstreamLife, operator: Operator) -> _Level:
        """Wait until everybody stands still; then lists must be exactly right, and nothing may be in use."""
        self._is_running.clear()
        async with asyncio.timeout(120):
            while self._busy:
                await asyncio.sleep(0.05)
        await life.heal()
        await asyncio.gather(
            *(self._is_exact(lower_id, address) for lower_id in self.truth.lists for address in EXACT_LISTS)
        )
        for versions in self.truth.lists.values():
            versions.settle()
        verified = await operator.verify()
        if verified is not None and not self.truth.counts["kills"] and (verified["missing"] or verified["added"]):
            self.truth.found(f"the inventory differed from the files without a kill: {verified}")
        await self._until_empty("spool")
        await self._until_closed()
        self._upstream.log.clear()
        level = _Level()
        for pid in self._server.workers():
            level.memory[pid] = memory(pid)
            level.descriptors[pid] = descriptors(pid, self._upstream.port)
        print(f"pause at {datetime.now(UTC):%H:%M:%S}", flush=True)
        return level

    async def _is_exact(self, lower_id: str, address: str) -> None:
        """Several looks, because each comes from another worker."""
        policy = self.truth.policy.now
        deadline, right = time.monotonic() + _FRESH_SECONDS, 0
        expected = {v for v in self.truth.lists[lower_id].now if not policy.withholds((lower_id, v))}
        while right < _LOOKS:
            listed = await everything_listed(self._server, lower_id, address)
            if listed == expected:
                right += 1
                continue
            if time.monotonic() > deadline:
                self.truth.found(f"{address} of {lower_id}: still {sorted(listed)}, expected {sorted(expected)}")
                return
            await asyncio.sleep(0.2)

    async def _until_empty(self, folder: str) -> None:
        deadline = time.monotonic() + 10
        while left := files_below(self._data / folder):
            if time.monotonic() > deadline:
                self.truth.found(f"left in {folder}/: {sorted(left)}")
                return
            await asyncio.sleep(0.1)

    async def _until_closed(self) -> None:
        """Deleted files, such as evicted packages, must not stay open."""
        deadline = time.monotonic() + 15
        while deleted := self._deleted():
            if time.monotonic() > deadline:
                self.truth.found(f"deleted files are still open: {sorted(deleted)}")
                return
            await asyncio.sleep(0.2)

    def _deleted(self) -> set[str]:
        return set[str]().union(*(deleted_files(pid, self._data) for pid in self._server.workers()))

    def _compare(self, first: _Level, second: _Level) -> None:
        if set(first.memory) != set(second.memory):
            self.truth.found(f"workers ended by themselves: {set(first.memory)}, {set(second.memory)}")
        for pid, before in first.memory.items():
            after = second.memory.get(pid, before)
            print(f"worker {pid}: {before / 1e6:.1f} MB, then {after / 1e6:.1f} MB; "
                  f"{first.descriptors[pid].total()} descriptors, then {second.descriptors[pid].total()}")  # fmt: skip
            if after - before > GROWTH:
                self.truth.found(f"worker {pid} grew from {before / 1e6:.1f} to {after / 1e6:.1f} MB")
            more = second.descriptors.get(pid, Counter()) - first.descriptors[pid]
            if more.total() > LAZY:
                self.truth.found(f"worker {pid} has more descriptors than before: {dict(more)}")

    # --- the end ---

    def _key(self) -> str:
        accounts = Accounts(self._data)
        accounts.add_user("bob")
        return accounts.add_key("soak", "bob")

    async def _look_behind(self, code: int | None) -> None:
        """After the server has stopped."""
        if code != 0:
            self.truth.found(f"the server ended with {code}")
        if "Traceback" in self._server.log:
            trace = self._server.log.partition("Traceback")[2]
            self.truth.found(f"a traceback in the log:{trace[:2000]}")
        for name in ("spool", "quarantine"):
            if left := files_below(self._data / name) if (self._data / name).exists() else set():
                self.truth.found(f"left in {name}/: {sorted(left)}")
        mirror = self._data / "mirror"
        if strange := {name for name in files_below(mirror) if not name.endswith((".nupkg", ".nuspec"))}:
            self.truth.found(f"strange files in mirror/: {sorted(strange)}")
        kept = {
            (path.parts[-3], path.parts[-2]): path.stat().st_size for path in mirror.rglob("*.nupkg")
        }  # fmt: skip
        with closing(open_ledger(self._data / "inventory.db")) as database:
            rows = database.fetch_now("SELECT lower_id, lower_version, size FROM mirrored_packages")
        if differing := kept.items() ^ {(row[0], row[1]): row[2] for row in rows}.items():
            self.truth.found(f"inventory and files differ: {sorted(differing)}")
        house = House(self._data)
        try:
            if broken := await check_blobs(house.database, house.packages, house.blobs):
                self.truth.found(f"hosted files are broken: {broken}")
            if house.leftovers():
                self.truth.found(f"left beside hosted files: {house.leftovers()}")
            if fetched(house.database, "PRAGMA integrity_check") != [("ok",)]:
                self.truth.found("nugetproxy.db is damaged")
        finally:
            house.close()
        for name in _ALWAYS + (_IN_LONG_SOAKS if self._seconds >= _LONG else ()):
            if not self.truth.counts[name] and (name != "kills" or self._may_kill):
                self.truth.found(f"this never happened: {name}")
