"""What foresight asks of the feed, and what it leaves alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.feeds.base import Part
from nugetproxy.mirroring.foresight import foresight as module
from nugetproxy.mirroring.foresight.admission import MOST_AT_UNKNOWN_SPEED
from nugetproxy.mirroring.foresight.foresight import Asker, Foresight
from nugetproxy.mirroring.upstream.pace import Speed
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from tests.builders import make_nupkg
from tests.mirroring.foresight.scripted import Graph, GraphFeed, ScriptedUpstream, settled

CHAIN: Graph = {f"Link{n} 1.0.0": [(f"Link{n + 1}", "1.0.0")] for n in range(9)} | {"Link9 1.0.0": []}
WIDE: Graph = {"Root 1.0.0": [(f"Leaf{n}", "1.0.0") for n in range(40)]} | {f"Leaf{n} 1.0.0": [] for n in range(40)}


class Restoring:
    """One restore of one feed, through a foresight of its own."""

    def __init__(self, graph: Graph, *, ours: str = "", has_disk: bool = True) -> None:
        self.upstream = ScriptedUpstream()
        self.foresight = Foresight(
            lambda _lower_id: [self.upstream],
            self.is_ours,
            kept=lambda upstream, package_id: self.feed.kept_versions(package_id) if upstream == "up" else (),
            has_disk=lambda: has_disk,
        )
        self.ours = ours
        self.feed = GraphFeed(graph, self.foresight)
        self.asker = self.of("session")

    async def is_ours(self, lower_id: str) -> bool:
        return bool(self.ours) and lower_id.startswith(self.ours)

    def of(self, session: str) -> Asker:
        asker = self.foresight.asker(session, "7.9.0", self.feed.feed)
        assert asker is not None
        return asker

    async def ask(self, name: str, *, session: str = "session") -> None:
        """As a client asks for a package."""
        package, asker = PackageIdentity.parse(*name.split()), self.of(session)
        self.foresight.package_asked(asker, package)
        answer = await self.feed.content(package, Part.NUPKG)
        self.foresight.package_answered(asker, package, answer.value)
        self.feed.packages.remove(name)

    def list(self, package_id: str) -> None:
        self.foresight.versions_asked(self.asker, PackageId.parse(package_id))


@asynccontextmanager
async def restoring(graph: Graph, *, ours: str = "", has_disk: bool = True) -> AsyncIterator[Restoring]:
    restore = Restoring(graph, ours=ours, has_disk=has_disk)
    try:
        yield restore
    finally:
        await restore.foresight.close()


async def test_a_chain_is_fetched_to_its_end_while_the_client_has_its_first_link():
    async with restoring(CHAIN) as restore:
        await restore.ask("Link0 1.0.0")
        await settled(restore.foresight)
        assert restore.feed.packages == [f"Link{n} 1.0.0" for n in range(1, 10)]
        assert restore.feed.lists == [f"Link{n}" for n in range(1, 10)]


async def test_nothing_is_asked_twice_for_one_restore_nor_for_the_next():
    async with restoring(CHAIN) as restore:
        await restore.ask("Link0 1.0.0")
        await settled(restore.foresight)
        for number in range(1, 10):
            restore.list(f"Link{number}")
            await restore.ask(f"Link{number} 1.0.0")
        await restore.ask("Link0 1.0.0", session="another")
        await settled(restore.foresight)
        assert len(restore.feed.packages) == len(restore.feed.lists) == 9


async def test_the_list_decides_where_the_lowest_version_does_not_exist():
    graph = {
        "A 1.0.0": [("B", "1.5.0"), ("C", "(1.0.0, 3.0.0)"), ("D", "9.0.0")],
        **dict.fromkeys(("B 1.0.0", "B 2.0.0", "B 3.0.0", "C 1.0.0", "C 2.0.0-beta", "C 2.5.0", "D 1.0.0"), ()),
    }
    async with restoring(graph) as restore:
        await restore.ask("A 1.0.0")
        await settled(restore.foresight)
        assert sorted(restore.feed.packages) == ["B 1.5.0", "B 2.0.0", "C 2.5.0", "D 9.0.0"]


async def test_a_version_below_one_that_the_client_has_is_left_out():
    async with restoring({"A 1.0.0": [("B", "1.0.0")], "B 1.0.0": [], "B 2.0.0": []}) as restore:
        await restore.ask("B 2.0.0")
        await restore.ask("A 1.0.0")
        await settled(restore.foresight)
        assert restore.feed.packages == []


async def test_what_a_kept_package_needs_is_fetched_unless_a_kept_version_will_do():
    """
    A restore may have passed over the lowest version for a higher one, and the next will do so again.
    """
    graph = {
        "A 1.0.0": [("B", "1.0.0"), ("C", "1.0.0"), ("D", "(1.0.0, )"), ("E", "2.0.0")],
        **dict.fromkeys(("B 1.0.0", "B 2.0.0", "C 1.0.0", "D 1.5.0", "D 2.0.0", "E 1.0.0", "E 2.0.0"), ()),
    }
    async with restoring(graph) as restore:
        restore.feed.kept |= {"A 1.0.0", "B 2.0.0", "D 2.0.0", "E 1.0.0"}
        await restore.ask("A 1.0.0")
        await settled(restore.foresight)
        assert restore.feed.packages == restore.feed.lists == []
        restore.foresight.missed(restore.asker)
        await settled(restore.foresight)
        assert sorted(restore.feed.packages) == ["C 1.0.0", "E 2.0.0"]
        assert sorted(restore.feed.lists) == ["B", "C", "D", "E"]
        restore.foresight.missed(restore.of("another"))
        await restore.ask("A 1.0.0", session="another")
        await settled(restore.foresight)
        assert len(restore.feed.packages) == 2
        assert len(restore.feed.lists) == 4


async def test_an_id_that_is_ours_is_asked_of_nobody():
    graph = {"A 1.0.0": [("Secret.Core", "1.0.0"), ("B", "1.0.0")], "B 1.0.0": [], "Secret.Core 1.0.0": []}
    async with restoring(graph, ours="secret.") as restore:
        await restore.ask("A 1.0.0")
        await settled(restore.foresight)
        assert (restore.feed.packages, restore.feed.lists) == (["B 1.0.0"], ["B"])


async def test_a_feed_that_cannot_say_whose_an_id_is_is_not_asked():
    async def fails(_: str) -> bool:
        raise StorageUnavailable("the database is gone")

    async with restoring(CHAIN) as restore:
        restore.foresight._is_ours = fails
        await restore.ask("Link0 1.0.0")
        await settled(restore.foresight)
        assert restore.feed.packages == restore.feed.lists == []


@pytest.mark.parametrize(
    ("trouble", "lists", "packages"),
    [
        (lambda upstream: setattr(upstream, "is_calm", False), 0, 0),
        (lambda upstream: setattr(upstream, "speed", Speed.SLOW), 1, 0),
        (lambda upstream: setattr(upstream, "connections", 1), 0, 0),
        (lambda upstream: setattr(upstream, "asking", 32), 0, 0),
    ],
    ids=["in trouble or throttled", "slow", "one connection", "clients wait"],
)
async def test_an_upstream_with_other_worries_is_left_alone(
    trouble: Callable[[ScriptedUpstream], None], lists: int, packages: int
):
    async with restoring(CHAIN) as restore:
        trouble(restore.upstream)
        await restore.ask("Link0 1.0.0")
        await asyncio.sleep(0.06)
        assert (len(restore.feed.lists), len(restore.feed.packages)) == (lists, packages)


async def test_what_found_no_room_begins_when_there_is_some():
    async with restoring(CHAIN) as restore:
        restore.upstream.asking = 32
        await restore.ask("Link0 1.0.0")
        restore.upstream.asking = 0
        await settled(restore.foresight)
        assert len(restore.feed.packages) == 9


async def test_without_disk_only_lists_are_fetched():
    async with restoring(CHAIN, has_disk=False) as restore:
        await restore.ask("Link0 1.0.0")
        await settled(restore.foresight)
        assert (restore.feed.lists, restore.feed.packages) == (["Link1"], [])


@pytest.mark.parametrize(
    ("connections", "speed", "packages"),
    [(8, Speed.FAST, 2), (32, Speed.FAST, 8), (32, Speed.UNKNOWN, MOST_AT_UNKNOWN_SPEED), (2, Speed.FAST, 0)],
)
async def test_half_of_the_connections_is_the_most(connections: int, speed: Speed, packages: int):
    async with restoring(WIDE) as restore:
        restore.upstream.connections, restore.upstream.speed = connections, speed
        await restore.ask("Root 1.0.0")
        restore.feed.open.clear()
        await asyncio.sleep(0.06)
        assert restore.feed.running["packages"] == packages
        assert restore.feed.running.total() == connections // 2
        restore.feed.open.set()


async def test_bytes_ahead_that_nobody_came_for_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_BYTES_AHEAD", 1_500)
    async with restoring(CHAIN) as restore:
        await restore.ask("Link0 1.0.0")
        await settled(restore.foresight)
        fetched = len(restore.feed.packages)
        assert 1 <= fetched < 9
        assert restore.foresight._ledger.bytes_ahead >= 1_500
        for number in range(1, fetched + 2):
            await restore.ask(f"Link{number} 1.0.0")
        await settled(restore.foresight)
        assert len(restore.feed.packages) > fetched


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_QUEUED", 10)
    async with restoring(WIDE) as restore:
        restore.upstream.asking = 32
        await restore.ask("Root 1.0.0")
        assert len(restore.foresight._queue) == 10


async def test_the_end_cancels_what_runs_and_begins_nothing():
    restore = Restoring(WIDE)
    await restore.ask("Root 1.0.0")
    restore.feed.open.clear()
    await asyncio.sleep(0.01)
    running = restore.feed.running.total()
    assert running > 0
    await restore.foresight.close()
    assert restore.feed.cancelled == running
    restore.feed.open.set()
    asked = len(restore.feed.packages)
    await restore.ask("Root 1.0.0", session="another")
    await asyncio.sleep(0.06)
    assert len(restore.feed.packages) == asked
    assert not restore.foresight._tasks


async def test_a_nuspec_of_something_else_leads_nowhere():
    async with restoring(CHAIN) as restore:
        package = PackageIdentity.parse("Other", "1.0.0")
        restore.foresight.package_asked(restore.asker, package)
        watcher = restore.foresight.watch(package)
        assert watcher is not None
        assert not watcher(make_nupkg("Link0", "1.0.0", dependencies=CHAIN["Link0 1.0.0"]))
        assert not restore.foresight._tasks
        assert restore.foresight.watch(package) is None


async def test_only_downloads_that_a_restore_asks_for_are_watched():
    async with restoring(CHAIN) as restore:
        assert restore.foresight.watch(PackageIdentity.parse("Link0", "1.0.0")) is None
