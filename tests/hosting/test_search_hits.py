"""The content of a hit, and that it follows every change of the hosted packages."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.protocol.v3.search import SearchQuery, read_search
from nugetproxy.storage.database.base import Transaction
from tests.engines.main_database import IS_POSTGRES, fetched, only_sqlite
from tests.hosting.packages import PACKAGES
from tests.hosting.shelf import Shelf, package
from tests.protocol.writing import write_search

TABLES = ("search_versions", "search_documents", "search_hits", "search_words") + ("search_names",) * (not IS_POSTGRES)


# --- hits -------------------------------------------------------------------------------------------------------------


async def test_a_hit_has_what_clients_read(shelf: Shelf) -> None:
    await shelf.download("Contoso.Json 1.0.0", 3)
    await shelf.download("Contoso.Json 2.0.0", 4)
    raw = (await shelf.hit("Contoso.Json")).raw
    assert {
        "id": "Contoso.Json",
        "version": "2.0.0",
        "title": "JSON for Contoso",
        "description": "Reads JSON.",
        "tags": ["json", "serializer"],
        "authors": ["Somebody"],
        "owners": [],
        "packageTypes": [{"name": "Dependency"}],
        "verified": False,
        "totalDownloads": 7,
        "versions": [{"version": "1.0.0", "downloads": 3}, {"version": "2.0.0", "downloads": 4}],
    }.items() <= raw.items()


async def test_a_page_is_written_and_read_again(shelf: Shelf) -> None:
    page = await shelf.found("json")
    written = write_search(page, SearchQuery("json"), Links("https://ours.example"))
    again = read_search(written)
    assert ([hit.id for hit in page.hits], page.total) == ([hit.id for hit in again.hits], again.total)


async def test_versions_are_those_a_client_may_see_in_order(shelf: Shelf) -> None:
    await shelf.stock([package("Contoso.Modern", version) for version in ("0.9.0-a", "0.10.0", "0.9.0")])
    assert _versions((await shelf.hit("Contoso.Modern")).raw) == ["0.9.0", "0.10.0", "1.0.0"]
    both = (await shelf.hit("Contoso.Modern", prerelease=True, semver_level2=True)).raw
    assert _versions(both) == ["0.9.0-a", "0.9.0", "0.10.0", "1.0.0", "2.0.0+build.5"]


async def test_a_page_of_very_many_versions_shows_the_newest(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A thousand ids of thousands of versions each would be millions of rows in memory for one request.
    """
    await shelf.stock([package("Contoso.Modern", f"3.{number}.0") for number in range(20)])
    found = [hit.raw for hit in (await shelf.found("contoso", take=100)).hits]
    monkeypatch.setattr("nugetproxy.hosting.search.MOST_VERSIONS", 2 * len(found))

    cut = [hit.raw for hit in (await shelf.found("contoso", take=100)).hits]

    assert [raw["id"] for raw in cut] == [raw["id"] for raw in found]
    assert max(len(_versions(raw)) for raw in found) > 20
    assert [_versions(raw) for raw in cut] == [_versions(raw)[-2:] for raw in found]


def _versions(raw: dict[str, object]) -> list[str]:
    rows = raw["versions"]
    assert isinstance(rows, list)
    return [row["version"] for row in rows]


async def test_downloads_from_before_a_push_count_after_it(shelf: Shelf) -> None:
    await shelf.download("Contoso.New 1.0.0", 7)
    await shelf.stock([package("Contoso.New", "1.0.0"), package("Contoso.New", "1.1.0-beta")])
    assert (await shelf.hit("Contoso.New")).raw["totalDownloads"] == 7
    await shelf.download("Contoso.New 1.1.0-beta", 1)
    assert (await shelf.hit("Contoso.New")).raw["totalDownloads"] == 8


# --- owners -----------------------------------------------------------------------------------------------------------


async def test_owners_are_shown_and_found_as_soon_as_they_change(shelf: Shelf) -> None:
    alice, bob = (await shelf.actor("alice")).account, (await shelf.actor("bob")).account
    assert alice is not None
    assert bob is not None
    await shelf.ownership.add_owner("contoso.json", alice)
    await shelf.ownership.add_owner("contoso.json", bob)
    await shelf.ownership.add_owner("fabrikam.x", alice)
    assert (await shelf.hit("Contoso.Json")).raw["owners"] == ["alice", "bob"]
    assert await shelf.ids("owner:ALICE") == ["Contoso.Json", "Fabrikam.X"]
    assert await shelf.ids("owners:alice owner:nobody") == ["Contoso.Json", "Fabrikam.X"]
    assert await shelf.ids("owner:alice json") == ["Contoso.Json"]
    assert await shelf.ids("owner:ali") == []
    await shelf.ownership.remove_owner("contoso.json", alice)
    assert await shelf.ids("owner:alice") == ["Fabrikam.X"]


async def test_a_word_may_be_the_name_of_an_owner(shelf: Shelf) -> None:
    """
    Packages with the word in a text match too, and the other words must also match.
    """
    owner = (await shelf.actor("schema")).account
    assert owner is not None
    await shelf.ownership.add_owner("fabrikam.x", owner)
    assert await shelf.ids("schema") == ["Contoso.Json.Schema", "Fabrikam.X"]
    assert await shelf.ids("schema unknown") == ["Fabrikam.X"]
    assert await shelf.ids("schema json") == ["Contoso.Json.Schema"]


async def test_the_check_mark_is_for_owners_of_the_prefix(shelf: Shelf) -> None:
    alice = (await shelf.actor()).account
    assert alice is not None
    await shelf.ownership.reserve("Contoso.*", alice)
    await shelf.ownership.add_owner("contoso.json", alice)
    marks = {hit.id: hit.raw["verified"] for hit in (await shelf.found("json")).hits}
    assert (marks["Contoso.Json"], marks["Contoso.Json.Schema"]) == (True, False)


# --- what changes -----------------------------------------------------------------------------------------------------


async def test_a_push_is_found_and_a_deletion_is_not(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    try:
        root = await shelf.actor("root", administrator=True)
        await shelf.push(root, "Contoso.Utils", "1.0.0")
        await shelf.push(root, "Contoso.Utils", "2.0.0")
        assert (await shelf.hit("Contoso.Utils")).raw["version"] == "2.0.0"
        for version, left in (("2.0.0", ["Contoso.Utils"]), ("1.0.0", [])):
            identity = PackageIdentity.parse("Contoso.Utils", version)
            await shelf.publish.delete(root, identity, address="192.0.2.1")
            assert left == await shelf.ids("utilities")
        assert {(0,)} == {fetched(shelf.database, f"SELECT count(*) FROM {table}")[0] for table in TABLES}
    finally:
        shelf.close()


async def test_unlisting_shows_the_version_before(shelf: Shelf) -> None:
    await shelf.set_listed("Contoso.Json 2.0.0", listed=False)
    raw = (await shelf.hit("Contoso.Json")).raw
    assert (raw["version"], raw["versions"]) == ("1.0.0", [{"version": "1.0.0", "downloads": 0}])
    await shelf.set_listed("Contoso.Json 2.0.0", listed=True)
    assert (await shelf.hit("Contoso.Json")).raw["version"] == "2.0.0"


async def test_a_deprecation_shows_to_clients_that_know_of_them(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    try:
        alice = await shelf.actor()
        await shelf.push(alice, "Contoso.Utils", "1.0.0")
        await shelf.publish.deprecate(
            alice,
            PackageIdentity.parse("Contoso.Utils", "1.0.0").id,
            [PackageIdentity.parse("Contoso.Utils", "1.0.0").version],
            Deprecation(("Legacy",)),
            address="192.0.2.1",
        )
        new, old = await shelf.hit("Contoso.Utils", semver_level2=True), await shelf.hit("Contoso.Utils")
        assert (new.raw["deprecation"]["reasons"], "deprecation" in old.raw) == (["Legacy"], False)
    finally:
        shelf.close()


async def test_new_words_replace_the_old_ones(shelf: Shelf) -> None:
    await shelf.stock([package("Contoso.Json", "3.0.0", description="Writes YAML.")])
    assert (await shelf.ids("yaml"), await shelf.ids('"reads json"')) == (["Contoso.Json"], [])


@only_sqlite
async def test_two_processes_find_each_others_pushes(shelf: Shelf, tmp_path: Path) -> None:
    """
    The other one is a separate process, which pushes after it has found ours.
    """
    code = """
import asyncio, sys
from pathlib import Path
from tests.hosting.shelf import Shelf, package
async def main():
    shelf = Shelf(Path(sys.argv[1]))
    print(await shelf.ids("from this side"))
    await shelf.stock([package("Contoso.Theirs", description="From that side.")])
    shelf.close()
asyncio.run(main())
"""
    await shelf.stock([package("Contoso.Ours", description="From this side.")])
    assert await shelf.ids("that side") == []
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "['Contoso.Ours']\n"
    assert await shelf.ids("that side") == ["Contoso.Theirs"]


# --- rebuilding -------------------------------------------------------------------------------------------------------


async def test_unindexed_packages_are_indexed_later(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    try:
        await shelf.stock([*PACKAGES, *(package(f"Contoso.More{n}") for n in range(60))], indexed=False)
        await shelf.set_listed("Contoso.Hidden 1.0.0", listed=False)
        assert (await shelf.found()).total == 0
        assert await shelf.search.catch_up() == 86
        assert ((await shelf.found()).total, await shelf.ids("hidden")) == (83, [])
        assert await shelf.search.catch_up() == 0
    finally:
        shelf.close()


async def test_rows_of_other_rules_are_rebuilt(shelf: Shelf) -> None:
    await shelf.search.catch_up()
    rows = [fetched(shelf.database, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]

    def spoil(transaction: Transaction) -> None:
        transaction.change("UPDATE search_state SET rules = 0")
        for table in TABLES[3:]:
            transaction.change(f"DELETE FROM {table}")
        transaction.change("DELETE FROM search_versions")

    await shelf.database.write(spoil)
    assert await shelf.ids('title:"json for"') == []
    await shelf.search.catch_up()
    again = [fetched(shelf.database, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]
    assert await shelf.ids('title:"json for"') == ["Contoso.Json"]
    assert (rows[0], *map(len, rows)) == (again[0], *map(len, again))
