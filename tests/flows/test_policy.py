"""The policy over real sockets: hidden means hidden in every resource, for every kind of rule."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import faults
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Mirror, rules, running

HIVES = ("registration", "registration-gz", "registration-gz-semver2")
ALL = {"1.0.0", "1.1.0", "2.0.0"}
PARTS = ("{id}.{v}.nupkg", "{id}.nuspec", "readme", "icon", "license")


def ago(**how: float) -> str:
    return (datetime.now(UTC) - timedelta(**how)).isoformat()


@asynccontextmanager
async def ruled(data: Path, upstream: FakeUpstream, *given: dict[str, Any], **more: Any) -> AsyncIterator[Mirror]:
    named = [{"name": f"rule-{number}", "action": "block"} | rule for number, rule in enumerate(given)]
    async with running(data, upstream, policy={"rule": named}, **more) as mirror:
        yield mirror


async def shown(mirror: Mirror, package_id: str = "Risky") -> dict[str, set[str]]:
    """The versions of an id in every list, by resource."""
    lower = package_id.lower()
    found: dict[str, set[str]] = {}
    versions = await mirror.get(f"/v3/flatcontainer/{lower}/index.json")
    found["versions"] = set(versions.json["versions"]) if versions.status == 200 else set()
    for hive in HIVES:
        got = await mirror.get(f"/v3/{hive}/{lower}/index.json")
        found[hive] = set()
        for page in got.json["items"] if got.status == 200 else ():
            inside = page if "items" in page else await mirror.json(page["@id"].removeprefix(mirror.base))
            entries = [leaf["catalogEntry"]["version"] for leaf in inside["items"]]
            assert (page["count"], page["lower"], page["upper"]) == (len(entries), entries[0], entries[-1])
            found[hive] |= set(entries)
    query = await mirror.json(f"/v3/query?q={lower}&prerelease=true&semVerLevel=2.0.0")
    assert query["totalHits"] == len(query["data"])
    found["search"] = {row["version"] for hit in query["data"] for row in hit["versions"]}
    assert all(hit["version"] in {row["version"] for row in hit["versions"]} for hit in query["data"])
    ids = await mirror.json(f"/v3/autocomplete?q={lower}&prerelease=true&semVerLevel=2.0.0")
    assert (ids["data"] == [package_id]) == bool(found["search"])
    completed = await mirror.json(f"/v3/autocomplete?id={lower}&prerelease=true&semVerLevel=2.0.0")
    found["autocomplete"] = set(completed["data"])
    for name, path in (
        ("v2", f"FindPackagesById()?id='{package_id}'"),
        ("v2-search", f"Search()?searchTerm='{lower}'"),
    ):
        feed = (await mirror.get(f"/api/v2/{path}&semVerLevel=2.0.0&includePrerelease=true")).body.decode()
        found[name] = set(re.findall(r"<d:NormalizedVersion>(.*?)<", feed))
    return found


async def reachable(mirror: Mirror, versions: set[str], package_id: str = "Risky") -> dict[str, set[str]]:
    """The versions that can be downloaded or looked at by name, by resource."""
    lower = package_id.lower()
    addresses = {part: f"/v3/flatcontainer/{lower}/{{v}}/{part.replace('{id}', lower)}" for part in PARTS[:2]}
    addresses |= {hive: f"/v3/{hive}/{lower}/{{v}}.json" for hive in HIVES}
    addresses |= {"entry": f"/v3/catalog/{lower}/{{v}}.json"}
    addresses |= {"v2": f"/api/v2/Packages(Id='{package_id}',Version='{{v}}')"}
    addresses |= {"v2-package": f"/api/v2/package/{package_id}/{{v}}"}
    return {
        name: {v for v in versions if (await mirror.get(address.replace("{v}", v))).status in (200, 302)}
        for name, address in addresses.items()
    }


RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "versions": ({"ids": ["Risky"], "versions": "[2.0,)"}, {}),
    "age": ({"younger_than": "7d"}, {"published": ago(days=1)}),
    "licence": ({"licences": ["GPL-3.0-only"]}, {"licence": "GPL-3.0-only"}),
    "other licence": ({"licences_except": ["MIT"]}, {"licence": "Apache-2.0"}),
    "unreadable licence": ({"licences": ["GPL-3.0-only"]}, {"licence": "(((", }),
    "severity": (
        {"severity": "high"},
        {"vulnerabilities": ({"@id": "x", "advisoryUrl": "https://example.org/1", "severity": "2"},)},
    ),
    "severity with grace": (
        {"severity": "high", "grace": "30d"},
        {"vulnerabilities": ({"@id": "x", "advisoryUrl": "https://example.org/1", "severity": "3"},)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", RULES)
async def test_a_withheld_version_is_hidden_everywhere(tmp_path, upstream, kind):
    rule, facts = RULES[kind]
    for version in sorted(ALL):
        upstream.add_package("Risky", version, **({"licence": "MIT"} | (facts if version == "2.0.0" else {})))
    async with ruled(tmp_path, upstream, rule) as mirror:
        lists = await shown(mirror)
        assert lists == dict.fromkeys(lists, ALL - {"2.0.0"})
        found = await reachable(mirror, ALL)
        assert found == dict.fromkeys(found, ALL - {"2.0.0"})
        for part in PARTS:
            name = part.replace("{id}", "risky").replace("{v}", "2.0.0")
            got = await mirror.get(f"/v3/flatcontainer/risky/2.0.0/{name}")
            assert (got.status, "'rule-0'" in got.reason) == (403, True)
        assert upstream.requests_for("*/risky.2.0.0.nupkg") == 0


async def test_without_rules_nothing_is_in_the_way(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0")
    async with running(tmp_path, upstream) as mirror:
        got = await mirror.get("/v3/flatcontainer/risky/index.json")

        assert mirror.services.screening is None
        assert "x-nuget-warning" not in got.headers
        assert upstream.requests_for("*registration*") == 0


async def test_the_versions_list_says_why(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0")
    upstream.add_package("Risky", "2.0.0", published=ago(hours=1))
    async with ruled(tmp_path, upstream, {"name": "cooling-off", "younger_than": "7d", "because": "hijacks"}) as mirror:
        got = await mirror.get("/v3/flatcontainer/risky/index.json")

        told = got.headers["x-nuget-warning"]
        v2 = await mirror.get("/api/v2/FindPackagesById()?id='Risky'")
        assert v2.headers["x-nuget-warning"] == told
        for text in ("Risky 2.0.0", "'cooling-off'", "less than 7 days ago", "hijacks", "/v3/explain/risky"):
            assert text in told


async def test_an_id_of_which_all_is_withheld_is_absent_and_says_why(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0")
    async with ruled(tmp_path, upstream, {"ids": ["Ris*"]}) as mirror:
        lists = await shown(mirror)
        assert not any(lists.values())
        got = await mirror.get("/v3/flatcontainer/risky/index.json")
        assert got.status == 404
        assert "'rule-0'" in got.headers["x-nuget-warning"]
        v2 = await mirror.get("/api/v2/FindPackagesById()?id='Risky'")
        assert (v2.status, v2.headers["x-nuget-warning"]) == (200, got.headers["x-nuget-warning"])


async def test_the_true_date_of_an_unlisted_version_is_the_catalogs(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0", listed=False, published=ago(days=300))
    upstream.add_package("Risky", "1.1.0", listed=False, published=ago(days=1))
    upstream.add_package("Risky", "2.0.0")
    async with ruled(tmp_path, upstream, {"younger_than": "7d"}) as mirror:
        assert (await shown(mirror))["versions"] == {"1.0.0", "2.0.0"}


async def test_what_cannot_be_evaluated_is_withheld(tmp_path, upstream):
    """
    No date anywhere: it counts from when it was first seen here.
    """
    upstream.add_package("Risky", "1.0.0", published="0001-01-01T00:00:00Z")
    upstream.add_package("Risky", "1.1.0")
    async with ruled(tmp_path, upstream, {"younger_than": "7d"}) as mirror:
        got = await mirror.get("/v3/flatcontainer/risky/1.0.0/risky.1.0.0.nupkg")

        assert (await shown(mirror))["versions"] == {"1.1.0"}
        assert "states no time of publication" in got.reason


async def test_an_upstream_that_fails_to_tell_is_no_absence(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0")
    upstream.fault("*registration*", faults.status(503))
    async with ruled(tmp_path, upstream, {"younger_than": "7d"}) as mirror:
        assert (await mirror.get("/v3/flatcontainer/risky/index.json")).status == 503
        assert (await mirror.get("/v3/flatcontainer/risky/1.0.0/risky.1.0.0.nupkg")).status == 503
        assert (await mirror.json("/v3/query?q=risky"))["data"] == []


async def test_vulnerabilities_that_cannot_be_read_are_not_none(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0")
    upstream.fault("*vulnerabilities*", faults.status(503))
    async with ruled(tmp_path, upstream, {"severity": "high"}) as mirror:
        got = await mirror.get("/v3/flatcontainer/risky/index.json")

        assert (got.status, "no readable list of known vulnerabilities" in got.reason) == (404, True)


async def test_what_is_kept_is_screened_offline(tmp_path, upstream):
    for version in sorted(ALL):
        upstream.add_package("Risky", version, licence="GPL-3.0-only" if version == "2.0.0" else "MIT")
    async with running(tmp_path, upstream) as mirror:
        for version in ALL:
            await mirror.get(f"/v3/flatcontainer/risky/{version}/risky.{version}.nupkg")
        await shown(mirror)
    offline = ruled(tmp_path, upstream, {"licences": ["GPL-3.0-only"]}, offline=True)
    async with offline as mirror:
        lists, found = await shown(mirror), await reachable(mirror, ALL)

        assert lists == dict.fromkeys(lists, ALL - {"2.0.0"})
        assert found == dict.fromkeys(found, ALL - {"2.0.0"})


async def test_a_kept_version_stays(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0", published=ago(hours=1))
    address = "/v3/flatcontainer/risky/1.0.0/risky.1.0.0.nupkg"
    async with running(tmp_path, upstream) as mirror:
        assert (await mirror.get(address)).status == 200
    upstream.add_package("Risky", "1.1.0", published=ago(hours=1))
    async with ruled(tmp_path, upstream, {"younger_than": "7d"}) as mirror:
        assert (await shown(mirror))["versions"] == {"1.0.0"}
        assert (await mirror.get(address)).status == 200


async def test_a_fix_is_not_held_back(tmp_path, upstream):
    flaw = ({"@id": "x", "advisoryUrl": "https://example.org/1", "severity": "1"},)
    upstream.add_package("Risky", "1.0.0", vulnerabilities=flaw)
    upstream.add_package("Risky", "1.1.0", published=ago(hours=1))
    upstream.add_package("Risky", "2.0.0", published=ago(hours=1), vulnerabilities=flaw)
    async with ruled(tmp_path, upstream, {"younger_than": "7d"}) as mirror:
        assert (await shown(mirror))["versions"] == {"1.0.0", "1.1.0"}


async def test_a_rule_that_allows_wins(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0", published=ago(hours=1))
    upstream.add_package("Risky", "1.1.0", published=ago(hours=1))
    allow = {"action": "allow", "ids": ["ris*"], "versions": "[1.0]"}
    async with ruled(tmp_path, upstream, {"younger_than": "7d"}, allow) as mirror:
        assert (await shown(mirror))["versions"] == {"1.0.0"}


async def test_a_rule_may_only_warn(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0", published=ago(hours=1))
    async with ruled(tmp_path, upstream, {"younger_than": "7d", "mode": "warn"}) as mirror:
        got = await mirror.get("/v3/flatcontainer/risky/index.json")

        assert got.json["versions"] == ["1.0.0"]
        assert "only warns" in got.headers["x-nuget-warning"]
        assert (await mirror.get("/v3/flatcontainer/risky/1.0.0/risky.1.0.0.nupkg")).status == 200


async def test_an_unsigned_package_is_refused_before_its_first_byte(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0", padding=300_000)
    async with ruled(tmp_path, upstream, {"unsigned": True}) as mirror:
        got = await mirror.get("/v3/flatcontainer/risky/1.0.0/risky.1.0.0.nupkg")

        assert (got.status, "is not signed" in got.reason) == (403, True)
        assert (await mirror.get("/v3/flatcontainer/risky/index.json")).status == 404
    async with ruled(tmp_path, upstream, {"unsigned": True}) as mirror:
        assert (await mirror.get("/v3/flatcontainer/risky/index.json")).status == 404


async def test_an_answer_does_not_outlive_its_verdict(tmp_path, upstream):
    upstream.add_package("Risky", "1.0.0", published=ago(days=7, seconds=-30))
    upstream.add_package("Risky", "1.1.0")
    ending = {"action": "allow", "ids": ["*"], "until": ago(seconds=-10)}
    async with ruled(tmp_path, upstream, {"younger_than": "7d"}, ending, freshness=rules()) as mirror:
        await mirror.get("/v3/flatcontainer/risky/1.1.0/risky.1.1.0.nupkg")
        for path in ("index.json", "1.1.0/risky.1.1.0.nupkg"):
            told = (await mirror.get(f"/v3/flatcontainer/risky/{path}")).headers["cache-control"]
            assert 0 < int(told.rpartition("=")[2]) <= 12


async def test_an_id_that_can_be_mistaken_for_a_known_one(tmp_path, upstream):
    for package_id in ("Newtonsoft.Json", "Newtonsoft.Jsom", "Newtonsoft.Jsons"):
        upstream.add_package(package_id, "1.0.0")
    rule = {"looks_like": ["Newtonsoft.Json"], "except_ids": ["newtonsoft.jsons"]}
    async with ruled(tmp_path, upstream, rule) as mirror:
        assert not any((await shown(mirror, "Newtonsoft.Jsom")).values())
        got = await mirror.get("/v3/flatcontainer/newtonsoft.jsom/1.0.0/newtonsoft.jsom.1.0.0.nupkg")
        assert (got.status, "can be mistaken for Newtonsoft.Json" in got.reason) == (403, True)
        for package_id in ("newtonsoft.json", "newtonsoft.jsons"):
            assert (await mirror.get(f"/v3/flatcontainer/{package_id}/index.json")).status == 200
