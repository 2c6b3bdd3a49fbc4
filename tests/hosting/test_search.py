"""Searching what is hosted: nuget.org's query language over thirty packages, filters, order and pages."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nugetproxy.hosting import search_pages
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.protocol.v3.search import CompletionQuery, SearchPage, SearchQuery, read_search, write_search
from tests.hosting.shelf import Shelf, package

PACKAGES = [
    package("Contoso.Json", "1.0.0", title="JSON for Contoso", tags="json serializer", description="Reads JSON."),
    package("Contoso.Json", "2.0.0", title="JSON for Contoso", tags="json serializer", description="Reads JSON."),
    package("Contoso.Json.Schema", description="Checks documents against a schema.", tags="json schema"),
    package("Contoso.HtmlAgilityPack", description="A parser of pages.", tags="html parser", authors="Jane Roe"),
    package("Contoso.Logging", "1.0.0", description="Writes lines.", tags="logging", summary="Structured lines"),
    package("Contoso.Logging", "2.0.0-beta", description="Writes lines soon.", tags="logging preview"),
    package("Contoso.Logging.File", description="Writes lines to files.", tags="logging file"),
    package("Contoso.Log4Net.Bridge", description="From log4net to ours.", authors="Jane Roe, John Doe"),
    package("Contoso.Tool", types=["DotnetTool"], description="A command.", tags="tool"),
    package("Contoso.Template", types=["Template", "DotnetTool"], description="A template and a command."),
    package("Contoso.Preview", "1.0.0-alpha", description="Only a preview."),
    package("Contoso.Modern", "1.0.0", description="From the days before."),
    package("Contoso.Modern", "2.0.0+build.5", description="Only for new clients."),
    package("Contoso.Future", "1.0.0-rc.1", description="A preview for new clients."),
    package("Contoso.Hidden", description="Never to be seen."),
    package("Contoso.Entity_Core", description="Entities."),
    package("Contoso.Größe.Straße", description="Über Größen und Straßen.", tags="größe"),
    package("Contoso.Nihongo", description="これは日本語の説明です", tags="日本語"),
    package("Contoso.CSharp", description="Tools for C# and C++ in .NET.", tags="c# c++"),
    package("Fabrikam.Csv", description="Reads CSV files with a json header.", tags="csv"),
    package("Fabrikam.CsvHelper", description="Helps with csv.", tags="csv helper"),
    package("Fabrikam.Xml", description="XMLReader and XMLWriter for everyone.", tags="xml"),
    package("Fabrikam.Http.Client", description="Calls servers.", tags="http client", authors="Fabrikam AB"),
    package("Fabrikam.Http.Server", description="Answers clients.", tags="http server", authors="Fabrikam AB"),
    package("Fabrikam.IO", description="Input and output.", title="Streams: input, output"),
    package("Fabrikam.X", description="The unknown."),
    package("A", description="A very short id."),
    package("Net48", description="Old things."),
    package("json", description="A name that others have in theirs."),
]


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    """The packages above; Contoso.Hidden is unlisted."""
    opened = Shelf(tmp_path)
    await opened.stock(PACKAGES)
    await opened.set_listed("Contoso.Hidden 1.0.0", listed=False)
    yield opened
    opened.close()


CASES = {
    # free words
    "schema": "Contoso.Json.Schema",
    "SCHEMA": "Contoso.Json.Schema",
    "json schema": "Contoso.Json.Schema",
    "json csv": "Fabrikam.Csv",
    "nothing-of-that-kind": "",
    "json nothing": "",
    "serializ": "Contoso.Json",
    "fabrikam.http.client": "Fabrikam.Http.Client",
    "http answers": "Fabrikam.Http.Server",
    "http server": "Fabrikam.Http.Client Fabrikam.Http.Server",  # one calls servers
    '"answers clients"': "Fabrikam.Http.Server",
    '"clients answers"': "",
    "structured": "",  # the summary of a version that is latest only without prereleases
    # how words are cut
    "agility": "Contoso.HtmlAgilityPack",
    "htmlagility": "Contoso.HtmlAgilityPack",
    "HtmlAgilityPack": "Contoso.HtmlAgilityPack",
    "html agility": "Contoso.HtmlAgilityPack",
    "gilitypa": "Contoso.HtmlAgilityPack",
    "log4net": "Contoso.Log4Net.Bridge",
    "xmlreader": "Fabrikam.Xml",
    "XmlReader": "Fabrikam.Xml",
    "reader": "Fabrikam.Xml",
    "entity": "Contoso.Entity_Core",
    "entity_core": "Contoso.Entity_Core",
    "oso.ent": "Contoso.Entity_Core",
    "contoso.htmlagil": "Contoso.HtmlAgilityPack",
    ".entity_": "Contoso.Entity_Core",
    "contosojsonschema": "Contoso.Json.Schema",
    "strasse": "Contoso.Größe.Straße",
    "GROSSE": "Contoso.Größe.Straße",
    "größe": "Contoso.Größe.Straße",
    "日本語": "Contoso.Nihongo",
    "本語": "Contoso.Nihongo",
    "日語": "",
    "c#": "Contoso.CSharp",
    "c++ tools": "Contoso.CSharp",
    "io": "Fabrikam.IO",
    "fabrikam x": "Fabrikam.X",  # a letter stands for itself
    "!!! xmlreader ???": "Fabrikam.Xml",
    # words of the language that are dropped
    "html AND agility": "Contoso.HtmlAgilityPack",
    "NOT xmlreader OR": "Fabrikam.Xml",
    # fields
    "packageid:contoso.json": "Contoso.Json",
    "PackageId:CONTOSO.JSON": "Contoso.Json",
    "packageid:contoso": "",
    "packageid:contoso.json packageid:fabrikam.x": "Contoso.Json Fabrikam.X",
    "packageid:contoso.größe.straße": "Contoso.Größe.Straße",
    "id:agility": "Contoso.HtmlAgilityPack",
    "id:son.sch": "Contoso.Json.Schema",
    "id:x": "Fabrikam.X",
    'id:"http client"': "Fabrikam.Http.Client",
    "id:structured": "",
    "tags:csv": "Fabrikam.Csv Fabrikam.CsvHelper",
    "tag:helper": "Fabrikam.CsvHelper",
    "tags:hel": "",
    "tags:helper tag:schema": "Contoso.Json.Schema Fabrikam.CsvHelper",
    "tags:csv tags:xml id:csv": "Fabrikam.Csv Fabrikam.CsvHelper",
    "tags:c#": "Contoso.CSharp",
    'title:"json for"': "Contoso.Json",
    "title:streams": "Fabrikam.IO",
    'description:"reads json"': "Contoso.Json",
    "description:serializer": "",
    'author:"jane roe"': "Contoso.HtmlAgilityPack Contoso.Log4Net.Bridge",
    "authors:doe": "Contoso.Log4Net.Bridge",
    "summary:structured": "",
    "version:2.0.0 id:json": "Contoso.Json",
    "version:2.0 id:json": "Contoso.Json",
    "version:1.0.0 id:json.schema": "Contoso.Json.Schema",
    "version:nonsense": "",
    "*:schema": "Contoso.Json.Schema",
    "id:csv description:header": "Fabrikam.Csv",
    "id:csv description:xmlreader": "",
    "id:csv header": "Fabrikam.Csv",
    "invalid:x schema": "Contoso.Json.Schema",
    "id:!!!": "",
    "tags:?": "",
    # unlisted
    "hidden": "",
    "packageid:contoso.hidden": "",
}


async def test_the_query_language_of_nuget_org(shelf: Shelf) -> None:
    wrong = {
        text: ids
        for text, expected in CASES.items()
        if (ids := " ".join(sorted(await shelf.ids(text, prerelease=True)))) != expected
    }
    assert wrong == {}


@pytest.mark.parametrize("text", ["", " ", '""', "AND", "invalid:x", "!!!", "*", "id:"])
async def test_what_asks_for_nothing_in_particular_finds_everything(shelf: Shelf, text: str) -> None:
    """
    Everything listed, by downloads.
    """
    await shelf.download("Fabrikam.X 1.0.0", 5)
    page = await shelf.found(text)
    assert (page.hits[0].id, page.total) == ("Fabrikam.X", 23)


# --- who sees what ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package_id", "plain", "prerelease", "semver2", "both"),
    [
        ("Contoso.Json", "2.0.0", "2.0.0", "2.0.0", "2.0.0"),
        ("Contoso.Logging", "1.0.0", "2.0.0-beta", "1.0.0", "2.0.0-beta"),
        ("Contoso.Preview", None, "1.0.0-alpha", None, "1.0.0-alpha"),
        ("Contoso.Modern", "1.0.0", "1.0.0", "2.0.0+build.5", "2.0.0+build.5"),
        ("Contoso.Future", None, None, None, "1.0.0-rc.1"),
        ("Contoso.Hidden", None, None, None, None),
    ],
)
async def test_each_client_sees_its_own_latest_version(
    shelf: Shelf, package_id: str, plain: str | None, prerelease: str | None, semver2: str | None, both: str | None
) -> None:
    seen = []
    for asked in ({}, {"prerelease": True}, {"semver_level2": True}, {"prerelease": True, "semver_level2": True}):
        page = await shelf.found(f"packageid:{package_id}", **asked)
        assert page.total == len(page.hits)
        seen.append(page.hits[0].raw["version"] if page.hits else None)
    assert [plain, prerelease, semver2, both] == seen


async def test_words_are_those_of_the_version_that_is_seen(shelf: Shelf) -> None:
    assert (
        await shelf.ids("structured"),
        await shelf.ids("structured", prerelease=True),
    ) == (["Contoso.Logging"], [])


@pytest.mark.parametrize(
    ("expected", "package_type"),
    [
        (["Contoso.Template", "Contoso.Tool"], "dotnettool"),
        (["Contoso.Template", "Contoso.Tool"], "DOTNETTOOL"),
        (["Contoso.Template"], "Template"),
        ([], "tool"),
        ([], "Depend"),
    ],
)
async def test_package_types(shelf: Shelf, expected: list[str], package_type: str) -> None:
    page = await shelf.found("", package_type=package_type)
    assert (expected, len(expected)) == ([hit.id for hit in page.hits], page.total)


async def test_what_declares_no_type_is_a_dependency(shelf: Shelf) -> None:
    assert (await shelf.found(package_type="Dependency")).total == 21


# --- order and pages --------------------------------------------------------------------------------------------------


async def test_relevance_comes_before_downloads(shelf: Shelf) -> None:
    """
    The id itself, then words of the id, then title and tags, then the rest.
    """
    await shelf.download("Fabrikam.Csv 1.0.0", 1000)
    await shelf.download("Contoso.Json.Schema 1.0.0", 10)
    assert await shelf.ids("json") == ["json", "Contoso.Json.Schema", "Contoso.Json", "Fabrikam.Csv"]


async def test_a_whole_word_of_the_id_comes_before_a_beginning(shelf: Shelf) -> None:
    await shelf.download("Fabrikam.CsvHelper 1.0.0", 10)
    await shelf.stock([package("Fabrikam.Help")])
    assert await shelf.ids("help") == ["Fabrikam.Help", "Fabrikam.CsvHelper"]


async def test_downloads_decide_among_equals_and_then_the_id(shelf: Shelf) -> None:
    assert await shelf.ids("fabrikam http") == ["Fabrikam.Http.Client", "Fabrikam.Http.Server"]
    await shelf.download("Fabrikam.Http.Server 1.0.0", 1)
    assert await shelf.ids("fabrikam http") == ["Fabrikam.Http.Server", "Fabrikam.Http.Client"]


@pytest.mark.parametrize("text", ["", "contoso", "id:contoso", "tags:json"])
async def test_pages_are_the_whole_cut_up(shelf: Shelf, text: str) -> None:
    whole = await shelf.found(text, take=1000)
    pages = [await shelf.found(text, skip=skip, take=3) for skip in range(0, whole.total + 3, 3)]
    assert [hit.id for hit in whole.hits] == [hit.id for page in pages for hit in page.hits]
    assert {whole.total} == {len(whole.hits)} | {page.total for page in pages}


async def test_many_that_are_found_are_not_sorted_but_still_in_order(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The same ranks, the same pages, and what is downloaded much more first.
    """
    await shelf.stock(package(f"Json.Number{number}", tags="csv") for number in range(12))
    for number in range(12):
        await shelf.download(f"Json.Number{number} 1.0.0", 2**number)
    await shelf.download("Contoso.Json 1.0.0", 3)
    queries = [SearchQuery(text, take=100) for text in ("json", "json csv", "tags:csv", "id:json", "js", "number")]
    sorted_ids = [_ids(await shelf.search.search(query)) for query in queries]
    completed = await shelf.completed("json", take=100)
    monkeypatch.setattr(search_pages, "_SORTED", 5)
    monkeypatch.setattr(search_pages, "_LISTED", 8)
    for query, ids in zip(queries, sorted_ids, strict=True):
        page = await shelf.search.search(query)
        assert (page.total, sorted(_ids(page))) == (len(ids), sorted(ids))
        numbered = [each for each in ids if each.startswith("Json.Number")]
        assert [each for each in _ids(page) if each in numbered] == numbered
        assert _ids(page)[0] == ids[0]
        pages = [await shelf.search.search(replace(query, skip=skip, take=3)) for skip in range(0, page.total + 3, 3)]
        assert _ids(page) == [each for part in pages for each in _ids(part)]
    assert (await shelf.completed("json", take=100)).values[:13] == completed.values[:13]


def _ids(page: SearchPage) -> list[str]:
    return [hit.id for hit in page.hits]


async def test_taking_nothing_still_counts(shelf: Shelf) -> None:
    page = await shelf.found("schema", take=0)
    assert (page.total, page.hits) == (1, ())


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


async def test_owners_show_and_are_found_as_soon_as_they_change(shelf: Shelf) -> None:
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
    What has the word in a text is found too, and the other words must be found as well.
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
        assert {(0,)} == {shelf.database.fetch(f"SELECT count(*) FROM {table}")[0] for table in TABLES}
    finally:
        shelf.close()


TABLES = ("search_versions", "search_documents", "search_hits", "search_words", "search_names")


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


async def test_two_processes_find_each_others_pushes(shelf: Shelf, tmp_path: Path) -> None:
    """
    The other one is a process of its own, which pushes after having found ours.
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


# --- made anew --------------------------------------------------------------------------------------------------------


async def test_what_was_never_indexed_is_caught_up_with(tmp_path: Path) -> None:
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


async def test_rows_of_other_rules_are_made_anew(shelf: Shelf) -> None:
    await shelf.search.catch_up()
    rows = [shelf.database.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]

    def spoil(connection) -> None:
        connection.execute("UPDATE search_state SET rules = 0")
        connection.execute("UPDATE search_words SET title = 'spoilt'")
        connection.execute("DELETE FROM search_names")
        connection.execute("DELETE FROM search_versions")

    await shelf.database.write(spoil)
    assert await shelf.ids('title:"json for"') == []
    await shelf.search.catch_up()
    again = [shelf.database.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]
    assert await shelf.ids('title:"json for"') == ["Contoso.Json"]
    assert (rows[0], *map(len, rows)) == (again[0], *map(len, again))


# --- completion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("Contoso.Json Contoso.Json.Schema", "contoso.j"),
        ("Contoso.Json.Schema", "Contoso.Json.S"),
        ("json Contoso.Json Contoso.Json.Schema", "JSON"),
        ("Contoso.HtmlAgilityPack", "agil"),
        ("Contoso.HtmlAgilityPack", "htmlag"),
        ("Contoso.Log4Net.Bridge", "4n"),
        ("Net48 Contoso.Log4Net.Bridge Contoso.Nihongo", "n"),
        ("Fabrikam.Http.Client Fabrikam.Http.Server", "fab http"),
        ("", "gility"),
        ("", "serializer"),
        ("", "hidden"),
        ("Contoso.Größe.Straße", "strass"),
    ],
)
async def test_ids_are_completed_by_the_beginnings_of_their_words(shelf: Shelf, expected: str, text: str) -> None:
    page = await shelf.completed(text)
    assert (expected, len(expected.split())) == (" ".join(page.values), page.total)


async def test_completion_of_nothing_is_every_id(shelf: Shelf) -> None:
    await shelf.download("Fabrikam.X 1.0.0", 5)
    page = await shelf.completed("", take=2)
    assert (page.values, page.total) == (("Fabrikam.X", "A"), 23)


async def test_completion_heeds_flags_types_and_pages(shelf: Shelf) -> None:
    assert (await shelf.completed("prev", prerelease=True)).values == ("Contoso.Preview",)
    assert (await shelf.completed("prev")).values == ()
    assert (await shelf.completed("t", package_type="dotnettool", skip=1)).values == ("Contoso.Tool",)


@pytest.mark.parametrize(
    ("expected", "query"),
    [
        (("1.0.0", "2.0.0"), CompletionQuery(None, "CONTOSO.json")),
        (("1.0.0",), CompletionQuery(None, "Contoso.Modern")),
        (("1.0.0", "2.0.0+build.5"), CompletionQuery(None, "Contoso.Modern", semver_level2=True)),
        (("1.0.0-rc.1",), CompletionQuery(None, "Contoso.Future", prerelease=True, semver_level2=True)),
        ((), CompletionQuery(None, "Contoso.Hidden")),
        ((), CompletionQuery(None, "Contoso.Unknown")),
    ],
)
async def test_versions_of_an_id(shelf: Shelf, expected: tuple[str, ...], query: CompletionQuery) -> None:
    assert expected == (await shelf.search.complete(query)).values


# --- any text ---------------------------------------------------------------------------------------------------------

_SYNTAX = st.sampled_from(
    ['"', "'", "*", "^", "(", ")", "{", "}", ":", "+", "-", "AND", "OR", "NOT", "NEAR(", "id:", "tags:", "owner:", "\0",
     "name :", ";--", "\ud800", "x", "json", " ", "日", "version:", "packageid:"]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=60), st.lists(_SYNTAX, max_size=12).map("".join), st.lists(_SYNTAX, max_size=12).map(" ".join)
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_any_text_has_an_answer(searched: tuple[Shelf, asyncio.Runner], text: str) -> None:
    """
    Whatever is typed is looked for; nothing of it is ever read as syntax.
    """
    shelf, runner = searched
    for prerelease in (False, True):
        page = runner.run(shelf.found(text, prerelease=prerelease))
        assert len(page.hits) == min(page.total, 20)
    completed = runner.run(shelf.completed(text))
    assert len(completed.values) == min(completed.total or 0, 20)
    runner.run(shelf.search.search(SearchQuery(package_type=text)))
    runner.run(shelf.search.complete(CompletionQuery(None, text)))


async def test_a_very_long_text_has_an_answer(shelf: Shelf) -> None:
    for text in ("json " * 5000, "j" * 100_000, "a.b" * 30_000, "aB1" * 30_000, "id:x " * 5000, '"' + "c " * 50_000):
        await shelf.found(text)
        await shelf.completed(text)


@pytest.fixture
def searched(tmp_path: Path):
    with asyncio.Runner() as runner:

        async def opened() -> Shelf:
            shelf = Shelf(tmp_path)
            await shelf.stock(PACKAGES)
            return shelf

        shelf = runner.run(opened())
        yield shelf, runner
        shelf.close()
