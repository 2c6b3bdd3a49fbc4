"""Which PDBs kept packages name: read once, off the event loop, whatever is in them."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from nugetproxy.errors import Busy
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.inventory import Inventory, open_ledger
from nugetproxy.mirroring.kept.symbols import KeptSymbols, MirroredPdb
from nugetproxy.mirroring.symbols import reading as module
from nugetproxy.mirroring.symbols.reading import LEASE, SymbolsReading
from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.leases import Leases
from tests.flows.symbols import Build
from tests.mirroring.bundle.shelf import Shelf
from tests.symbol_builders import make_debuggable

A, B = Build("A"), Build("B")


@pytest.fixture
async def shelf(tmp_path) -> Shelf:
    """Two packages, of which one is damaged inside, and a third without assemblies."""
    made = Shelf(tmp_path / "data")
    both = {"lib/net8.0/A.dll": A.dll, "lib/net8.0/B.dll": B.dll}
    await made.put("Both", content=make_debuggable("Both", files=both))
    await made.put("Odd", content=make_debuggable("Odd", files={"lib/net8.0/A.dll": A.dll}))
    await made.put("Plain")
    odd = made.path("Odd")
    odd.write_bytes(odd.read_bytes()[:-10])
    return made


@pytest.fixture
def database(shelf: Shelf) -> Iterator[SqliteDatabase]:
    with closing(open_ledger(shelf.data / "inventory.db")) as opened:
        yield opened


@pytest.fixture
def leases(shelf: Shelf) -> Leases:
    return Leases(shelf.data / "locks")


@pytest.fixture
async def reading(shelf, database, leases):
    made = SymbolsReading(KeptSymbols(database), shelf.blobs, leases)
    yield made
    await made.close()


def names(pdbs: list[MirroredPdb] | None) -> list[str]:
    return sorted(each.lower_name for each in pdbs or [])


async def test_all_packages_are_read_once(database, reading):
    rows = KeptSymbols(database)
    assert rows.has_unread()
    assert rows.of(("up", "both", "1.0.0")) is None
    assert await reading.catch_up()
    assert not rows.has_unread()
    assert not await reading.catch_up()
    assert names(rows.of(("up", "both", "1.0.0"))) == ["a.pdb", "b.pdb"]
    assert names(rows.of(("up", "plain", "1.0.0"))) == []
    assert names(rows.of(("up", "odd", "1.0.0"))) == [], "it cannot be read, and does not stop the others"
    assert [each.lower_id for each in rows.find("a.pdb", f"{A.guid.hex}ffffffff")] == ["both"]


async def test_a_debugger_does_not_wait_for_ever(database, reading, leases, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    async with leases.hold(LEASE):  # another process reads
        with pytest.raises(Busy, match="assemblies of kept packages") as told:
            await reading.catch_up()
    assert told.value.retry_after
    monkeypatch.setattr(module, "_PATIENCE", 10.0)
    await reading.catch_up()
    assert not KeptSymbols(database).has_unread()


async def test_what_is_kept_is_counted_with_its_package(database, reading):
    rows, files, inventory = KeptSymbols(database), KeptFiles(database), Inventory(database)
    plain = inventory.totals().bytes
    one, other = await reading.of(("up", "both", "1.0.0"))

    async def counted() -> tuple[int, int]:
        [file] = await files.all("both")
        assert file.occupied == file.size + file.symbols
        return inventory.totals().bytes - plain, file.symbols

    assert await counted() == (0, 0)
    await rows.keep(replace(one, size=100))
    await rows.keep(replace(other, size=20))
    assert await counted() == (120, 120)
    await rows.keep(replace(one, size=50))
    await rows.keep(replace(other, size=0))
    assert await counted() == (50, 50)
    assert [each.lower_key for each in rows.all_kept()] == [one.lower_key]
    [file] = await files.all("both")
    await files.remove([file])
    assert inventory.totals().bytes == plain - file.size
    assert rows.find(one.lower_name, one.lower_key) == []


async def test_an_absence_is_that_of_all_packages_of_the_upstream(shelf, database, reading):
    rows = KeptSymbols(database)
    await shelf.put("Again", content=make_debuggable("Again", files={"lib/net8.0/A.dll": A.dll}))
    await shelf.put("Both", upstream="other", content=make_debuggable("Both", files={"lib/net8.0/A.dll": A.dll}))
    await reading.catch_up()
    pdbs = rows.find("a.pdb", f"{A.guid.hex}ffffffff")
    assert len(pdbs) == 3
    await rows.note_absent(next(each for each in pdbs if each.lower_id == "again"), 7)
    found = {(each.upstream, each.lower_id): each.absent for each in rows.find("a.pdb", f"{A.guid.hex}ffffffff")}
    assert found == {("up", "again"): 7, ("up", "both"): 7, ("other", "both"): 0}
