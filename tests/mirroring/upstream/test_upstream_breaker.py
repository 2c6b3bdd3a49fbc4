"""What a client does with a host that fails again and again."""

import asyncio

import pytest

from nugetproxy.errors import UpstreamError, UpstreamNonsense, UpstreamTimeout, UpstreamUnavailable
from nugetproxy.httpcache.decisions import Health
from nugetproxy.metrics import BREAKER_OPEN
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.mirroring.upstream.faults import Pacing
from tests.fakes import faults
from tests.fakes.upstream import FakeUpstream
from tests.mirroring.clients import a_client

LIST = "/v3-flatcontainer/a/index.json"


async def fails(client: UpstreamClient, url: str, times: int = 1, patience: float = 0) -> None:
    for _ in range(times):
        with pytest.raises(UpstreamError):
            await client.fetch(url, patience=patience)


async def until_good(client: UpstreamClient) -> None:
    async with asyncio.timeout(5):
        while client.health is not Health.GOOD:
            await asyncio.sleep(0.005)


async def test_a_host_is_suspect_after_a_failure_and_good_after_a_success(upstream):
    upstream.fault(LIST, faults.status(500), times=1)
    async with a_client(upstream) as client:
        seen = [client.health]
        await fails(client, upstream.base + LIST)
        seen.append(client.health)
        await client.fetch(upstream.base + LIST, patience=0)
        seen.append(client.health)

    assert seen == [Health.GOOD, Health.SUSPECT, Health.GOOD]


async def test_an_overdue_answer_makes_suspect(upstream):
    upstream.fault(LIST, faults.silent())
    async with a_client(upstream, head_timeout=5) as client:
        asking = asyncio.create_task(client.fetch(upstream.base + LIST, patience=0))
        async with asyncio.timeout(5):
            while client.health is not Health.SUSPECT:
                await asyncio.sleep(0.005)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    assert len(upstream.log) == 1


async def test_a_404_and_a_304_are_successes(upstream):
    package = upstream.add_package("A", "1.0.0")
    async with a_client(upstream) as client:
        for path in (LIST, "/v3/none.json"):
            upstream.fault("/v3/index.json", faults.status(500), times=1)
            await fails(client, upstream.url)
            await client.fetch(upstream.base + path, patience=0)

            assert client.health == Health.GOOD, path
    assert package.version == "1.0.0"


async def test_an_open_breaker_fails_immediately_and_sends_nothing(upstream):
    upstream.fault("*", faults.status(503))
    async with a_client(upstream, breaker_failures=3, breaker_probe=60) as client:
        await fails(client, upstream.base + LIST, times=3)
        assert client.health == Health.DEAD

        with pytest.raises(
            UpstreamUnavailable, match=r"considered down after repeated failures \(answered 503 Service"
        ):
            await client.fetch(upstream.base + LIST, patience=30)
        with pytest.raises(UpstreamUnavailable):
            async with client.download(upstream.base + LIST, patience=30):
                pass
    assert len(upstream.log) == 3


async def test_while_open_the_time_to_come_back_is_reported(upstream):
    upstream.fault("*", faults.status(503))
    async with a_client(upstream, breaker_failures=1, breaker_probe=5) as client:
        await fails(client, upstream.url)
        with pytest.raises(UpstreamUnavailable) as caught:
            await client.fetch(upstream.url, patience=0)

    assert caught.value.retry_after == 5


async def test_callers_who_bridge_fail_when_the_breaker_opens(upstream):
    """
    However long their patience, and even if the pause before their next try is not over.
    """
    upstream.fault("/slow", faults.status(503, retry_after=20))
    upstream.fault("/v3/*", faults.status(503))
    async with a_client(upstream, breaker_failures=4, breaker_probe=60) as client:
        bridging = asyncio.create_task(client.fetch(f"{upstream.base}/slow", patience=30))
        while not upstream.log:
            await asyncio.sleep(0.001)
        await fails(client, upstream.url, times=3)

        with pytest.raises(UpstreamUnavailable):
            async with asyncio.timeout(5):
                await bridging


async def test_callers_who_wait_for_a_head_fail_when_the_breaker_opens(upstream):
    upstream.fault("/silent", faults.silent())
    upstream.fault("/v3/*", faults.status(503))
    async with a_client(upstream, breaker_failures=2, breaker_probe=60, head_timeout=30) as client:
        waiting = asyncio.create_task(client.fetch(f"{upstream.base}/silent", patience=30))
        while not upstream.log:
            await asyncio.sleep(0.001)
        await fails(client, upstream.url, times=2)

        with pytest.raises(UpstreamUnavailable):
            async with asyncio.timeout(5):
                await waiting


async def test_callers_who_wait_for_a_connection_fail_when_the_breaker_opens(upstream):
    upstream.fault("/silent", faults.silent())
    async with a_client(upstream, breaker_failures=1, breaker_probe=60, connections=1, head_timeout=0.5) as client:
        calls = [client.fetch(f"{upstream.base}/silent", patience=30) for _ in range(5)]
        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [isinstance(outcome, UpstreamUnavailable | UpstreamTimeout) for outcome in outcomes] == [True] * 5
    assert upstream.requests_for("/silent") == 1


async def test_a_probe_closes_the_breaker_when_the_host_is_back(upstream):
    upstream.add_package("A", "1.0.0")
    async with a_client(upstream, breaker_failures=1, breaker_probe=0.02) as client:
        await upstream.die()
        await fails(client, upstream.base + LIST)
        assert client.health == Health.DEAD
        await upstream.revive()
        await until_good(client)

        assert (await client.fetch(upstream.base + LIST, patience=0)).status == 200
    assert [r.path for r in upstream.log] == ["/v3/index.json", LIST]


async def test_only_the_probe_asks_while_the_breaker_is_open(upstream):
    upstream.fault("*", faults.status(503), times=4)
    async with a_client(upstream, breaker_failures=1, breaker_probe=0.02) as client:
        await fails(client, upstream.base + LIST)
        await fails(client, upstream.base + LIST, times=20)
        await until_good(client)

    assert (upstream.requests_for(LIST), upstream.requests_for("/v3/index.json")) == (1, 4)


@pytest.mark.parametrize("fault", [faults.status(401), faults.status(404), faults.status(403), faults.redirect("/x")])
async def test_any_honest_answer_to_a_probe_is_a_sign_of_life(upstream, fault):
    upstream.fault(LIST, faults.status(503))
    upstream.fault("/v3/index.json", fault)
    async with a_client(upstream, breaker_failures=1, breaker_probe=0.01) as client:
        await fails(client, upstream.base + LIST)
        await until_good(client)

    assert upstream.requests_for("/v3/index.json") == 1


@pytest.mark.parametrize(
    "fault", [faults.status(500), faults.status(429), faults.redirect("http://portal.invalid/"), faults.silent()]
)
async def test_a_host_that_is_still_ill_stays_dead(upstream, fault):
    upstream.fault(LIST, faults.status(500))
    upstream.fault("*", fault)
    async with a_client(upstream, breaker_failures=1, breaker_probe=0.01, head_timeout=0.02) as client:
        await fails(client, upstream.base + LIST)
        async with asyncio.timeout(5):
            while upstream.requests_for("/v3/index.json") < 3:
                await asyncio.sleep(0.005)

        assert client.health == Health.DEAD


async def test_a_probe_waits_as_long_as_the_host_asks(upstream):
    upstream.fault(LIST, faults.status(500))
    upstream.fault("/v3/index.json", faults.status(429, retry_after=60), times=2)
    async with a_client(upstream, breaker_failures=1, breaker_probe=0.01) as client:
        await fails(client, upstream.base + LIST)
        while upstream.requests_for("/v3/index.json") < 2:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        with pytest.raises(UpstreamUnavailable, match="considered down") as caught:
            await client.fetch(upstream.base + LIST, patience=0)

    assert 55 < (caught.value.retry_after or 0) <= 60
    assert upstream.requests_for("/v3/index.json") == 2


async def test_when_a_dead_host_is_asked_again_is_known(upstream):
    async with FakeUpstream() as search, a_client(upstream, breaker_failures=1, breaker_probe=60) as client:
        client.allow(f"{search.base}/query")
        await search.die()
        await fails(client, f"{search.base}/query")

        assert [client.until_probe(url) for url in (f"{search.base}/query?q=x", upstream.url, "no url")] == [60, 0, 0]


async def test_when_the_home_of_all_is_dead_all_waits_for_it(upstream):
    async with a_client(upstream, breaker_failures=1, breaker_probe=60) as client:
        await upstream.die()
        await fails(client, upstream.base + LIST)

        assert [client.until_probe(url) for url in ("https://elsewhere.invalid/x", "no url")] == [60, 60]


async def test_the_failures_of_one_host_are_not_anothers(upstream):
    upstream.add_package("A", "1.0.0")
    async with FakeUpstream() as search, a_client(upstream, breaker_failures=1, breaker_probe=60) as client:
        client.allow(f"{search.base}/query")
        await search.die()
        await fails(client, f"{search.base}/query")

        assert (client.health_of(f"{search.base}/query?q=x"), client.health) == (Health.DEAD, Health.GOOD)
        assert (await client.fetch(upstream.base + LIST, patience=0)).status == 200


async def test_an_essential_host_counts_for_the_whole(upstream):
    async with FakeUpstream() as content, a_client(upstream, breaker_failures=1, breaker_probe=60) as client:
        client.allow(f"{content.base}/v3-flatcontainer/", essential=True)
        await content.die()
        await fails(client, f"{content.base}/v3-flatcontainer/a/index.json")

        assert client.health == Health.DEAD


async def test_another_host_is_probed_where_it_failed(upstream):
    async with FakeUpstream() as search, a_client(upstream, breaker_failures=1, breaker_probe=0.01) as client:
        client.allow(f"{search.base}/query")
        search.fault("/query", faults.status(503), times=1)
        await fails(client, f"{search.base}/query?q=x")
        async with asyncio.timeout(5):
            while client.health_of(search.base) is not Health.GOOD:
                await asyncio.sleep(0.005)

    assert [r.query for r in search.log] == ["q=x", "q=x"]


async def test_failures_at_the_same_moment_do_not_open_it(upstream):
    """
    After a restart that breaks twenty requests, all twenty are retried.
    """
    upstream.fault(LIST, faults.status(503), times=20)
    pacing = Pacing(first_pause=0.005, longest_pause=0.02, spacing=5, overdue=1)
    async with a_client(upstream, breaker_failures=2, pacing=pacing) as client:
        calls = [client.fetch(upstream.base + LIST, patience=5) for _ in range(20)]

        assert [answer.status for answer in await asyncio.gather(*calls)] == [404] * 20


async def test_a_silent_host_is_found_out_by_impatient_callers(upstream):
    """
    Search gives up long before the head timeout; that must still count against its host.
    """
    upstream.fault("/query", faults.silent())
    async with a_client(upstream, breaker_failures=2, breaker_probe=60, head_timeout=30) as client:
        for _ in range(2):
            with pytest.raises(UpstreamTimeout):
                await client.fetch(f"{upstream.base}/query", patience=0, timeout=0.4)

        assert client.health == Health.DEAD


async def test_a_redirect_to_another_host_makes_suspect(upstream):
    """
    A captive portal answers everything: stored copies are better than waiting for it.
    """
    upstream.fault("*", faults.redirect("http://portal.invalid/"))
    async with a_client(upstream) as client:
        with pytest.raises(UpstreamNonsense):
            await client.fetch(upstream.url, patience=0)

        assert client.health == Health.SUSPECT


async def test_the_breaker_is_a_metric(upstream):
    gauge = BREAKER_OPEN.labels("measured")
    upstream.fault("*", faults.status(503), times=2)
    async with a_client(upstream, name="measured", breaker_failures=1, breaker_probe=0.05) as client:
        seen = [gauge._value.get()]
        await fails(client, upstream.url)
        seen.append(gauge._value.get())
        await until_good(client)
        seen.append(gauge._value.get())

    assert seen == [0, 1, 0]
