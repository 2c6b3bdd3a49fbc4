"""The hit of an id that is hosted and mirrored: the description of its latest version, and its downloads."""

from typing import Any

import pytest

from nugetproxy.feeds.uniting import Owned, united_hit, untold_version
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.search import SearchHit
from tests.feeds.scripted import a_hit

OLD = {"reasons": ["Legacy"]}
BAD = [{"advisoryUrl": "https://advisories.test/1", "severity": 3}]
THEIRS = {"description": "theirs", "deprecation": OLD, "vulnerabilities": BAD, "owners": ["them"], "verified": True}


def owning(*versions: str) -> Owned:
    return frozenset(map(NuGetVersion.parse, versions))


def united(
    hosted: list[str], below: list[str], owned: Owned = frozenset(), told: SearchHit | None = None, /, **theirs: Any
) -> dict[str, Any]:
    """The united hit for these versions; hosted ones are owned. Without hosted versions no hosted search finds any."""
    ours = a_hit("Serilog", hosted, description="ours") if hosted else None
    hit = united_hit(ours, a_hit("Serilog", below, **THEIRS | theirs), owned | owning(*hosted), told)
    assert hit is not None
    return hit.raw


def hit_with(downloads: object, version: str) -> SearchHit:
    return a_hit("Serilog", [version], **({} if downloads is None else {"totalDownloads": downloads}))


@pytest.mark.parametrize("hosted", ["4.0.0", "6.0.0"], ids=["theirs-is-later", "ours-is-later"])
@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [(0, 1000, 1000), (7, 1000, 1007), (7, None, 7), (None, 1000, 1000), (7, "many", 7), (None, None, None)],
)
def test_downloads_are_the_sum_of_both(hosted: str, ours: object, theirs: object, expected: object) -> None:
    hit = united_hit(hit_with(ours, hosted), hit_with(theirs, "5.0.0"), owning(hosted))
    assert hit is not None
    assert hit.raw.get("totalDownloads") == expected


def test_downloads_if_no_search_finds_ours() -> None:
    assert united([], ["5.0.0"], owning("4.0.0"), totalDownloads=1000)["totalDownloads"] == 1000


@pytest.mark.parametrize(
    ("hosted", "below", "described"),
    [
        (["4.0.0"], ["5.0.0"], "theirs"),
        (["6.0.0"], ["5.0.0"], "ours"),
        (["5.0.0"], ["5.0.0"], "ours"),
        (["5.0.0"], ["3.0.0", "5.0.0"], "ours"),
        (["4.0.0", "5.0.0"], ["5.0.0"], "ours"),
    ],
)
def test_the_feed_with_the_latest_version_describes_it(hosted: list[str], below: list[str], described: str) -> None:
    hit = united(hosted, below)
    assert hit["description"] == described
    assert ("deprecation" in hit) is (described == "theirs")


# No search shows our 5.0.0: it is unlisted, or it was deleted.
HIDDEN = owning("5.0.0")


@pytest.mark.parametrize("hosted", [[], ["3.0.0"]], ids=["nothing-shown", "an-older-one-shown"])
def test_the_metadata_of_a_hidden_version_is_not_used_for_another(hosted: list[str]) -> None:
    hit = united(hosted, ["4.0.0", "5.0.0"], HIDDEN)
    assert (hit["version"], "deprecation" in hit, "vulnerabilities" in hit) == ("4.0.0", False, False)


@pytest.mark.parametrize("hosted", [[], ["3.0.0"]], ids=["nothing-shown", "an-older-one-shown"])
def test_the_shown_version_is_described_by_its_server(hosted: list[str]) -> None:
    told = a_hit("Serilog", ["4.0.0"], description="of 4", deprecation={"reasons": ["Other"]}, totalDownloads=0)
    hit = united(hosted, ["4.0.0", "5.0.0"], HIDDEN, told, totalDownloads=1000, title="of 5")
    assert (hit["version"], hit["description"], hit["deprecation"]) == ("4.0.0", "of 4", {"reasons": ["Other"]})
    assert "title" not in hit
    assert "vulnerabilities" not in hit


def test_the_metadata_of_the_id_is_kept() -> None:
    told = a_hit("Serilog", ["4.0.0"], verified=False, totalDownloads=0)
    hit = united([], ["4.0.0", "5.0.0"], HIDDEN, told, totalDownloads=1000)
    assert (hit["owners"], hit["verified"], hit["totalDownloads"]) == (["them"], True, 1000)
    assert [row["version"] for row in hit["versions"]] == ["4.0.0"]


@pytest.mark.parametrize(
    ("hosted", "below", "owned", "expected"),
    [
        ([], ["4.0.0", "5.0.0"], HIDDEN, "4.0.0"),
        (["3.0.0"], ["4.0.0", "5.0.0"], HIDDEN, "4.0.0"),
        (["4.5.0"], ["4.0.0", "5.0.0"], HIDDEN, None),
        (["5.0.0"], ["4.0.0", "5.0.0"], HIDDEN, None),
        ([], ["5.0.0"], HIDDEN, None),
        (["4.0.0"], ["5.0.0"], owning(), None),
    ],
)
def test_a_version_is_only_requested_if_no_hit_describes_it(
    hosted: list[str], below: list[str], owned: Owned, expected: str | None
) -> None:
    ours = a_hit("Serilog", hosted) if hosted else None
    version = untold_version(ours, a_hit("Serilog", below), owned | owning(*hosted))
    assert (version and version.normalized) == expected
