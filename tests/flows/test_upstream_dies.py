"""
The upstream fails, is silent or goes down: temporary failures are retried; when it is down the view of kept packages
remains.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.faults import delay, reset, silent, status
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import MOMENT, Mirror, running, short_lived

LIST = "/v3/flatcontainer/contoso.utils/index.json"
HIVES = ("registration", "registration-gz", "registration-gz-semver2")
QUICK_TO_DIE: dict[str, Any] = {"patience": 0.05, "breaker_failures": 1, "breaker_probe": 0.05}


def package(package_id: str, version: str) -> str:
    return f"/v3/flatcontainer/{package_id}/{version}/{package_id}.{version}.nupkg"


@asynccontextmanager
async def bereft(stocked: FakeUpstream, tmp_path: Any, **settings: Any) -> AsyncIterator[Mirror]:
    """A mirror that has all documents and Contoso.Utils 1.0.0 and 2.0.0; then its upstream goes down."""
    for number in range(150):
        stocked.add_package("Big", f"1.0.{number}")
    async with running(
        tmp_path, stocked, freshness=short_lived(), upstream_settings=QUICK_TO_DIE, **settings
    ) as mirror:
        for path in (LIST, "/v3/flatcontainer/contoso.base/index.json", "/v3/flatcontainer/big/index.json",
                     *(f"/v3/registration/{name}/index.json" for name in ("contoso.utils", "contoso.base", "big")),
                     package("contoso.utils", "1.0.0"), package("contoso.utils", "2.0.0"), package("big", "1.0.70"),
                     "/v3/query?q=", "/v3/vulnerabilities/index.json"):  # fmt: skip
            assert (await mirror.get(path)).status == 200, path
        await kept(mirror, 3)
        await stocked.die()
        await asyncio.sleep(MOMENT * 1.5)
        await mirror.get("/v3/flatcontainer/nobody/index.json")
        yield mirror


async def kept(mirror: Mirror, packages: int) -> None:
    """Wait until this many packages are committed."""
    async with asyncio.timeout(5):
        while len(list(mirror.data.glob("mirror/*/*/*/*.nupkg"))) < packages:
            await asyncio.sleep(0.005)


async def listed_and_downloadable(mirror: Mirror, package_id: str) -> list[str]:
    """The versions that the list names, each of which was downloaded."""
    versions = (await mirror.json(f"/v3/flatcontainer/{package_id}/index.json"))["versions"]
    for version in versions:
        assert (await mirror.get(package(package_id, version))).status == 200
    return list(versions)


class TestBridging:
    @pytest.mark.parametrize("fault", [status(503), status(429, retry_after=0), reset()], ids=["503", "429", "reset"])
    @pytest.mark.parametrize("path", [LIST, package("contoso.utils", "1.0.0")])
    async def test_a_passing_fault_is_not_seen(self, stocked, tmp_path, fault, path):
        """
        The request is held and retried: clients tolerate silence for longer than errors.
        """
        async with running(tmp_path, stocked) as mirror:
            await mirror.get("/v3/index.json")
            stocked.fault("/v3-flatcontainer/*", fault, times=2)
            assert (await mirror.get(path)).status == 200

    async def test_a_lasting_fault_is_reported_when_patience_is_spent(self, stocked, tmp_path):
        stocked.fault("*", status(503))
        async with running(tmp_path, stocked, upstream_settings={"patience": 0.3}) as mirror:
            for path in (LIST, package("contoso.utils", "1.0.0"), "/v3/registration/contoso.utils/index.json",
                         "/v3/catalog/contoso.utils/1.0.0.json"):  # fmt: skip
                answer = await mirror.get(path)
                assert (503, "answered 503" in answer.reason) == (answer.status, True), answer.reason

    async def test_the_settings_patience_is_used(self, stocked, tmp_path):
        """
        With more of it the same fault is bridged.
        """
        stocked.fault("/v3-flatcontainer/*", status(503), times=4)
        async with running(tmp_path, stocked, upstream_settings={"patience": 20.0}) as mirror:
            assert (await mirror.get(LIST)).status == 200

    async def test_a_silent_upstream_is_given_up(self, stocked, tmp_path):
        stocked.fault("/v3-flatcontainer/*", silent())
        impatient = {"patience": 0.1, "head_timeout": 0.2}
        async with running(tmp_path, stocked, upstream_settings=impatient) as mirror:
            assert (await mirror.get(LIST)).status == 504

    @pytest.mark.parametrize("code", [401, 403, 500, 503])
    async def test_a_refusal_is_never_not_found(self, stocked, tmp_path, code):
        stocked.fault("/v3-flatcontainer/*", status(code))
        stocked.fault("/v3/registration5*", status(code))
        async with running(tmp_path, stocked, upstream_settings={"patience": 0.05}) as mirror:
            for path in (LIST, package("contoso.utils", "1.0.0"), "/v3/registration-gz/contoso.utils/index.json",
                         "/v3/registration-gz/contoso.utils/1.0.0.json", "/v3/catalog/contoso.utils/1.0.0.json",
                         "/v3/flatcontainer/contoso.utils/1.0.0/readme"):  # fmt: skip
                assert (await mirror.get(path)).status == 503, path


class TestDeadUpstream:
    async def test_the_list_names_what_can_be_downloaded(self, stocked, tmp_path):
        async with bereft(stocked, tmp_path) as mirror:
            assert await listed_and_downloadable(mirror, "contoso.utils") == ["1.0.0", "2.0.0"]
            assert await listed_and_downloadable(mirror, "big") == ["1.0.70"]

    @pytest.mark.parametrize("hive", HIVES)
    async def test_registrations_name_the_same(self, stocked, tmp_path, hive):
        async with bereft(stocked, tmp_path) as mirror:
            for name, expected in (("contoso.utils", ["1.0.0", "2.0.0"]), ("big", ["1.0.70"])):
                index = await mirror.json(f"/v3/{hive}/{name}/index.json")
                leaves = [leaf for page in index["items"] for leaf in page["items"]]
                assert expected == [leaf["catalogEntry"]["version"] for leaf in leaves]
                for leaf in leaves:
                    for url in (leaf["@id"], leaf["packageContent"], leaf["catalogEntry"]["@id"]):
                        assert (await mirror.get(url.removeprefix(mirror.base))).status == 200, url

    async def test_what_the_upstream_once_stated_is_still_told(self, stocked, tmp_path):
        """
        Deprecations and advisories of kept versions come from the kept registration.
        """
        async with bereft(stocked, tmp_path) as mirror:
            index = await mirror.json("/v3/registration-gz-semver2/contoso.utils/index.json")
        entry = index["items"][0]["items"][1]["catalogEntry"]
        assert {"deprecation", "vulnerabilities"} <= entry.keys()

    async def test_search_finds_what_can_be_downloaded(self, stocked, tmp_path):
        async with bereft(stocked, tmp_path) as mirror:
            for query in ("?q=", "?q=contoso&prerelease=true", "?semVerLevel=2.0.0"):
                page = await mirror.json(f"/v3/query{query}")
                for hit in page["data"]:
                    for row in hit["versions"]:
                        assert (await mirror.get(package(hit["id"].lower(), row["version"]))).status == 200
            assert sorted(hit["id"] for hit in (await mirror.json("/v3/query"))["data"]) == ["Big", "Contoso.Utils"]

    async def test_autocomplete_completes_what_can_be_downloaded(self, stocked, tmp_path):
        async with bereft(stocked, tmp_path) as mirror:
            assert (await mirror.json("/v3/autocomplete?q=cont"))["data"] == ["Contoso.Utils"]
            versions = (await mirror.json("/v3/autocomplete?id=contoso.utils&prerelease=true"))["data"]
        assert versions == ["1.0.0", "2.0.0"]

    async def test_what_was_never_fetched_cannot_be_known(self, stocked, tmp_path):
        """
        Never "not found", and immediately.
        """
        async with bereft(stocked, tmp_path) as mirror:
            for path in ("/v3/flatcontainer/another/index.json", package("another", "1.0.0"),
                         package("contoso.utils", "7.0.0"), package("contoso.utils", "1.1.0-beta.1"),
                         "/v3/registration/another/index.json", "/v3/registration-gz/another/1.0.0.json",
                         "/v3/registration-gz/contoso.utils/7.0.0.json", "/v3/catalog/another/1.0.0.json"):  # fmt: skip
                answer = await mirror.get(path)
                assert answer.status == 503, path
                assert "retry-after" in answer.headers

    async def test_a_reader_half_way_through_an_index_gets_its_pages(self, stocked, tmp_path):
        """
        The index was read before; no package of the requested page is stored, but its document is.
        """
        async with bereft(stocked, tmp_path) as mirror:
            page = await mirror.json("/v3/registration-gz-semver2/big/page/1.0.0/1.0.63.json")
        assert page["count"] == 64

    async def test_it_is_not_asked_again_by_requests(self, stocked, tmp_path):
        async with bereft(stocked, tmp_path) as mirror:
            await stocked.revive()
            stocked.fault("*", status(503))
            asked = len(stocked.log)
            for _ in range(5):
                await mirror.get("/v3/flatcontainer/another/index.json")
            assert {"/v3/index.json"} >= {request.path for request in stocked.log[asked:]}

    async def test_its_return_is_noticed(self, stocked, tmp_path):
        """
        The probe detects it; then the upstream's own lists are shown again.
        """
        async with bereft(stocked, tmp_path) as mirror:
            assert (await mirror.json(LIST))["versions"] == ["1.0.0", "2.0.0"]
            await stocked.revive()
            async with asyncio.timeout(5):
                while len((await mirror.json(LIST))["versions"]) != 3:
                    await asyncio.sleep(0.02)
            assert (await mirror.get(package("contoso.utils", "1.1.0-beta.1"))).status == 200

    async def test_kept_parts_are_served(self, stocked, tmp_path):
        async with bereft(stocked, tmp_path) as mirror:
            for part in ("contoso.utils.nuspec", "readme", "icon"):
                assert (await mirror.get(f"/v3/flatcontainer/contoso.utils/1.0.0/{part}")).status == 200

    async def test_the_answers_say_that_it_is_away(self, stocked, tmp_path):
        async with bereft(stocked, tmp_path) as mirror:
            answer = await mirror.get(LIST)
        assert answer.cache.startswith("nugetproxy; hit; ttl=")
        assert answer.cache.endswith("detail=upstream-away")
        assert answer.headers["cache-control"] == "no-cache"

    async def test_a_slow_search_is_answered_from_what_is_kept(self, stocked, tmp_path):
        async with running(tmp_path, stocked, mirroring={"search_timeout": 0.2}) as mirror:
            await mirror.get(package("contoso.utils", "1.0.0"))
            await kept(mirror, 1)
            stocked.fault("/query", delay(5.0))
            stocked.fault("/autocomplete", silent())
            assert [hit["id"] for hit in (await mirror.json("/v3/query?q=contoso"))["data"]] == ["Contoso.Utils"]
            assert (await mirror.json("/v3/autocomplete?q=contoso"))["data"] == ["Contoso.Utils"]


class TestOffline:
    @pytest.fixture
    async def filled(self, stocked, tmp_path):
        async with running(tmp_path, stocked) as mirror:
            for path in (LIST, *(f"/v3/registration/{n}/index.json" for n in ("contoso.utils", "contoso.base")),
                         package("contoso.utils", "1.0.0"), package("contoso.utils", "2.0.0"),
                         "/v3/vulnerabilities/index.json"):  # fmt: skip
                await mirror.get(path)
            await kept(mirror, 2)
        return tmp_path

    async def test_no_upstream_socket_is_opened(self, filled, stocked):
        connections = stocked.connections
        async with running(filled, stocked, offline=True) as mirror:
            for path in ("/v3/index.json", LIST, "/v3/flatcontainer/nobody/index.json", package("nobody", "1.0.0"),
                         "/v3/registration-gz-semver2/contoso.utils/index.json", "/v3/query?q=x", "/v3/autocomplete",
                         "/v3/vulnerabilities/index.json", package("contoso.utils", "1.0.0"),
                         "/v3/flatcontainer/contoso.utils/1.0.0/license",
                         "/v3/catalog/contoso.utils/1.0.0.json"):  # fmt: skip
                await mirror.get(path)
        assert connections == stocked.connections

    async def test_the_view_is_coherent(self, filled, stocked):
        async with running(filled, stocked, offline=True) as mirror:
            assert await listed_and_downloadable(mirror, "contoso.utils") == ["1.0.0", "2.0.0"]
            for hive in HIVES:
                index = await mirror.json(f"/v3/{hive}/contoso.utils/index.json")
                assert [leaf["catalogEntry"]["version"] for leaf in index["items"][0]["items"]] == ["1.0.0", "2.0.0"]
            assert [hit["id"] for hit in (await mirror.json("/v3/query"))["data"]] == ["Contoso.Utils"]
            assert (await mirror.json("/v3/autocomplete"))["data"] == ["Contoso.Utils"]
            assert (await mirror.json("/v3/autocomplete?id=contoso.utils"))["data"] == ["1.0.0", "2.0.0"]

    async def test_what_was_never_fetched_is_not_found_and_why(self, filled, stocked):
        async with running(filled, stocked, offline=True) as mirror:
            for path in ("/v3/flatcontainer/contoso.base/index.json", package("contoso.base", "1.0.0"),
                         package("contoso.utils", "7.0.0"), "/v3/registration/contoso.base/index.json",
                         "/v3/registration-gz-semver2/contoso.utils/7.0.0.json"):  # fmt: skip
                answer = await mirror.get(path)
                assert answer.status == 404, path
                assert answer.reason.endswith("is not in this mirror, and it is offline"), answer.reason

    async def test_advisories_are_still_told(self, filled, stocked):
        async with running(filled, stocked, offline=True) as mirror:
            index = await mirror.json("/v3/index.json")
            assert "VulnerabilityInfo/6.7.0" in [resource["@type"] for resource in index["resources"]]
            assert stocked.gallery.advisories == await mirror.json("/v3/vulnerabilities/base.json")

    async def test_the_answers_say_so(self, filled, stocked):
        async with running(filled, stocked, offline=True) as mirror:
            assert "detail=offline" in (await mirror.get(LIST)).cache

    async def test_a_tree_without_its_documents_describes_itself(self, filled, stocked, tmp_path_factory):
        """
        Package files copied by hand, with neither documents nor inventory, make a complete feed.
        """
        bare = tmp_path_factory.mktemp("bare")
        (filled / "mirror").rename(bare / "mirror")
        async with running(bare, stocked, offline=True) as mirror:
            assert await listed_and_downloadable(mirror, "contoso.utils") == ["1.0.0", "2.0.0"]
            index = await mirror.json("/v3/registration-gz-semver2/contoso.utils/index.json")
            entry = index["items"][0]["items"][0]["catalogEntry"]
            group = entry["dependencyGroups"][0]
            assert group["dependencies"][0]["id"] == "Contoso.Base"
            async with asyncio.timeout(5):
                while not (await mirror.json("/v3/query?q=utils"))["data"]:
                    await asyncio.sleep(0.02)

    async def test_an_empty_mirror_answers_with_reasons(self, stocked, tmp_path):
        async with running(tmp_path, stocked, offline=True) as mirror:
            assert (await mirror.get("/v3/index.json")).status == 200
            assert (await mirror.get(LIST)).status == 404
            assert (await mirror.json("/v3/query?q=contoso"))["data"] == []
            assert (await mirror.get("/v3/vulnerabilities/index.json")).status == 404
