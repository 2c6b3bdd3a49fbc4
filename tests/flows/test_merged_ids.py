"""A patched build next to the public versions: answers about a merged id while the upstream fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.faults import status
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import MOMENT, short_lived
from tests.flows.private_feed import House, opened

LIST = "/v3/flatcontainer/serilog/index.json"
NUPKG = "/v3/flatcontainer/serilog/{0}/serilog.{0}.nupkg"
REGISTRATION = "/v3/registration-gz-semver2/serilog/index.json"
SEARCH = "/v3/query?q=serilog&prerelease=true&semVerLevel=2.0.0"
OURS = "4.0.1-ours"
OF_THE_ID = (
    LIST, REGISTRATION, "/v3/registration/serilog/index.json", "/v3/registration-gz/serilog/index.json",
    "/v3/registration-gz-semver2/serilog/page/3.0.0/5.0.0.json", "/api/v2/FindPackagesById()?id='Serilog'",
)  # fmt: skip
OF_OURS = (
    NUPKG.format(OURS), f"/v3/flatcontainer/serilog/{OURS}/serilog.nuspec", f"/api/v2/package/Serilog/{OURS}",
    f"/v3/registration-gz-semver2/serilog/{OURS}.json", f"/v3/catalog/serilog/{OURS}.json",
    f"/api/v2/Packages(Id='Serilog',Version='{OURS}')",
)  # fmt: skip


@asynccontextmanager
async def patched(data: Path, upstream: FakeUpstream, *, failures: int = 1) -> AsyncIterator[House]:
    """The upstream has 3.0.0 and 5.0.0, we host a build between them. After `failures` it is considered down."""
    for version in ("3.0.0", "5.0.0"):
        upstream.add_package("Serilog", version)
    trouble: dict[str, Any] = {"patience": 0.05, "breaker_failures": failures, "breaker_probe": 0.05}
    async with opened(
        data, upstream, freshness=short_lived(), upstream_settings=trouble, hosting={"allowed_ids": ["Serilog"]},
        feed={"protected_prefixes": ["Contoso."], "merged_ids": ["Serilog"]},
    ) as house:  # fmt: skip
        assert (await house.push("Serilog", OURS)).status == 201
        yield house


async def die(upstream: FakeUpstream, house: House) -> None:
    """Stored content is stale, and one request finds the upstream down."""
    await upstream.die()
    await asyncio.sleep(MOMENT * 1.5)
    await house.get("/v3/flatcontainer/nobody/index.json")


async def registered(house: House) -> list[str]:
    index = await house.json(REGISTRATION)
    return [leaf["catalogEntry"]["version"] for page in index["items"] for leaf in page["items"]]


async def test_both_are_one_id(upstream, tmp_path):
    async with patched(tmp_path, upstream) as house:
        assert (await house.json(LIST))["versions"] == await registered(house) == ["3.0.0", OURS, "5.0.0"]
        for version in ("3.0.0", OURS, "5.0.0"):
            assert (await house.get(NUPKG.format(version))).status == 200
        hit = (await house.json("/v3/query?q=serilog&prerelease=true"))["data"][0]
        assert [row["version"] for row in hit["versions"]] == ["3.0.0", OURS, "5.0.0"]


async def test_the_upstream_has_no_version_that_we_deleted(upstream, tmp_path):
    """
    Nobody gets different bytes under its name until an administrator frees it.
    """
    async with patched(tmp_path, upstream) as house:
        assert (await house.push("Serilog", "5.0.0")).status == 201
        assert (await house.send("DELETE", "/api/v2/package/Serilog/5.0.0?Type=HardDelete")).status < 300
        assert (await house.json(LIST))["versions"] == await registered(house) == ["3.0.0", OURS]
        for path in (NUPKG.format("5.0.0"), "/v3/registration-gz-semver2/serilog/5.0.0.json"):
            assert (await house.get(path)).status == 404


@pytest.mark.parametrize("version", ["4.0.0", "6.0.0"], ids=["theirs-is-later", "ours-is-later"])
async def test_a_search_adds_the_downloads_of_both(upstream, tmp_path, version):
    """
    The upstream reports a thousand.
    """
    async with patched(tmp_path, upstream) as house:
        assert (await house.push("Serilog", version)).status == 201
        assert (await house.json(SEARCH))["data"][0]["totalDownloads"] == 1000


async def test_a_search_tells_of_the_version_that_it_shows(upstream, tmp_path):
    """
    The upstream's latest is one that we have unlisted: the hit is about an earlier one, which is described by its leaf.
    """
    upstream.add_package("Serilog", "4.5.0", deprecation={"@type": ["deprecation"], "reasons": ["Legacy"]})
    async with patched(tmp_path, upstream) as house:
        assert (await house.push("Serilog", "5.0.0")).status == 201
        assert (await house.send("DELETE", "/api/v2/package/Serilog/5.0.0")).status < 300
        hit = (await house.json(SEARCH))["data"][0]
        assert (hit["version"], hit.get("deprecation")) == ("4.5.0", {"reasons": ["Legacy"]})


@pytest.mark.parametrize("path", OF_THE_ID)
async def test_half_of_an_id_is_never_shown_for_the_whole(upstream, tmp_path, path):
    """
    Nothing of the other half is stored: neither "not found" nor a list in which a range resolves to a lower version.
    """
    async with patched(tmp_path, upstream, failures=100) as house:
        upstream.fault("*", status(503))
        answer = await house.get(path)
        assert answer.status == 503
        assert "retry-after" in answer.headers


@pytest.mark.parametrize("path", OF_OURS)
async def test_a_version_of_ours_is_served_without_asking_the_upstream(upstream, tmp_path, path):
    async with patched(tmp_path, upstream) as house:
        await die(upstream, house)
        asked = len(upstream.log)
        assert (await house.get(path)).status == 200
        assert len(upstream.log) == asked


async def test_its_entry_does_not_say_that_it_is_the_latest(upstream, tmp_path):
    """
    This is unknown while the other half of the id is unknown.
    """
    path = f"/api/v2/Packages(Id='Serilog',Version='{OURS}')"
    async with patched(tmp_path, upstream) as house:
        await die(upstream, house)
        answer = await house.get(path)
        assert b'<d:IsAbsoluteLatestVersion m:type="Edm.Boolean">false<' in answer.body
        assert answer.headers["cache-control"] == "no-cache"
        assert (await house.get(path.replace(OURS, "5.0.0"))).status == 503


async def test_of_a_dead_upstream_what_is_kept_stands_beside_ours(upstream, tmp_path):
    """
    As for every mirrored id: what is listed can be downloaded.
    """
    async with patched(tmp_path, upstream) as house:
        await house.get(LIST)
        assert (await house.get(NUPKG.format("3.0.0"))).status == 200
        async with asyncio.timeout(5):
            while not list(house.data.glob("mirror/*/serilog/3.0.0/*.nupkg")):
                await asyncio.sleep(0.005)
        await die(upstream, house)
        answer = await house.get(LIST)
        assert answer.json["versions"] == await registered(house) == ["3.0.0", OURS]
        assert answer.cache.endswith("detail=upstream-away")
        for version in ("3.0.0", OURS):
            assert (await house.get(NUPKG.format(version))).status == 200
        assert (await house.get(NUPKG.format("5.0.0"))).status == 503


async def test_of_a_dead_upstream_without_a_kept_package_the_kept_list_is_shown(upstream, tmp_path):
    """
    The list is complete, so everything resolves as before; versions that were never downloaded are unavailable now.
    """
    async with patched(tmp_path, upstream) as house:
        await house.get(LIST)
        await die(upstream, house)
        assert (await house.json(LIST))["versions"] == ["3.0.0", OURS, "5.0.0"]
        assert (await house.get(NUPKG.format("5.0.0"))).status == 503


async def test_a_dead_upstream_that_was_never_asked_leaves_the_id_unknown(upstream, tmp_path):
    async with patched(tmp_path, upstream) as house:
        await die(upstream, house)
        assert (await house.get(LIST)).status == 503
