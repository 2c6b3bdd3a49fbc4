"""Pins, in the inventory of one machine and in the database of a fleet."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nugetproxy.mirroring.kept.inventory import open_ledger
from nugetproxy.mirroring.kept.pins import Pin, Pins
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.postgres import PostgresDatabase
from tests.mirroring.care.packages import DAY, Mirror
from tests.mirroring.care.test_eviction import Upstream, made


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        with closing(open_ledger(tmp_path / "pins.db")) as sqlite:
            yield sqlite
        return
    name = request.getfixturevalue("shared_database")
    with closing(PostgresDatabase(request.getfixturevalue("postgres").dsn(name))) as postgres:
        yield postgres


async def test_pins_are_added_replaced_and_removed(database: Database):
    pins = Pins(database)
    await pins.add(Pin("a", "1.0.0", "x", "old", 1), Pin("a", "", "y", "", 2), Pin("b", "1.0.0", "x", "", 3))
    await pins.add(Pin("a", "1.0.0", "x", "new", 4))
    held = await pins.held()

    assert [(pin.lower_version, pin.reason, pin.since) for pin in await pins.of("a", "1.0.0")] == [
        ("1.0.0", "new", 4),
        ("", "", 2),
    ]
    assert len(await pins.of("a", "2.0.0")) == 1
    assert [held(*each) for each in (("a", "9.0.0"), ("b", "1.0.0"), ("b", "2.0.0"), ("c", "1.0.0"))] == [
        True,
        True,
        False,
        False,
    ]
    assert (await pins.remove("a", ""), await pins.remove_all("x"), await pins.all()) == (1, 2, [])


async def test_pins_of_a_fleet_hold_for_the_disk_of_each_node(tmp_path: Path, database: Database):
    with closing(open_ledger(tmp_path / "inventory.db")) as inventory:
        mirror, pins = Mirror(tmp_path, inventory), Pins(database)
        for number in range(3):
            await mirror.keep(f"p{number}", used=number * DAY)
        await pins.add(Pin("p0", "", "x", "", 1), Pin("p1", "2.0.0", "x", "", 1))
        await made(mirror, Upstream(), pins=pins).free(1)

        assert mirror.names() == ["p0", "p2"]
