"""Screened: for any rules and facts, what is listed can be downloaded, and the reverse."""

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nugetproxy.config import PolicyRuleSettings
from nugetproxy.errors import AllWithheld, PackageNotFound, VersionNotFound, Withheld
from nugetproxy.feeds.base import Part
from nugetproxy.feeds.policy.facts import PackageFacts
from nugetproxy.feeds.policy.memory import PolicyMemory
from nugetproxy.feeds.policy.policy import Policy
from nugetproxy.feeds.policy.rules import rule_of
from nugetproxy.feeds.policy.verdicts import Exemption, Exemptions
from nugetproxy.feeds.screened import Screened
from nugetproxy.feeds.screening import Screening
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from tests.feeds.scripted import ScriptedFeed

DAY = 86_400.0
NOW = 1_800_000_000.0
IDS = ("Contoso.Utils", "Contoso.Base", "Fabrikam")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0-beta", "2.0.0")


class Forgetful(PolicyMemory):
    """Knows nothing, and everything was first seen now."""

    def __init__(self, pinned: Iterable[NuGetVersion] = ()) -> None:
        self._pinned = frozenset(pinned)

    async def seen(
        self, lower_id: str, versions: Iterable[NuGetVersion], now: float
    ) -> dict[NuGetVersion | None, float]:
        return dict.fromkeys((None, *versions), now)

    async def files(self, lower_id: str) -> dict[NuGetVersion, tuple[str, PackageFacts]]:
        return {}

    async def pins(self, lower_id: str) -> frozenset[NuGetVersion]:
        return self._pinned


class Silent:
    def refused(self, package: PackageIdentity, rule: str) -> None: ...

    def hidden(self, rule: str, count: int) -> None: ...

    def warned(self, package_id: PackageId, rule: str, count: int) -> None: ...


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class FactsFeed(ScriptedFeed):
    """Adds to each leaf what `facts` says about its version."""

    def __init__(self, facts: dict[tuple[str, str], dict[str, Any]]) -> None:
        super().__init__("below", dict.fromkeys(IDS, VERSIONS))
        self.facts = facts

    def _leaf(self, name: str, version: str) -> Leaf:
        leaf = super()._leaf(name, version)
        return Leaf(leaf.version, name, True, False, {"catalogEntry": leaf.entry | self.facts.get((name, version), {})})


def screened(feed: ScriptedFeed, rules: Iterable[dict[str, Any]], clock: Clock | None = None, **more: Any) -> Screened:
    async def unreadable(_file: Path) -> PackageFacts:
        raise OSError

    async def none(_lower_id: str) -> Exemptions:
        return {}

    named = (
        rule_of(PolicyRuleSettings.model_validate({"name": f"r{number}"} | rule)) for number, rule in enumerate(rules)
    )
    with_defaults: dict[str, Any] = {
        "memory": Forgetful(),
        "revision": lambda: 0,
        "exemptions": none,
        "kept": lambda _id: (),
        "inspect": unreadable,
        "observer": Silent(),
        "clock": clock or Clock(),
    }
    return Screened(feed, Screening(feed, Policy(rules=tuple(named), **(with_defaults | more))))


def written(days: float) -> str:
    return datetime.fromtimestamp(NOW - days * DAY, UTC).isoformat()


ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "published": st.sampled_from([written(1), written(30), "1900-01-01T00:00:00Z", "nonsense"]),
        "licenseExpression": st.sampled_from(["MIT", "GPL-3.0-only", "MIT OR GPL-3.0-only", "((", ""]),
        "vulnerabilities": st.lists(
            st.fixed_dictionaries({"advisoryUrl": st.sampled_from("ab"), "severity": st.sampled_from(["0", "3", "x"])}),
            max_size=2,
        ),
    },
)
RULES = st.fixed_dictionaries(
    {"action": st.sampled_from(["block", "block", "allow"])},
    optional={
        "ids": st.lists(st.sampled_from(["Contoso.*", "Fabrikam", "*", "X"]), max_size=2),
        "except_ids": st.lists(st.sampled_from(["*.Base", "fab*"]), max_size=1),
        "versions": st.sampled_from(["(,1.1)", "[2.0]", "[1.1,)"]),
        "younger_than": st.sampled_from(["7d", "60d"]),
        "first_seen_within": st.just("1d"),
        "severity": st.sampled_from(["low", "critical"]),
        "licences": st.lists(st.sampled_from(["MIT", "GPL-3.0-only"]), max_size=2),
        "unknown_licence": st.sampled_from(["match", "ignore"]),
        "mode": st.sampled_from(["enforce", "warn"]),
        "until": st.sampled_from(["2001-01-01", "2099-01-01"]),
    },
)


async def visible(feed: Screened, name: str) -> dict[str, set[str]]:
    """The versions of an id by each way to see or get one."""
    package_id = PackageId.parse(name)
    found: dict[str, set[str]] = {"list": set(), "index": set(), "between": set()}
    asked = {
        "index": lambda: feed.complete_registration(package_id),
        "between": lambda: feed.registration_between(package_id, NuGetVersion(0), NuGetVersion(9)),
    }
    with contextlib.suppress(AllWithheld):
        found["list"] = {version.normalized for version in (await feed.versions(package_id)).value}
    for way, ask in asked.items():
        with contextlib.suppress(AllWithheld):
            found[way] = {leaf.version.normalized for leaf in (await ask()).value.leaves}
    for way in ("content", "leaf", "entry"):
        found[way] = set()
        for text in VERSIONS:
            package = PackageIdentity.parse(name, text)
            try:
                if way == "content":
                    await feed.content(package, Part.NUPKG)
                elif way == "leaf":
                    await feed.leaf(package)
                else:
                    await feed.catalog_entry(package)
            except (Withheld, VersionNotFound):
                continue
            found[way].add(text)
    hits = (await feed.search(SearchQuery(name, prerelease=True, semver_level2=True))).value.hits
    found["search"] = {row["version"] for hit in hits for row in hit.raw["versions"]}
    page = (await feed.complete(CompletionQuery(package_id=name.lower(), prerelease=True, semver_level2=True))).value
    found["completion"] = set(page.values)
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.tuples(st.sampled_from(IDS), st.sampled_from(VERSIONS)), ENTRIES),
    st.lists(RULES, min_size=1, max_size=4),
)
def test_what_is_listed_can_be_downloaded_and_the_reverse(facts, rules):
    async def check() -> None:
        feed = screened(FactsFeed(facts), rules)
        for name in IDS:
            found = await visible(feed, name)
            assert all(versions == found["list"] for versions in found.values()), found

    asyncio.run(check())


YOUNG = {("Fabrikam", "2.0.0"): {"published": written(1)}} | {
    ("Fabrikam", each): {"published": written(30)} for each in VERSIONS[:3]
}
FABRIKAM = PackageId.parse("Fabrikam")


async def newest(feed: Screened) -> str:
    return (await feed.versions(FABRIKAM)).value[-1].normalized


async def test_verdicts_follow_the_clock_in_both_directions():
    clock = Clock()
    feed = screened(FactsFeed(YOUNG), [{"younger_than": "7d"}], clock)
    assert await newest(feed) == "2.0.0-beta"
    clock.now += 7 * DAY
    assert await newest(feed) == "2.0.0"
    clock.now -= 7 * DAY
    assert await newest(feed) == "2.0.0-beta"


async def test_facts_are_read_once_for_many_requests():
    below = FactsFeed(YOUNG)
    feed = screened(below, [{"younger_than": "7d"}])
    for _ in range(5):
        await feed.content(PackageIdentity.parse("Fabrikam", "1.0.0"), Part.NUPKG)

    assert below.asked.count(("registration", "Fabrikam")) == 1


async def test_an_id_is_judged_once_for_requests_that_wait_together():
    below = FactsFeed(YOUNG)
    feed = screened(below, [{"younger_than": "7d"}])
    package = PackageIdentity.parse("Fabrikam", "1.0.0")
    first = asyncio.create_task(feed.content(package, Part.NUPKG))
    others = [asyncio.create_task(feed.content(package, Part.NUPKG)) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(*others)

    assert below.asked.count(("registration", "Fabrikam")) == 1


async def test_an_id_that_no_rule_is_about_passes_unchanged():
    below = FactsFeed(YOUNG)
    feed = screened(below, [{"ids": ["Contoso.*"], "younger_than": "7d"}])

    assert await newest(feed) == "2.0.0"
    assert below.asked == [("versions", "Fabrikam")]


async def test_exceptions_and_pins_are_followed():
    version = NuGetVersion.parse("2.0.0")
    exemption = {version: Exemption(NOW + DAY, "x", "y")}
    rules = [{"younger_than": "7d"}]

    async def exempt(_lower_id: str) -> Exemptions:
        return exemption

    assert await newest(screened(FactsFeed(YOUNG), rules, exemptions=exempt)) == "2.0.0"
    assert await newest(screened(FactsFeed(YOUNG), rules, memory=Forgetful([version]))) == "2.0.0"
    assert await newest(screened(FactsFeed(YOUNG), rules, kept=lambda _id: [version])) == "2.0.0"


async def test_a_search_hit_describes_the_newest_visible_version():
    facts = {key: entry | {"description": f"of {key[1]}"} for key, entry in YOUNG.items()}
    feed = screened(FactsFeed(facts), [{"younger_than": "7d"}])

    hit = (await feed.search(SearchQuery("Fabrikam", prerelease=True))).value.hits[0]

    assert (hit.raw["version"], hit.raw["description"]) == ("2.0.0-beta", "of 2.0.0-beta")


async def test_an_unknown_id_stays_unknown():
    feed = screened(FactsFeed({}), [{"ids": ["*"]}])

    with pytest.raises(PackageNotFound) as unknown:
        await feed.versions(PackageId.parse("Nowhere"))
    assert not isinstance(unknown.value, AllWithheld)
