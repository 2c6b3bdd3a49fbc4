"""Cold, warm and stale: how many requests reach the upstream, and what our answers state."""

import asyncio

import pytest

from tests.fakes.faults import delay, no_304, status
from tests.flows.mirror import MOMENT, rules, running, short_lived

VERSIONS = "/v3/flatcontainer/contoso.utils/index.json"
REGISTRATION = "/v3/registration-gz-semver2/contoso.utils/index.json"
LEAF = "/v3/registration-gz-semver2/contoso.utils/3.0.0.json"
PACKAGE = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"

DOCUMENTS = [
    (VERSIONS, "/v3-flatcontainer/contoso.utils/index.json"),
    (REGISTRATION, "/v3/registration5-gz-semver2/contoso.utils/index.json"),
    ("/v3/catalog/contoso.utils/1.0.0.json", "/v3/catalog0/data/*"),
    ("/v3/query?q=contoso", "/query"),
    ("/v3/autocomplete?q=contoso", "/autocomplete"),
    ("/v3/flatcontainer/contoso.utils/1.0.0/readme", "*/readme"),
    ("/v3/vulnerabilities/index.json", "/v3/vulnerabilities/index.json"),
]


@pytest.mark.parametrize(("path", "asked"), DOCUMENTS)
async def test_a_fresh_document_is_not_asked_for_again(stocked, tmp_path, path, asked):
    async with running(tmp_path, stocked) as mirror:
        cold, warm = await mirror.get(path), await mirror.get(path)
    assert (200, cold.body) == (warm.status, warm.body)
    assert stocked.requests_for(asked) == 1
    assert warm.cache.startswith("nugetproxy; hit; ttl=")
    assert warm.headers["age"] == "0"


@pytest.mark.parametrize(("path", "asked"), DOCUMENTS)
async def test_an_old_document_costs_one_conditional_request(stocked, tmp_path, path, asked):
    """
    The upstream's own entity tag is sent back unchanged, without the quotes that nuget.org omits.
    """
    async with running(tmp_path, stocked, freshness=short_lived()) as mirror:
        cold = await mirror.get(path)
        before = stocked.requests_for(asked)
        await asyncio.sleep(MOMENT * 1.5)
        again = await mirror.get(path)
    requests = stocked.recorded(asked)[before:]
    assert cold.body == again.body
    assert len(requests) == 1
    assert requests[0].headers["if-none-match"].startswith("0x8D")
    assert "fwd=stale" in again.cache


async def test_an_upstream_without_304_is_refreshed_all_the_same(stocked, tmp_path):
    stocked.fault("*", no_304())
    async with running(tmp_path, stocked, freshness=short_lived()) as mirror:
        cold = await mirror.get(VERSIONS)
        await asyncio.sleep(MOMENT * 1.5)
        again = await mirror.get(VERSIONS)
    assert cold.body == again.body
    assert cold.headers["etag"] == again.headers["etag"]


async def test_a_changed_document_is_seen_when_it_is_due(stocked, tmp_path):
    async with running(tmp_path, stocked, freshness=short_lived()) as mirror:
        await mirror.get(VERSIONS)
        stocked.add_package("Contoso.Utils", "3.0.0")
        await asyncio.sleep(MOMENT * 1.5)
        assert "3.0.0" in (await mirror.json(VERSIONS))["versions"]


async def test_our_own_clients_get_304(stocked, tmp_path):
    async with running(tmp_path, stocked) as mirror:
        for path in (*(path for path, _ in DOCUMENTS), "/v3/index.json"):
            first = await mirror.get(path)
            again = await mirror.get(path, {"If-None-Match": first.headers["etag"]})
            assert (again.status, again.body) == (304, b""), path


async def test_a_package_is_asked_for_once_for_ever(stocked, tmp_path):
    async with running(tmp_path, stocked, freshness=short_lived()) as mirror:
        cold = await mirror.get(PACKAGE)
        await asyncio.sleep(MOMENT * 1.5)
        warm = await mirror.get(PACKAGE)
    assert cold.body == warm.body == stocked.gallery.packages["contoso.utils"]["1.0.0"].nupkg
    assert stocked.requests_for("*.nupkg") == 1
    assert "fwd=uri-miss" in cold.cache
    assert warm.cache == "nugetproxy; hit"


async def test_age_counts_from_when_the_upstream_vouched(stocked, tmp_path):
    async with running(tmp_path, stocked) as mirror:
        await mirror.get(VERSIONS)
        await asyncio.sleep(0.0)
    async with running(tmp_path, stocked) as mirror:
        again = await mirror.get(VERSIONS)
    assert 0 <= int(again.headers["age"]) <= 5
    ttl = int(again.cache.partition("ttl=")[2])
    assert 3594 <= int(again.headers["age"]) + ttl <= 3600


async def test_a_restart_keeps_documents(stocked, tmp_path):
    async with running(tmp_path, stocked) as mirror:
        for path, _ in DOCUMENTS:
            await mirror.get(path)
    asked = len(stocked.log)
    async with running(tmp_path, stocked) as mirror:
        for path, _ in DOCUMENTS:
            assert (await mirror.get(path)).status == 200
    assert asked == len(stocked.log)


class TestAbsence:
    async def test_is_remembered_for_its_seconds(self, stocked, tmp_path):
        path, asked = "/v3/flatcontainer/nobody/index.json", "/v3-flatcontainer/nobody/index.json"
        async with running(tmp_path, stocked, freshness=rules(absent=0.15)) as mirror:
            assert [(await mirror.get(path)).status for _ in range(2)] == [404, 404]
            assert stocked.requests_for(asked) == 1
            stocked.add_package("Nobody", "1.0.0")
            await asyncio.sleep(0.2)
            assert (await mirror.get(path)).status == 200

    async def test_of_a_package_file_too(self, stocked, tmp_path):
        path = "/v3/flatcontainer/contoso.utils/3.0.0/contoso.utils.3.0.0.nupkg"
        async with running(tmp_path, stocked, freshness=rules(absent=0.15)) as mirror:
            assert [(await mirror.get(path)).status for _ in range(2)] == [404, 404]
            assert stocked.requests_for("*3.0.0.nupkg") == 1
            stocked.add_package("Contoso.Utils", "3.0.0")
            await asyncio.sleep(0.2)
            assert (await mirror.get(path)).status == 200

    async def test_names_what_is_absent_in_the_status_line(self, stocked, tmp_path):
        """
        NuGet prints the reason phrase and drops the body.
        """
        async with running(tmp_path, stocked) as mirror:
            unknown = await mirror.get("/v3/flatcontainer/nobody/index.json")
            version = await mirror.get("/v3/flatcontainer/contoso.utils/9.0.0/contoso.utils.9.0.0.nupkg")
            other = await mirror.get("/v3/flatcontainer/nobody/9.0.0/nobody.9.0.0.nupkg")
        assert unknown.reason == "package 'nobody' does not exist here"
        assert version.reason == "package 'contoso.utils' has no version '9.0.0'"
        assert other.reason == "package 'nobody' does not exist here"


class TestDoubt:
    async def test_a_leaf_that_the_kept_index_lacks_is_asked_for_once_more(self, stocked, tmp_path, later):
        async with running(tmp_path, stocked) as mirror:
            await mirror.get(REGISTRATION)
            stocked.add_package("Contoso.Utils", "3.0.0")
            later(3.0)
            assert (await mirror.get(LEAF)).status == 200
        assert stocked.requests_for("*/registration5-gz-semver2/contoso.utils/index.json") == 2

    async def test_many_doubters_cost_one_request(self, stocked, tmp_path, later):
        async with running(tmp_path, stocked) as mirror:
            await mirror.get(REGISTRATION)
            later(3.0)
            answers = await asyncio.gather(*(mirror.get(LEAF) for _ in range(20)))
        assert {404} == {answer.status for answer in answers}
        assert stocked.requests_for("*/registration5-gz-semver2/contoso.utils/index.json") == 2

    async def test_a_doubt_that_cannot_be_settled_is_no_absence(self, stocked, tmp_path, later):
        """
        The stored index lacks the version and the upstream fails: whether it exists is unknown.
        """
        async with running(tmp_path, stocked, upstream_settings={"patience": 0.1}) as mirror:
            await mirror.get(REGISTRATION)
            later(3.0)
            stocked.fault("*", status(503))
            assert (await mirror.get(LEAF)).status == 503

    async def test_a_package_newer_than_the_list_makes_the_list_old(self, stocked, tmp_path):
        """
        A download of a version that our list lacks proves that the list is out of date.
        """
        async with running(tmp_path, stocked) as mirror:
            await mirror.get(VERSIONS)
            stocked.add_package("Contoso.Utils", "3.0.0")
            assert "3.0.0" not in (await mirror.json(VERSIONS))["versions"]
            await mirror.get("/v3/flatcontainer/contoso.utils/3.0.0/contoso.utils.3.0.0.nupkg")
            await asyncio.sleep(0)
            assert "3.0.0" in (await mirror.json(VERSIONS))["versions"]


class TestStale:
    async def test_is_served_while_the_upstream_is_slow(self, stocked, tmp_path):
        """
        After the rule's patience the stored copy is better than a late one; the refresh completes in the background.
        """
        async with running(tmp_path, stocked, freshness=short_lived(patience=0.05)) as mirror:
            await mirror.get(VERSIONS)
            stocked.add_package("Contoso.Utils", "3.0.0")
            stocked.fault("*/contoso.utils/index.json", delay(0.3), times=1)
            await asyncio.sleep(MOMENT * 1.5)
            late = await mirror.get(VERSIONS)
            await asyncio.sleep(0.35)
            assert "3.0.0" in (await mirror.json(VERSIONS))["versions"]
        assert "3.0.0" not in late.json["versions"]
        # On a busy machine the service index may have been late before, and then no request waits for this upstream.
        assert late.cache.partition("detail=")[2] in ("upstream-late", "revalidating")

    async def test_is_served_at_once_within_its_grace(self, stocked, tmp_path):
        """
        With stale_while_revalidate no request waits: the refresh is for the next one.
        """
        async with running(tmp_path, stocked, freshness=short_lived(stale_while_revalidate=60.0)) as mirror:
            await mirror.get(VERSIONS)
            stocked.add_package("Contoso.Utils", "3.0.0")
            await asyncio.sleep(MOMENT * 1.5)
            stale = await mirror.get(VERSIONS)
            assert "3.0.0" not in stale.json["versions"]
            assert "detail=revalidating" in stale.cache
            await asyncio.sleep(0.1)
            assert "3.0.0" in (await mirror.json(VERSIONS))["versions"]

    @pytest.mark.parametrize(("path", "asked"), DOCUMENTS)
    async def test_is_served_when_the_upstream_fails(self, stocked, tmp_path, path, asked):
        async with running(
            tmp_path, stocked, freshness=short_lived(), upstream_settings={"patience": 0.05, "breaker_failures": 50}
        ) as mirror:
            kept = await mirror.get(path)
            stocked.fault("*", status(503))
            await asyncio.sleep(MOMENT * 1.5)
            again = await mirror.get(path)
        assert (200, kept.body) == (again.status, again.body)
        assert "; hit; ttl=-" in again.cache

    async def test_is_not_served_for_ever(self, stocked, tmp_path):
        """
        Beyond stale_if_error a failure is reported as one.
        """
        freshness = short_lived(stale_if_error=0.05)
        async with running(tmp_path, stocked, freshness=freshness, upstream_settings={"patience": 0.05}) as mirror:
            await mirror.get(VERSIONS)
            stocked.fault("*/contoso.utils/*", status(503))
            await asyncio.sleep(0.1)
            assert (await mirror.get(VERSIONS)).status == 503
