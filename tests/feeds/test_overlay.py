"""Hosted above mirrored: which feed answers for an id, and what merging adds."""

from typing import Any

import pytest

from nugetproxy.errors import (
    NotMirrored,
    PackageNotFound,
    UpstreamNonsense,
    UpstreamTimeout,
    UpstreamUnavailable,
    VersionNotFound,
)
from nugetproxy.feeds.base import Part
from nugetproxy.feeds.overlay import Overlay
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from tests.feeds.overlays import PRIVATE, PUBLIC, an_overlay, ids, texts
from tests.feeds.scripted import ScriptedFeed

# --- the rule of owned ids --------------------------------------------------------------------------------------------


async def test_a_hosted_id_is_not_asked_below() -> None:
    overlay, _, below = an_overlay({"Contoso.Core": ["1.0.0"]}, {"Contoso.Core": ["99.0.0"]})
    assert texts((await overlay.versions(PRIVATE)).value) == ["1.0.0"]
    assert below.asked == []


async def test_an_unknown_id_is_answered_by_the_feed_below() -> None:
    overlay, _, _ = an_overlay({}, {"Serilog": ["4.0.0"]})
    assert texts((await overlay.versions(PUBLIC)).value) == ["4.0.0"]


async def test_a_version_missing_in_a_hosted_id_is_not_looked_for_below() -> None:
    """
    A look-alike below with a higher version is never reached through an id that is ours.
    """
    overlay, _, below = an_overlay({"Contoso.Core": ["1.0.0"]}, {"Contoso.Core": ["99.0.0"]})
    for ask in (overlay.leaf, overlay.catalog_entry, lambda package: overlay.content(package, Part.NUPKG)):
        with pytest.raises((VersionNotFound, PackageNotFound)):
            await ask(PackageIdentity.parse("contoso.core", "99.0.0"))
    assert [name for name, _ in below.asked if name != "catalog_entry"] == []


async def test_an_id_stays_ours_after_all_its_versions_were_deleted() -> None:
    overlay, _, below = an_overlay({}, {"Contoso.Core": ["99.0.0"]}, burnt=("contoso.core",))
    with pytest.raises(VersionNotFound):
        await overlay.versions(PRIVATE)
    assert below.asked == []


async def test_an_id_that_is_unknown_everywhere_is_not_found() -> None:
    overlay, _, _ = an_overlay({}, {})
    with pytest.raises(PackageNotFound):
        await overlay.registration(PUBLIC)


# --- merged ids -------------------------------------------------------------------------------------------------------


async def test_a_merged_id_has_the_versions_of_both() -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.1-ours"]}, {"Serilog": ["3.0.0", "5.0.0"]}, "serilog")
    assert texts((await overlay.versions(PUBLIC)).value) == ["3.0.0", "4.0.1-ours", "5.0.0"]


async def test_a_version_in_both_feeds_comes_from_the_hosted_one() -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.0"]}, {"Serilog": ["4.0.0", "5.0.0"]}, "serilog")
    registration = (await overlay.registration(PUBLIC)).value
    assert [leaf.entry["by"] for leaf in registration.leaves] == ["hosted", "below"]


async def test_a_merged_version_is_downloaded_from_its_feed() -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.0"]}, {"Serilog": ["4.0.0", "5.0.0"]}, "serilog")
    for version, expected in (("4.0.0", b"hosted"), ("5.0.0", b"below")):
        content = (await overlay.content(PackageIdentity.parse("serilog", version), Part.NUPKG)).value
        assert getattr(content, "body", None) == expected


async def test_a_merged_version_in_neither_feed_is_a_missing_version() -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.0"]}, {}, "serilog")
    with pytest.raises(VersionNotFound):
        await overlay.leaf(PackageIdentity.parse("serilog", "1.0.0"))


@pytest.mark.parametrize(("hosted", "below"), [({"Serilog": ["1.0.0"]}, {}), ({}, {"Serilog": ["1.0.0"]})])
async def test_a_merged_id_may_exist_in_one_feed_only(hosted, below) -> None:
    overlay, _, _ = an_overlay(hosted, below, "serilog")
    assert texts((await overlay.versions(PUBLIC)).value) == ["1.0.0"]


async def test_a_deleted_version_of_a_merged_id_is_not_taken_from_the_upstream() -> None:
    """
    Builds rely on its bytes; other bytes under its name would be worse than none.
    """
    overlay, hosted, below = an_overlay({"Serilog": ["4.0.1"]}, {"Serilog": ["3.0.0", "5.0.0"]}, "serilog")
    hosted.deleted = {"serilog": ["5.0.0"]}
    assert texts((await overlay.versions(PUBLIC)).value) == ["3.0.0", "4.0.1"]
    leaves = (await overlay.registration(PUBLIC)).value.leaves
    assert texts(leaf.version for leaf in leaves) == ["3.0.0", "4.0.1"]
    below.asked.clear()
    for ask in (overlay.leaf, lambda package: overlay.content(package, Part.NUPKG)):
        with pytest.raises(VersionNotFound):
            await ask(PackageIdentity.parse("serilog", "5.0.0"))
    assert below.asked == []


async def test_a_merged_id_with_only_deleted_versions_has_none() -> None:
    overlay, hosted, _ = an_overlay({}, {"Serilog": ["5.0.0"]}, "serilog", burnt=("serilog",))
    hosted.deleted = {"serilog": ["5.0.0"]}
    for ask in (overlay.versions, overlay.registration):
        with pytest.raises(VersionNotFound):
            await ask(PUBLIC)


async def test_a_hidden_hosted_version_is_not_shown_from_below() -> None:
    """
    A search does not show a version that we unlisted, whatever the upstream says about its own.
    """
    overlay, hosted, _ = an_overlay({"Serilog": ["4.0.1"]}, {"Serilog": ["3.0.0", "5.0.0"]}, "serilog")
    hosted.deleted = {"serilog": ["5.0.0"]}
    completed = (await overlay.complete(CompletionQuery(package_id="serilog"))).value
    assert completed.values == ("3.0.0", "4.0.1")
    for is_hidden in (False, True):
        hosted.hidden_from_search = frozenset({"Serilog"} if is_hidden else ())
        hit = (await overlay.search(SearchQuery(text="serilog"))).value.hits[0]
        assert (hit.raw["version"], [row["version"] for row in hit.raw["versions"]]) == ("4.0.1", ["3.0.0", "4.0.1"])


async def test_a_hit_from_below_is_described_by_an_available_version() -> None:
    overlay, hosted, _ = an_overlay({}, {"Serilog": ["3.0.0", "5.0.0"]}, "serilog", burnt=("serilog",))
    hosted.deleted = {"serilog": ["5.0.0"]}
    hit = (await overlay.search(SearchQuery(text="serilog"))).value.hits[0]
    assert (hit.raw["version"], [row["version"] for row in hit.raw["versions"]]) == ("3.0.0", ["3.0.0"])


class Unavailable(ScriptedFeed):
    """An unavailable upstream; searching it finds kept packages, of which there are none."""

    def __init__(self, error: Exception) -> None:
        super().__init__("below", {})
        self.error = error

    def _of(self, package_id: PackageId) -> Any:
        assert self.error is not None
        raise self.error


FAILURES = [UpstreamUnavailable("u", "down"), UpstreamTimeout("u", "silent"), UpstreamNonsense("u", "odd")]
MINE = PackageIdentity.parse("serilog", "4.0.1-ours")


def a_bereft_overlay(error: Exception) -> tuple[Overlay, Unavailable]:
    below = Unavailable(error)
    return Overlay(
        ScriptedFeed("hosted", {"Serilog": ["4.0.1-ours"]}), below, frozenset({"serilog"}).__contains__
    ), below


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "ask",
    [
        lambda feed: feed.versions(PUBLIC),
        lambda feed: feed.registration(PUBLIC),
        lambda feed: feed.registration_between(PUBLIC, MINE.version, MINE.version),
        lambda feed: feed.complete_registration(PUBLIC),
        lambda feed: feed.leaf(PackageIdentity.parse("serilog", "5.0.0")),
        lambda feed: feed.content(PackageIdentity.parse("serilog", "5.0.0"), Part.NUPKG),
    ],
    ids=["versions", "registration", "between", "complete", "leaf", "content"],
)
async def test_a_merged_id_is_unavailable_while_the_upstream_is(ask: Any, error: Exception) -> None:
    """
    The hosted half alone would look complete, and a range would resolve to another version.
    """
    overlay, _ = a_bereft_overlay(error)
    with pytest.raises(type(error)):
        await ask(overlay)


@pytest.mark.parametrize("part", [Part.NUPKG, Part.NUSPEC])
async def test_a_hosted_version_of_a_merged_id_is_served_without_asking_below(part: Part) -> None:
    overlay, below = a_bereft_overlay(FAILURES[0])
    content = (await overlay.content(MINE, part)).value
    assert getattr(content, "body", None) == b"hosted"
    assert (await overlay.leaf(MINE)).value.version == MINE.version
    assert below.asked == []


async def test_a_merged_id_that_an_offline_mirror_never_had_has_the_hosted_versions() -> None:
    """
    Offline, only kept packages exist: there is nothing more to know.
    """
    overlay, _ = a_bereft_overlay(NotMirrored("serilog"))
    assert texts((await overlay.versions(PUBLIC)).value) == ["4.0.1-ours"]


async def test_a_merged_id_is_still_found_by_searches() -> None:
    overlay, _ = a_bereft_overlay(FAILURES[0])
    assert ids((await overlay.search(SearchQuery(text="serilog"))).value) == ["Serilog"]


# --- trust ------------------------------------------------------------------------------------------------------------


async def test_with_hosting_not_everything_is_signed() -> None:
    """
    A client that saw this flag would refuse every private package.
    """
    overlay, _, _ = an_overlay({}, {})
    assert (await overlay.signatures()).value.all_repository_signed is False


async def test_advisories_and_offered_resources_come_from_the_feed_below() -> None:
    overlay, _, below = an_overlay({}, {})
    below.advisories = {"serilog": [{"severity": 1}]}
    assert (await overlay.vulnerabilities()).value.pages[0].body == below.advisories
    assert (await overlay.offered()).vulnerabilities


async def test_with_nothing_hosted_a_deep_page_is_requested_unchanged():
    """
    A mirror that hosts nothing passes searches on: no earlier pages are read to account for hosted packages.
    """
    below = ScriptedFeed("below", {f"P{number:02}": ["1.0.0"] for number in range(50)})
    overlay = Overlay(ScriptedFeed("hosted", {}), below, lambda _: False)
    page = (await overlay.search(SearchQuery.from_params({"q": "p", "skip": "40", "take": "5"}))).value

    assert [hit.id for hit in page.hits] == ["P40", "P41", "P42", "P43", "P44"]
    assert len([asked for asked in below.asked if asked[0] == "search"]) == 1
