"""The inventory of kept packages: it follows the files, and its failures stop nothing."""

import sqlite3
from pathlib import Path

import pytest

from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage, Totals, open_ledger
from nugetproxy.nuget.nuspec import read_nuspec
from tests.builders import make_nuspec


@pytest.fixture
def ledger(tmp_path: Path):
    database = open_ledger(tmp_path / "inventory.db")
    yield database
    database.close()


def a_package(package_id: str = "Contoso.Utils", version: str = "1.0.0", size: int = 10, **nuspec: str) -> KeptPackage:
    manifest = read_nuspec(make_nuspec(package_id, version, **nuspec))  # type: ignore[arg-type]  # texts only
    return KeptPackage("up", manifest, size, "hash", 1)


async def entered(ledger, *packages: KeptPackage) -> Inventory:
    inventory = Inventory(ledger)
    for package in packages:
        inventory.add(package)
    await ledger.write(lambda _: None)
    return inventory


async def test_totals_follow_the_rows(ledger):
    inventory = await entered(ledger, a_package(size=10), a_package(version="2.0.0", size=5))
    assert inventory.totals() == Totals(2, 15)


async def test_a_package_entered_twice_counts_once(ledger):
    inventory = await entered(ledger, a_package(size=10), a_package(size=12))
    assert inventory.totals() == Totals(1, 12)


async def test_hashes_are_found_by_identity(ledger):
    inventory = await entered(ledger, a_package())
    assert inventory.content_hash("up", "contoso.utils", "1.0.0") == "hash"
    assert inventory.content_hash("up", "contoso.utils", "2.0.0") is None
    assert inventory.content_hash("other", "contoso.utils", "1.0.0") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("contoso", True),
        ("CONTOSO utils", True),
        ("contoso absent", False),
        ("packageid:contoso.utils", True),
        ("packageid:contoso", False),
        ("PackageId:Contoso.Utils", True),
        ("id:utils", True),
        ("id:absent", False),
        ("tags:parsing", True),
        ('title:"utils"', True),
        ("author:nobody", False),
        ("unknown:field", True),
        ("%", False),
        ("'; DROP TABLE mirrored_packages; --", False),
    ],
)
async def test_the_query_language(ledger, text, found):
    inventory = await entered(ledger, a_package(tags="parsing"))
    assert inventory.search("up", text, None) == (["Contoso.Utils"] if found else [])


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("", ["A.B", "Ab", "B"]), ("a", ["A.B", "Ab"]), ("A.", ["A.B"]), ("c", []), ("_", []), ("%", [])],
)
async def test_prefixes_are_taken_by_the_letter(ledger, prefix, expected):
    inventory = await entered(ledger, *(a_package(name) for name in ("A.B", "Ab", "B")))
    assert inventory.ids_starting_with("up", prefix) == expected


class TestOpening:
    def test_an_unreadable_ledger_is_moved_aside(self, tmp_path):
        path = tmp_path / "inventory.db"
        path.write_bytes(b"this is no database, whatever it is" * 100)
        database = open_ledger(path)
        try:
            assert Inventory(database).totals() == Totals(0, 0)
        finally:
            database.close()
        assert (tmp_path / "inventory.db.unreadable").exists()

    async def test_where_nothing_can_be_written_it_lives_in_memory(self, tmp_path):
        """
        A full or read-only disk does not prevent a start.
        """
        database = open_ledger(tmp_path / "no such folder" / "inventory.db")
        try:
            assert (await entered(database, a_package())).totals().packages == 1
        finally:
            database.close()

    def test_several_processes_may_open_it_at_once(self, tmp_path):
        databases = [open_ledger(tmp_path / "inventory.db") for _ in range(3)]
        for database in databases:
            database.close()
        with sqlite3.connect(tmp_path / "inventory.db") as connection:
            assert connection.execute("SELECT count(*) FROM mirrored_totals").fetchone() == (1,)
        connection.close()
