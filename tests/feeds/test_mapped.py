"""Package source mapping: which source answers for an id, and merging of searches."""

from typing import Any

import pytest

from nugetproxy.errors import PackageNotFound, UpstreamUnavailable
from nugetproxy.feeds.base import Answer
from nugetproxy.feeds.mapped import Mapped, MappedSource, sources_for
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from tests.feeds.scripted import ScriptedFeed

ONE = (NuGetVersion.parse("1.0.0"),)


class FeedOf:
    """Knows some ids; counts requests."""

    def __init__(self, *ids: str, error: Exception | None = None) -> None:
        self.ids = ids
        self.error = error
        self.asked: list[str] = []

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        self.asked.append(package_id.text)
        if self.error is not None:
            raise self.error
        if package_id.text not in self.ids:
            raise PackageNotFound(package_id.text)
        return Answer(ONE)

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        hits = tuple(SearchHit(text, {"id": text}) for text in self.ids)
        return Answer(SearchPage(len(hits), hits[query.skip : query.skip + query.take]))


def source(feed: Any, *patterns: str, name: str = "u") -> MappedSource:
    return MappedSource(name, feed, patterns)


@pytest.mark.parametrize(
    ("package_id", "expected"),
    [
        ("contoso.core", "exact"),
        ("contoso.other", "prefix"),
        ("contoso.deep.x", "longer"),
        ("serilog", "all"),
        ("contoso", "all"),
    ],
)
def test_the_most_specific_pattern_wins(package_id: str, expected: str) -> None:
    sources = [
        source(None, "*", name="all"),
        source(None, "Contoso.*", name="prefix"),
        source(None, "Contoso.Deep.*", name="longer"),
        source(None, "Contoso.Core", name="exact"),
    ]
    assert [found.name for found in sources_for(sources, package_id)] == [expected]


async def test_only_the_source_of_an_id_is_asked() -> None:
    """
    A name that belongs to one source is never sent to another, even if the first does not know it.
    """
    public, private = FeedOf("Contoso.Core"), FeedOf()
    mapped = Mapped([source(public, "*"), source(private, "Contoso.*")])
    with pytest.raises(PackageNotFound):
        await mapped.versions(PackageId.parse("Contoso.Core"))
    assert public.asked == []


async def test_equal_patterns_are_asked_in_order() -> None:
    first, second = FeedOf(), FeedOf("A")
    mapped = Mapped([source(first, "*"), source(second, "*")])
    assert (await mapped.versions(PackageId.parse("A"))).value == ONE
    assert first.asked == ["A"]


async def test_a_failing_source_is_not_skipped() -> None:
    """
    If the first source cannot answer, the second's answer could be the wrong package.
    """
    broken, second = FeedOf(error=UpstreamUnavailable("u", "down")), FeedOf("A")
    mapped = Mapped([source(broken, "*"), source(second, "*")])
    with pytest.raises(UpstreamUnavailable):
        await mapped.versions(PackageId.parse("A"))
    assert second.asked == []


@pytest.mark.parametrize(("outcome", "values"), [(Outcome.STALE, ()), (Outcome.MISS, ("1.0.0",))])
async def test_versions_of_an_unavailable_source_are_not_completed_by_the_next(outcome, values) -> None:
    class Away(FeedOf):
        async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
            return Answer(CompletionPage(None, ()), Provenance(outcome))

    second = ScriptedFeed("second", {"A": ["1.0.0"]})
    mapped = Mapped([source(Away(), "*"), source(second, "*")])
    assert (await mapped.complete(CompletionQuery(package_id="a"))).value.values == values


async def test_an_unmapped_id_is_unknown() -> None:
    mapped = Mapped([source(FeedOf("A"), "B.*")])
    with pytest.raises(PackageNotFound, match="no upstream is mapped"):
        await mapped.versions(PackageId.parse("A"))


async def test_search_drops_ids_that_are_not_mapped_to_the_source() -> None:
    """
    A look-alike of a private id in the public source is not shown, and pages are formed after merging.
    """
    public = FeedOf("Contoso.Core", "Serilog", "Dapper")
    private = FeedOf("Contoso.Core")
    mapped = Mapped([source(public, "*"), source(private, "Contoso.*")])
    page = (await mapped.search(SearchQuery.from_params({"q": "", "take": "2"}))).value
    assert page.total == 3
    assert len(page.hits) == 2
    rest = (await mapped.search(SearchQuery.from_params({"q": "", "skip": "2", "take": "2"}))).value
    assert sorted(hit.id for hit in page.hits + rest.hits) == ["Contoso.Core", "Dapper", "Serilog"]
