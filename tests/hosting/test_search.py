"""Searching hosted packages: nuget.org's query language over thirty packages, filters, order and pages."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nugetproxy.hosting import search_pages
from nugetproxy.protocol.v3.search import CompletionQuery, SearchPage, SearchQuery
from tests.hosting.packages import PACKAGES
from tests.hosting.shelf import Shelf, package

CASES = {
    # free-text words
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
    # dropped operators of the language
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
async def test_a_text_without_conditions_finds_everything(shelf: Shelf, text: str) -> None:
    """
    Everything listed, ordered by downloads.
    """
    await shelf.download("Fabrikam.X 1.0.0", 5)
    page = await shelf.found(text)
    assert (page.hits[0].id, page.total) == ("Fabrikam.X", 23)


# --- what each client sees --------------------------------------------------------------------------------------------


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


async def test_words_match_the_visible_version(shelf: Shelf) -> None:
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


async def test_a_package_without_a_type_is_a_dependency(shelf: Shelf) -> None:
    assert (await shelf.found(package_type="Dependency")).total == 21


# --- order and pages --------------------------------------------------------------------------------------------------


async def test_relevance_comes_before_downloads(shelf: Shelf) -> None:
    """
    The id itself, then words of the id, then title and tags, then the rest.
    """
    await shelf.download("Fabrikam.Csv 1.0.0", 1000)
    await shelf.download("Contoso.Json.Schema 1.0.0", 10)
    assert await shelf.ids("json") == ["json", "Contoso.Json.Schema", "Contoso.Json", "Fabrikam.Csv"]


async def test_a_whole_word_of_the_id_comes_before_a_prefix(shelf: Shelf) -> None:
    await shelf.download("Fabrikam.CsvHelper 1.0.0", 10)
    await shelf.stock([package("Fabrikam.Help")])
    assert await shelf.ids("help") == ["Fabrikam.Help", "Fabrikam.CsvHelper"]


async def test_downloads_decide_among_equals_and_then_the_id(shelf: Shelf) -> None:
    assert await shelf.ids("fabrikam http") == ["Fabrikam.Http.Client", "Fabrikam.Http.Server"]
    await shelf.download("Fabrikam.Http.Server 1.0.0", 1)
    assert await shelf.ids("fabrikam http") == ["Fabrikam.Http.Server", "Fabrikam.Http.Client"]


@pytest.mark.parametrize("text", ["", "contoso", "id:contoso", "tags:json"])
async def test_pages_add_up_to_the_whole(shelf: Shelf, text: str) -> None:
    whole = await shelf.found(text, take=1000)
    pages = [await shelf.found(text, skip=skip, take=3) for skip in range(0, whole.total + 3, 3)]
    assert [hit.id for hit in whole.hits] == [hit.id for page in pages for hit in page.hits]
    assert {whole.total} == {len(whole.hits)} | {page.total for page in pages}


async def test_many_matches_are_not_sorted_but_still_in_order(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The same ranks, the same pages, and packages with far more downloads first.
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
    Any typed text is searched for; none of it is ever read as syntax.
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
