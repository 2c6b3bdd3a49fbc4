"""Advisories of our own show wherever a client looks, and nowhere else."""

from collections.abc import Collection

import pytest

from nugetproxy.errors import DocumentNotFound
from nugetproxy.feeds.advised import Advised
from nugetproxy.feeds.base import Answer, Offered
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.protocol.advisories.values import Advisories, Advisory, Severity
from nugetproxy.protocol.v3.registration import Registration
from nugetproxy.protocol.v3.search import SearchQuery
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages
from tests.feeds.scripted import ScriptedFeed

URL = "https://c.example/1"
A, B = PackageId.parse("A"), PackageId.parse("B")
KNOWN = Advisories({"a": (Advisory(URL, Severity.HIGH, VersionRange.parse("(, 2.0.0)")),)}, "2026-01-02T00:00:00Z")
OURS = {"@type": "Vulnerability", "advisoryUrl": URL, "severity": "2"}


class Below(ScriptedFeed):
    stated = Offered(vulnerabilities=False)

    async def offered(self) -> Offered:
        return self.stated


class Silent(Below):
    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        raise DocumentNotFound("none")


@pytest.fixture
def below() -> Below:
    return Below("below", {"A": ["1.0.0", "2.0.0"], "B": ["1.0.0"]})


@pytest.fixture
def feed(below: Below) -> Advised:
    return Advised(lambda: KNOWN, below)


def shown(registration: Registration) -> dict[str, object]:
    return {leaf.version.normalized: leaf.entry.get("vulnerabilities") for leaf in registration.leaves}


async def test_registrations(feed, below):
    bounds = NuGetVersion.parse("1.0.0"), NuGetVersion.parse("2.0.0")
    for answer in (
        await feed.registration(A),
        await feed.complete_registration(A),
        await feed.registration_between(A, *bounds),
    ):
        assert shown(answer.value) == {"1.0.0": [OURS], "2.0.0": None}
        assert answer.value.leaves[0].size > answer.value.leaves[1].size
    assert shown((await feed.registration(B)).value) == {"1.0.0": None}
    # What is below is shared, and never changed.
    assert shown((await below.registration(A)).value) == {"1.0.0": None, "2.0.0": None}


async def test_leaves_and_catalog_entries(feed):
    affected, other = (PackageIdentity(A, NuGetVersion.parse(text)) for text in ("1.0.0", "2.0.0"))
    entry = (await feed.catalog_entry(affected)).value

    assert (await feed.leaf(affected)).value.entry["vulnerabilities"] == [OURS]
    assert entry.document is not None
    assert entry.document["vulnerabilities"] == entry.leaf.entry["vulnerabilities"] == [OURS]
    assert "vulnerabilities" not in (await feed.leaf(other)).value.entry
    assert "vulnerabilities" not in (await feed.catalog_entry(other)).value.leaf.entry


async def test_searches(below):
    known = Advisories({"a": (Advisory(URL, Severity.HIGH, VersionRange.parse("[2.0.0]")),)})
    feed = Advised(lambda: known, below)
    hits = (await feed.search(SearchQuery(text="", semver_level2=True, take=20))).value.hits
    old = (await feed.search(SearchQuery(text="", semver_level2=False, take=20))).value.hits

    assert [hit.raw.get("vulnerabilities") for hit in hits] == [[{"advisoryUrl": URL, "severity": 2}], None]
    assert [hit.raw.get("vulnerabilities") for hit in old] == [None, None]


async def test_vulnerability_pages(feed, below):
    below.advisories = {"b": [{"url": URL, "severity": 1, "versions": "(, )"}]}
    pages = (await feed.vulnerabilities()).value.pages

    assert [page.name for page in pages] == ["private", "base"]
    assert pages[0].body == {"a": [{"url": URL, "severity": 2, "versions": "(, 2.0.0)"}]}
    assert pages[1].body == below.advisories
    assert (await feed.offered()).vulnerabilities


async def test_without_other_data_ours_is_all(below):
    feed = Advised(lambda: KNOWN, Silent("silent", {}))

    assert [page.name for page in (await feed.vulnerabilities()).value.pages] == ["private"]


async def test_without_advisories_nothing_is_added():
    feed = Advised(Advisories, Silent("silent", {"A": ["1.0.0"]}))

    assert not (await feed.offered()).vulnerabilities
    assert shown((await feed.registration(A)).value) == {"1.0.0": None}
    with pytest.raises(DocumentNotFound):
        await feed.vulnerabilities()


async def test_names_that_readers_may_not_learn_are_left_out(below):
    asked: list[Collection[str]] = []

    async def hidden(lower_ids: Collection[str]) -> Collection[str]:
        asked.append(lower_ids)
        return {"a"}

    feed = Advised(lambda: KNOWN, below, hidden)

    assert (await feed.vulnerabilities()).value.pages[0].body == {}
    assert list(asked[0]) == ["a"]
