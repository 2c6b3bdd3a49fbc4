"""Hosted above mirrored: who answers for an id, and what merging adds."""

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


async def test_an_unknown_id_is_the_feed_belows_to_answer() -> None:
    overlay, _, _ = an_overlay({}, {"Serilog": ["4.0.0"]})
    assert texts((await overlay.versions(PUBLIC)).value) == ["4.0.0"]


async def test_a_version_that_the_owner_lacks_stops() -> None:
    """
    A look-alike below with a higher version is never reached through an id that is ours.
    """
    overlay, _, below = an_overlay({"Contoso.Core": ["1.0.0"]}, {"Contoso.Core": ["99.0.0"]})
    for ask in (overlay.leaf, overlay.catalog_entry, lambda package: overlay.content(package, Part.NUPKG)):
        with pytest.raises((VersionNotFound, PackageNotFound)):
            await ask(PackageIdentity.parse("contoso.core", "99.0.0"))
    assert [name for name, _ in below.asked if name != "catalog_entry"] == []


async def test_an_id_whose_versions_were_all_deleted_is_still_ours() -> None:
    overlay, _, below = an_overlay({}, {"Contoso.Core": ["99.0.0"]}, burnt=("contoso.core",))
    with pytest.raises(VersionNotFound):
        await overlay.versions(PRIVATE)
    assert below.asked == []


async def test_what_nobody_knows_is_not_found() -> None:
    overlay, _, _ = an_overlay({}, {})
    with pytest.raises(PackageNotFound):
        await overlay.registration(PUBLIC)


# --- merged ids -------------------------------------------------------------------------------------------------------


async def test_a_merged_id_has_the_versions_of_both() -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.1-ours"]}, {"Serilog": ["3.0.0", "5.0.0"]}, "serilog")
    assert texts((await overlay.versions(PUBLIC)).value) == ["3.0.0", "4.0.1-ours", "5.0.0"]


async def test_of_one_merged_version_the_hosted_one_counts() -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.0"]}, {"Serilog": ["4.0.0", "5.0.0"]}, "serilog")
    registration = (await overlay.registration(PUBLIC)).value
    assert [leaf.entry["by"] for leaf in registration.leaves] == ["hosted", "below"]


async def test_the_bytes_of_a_merged_version_are_the_owners() -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.0"]}, {"Serilog": ["4.0.0", "5.0.0"]}, "serilog")
    for version, expected in (("4.0.0", b"hosted"), ("5.0.0", b"below")):
        content = (await overlay.content(PackageIdentity.parse("serilog", version), Part.NUPKG)).value
        assert getattr(content, "body", None) == expected


async def test_a_merged_version_that_neither_has_is_a_missing_version() -> None:
    overlay, _, _ = an_overlay({"Serilog": ["4.0.0"]}, {}, "serilog")
    with pytest.raises(VersionNotFound):
        await overlay.leaf(PackageIdentity.parse("serilog", "1.0.0"))


@pytest.mark.parametrize(("hosted", "below"), [({"Serilog": ["1.0.0"]}, {}), ({}, {"Serilog": ["1.0.0"]})])
async def test_a_merged_id_may_be_in_one_feed_only(hosted, below) -> None:
    overlay, _, _ = an_overlay(hosted, below, "serilog")
    assert texts((await overlay.versions(PUBLIC)).value) == ["1.0.0"]


async def test_a_deleted_version_of_a_merged_id_is_not_the_upstreams_either() -> None:
    """
    Builds know it by its bytes; other bytes under its name would be worse than none.
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


async def test_a_merged_id_of_deleted_versions_alone_has_none() -> None:
    overlay, hosted, _ = an_overlay({}, {"Serilog": ["5.0.0"]}, "serilog", burnt=("serilog",))
    hosted.deleted = {"serilog": ["5.0.0"]}
    for ask in (overlay.versions, overlay.registration):
        with pytest.raises(VersionNotFound):
            await ask(PUBLIC)


async def test_what_is_hosted_and_not_shown_is_not_shown_from_below() -> None:
    """
    An unlisted version of ours is none that the search names, whatever the upstream says of its own.
    """
    overlay, hosted, _ = an_overlay({"Serilog": ["4.0.1"]}, {"Serilog": ["3.0.0", "5.0.0"]}, "serilog")
    hosted.deleted = {"serilog": ["5.0.0"]}
    completed = (await overlay.complete(CompletionQuery(package_id="serilog"))).value
    assert completed.values == ("3.0.0", "4.0.1")
    for is_hidden in (False, True):
        hosted.hidden_from_search = frozenset({"Serilog"} if is_hidden else ())
        hit = (await overlay.search(SearchQuery(text="serilog"))).value.hits[0]
        assert (hit.raw["version"], [row["version"] for row in hit.raw["versions"]]) == ("4.0.1", ["3.0.0", "4.0.1"])


async def test_a_hit_from_below_is_described_by_a_version_that_can_be_had() -> None:
    overlay, hosted, _ = an_overlay({}, {"Serilog": ["3.0.0", "5.0.0"]}, "serilog", burnt=("serilog",))
    hosted.deleted = {"serilog": ["5.0.0"]}
    hit = (await overlay.search(SearchQuery(text="serilog"))).value.hits[0]
    assert (hit.raw["version"], [row["version"] for row in hit.raw["versions"]]) == ("3.0.0", ["3.0.0"])


class Unavailable(ScriptedFeed):
    """An upstream that cannot be asked now; searching it finds what is kept, which is nothing."""

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
async def test_a_merged_id_is_unknown_while_the_upstream_is(ask: Any, error: Exception) -> None:
    """
    The hosted half alone would look like the whole, and a range would resolve to something else.
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


async def test_a_merged_id_that_an_offline_mirror_never_had_is_what_is_hosted() -> None:
    """
    Offline, what is kept is all there is: nothing more could be known.
    """
    overlay, _ = a_bereft_overlay(NotMirrored("serilog"))
    assert texts((await overlay.versions(PUBLIC)).value) == ["4.0.1-ours"]


async def test_a_merged_id_is_searched_for_all_the_same() -> None:
    overlay, _ = a_bereft_overlay(FAILURES[0])
    assert ids((await overlay.search(SearchQuery(text="serilog"))).value) == ["Serilog"]


# --- trust ------------------------------------------------------------------------------------------------------------


async def test_not_everything_is_signed_where_something_may_be_hosted() -> None:
    """
    A client that is told so would refuse every private package.
    """
    overlay, _, _ = an_overlay({}, {})
    assert (await overlay.signatures()).value.all_repository_signed is False


async def test_advisories_and_offers_are_those_of_the_feed_below() -> None:
    overlay, _, below = an_overlay({}, {})
    below.advisories = {"serilog": [{"severity": 1}]}
    assert (await overlay.vulnerabilities()).value.pages[0].body == below.advisories
    assert (await overlay.offered()).vulnerabilities


async def test_with_nothing_hosted_a_deep_page_is_asked_for_as_it_is():
    """
    A mirror that hosts nothing passes searches on: no earlier pages are read to make room for what is not there.
    """
    below = ScriptedFeed("below", {f"P{number:02}": ["1.0.0"] for number in range(50)})
    overlay = Overlay(ScriptedFeed("hosted", {}), below, lambda _: False)
    page = (await overlay.search(SearchQuery.from_params({"q": "p", "skip": "40", "take": "5"}))).value

    assert [hit.id for hit in page.hits] == ["P40", "P41", "P42", "P43", "P44"]
    assert len([asked for asked in below.asked if asked[0] == "search"]) == 1
