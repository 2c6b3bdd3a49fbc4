"""Completion: ids by prefixes of their words, and the versions of an id."""

import pytest

from nugetproxy.protocol.v3.search import CompletionQuery
from tests.hosting.shelf import Shelf


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


async def test_an_empty_completion_is_every_id(shelf: Shelf) -> None:
    await shelf.download("Fabrikam.X 1.0.0", 5)
    page = await shelf.completed("", take=2)
    assert (page.values, page.total) == (("Fabrikam.X", "A"), 23)


async def test_completion_respects_flags_types_and_pages(shelf: Shelf) -> None:
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
