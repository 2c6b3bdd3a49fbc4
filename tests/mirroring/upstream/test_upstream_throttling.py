"""How a client treats a host that throttles us."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from structlog.testing import capture_logs

from nugetproxy.errors import UpstreamError, UpstreamUnavailable
from nugetproxy.httpcache.decisions import Health
from nugetproxy.metrics import UPSTREAM_HELD_BACK
from nugetproxy.mirroring.upstream.client import UpstreamClient
from tests.fakes import faults
from tests.fakes.upstream import FakeUpstream
from tests.mirroring.clients import a_client, skipping

FLAT = "/v3-flatcontainer/"
LIST = f"{FLAT}a/index.json"
NUPKG = f"{FLAT}a/1.0.0/a.1.0.0.nupkg"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Call it with seconds: for connections, this much time has passed."""
    return skipping(monkeypatch)


async def failure(client: UpstreamClient, url: str, patience: float = 5) -> UpstreamError:
    """For a request that fails; the first one is sent twice, because a wait of a minute must be confirmed."""
    with pytest.raises(UpstreamUnavailable) as caught:
        await client.fetch(url, patience=patience)
    return caught.value


async def test_a_host_that_asks_to_wait_is_not_asked(upstream):
    upstream.fault("*", faults.status(429, retry_after=60))
    async with a_client(upstream) as client:
        await failure(client, upstream.base + LIST)
        for number in range(20):
            await failure(client, f"{upstream.base}{FLAT}{number}/index.json", patience=30)
        with pytest.raises(UpstreamUnavailable):
            async with client.download(upstream.base + NUPKG, patience=30):
                pass

    assert [r.path for r in upstream.log] == [LIST, LIST]


async def test_why_and_for_how_long_is_reported(upstream):
    upstream.fault("*", faults.status(429, retry_after=60))
    async with a_client(upstream) as client:
        await failure(client, upstream.base + LIST)
        error = await failure(client, upstream.base + LIST)

    assert error.why in {
        f"it answered 429 Too Many Requests; no request is sent for {seconds} s" for seconds in range(50, 61)
    }
    assert 50 < (error.retry_after or 0) <= 60


def the_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "longest"),
    [
        pytest.param("9" * 40, 300, id="huge"),
        pytest.param("in a date", 121, id="a date"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", 300, id="a date far away"),
        pytest.param("-60", 1, id="negative"),
        pytest.param("Mon, 01 Jan 2024 00:00:00 GMT", 1, id="a date long ago"),
        pytest.param("a while", 1, id="words"),
        pytest.param("Mon, 01 Jan 2024 12:00:00 +99999999999999", 1, id="absurd"),
    ],
)
async def test_what_is_remembered_is_bounded(upstream, later, retry_after, longest):
    upstream.fault("*", faults.status(429, retry_after=the_date(120) if "in a" in retry_after else retry_after))
    async with a_client(upstream) as client:
        told = (await failure(client, upstream.base + LIST, patience=5 if longest > 5 else 0)).retry_after
        later(longest)
        upstream.heal()

        assert (await client.fetch(upstream.base + LIST, patience=0)).status == 404
    assert (told or 0) <= longest


async def test_it_is_asked_again_when_the_time_is_over(upstream, later):
    upstream.fault("*", faults.status(429, retry_after=60), times=2)
    async with a_client(upstream) as client:
        await failure(client, upstream.base + LIST)
        later(58)
        await failure(client, upstream.base + LIST, patience=0)
        later(2)

        assert (await client.fetch(upstream.base + LIST, patience=0)).status == 404


async def test_those_who_have_patience_wait(upstream, later):
    counted = UPSTREAM_HELD_BACK.labels("patient")
    upstream.fault(LIST, faults.status(429, retry_after=60), times=2)
    async with a_client(upstream, name="patient") as client:
        await failure(client, upstream.base + LIST)
        later(59.8)

        assert (await client.fetch(upstream.base + LIST, patience=5)).status == 404
    assert (counted._value.get() > 0, len(upstream.log)) == (True, 3)


async def test_one_goes_first_when_the_time_is_over(upstream, later):
    held = asyncio.Event()
    upstream.fault("*", faults.status(429, retry_after=60), times=2)
    upstream.fault("*", faults.until(held), times=1)
    async with a_client(upstream, head_timeout=5) as client:
        await failure(client, upstream.base + LIST)
        later(60)
        calls = [asyncio.create_task(client.fetch(upstream.base + LIST, patience=5)) for _ in range(50)]
        await asyncio.sleep(0.1)
        asked = len(upstream.log)
        held.set()

        assert [answer.status for answer in await asyncio.gather(*calls)] == [404] * 50
    assert asked == 3


async def test_if_that_one_is_refused_no_other_follows(upstream, later):
    upstream.fault("*", faults.status(429, retry_after=60))
    async with a_client(upstream) as client:
        await failure(client, upstream.base + LIST)
        later(60)
        calls = [client.fetch(upstream.base + LIST, patience=5) for _ in range(50)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {UpstreamUnavailable}
    assert len(upstream.log) == 3


@pytest.mark.parametrize("fault", [faults.silent(), faults.redirect("http://portal.invalid/"), faults.status(500)])
async def test_when_that_one_fails_otherwise_all_may_ask(upstream, later, fault):
    upstream.fault("*", faults.status(429, retry_after=60), times=2)
    upstream.fault("*", fault, times=1)
    async with a_client(upstream) as client:
        await failure(client, upstream.base + LIST)
        later(60)
        with pytest.raises(UpstreamError):
            await client.fetch(upstream.base + LIST, patience=0)

        assert (await client.fetch(upstream.base + LIST, patience=0)).status == 404


async def test_when_that_one_is_cancelled_the_next_goes_first(upstream, later):
    upstream.fault("*", faults.status(429, retry_after=60), times=2)
    upstream.fault("*", faults.silent(), times=1)
    async with a_client(upstream, head_timeout=30) as client:
        await failure(client, upstream.base + LIST)
        later(60)
        first = asyncio.create_task(client.fetch(upstream.base + LIST, patience=0))
        while len(upstream.log) < 3:
            await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

        assert (await client.fetch(upstream.base + LIST, patience=0)).status == 404


async def test_who_never_says_for_how_long_is_asked_less_and_less(upstream):
    upstream.fault("*", faults.status(429))
    async with a_client(upstream) as client:
        calls = [client.fetch(f"{upstream.base}{FLAT}{n}/index.json", patience=0.2) for n in range(30)]
        await asyncio.gather(*calls, return_exceptions=True)

    assert len(upstream.log) < 30 + 10


async def test_many_refusals_do_not_open_the_breaker(upstream, later):
    upstream.fault("*", faults.status(429, retry_after=60))
    async with a_client(upstream, breaker_failures=1) as client:
        for _ in range(10):
            await failure(client, upstream.base + LIST)
            later(60)

        assert client.health is Health.GOOD


async def test_what_is_kept_of_it_is_served_meanwhile(upstream, later):
    """
    Its health shows it: requests with a stored copy do not wait.
    """
    upstream.fault("*", faults.status(429, retry_after=60), times=2)
    async with a_client(upstream) as client:
        await failure(client, upstream.base + LIST)
        seen = [client.health_of(upstream.base + LIST)]
        later(60)
        seen.append(client.health_of(upstream.base + LIST))

    assert seen == [Health.SUSPECT, Health.GOOD]


async def test_another_host_is_asked_all_the_same(upstream):
    async with FakeUpstream() as search, a_client(upstream) as client:
        client.allow(f"{search.base}/query")
        search.fault("*", faults.status(429, retry_after=60))
        await failure(client, f"{search.base}/query?q=x")

        assert (await client.fetch(upstream.base + LIST, patience=0)).status == 404
        assert client.health_of(upstream.base + LIST) is Health.GOOD
    assert len(search.log) == 2


async def test_another_part_of_the_same_host_is_asked_all_the_same(upstream):
    upstream.add_package("A", "1.0.0")
    upstream.fault("/query", faults.status(429, retry_after=60))
    async with a_client(upstream) as client:
        for part in ("/query", FLAT, "/v3/registration5-gz-semver2/"):
            client.allow(upstream.base + part)
        for query in ("x", "y"):
            await failure(client, f"{upstream.base}/query?q={query}")

        assert (await client.fetch(upstream.base + LIST, patience=0)).status == 200
        assert (await client.fetch(upstream.url, patience=0)).status == 200
    assert upstream.requests_for("/query") == 2


async def test_a_redirect_to_a_host_that_asks_to_wait_is_not_followed(upstream):
    async with FakeUpstream() as content, a_client(upstream) as client:
        client.allow(f"{content.base}/")
        upstream.fault(LIST, faults.redirect(f"{content.base}/a"))
        content.fault("*", faults.status(429, retry_after=60))
        for _ in range(3):
            await failure(client, upstream.base + LIST)
    assert (len(content.log), len(upstream.log)) == (2, 4)


async def test_a_503_that_names_a_time_is_one_too(upstream):
    upstream.fault("*", faults.status(503, retry_after=60))
    async with a_client(upstream) as client:
        await failure(client, upstream.base + LIST, patience=0)
        for other in range(2):
            await failure(client, f"{upstream.base}{LIST}?{other}")

    assert len(upstream.log) == 2


async def test_one_document_that_is_always_refused_so_holds_no_other_back(upstream):
    """
    A 503 may concern that document only.
    """
    upstream.fault(LIST, faults.status(503, retry_after=60))
    async with a_client(upstream, breaker_failures=100) as client:
        await failure(client, upstream.base + LIST, patience=0.5)
        answer = await client.fetch(f"{upstream.base}{FLAT}b/index.json", patience=5)

    assert answer.status == 404


async def test_it_opens_the_breaker_as_if_it_were_asked(upstream):
    upstream.fault("*", faults.status(503, retry_after=60))
    async with a_client(upstream, breaker_failures=3) as client:
        for _ in range(3):
            await failure(client, upstream.base + LIST)

        assert client.health is Health.DEAD


@pytest.mark.parametrize("fault", [faults.status(503), faults.status(500, retry_after=60), faults.status(403)])
async def test_other_refusals_are_not(upstream, fault):
    upstream.fault("*", fault)
    async with a_client(upstream) as client:
        for _ in range(3):
            await failure(client, upstream.base + LIST, patience=0)

    assert len(upstream.log) == 3


async def test_requests_waiting_for_a_connection_are_not_sent(upstream):
    held = asyncio.Event()
    upstream.fault("*", faults.Fault(until=held, status=429, headers={"Retry-After": "60"}))
    async with a_client(upstream, connections=1, head_timeout=5) as client:
        calls = [asyncio.create_task(client.fetch(upstream.base + LIST, patience=1)) for _ in range(20)]
        await asyncio.sleep(0.05)
        held.set()
        await asyncio.gather(*calls, return_exceptions=True)

    assert len(upstream.log) == 2


async def test_requests_that_were_not_sent_are_counted(upstream):
    counted = UPSTREAM_HELD_BACK.labels("busy")
    before = counted._value.get()
    upstream.fault("*", faults.status(429, retry_after=60))
    async with a_client(upstream, name="busy") as client:
        for _ in range(4):
            await failure(client, upstream.base + LIST)

    assert counted._value.get() - before == 3


async def test_a_wait_that_clients_notice_is_logged_and_so_is_its_end(upstream, later):
    upstream.fault("*", faults.status(429, retry_after=60), times=2)
    with capture_logs() as logs:
        async with a_client(upstream) as client:
            for _ in range(5):
                await failure(client, upstream.base + LIST)
            later(60)
            await client.fetch(upstream.base + LIST, patience=0)

    told = [(log["log_level"], log["event"], log["host"]) for log in logs if log["log_level"] != "debug"]
    assert told == [
        ("warning", "upstream_asks_to_wait", upstream.base),
        ("info", "upstream_may_be_asked_again", upstream.base),
    ]


async def test_it_is_logged_once_for_all_who_were_refused_together(upstream):
    held = asyncio.Event()
    upstream.fault("*", faults.Fault(until=held, status=429, headers={"Retry-After": "60"}))
    with capture_logs() as logs:
        async with a_client(upstream, head_timeout=5) as client:
            calls = [asyncio.create_task(client.fetch(upstream.base + LIST, patience=5)) for _ in range(20)]
            while len(upstream.log) < 20:
                await asyncio.sleep(0.005)
            held.set()
            await asyncio.gather(*calls, return_exceptions=True)

    assert [log["event"] for log in logs if log["log_level"] != "debug"] == ["upstream_asks_to_wait"]


async def test_an_unnoticeable_wait_is_not_logged(upstream):
    upstream.fault("*", faults.status(429, retry_after=0), times=2)
    with capture_logs() as logs:
        async with a_client(upstream) as client:
            await client.fetch(upstream.base + LIST, patience=5)

    assert [log["event"] for log in logs if log["log_level"] != "debug"] == []


@pytest.mark.parametrize("status", [429, 503])
async def test_a_single_refusal_fails_no_request(upstream, status):
    """
    Another server of a content network would have answered, and so would a plain second try.
    """
    upstream.fault("*", faults.status(status, retry_after=300), times=1)
    async with a_client(upstream) as client:
        calls = [client.fetch(f"{upstream.base}{FLAT}{number}/index.json", patience=5) for number in range(30)]

        assert [answer.status for answer in await asyncio.gather(*calls)] == [404] * 30
        assert client.health_of(upstream.base + LIST) is Health.GOOD


async def test_one_refusal_alone_breaks_no_download(upstream):
    upstream.add_package("A", "1.0.0", padding=300_000)
    upstream.fault(NUPKG, faults.truncated(100_000), times=1)
    upstream.fault(NUPKG, faults.status(503, retry_after=300), times=1)
    async with a_client(upstream) as client, client.download(upstream.base + NUPKG, patience=5) as download:
        received = b"".join([chunk async for chunk in download.chunks()])

    assert received == upstream.gallery.packages["a"]["1.0.0"].nupkg


async def test_behind_a_redirect_neither(upstream):
    async with FakeUpstream() as content, a_client(upstream) as client:
        client.allow(f"{content.base}/")
        upstream.fault(LIST, faults.redirect(f"{content.base}{LIST}"))
        content.fault("*", faults.status(503, retry_after=300), times=1)

        assert (await client.fetch(upstream.base + LIST, patience=5)).status == 404


async def test_a_second_look_that_waits_for_its_answer_is_no_further_failure(upstream):
    """
    Requests waiting behind it have not failed: the breaker counts only those that did.
    """
    held = asyncio.Event()
    upstream.fault("*", faults.status(503, retry_after=300), times=1)
    upstream.fault("*", faults.until(held), times=1)
    async with a_client(upstream, head_timeout=5, breaker_failures=3) as client:
        call = asyncio.create_task(client.fetch(upstream.base + LIST, patience=5))
        while len(upstream.log) < 2:
            await asyncio.sleep(0.005)
        for _ in range(20):
            with pytest.raises(UpstreamUnavailable, match="until a first request has succeeded"):
                await client.fetch(upstream.base + LIST, patience=0)
        held.set()

        assert (await call).status == 404
