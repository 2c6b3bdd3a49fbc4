"""The upstream throttles us: it is left alone for as long as it asks, and everything else continues."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.faults import Fault, status
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import MOMENT, Mirror, running, short_lived
from tests.mirroring.clients import skipping

LIST = "/v3/flatcontainer/contoso.utils/index.json"
TOO_MANY = status(429, retry_after=60)
FLAT = "/v3-flatcontainer/*"
# One failure is enough to consider the upstream down, and no request waits for long.
SETTINGS: dict[str, Any] = {"patience": 2.0, "head_timeout": 20.0, "breaker_failures": 1}


@pytest.fixture
def in_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Call it with seconds: for connections, this much time has passed."""
    return skipping(monkeypatch)


def package(package_id: str, version: str) -> str:
    return f"/v3/flatcontainer/{package_id}/{version}/{package_id}.{version}.nupkg"


def unknown(number: int) -> str:
    return f"/v3/flatcontainer/no.such.{number}/index.json"


async def kept(mirror: Mirror) -> None:
    """Store one version of Contoso.Utils and its documents, and make the documents stale."""
    for path in (LIST, "/v3/registration-gz-semver2/contoso.utils/index.json", package("contoso.utils", "1.0.0")):
        assert (await mirror.get(path)).status == 200
    async with asyncio.timeout(5):
        while not list(mirror.data.glob("mirror/*/*/*/*.nupkg")):
            await asyncio.sleep(0.005)
    await asyncio.sleep(MOMENT * 1.5)


async def test_it_is_reported_as_it_is_and_never_as_not_found(stocked, tmp_path):
    stocked.fault(FLAT, TOO_MANY)
    async with running(tmp_path, stocked, upstream_settings=SETTINGS) as mirror:
        await mirror.get(unknown(0))
        for path in (LIST, package("contoso.utils", "1.0.0"), unknown(1),
                     "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.nuspec"):  # fmt: skip
            answer = await mirror.get(path)
            assert answer.status == 503, path
            assert 50 < int(answer.headers["retry-after"]) <= 60
            assert "answered 429 Too Many Requests; no request is sent for " in answer.reason
    assert stocked.requests_for(FLAT) == 2


async def test_what_is_kept_is_served_and_nothing_is_hidden(stocked, tmp_path):
    """
    The whole list, because "not there" would be final to clients and this is temporary.
    """
    async with running(tmp_path, stocked, freshness=short_lived(), upstream_settings=SETTINGS) as mirror:
        await kept(mirror)
        stocked.fault("*", TOO_MANY)
        await mirror.get(unknown(0))
        assert len((await mirror.json(LIST))["versions"]) == 3
        assert (await mirror.get(package("contoso.utils", "1.0.0"))).status == 200
        assert (await mirror.get("/v3/registration-gz-semver2/contoso.utils/index.json")).status == 200
        assert (await mirror.get(package("contoso.utils", "2.0.0"))).status == 503


async def test_good_requests_are_served_again_when_the_time_is_over(stocked, tmp_path, in_time):
    """
    A scanner requests ids that do not exist until the upstream throttles us; nobody else is affected beyond that.
    """
    async with running(tmp_path, stocked, upstream_settings=SETTINGS) as mirror:
        await mirror.get("/v3/index.json")
        stocked.fault(FLAT, Fault(), times=100)
        stocked.fault(FLAT, TOO_MANY)
        answers = await asyncio.gather(*(mirror.get(unknown(number)) for number in range(500)))
        assert {answer.status for answer in answers} == {404, 503}
        assert [answer.status for answer in answers].count(404) == 100
        # Those in flight when it began to throttle, and one that asked again.
        assert stocked.requests_for(FLAT) <= 100 + 32 + 1
        assert (await mirror.get(LIST)).status == 503

        stocked.heal()
        in_time(61)
        assert (await mirror.get(LIST)).status == 200
        assert (await mirror.get(package("contoso.utils", "2.0.0"))).status == 200


async def test_it_is_not_held_to_be_dead(stocked, tmp_path, in_time):
    stocked.fault(FLAT, TOO_MANY)
    async with running(tmp_path, stocked, upstream_settings=SETTINGS) as mirror:
        for number in range(5):
            await mirror.get(unknown(number))
            in_time(61)
        # Probes request the index, which the first request has fetched for good.
        assert stocked.requests_for("/v3/index.json") == 1
        stocked.heal()
        assert (await mirror.get(LIST)).status == 200


async def test_only_one_asks_first_when_the_time_is_over(stocked, tmp_path, in_time):
    stocked.fault(FLAT, TOO_MANY)
    async with running(tmp_path, stocked, upstream_settings=SETTINGS) as mirror:
        await mirror.get(unknown(0))
        in_time(61)
        answers = await asyncio.gather(*(mirror.get(unknown(number)) for number in range(100)))
        assert {answer.status for answer in answers} == {503}
    assert stocked.requests_for(FLAT) == 3


@pytest.mark.parametrize("path", ["/v3/query?q=contoso", "/v3/autocomplete?q=contoso"])
async def test_a_search_that_has_enough_stops_no_package(stocked, tmp_path, path):
    """
    Whether it is a separate server or not.
    """
    stocked.fault("/query", TOO_MANY)
    stocked.fault("/autocomplete", TOO_MANY)
    async with running(tmp_path, stocked, upstream_settings=SETTINGS) as mirror:
        for _ in range(3):
            assert (await mirror.get(path)).status == 200
        assert (await mirror.get(LIST)).status == 200
        assert (await mirror.get(package("contoso.utils", "1.0.0"))).status == 200
        assert (await mirror.get("/v3/registration-gz-semver2/contoso.utils/index.json")).status == 200
    assert stocked.requests_for("/query") + stocked.requests_for("/autocomplete") == 2


async def test_one_upstream_says_nothing_of_another(stocked, tmp_path):
    async with FakeUpstream() as private:
        private.add_package("Private.One", "1.0.0")
        upstreams: list[dict[str, Any]] = [
            {"name": "public", "service_index": stocked.url, **SETTINGS},
            {"name": "private", "service_index": private.url, "patterns": ["Private.*"], **SETTINGS},
        ]
        stocked.fault("*", TOO_MANY)
        async with running(tmp_path, upstreams) as mirror:
            assert (await mirror.get(LIST)).status == 503
            assert (await mirror.get("/v3/flatcontainer/private.one/index.json")).status == 200


async def test_the_metrics_tell_it(stocked, tmp_path):
    stocked.fault(FLAT, TOO_MANY)
    async with running(tmp_path, [{"name": "toomany", "service_index": stocked.url, **SETTINGS}]) as mirror:
        for number in range(4):
            await mirror.get(unknown(number))
        lines = (await mirror.get("/metrics")).body.decode().splitlines()
    told = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if 'upstream="toomany"' in line}
    assert told['nugetproxy_upstream_requests_total{result="429",upstream="toomany"}'] == 2
    assert told['nugetproxy_upstream_held_back_total{upstream="toomany"}'] == 3
    assert told['nugetproxy_upstream_breaker_open{upstream="toomany"}'] == 0


async def test_offline_has_nothing_to_wait_for(stocked, tmp_path):
    async with running(tmp_path, stocked, upstream_settings=SETTINGS) as mirror:
        await kept(mirror)
    stocked.fault("*", TOO_MANY)
    asked = len(stocked.log)
    async with running(tmp_path, stocked, offline=True, upstream_settings=SETTINGS) as mirror:
        assert (await mirror.json(LIST))["versions"] == ["1.0.0"]
        assert (await mirror.get(unknown(1))).status == 404
    assert len(stocked.log) == asked
