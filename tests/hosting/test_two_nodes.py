"""The private feed of two nodes over one PostgreSQL: what must be decided once is decided once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nugetproxy.errors import PackageExists, PackageNotFound, VersionNotFound
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.database.postgres import PostgresDatabase
from tests.engines.postgres import PostgresServer
from tests.hosting.house import House

ONE = PackageIdentity.parse("Contoso.Utils", "1.0.0")
EVENTS = "SELECT sequence, stamp, kind FROM hosted_events ORDER BY sequence"


@pytest.fixture
def nodes(
    postgres: PostgresServer, shared_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[House]]:
    dsn = postgres.dsn(shared_database)
    monkeypatch.setattr("tests.hosting.house.open_test_database", lambda _: PostgresDatabase(dsn))
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(House(tmp_path / name))
    yield made
    for node in made:
        node.close()


async def test_of_two_pushes_of_one_version_one_succeeds(nodes: list[House]) -> None:
    actors = [await node.actor() for node in nodes]
    outcomes = await asyncio.gather(
        *(node.push(actor) for node, actor in zip(nodes, actors, strict=True)), return_exceptions=True
    )
    assert sorted(isinstance(outcome, PackageExists) for outcome in outcomes) == [False, True]
    assert [kind for _, _, kind in await nodes[0].database.fetch(EVENTS)] == ["details"]
    found = [await node.packages.find(ONE) for node in nodes]
    assert found[0] == found[1] is not None


async def test_the_log_of_events_has_no_gap_and_grows(nodes: list[House]) -> None:
    """Whichever nodes push, and however their clocks differ."""
    nodes[1].now -= 3_600_000_000_000
    actors = [await node.actor() for node in nodes]
    pushing = (
        node.push(actor, f"Contoso.P{n}", version)
        for n, (node, actor) in enumerate(zip(nodes, actors, strict=True))
        for version in ("1.0.0", "2.0.0", "3.0.0", "4.0.0")
    )
    await asyncio.gather(*pushing)
    events = await nodes[0].database.fetch(EVENTS)
    stamps = [stamp for _, stamp, _ in events]
    assert [sequence for sequence, _, _ in events] == list(range(1, 9))
    assert stamps == sorted(set(stamps))


async def test_the_other_node_sees_every_act(nodes: list[House]) -> None:
    one, two = nodes
    actor = await one.actor("root", administrator=True)
    await one.push(actor)
    await two.publish.unlist(actor, ONE, address="192.0.2.2")
    unlisted = await one.packages.find(ONE)
    assert unlisted is not None
    assert not unlisted.listed
    await one.publish.delete(actor, ONE, address="192.0.2.1")
    assert await two.packages.find(ONE) is None
    with pytest.raises((PackageNotFound, VersionNotFound)):
        await two.publish.relist(actor, ONE, address="192.0.2.2")
    with pytest.raises(PackageExists):
        await two.push(actor)
    assert await two.audited() == await one.audited()
