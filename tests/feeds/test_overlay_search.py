"""Searching and completing over hosted and mirrored: pages without gaps, totals, merged hits."""

from typing import Any

import pytest

from nugetproxy.errors import (
    UpstreamUnavailable,
)
from nugetproxy.feeds.overlay import Overlay
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from tests.feeds.overlays import an_overlay, ids

# --- search -----------------------------------------------------------------------------------------------------------

MANY = {f"Public.{number:04}": ["1.0.0"] for number in range(50)}


async def pages_of(overlay: Overlay, take: int, text: str = "") -> tuple[list[str], set[int]]:
    """Every id, by paging to the end, and the totals stated on the way."""
    found: list[str] = []
    totals: set[int] = set()
    for skip in range(0, 200, take):
        page = (await overlay.search(SearchQuery(text=text, skip=skip, take=take))).value
        totals.add(page.total)
        found += ids(page)
        if skip + take >= page.total:
            break
    return found, totals


@pytest.mark.parametrize("take", [1, 3, 7, 20, 100])
async def test_pages_cover_both_without_gaps_or_repetition(take: int) -> None:
    hosted = {f"Contoso.{number}": ["1.0.0"] for number in range(5)}
    overlay, _, _ = an_overlay(hosted, MANY)
    found, totals = await pages_of(overlay, take)
    assert found == [*hosted, *MANY]
    assert totals == {55}


async def test_a_hosted_package_hides_its_look_alike() -> None:
    overlay, _, _ = an_overlay({"Public.0001": ["1.0.0"]}, MANY)
    found, _ = await pages_of(overlay, 20)
    assert found == ["Public.0001", "Public.0000", *list(MANY)[2:]]


async def test_the_total_does_not_count_look_alikes() -> None:
    overlay, _, _ = an_overlay({"Public.0001": ["1.0.0"]}, MANY)
    assert (await overlay.search(SearchQuery(take=20))).value.total == 50


async def test_a_hosted_id_hides_its_look_alike_even_if_the_text_does_not_match() -> None:
    """
    The hit below would describe a package that clients cannot get from us.
    """
    overlay, hosted, _ = an_overlay({"Public.0001": ["1.0.0"]}, MANY)
    hosted.hidden_from_search = frozenset({"Public.0001"})
    assert "Public.0001" not in (await pages_of(overlay, 20))[0]


@pytest.mark.parametrize(("found", "asked"), [(30, [(0, 30)]), (60, [(0, 30), (30, 70)]), (101, [(0, 30)])])
async def test_a_first_page_requests_what_its_total_needs(found: int, asked: list[tuple[int, int]]) -> None:
    overlay, _, below = an_overlay({"Contoso.A": ["1.0.0"]}, {f"P{number}": ["1.0.0"] for number in range(found)})
    await overlay.search(SearchQuery(take=20))
    assert [(query.skip, query.take) for _, query in below.asked] == asked


async def test_the_deepest_page_makes_a_limited_number_of_requests() -> None:
    overlay, hosted, below = an_overlay({"Contoso.A": ["1.0.0"]}, {f"P{number}": ["1.0.0"] for number in range(4100)})
    hosted.hidden_from_search = frozenset({"Contoso.A"})
    page = (await overlay.search(SearchQuery(skip=3000, take=1000))).value
    assert ids(page) == [f"P{number}" for number in range(3000, 4000)]
    asked = [(query.skip, query.take) for _, query in below.asked]
    assert asked == [(0, 30), (30, 70), (100, 200), (300, 700), (1000, 1000), (2000, 1000), (3000, 1000)]


async def test_beyond_the_deepest_page_nothing_is_requested() -> None:
    overlay, hosted, below = an_overlay({}, MANY)
    assert (await overlay.search(SearchQuery(skip=3001))).value.hits == ()
    assert hosted.asked == below.asked == []


async def test_the_total_is_stated_even_if_no_hits_are_wanted() -> None:
    overlay, _, _ = an_overlay({"Contoso.A": ["1.0.0"]}, MANY)
    page = (await overlay.search(SearchQuery(take=0))).value
    assert (page.total, page.hits) == (51, ())


async def test_the_provenance_of_the_feed_below_is_passed_on() -> None:
    overlay, _, below = an_overlay({}, {"Serilog": ["1.0.0"]})
    below.more = {"verified": True}
    assert (await overlay.search(SearchQuery())).value.hits[0].raw["verified"] is True


async def test_a_merged_hit_shows_the_versions_of_both() -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.1"]}, {"Dapper": ["1.0.0"], "Serilog": ["3.0.0", "5.0.0"]}, "serilog")
    page = (await overlay.search(SearchQuery())).value
    assert (page.total, ids(page)) == (2, ["Serilog", "Dapper"])
    assert [row["version"] for row in page.hits[0].raw["versions"]] == ["3.0.0", "4.0.1", "5.0.0"]


async def test_a_merged_hit_already_seen_below_is_not_requested_again() -> None:
    overlay, _, below = an_overlay({"Serilog": ["4.0.1"]}, {"Dapper": ["1.0.0"], "Serilog": ["5.0.0"]}, "serilog")
    await overlay.search(SearchQuery())
    assert [query.text for _, query in below.asked] == [""]


async def test_a_merged_hit_has_both_versions_even_if_the_search_below_misses_it() -> None:
    overlay, _, below = an_overlay({"Serilog": ["4.0.1"]}, {"Serilog": ["5.0.0"]}, "serilog")
    below.hidden_from_search = frozenset({"Serilog"})
    hit = (await overlay.search(SearchQuery(text="serilog"))).value.hits[0]
    assert [row["version"] for row in hit.raw["versions"]] == ["4.0.1", "5.0.0"]


async def test_a_merged_hit_is_described_by_its_latest_version() -> None:
    for ours, expected in (("4.0.1", "below"), ("6.0.0", "hosted"), ("5.0.0", "hosted")):
        overlay, _, _ = an_overlay({"Serilog": [ours]}, {"Serilog": ["5.0.0"]}, "serilog")
        assert (await overlay.search(SearchQuery())).value.hits[0].raw["by"] == expected


@pytest.mark.parametrize("is_hidden", [False, True], ids=["found-in-both", "found-below"])
async def test_a_merged_hit_about_an_earlier_version_is_described_by_its_leaf(is_hidden: bool) -> None:
    overlay, hosted, below = an_overlay({"Serilog": ["3.0.0"]}, {"Serilog": ["4.0.0", "5.0.0"]}, "serilog")
    hosted.deleted = {"serilog": ["5.0.0"]}
    hosted.hidden_from_search = frozenset({"Serilog"} if is_hidden else ())
    below.more = {"title": "of 5.0.0", "deprecation": {"reasons": ["Legacy"]}}
    [hit] = (await overlay.search(SearchQuery(text="seri"))).value.hits
    assert (hit.raw["version"], hit.raw["title"], hit.raw.get("deprecation")) == ("4.0.0", "Serilog", None)
    assert [asked for asked in below.asked if asked[0] == "leaf"] == [("leaf", "Serilog 4.0.0")]


async def test_a_merged_hit_is_shown_even_if_its_leaf_is_unavailable() -> None:
    overlay, hosted, below = an_overlay({"Serilog": ["3.0.0"]}, {"Serilog": ["4.0.0", "5.0.0"]}, "serilog")
    hosted.deleted = {"serilog": ["5.0.0"]}
    below.more = {"title": "Serilog", "deprecation": {"reasons": ["Legacy"]}}

    async def leaf(package: PackageIdentity) -> Any:
        raise UpstreamUnavailable("nuget.org", "down")

    below.leaf = leaf  # type: ignore[method-assign]  # its documents are unavailable, its search is not
    [hit] = (await overlay.search(SearchQuery())).value.hits
    assert (hit.raw["version"], hit.raw["title"], hit.raw.get("deprecation")) == ("4.0.0", "Serilog", None)


async def test_a_merged_id_found_only_below_keeps_its_position() -> None:
    overlay, hosted, _ = an_overlay({"Serilog": ["4.0.1"]}, {"Dapper": ["1.0.0"], "Serilog": ["5.0.0"]}, "serilog")
    hosted.hidden_from_search = frozenset({"Serilog"})
    page = (await overlay.search(SearchQuery())).value
    assert (page.total, ids(page)) == (2, ["Dapper", "Serilog"])
    assert [row["version"] for row in page.hits[1].raw["versions"]] == ["4.0.1", "5.0.0"]


# --- completion -------------------------------------------------------------------------------------------------------


async def test_completion_shows_each_id_once_hosted_first() -> None:
    overlay, _, _ = an_overlay(
        {"Serilog": ["1.0.0"], "Serilog.Ours": ["1.0.0"]}, {"serilog": ["9"], "Serilog.X": ["1"]}
    )
    page = (await overlay.complete(CompletionQuery(text="serilog"))).value
    assert (page.total, page.values) == (3, ("Serilog", "Serilog.Ours", "Serilog.X"))


async def test_completion_pages_over_both() -> None:
    overlay, _, _ = an_overlay({"Contoso.A": ["1.0.0"], "Public.0003": ["1.0.0"]}, MANY)
    found: list[str] = []
    for skip in range(0, 51, 4):
        found += (await overlay.complete(CompletionQuery(text="", skip=skip, take=4))).value.values
    assert found == ["Contoso.A", "Public.0003", *(name for name in MANY if name != "Public.0003")]


@pytest.mark.parametrize(
    ("merged", "expected"), [((), ("4.0.1",)), (("serilog",), ("3.0.0", "4.0.1", "5.0.0"))], ids=["owned", "merged"]
)
async def test_versions_are_completed_by_the_feed_that_answers_for_the_id(merged, expected) -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.1"]}, {"Serilog": ["3.0.0", "4.0.1", "5.0.0"]}, *merged)
    assert (await overlay.complete(CompletionQuery(package_id="serilog"))).value.values == expected


async def test_versions_of_an_unknown_id_are_completed_below() -> None:
    overlay, _, _ = an_overlay({}, {"Serilog": ["3.0.0"]})
    assert (await overlay.complete(CompletionQuery(package_id="serilog"))).value.values == ("3.0.0",)
