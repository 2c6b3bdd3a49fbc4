"""Fetching documents from an upstream that misbehaves in every way."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable

import pytest

from nugetproxy.errors import (
    ConfigError,
    NotMirrored,
    UpstreamError,
    UpstreamNonsense,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from nugetproxy.httpcache.stored import Validators
from nugetproxy.mirroring.upstream.client import UpstreamClient
from tests.fakes import faults
from tests.fakes.gallery import Document
from tests.fakes.upstream import FakeUpstream
from tests.mirroring.clients import a_client

LIST = "/v3-flatcontainer/a/index.json"


@pytest.fixture
async def client(upstream: FakeUpstream) -> AsyncIterator[UpstreamClient]:
    upstream.add_package("A", "1.0.0")
    async with a_client(upstream) as running:
        yield running


# --- answers ----------------------------------------------------------------------------------------------------------


async def test_a_document_comes_with_its_validators(upstream, client):
    answer = await client.fetch(upstream.base + LIST, patience=0)

    assert (answer.status, answer.body) == (200, b'{"versions":["1.0.0"]}')
    assert ("application/json", upstream.base + LIST) == (answer.content_type, answer.url)
    assert answer.etag.startswith("0x8D")
    assert answer.last_modified.endswith("GMT")
    assert answer.headers["accept-ranges"] == "bytes"


async def test_an_unquoted_etag_is_repeated_as_received_and_answers_304(upstream, client):
    first = await client.fetch(upstream.base + LIST, patience=0)
    again = await client.fetch(upstream.base + LIST, validators=Validators(first.etag, ""), patience=0)

    assert (304, b"", first.etag) == (again.status, again.body, again.etag)
    assert first.etag == upstream.log[-1].headers["if-none-match"]


async def test_an_upstream_that_ignores_conditions_answers_200(upstream, client):
    upstream.fault(LIST, faults.no_304())
    first = await client.fetch(upstream.base + LIST, patience=0)
    again = await client.fetch(upstream.base + LIST, validators=Validators(first.etag, ""), patience=0)

    assert (200, first.body) == (again.status, again.body)


@pytest.mark.parametrize("status", [404, 410])
async def test_an_absence_is_an_answer_and_not_asked_twice(upstream, client, status):
    upstream.fault("/v3/none.json", faults.status(status, body=b"nothing here"))

    assert (await client.fetch(f"{upstream.base}/v3/none.json", patience=1)).status == 404
    assert upstream.requests_for("*") == 1


async def test_gzip_is_undone_asked_or_not(upstream, client):
    upstream.fault("/v3-flat*", faults.gzip_unasked())

    assert (await client.fetch(upstream.base + LIST, patience=0)).body == b'{"versions":["1.0.0"]}'


async def test_connections_are_kept(upstream, client):
    for path in (LIST, "/v3/none.json", LIST):
        await client.fetch(upstream.base + path, patience=0)

    assert upstream.connections == 1


async def test_chunks_are_joined(upstream, client):
    upstream.fault(LIST, faults.chunked())

    assert (await client.fetch(upstream.base + LIST, patience=0)).body == b'{"versions":["1.0.0"]}'


async def test_a_json_body_may_end_with_its_connection(upstream, client):
    upstream.fault(LIST, faults.no_length())

    assert (await client.fetch(upstream.base + LIST, patience=0)).body == b'{"versions":["1.0.0"]}'


async def test_a_text_whose_end_cannot_be_seen_is_refused(upstream, client):
    upstream.fault("*/readme", faults.no_length())

    with pytest.raises(UpstreamNonsense, match="truncation could not be detected"):
        await client.fetch(f"{upstream.base}/v3-flatcontainer/a/1.0.0/readme", patience=1)


async def test_only_our_own_headers_are_sent(upstream, client):
    await client.fetch(upstream.base + LIST, patience=0)

    assert {"host", "user-agent", "accept", "accept-encoding"} == upstream.log[0].headers.keys()
    assert upstream.log[0].headers["user-agent"] == "nugetproxy/0 (a caching mirror)"


# --- passing faults ---------------------------------------------------------------------------------------------------

PASSING: dict[str, Callable[[], faults.Fault]] = {
    "reset": faults.reset,
    "reset midway": lambda: faults.reset_midway(5),
    "closed": faults.closed,
    "truncated": lambda: faults.truncated(5),
    "wrong length": lambda: faults.wrong_length(7),
    "silent": faults.silent,
    "stalled": lambda: faults.stalled(5),
    "500": lambda: faults.status(500),
    "502": lambda: faults.status(502),
    "503": lambda: faults.status(503, body=b"x" * 100_000),
    "408": lambda: faults.status(408),
    "429": lambda: faults.status(429, retry_after=0),
    "broken gzip": lambda: faults.Fault(gzip=True, cut_at=20, chunked=True),
    "cut gzip": lambda: faults.Fault(
        status=200, headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"{}" * 50)[:-8]
    ),
    "no HTTP": lambda: faults.Fault(status=200, headers={"Content-Length": "many"}, no_length=True),
}


@pytest.mark.parametrize("name", PASSING)
async def test_a_passing_fault_is_bridged(upstream, client, name):
    upstream.fault(LIST, PASSING[name](), times=2)
    answer = await client.fetch(upstream.base + LIST, patience=5)

    assert answer.body == b'{"versions":["1.0.0"]}'
    assert upstream.requests_for(LIST) == 3


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("reset midway", UpstreamUnavailable),
        ("truncated", UpstreamUnavailable),
        ("silent", UpstreamTimeout),
        ("stalled", UpstreamTimeout),
        ("503", UpstreamUnavailable),
        ("429", UpstreamUnavailable),
        ("cut gzip", UpstreamNonsense),
        ("no HTTP", UpstreamNonsense),
    ],
)
async def test_without_patience_there_is_one_try(upstream, client, name, error):
    upstream.fault(LIST, PASSING[name]())

    with pytest.raises(error):
        await client.fetch(upstream.base + LIST, patience=0)
    assert upstream.requests_for(LIST) == 1


async def test_patience_ends(upstream, client):
    upstream.fault(LIST, faults.status(500))

    with pytest.raises(UpstreamUnavailable, match="answered 500 Internal Server Error"):
        await client.fetch(upstream.base + LIST, patience=0.1)
    assert 3 <= upstream.requests_for(LIST) <= 30


async def test_a_restart_is_bridged(upstream, client):
    await upstream.die()
    fetching = asyncio.create_task(client.fetch(upstream.base + LIST, patience=5))
    await asyncio.sleep(0.05)
    await upstream.revive()

    assert (await fetching).status == 200


async def test_retry_after_is_honoured(upstream, client):
    upstream.fault(LIST, faults.status(503, retry_after=1), times=1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await client.fetch(upstream.base + LIST, patience=5)

    assert loop.time() - began >= 1
    assert upstream.requests_for(LIST) == 2


async def test_a_confirmed_retry_after_beyond_patience_fails_immediately_and_is_reported(upstream, client):
    upstream.fault(LIST, faults.status(429, retry_after=60))

    with pytest.raises(UpstreamUnavailable, match="answered 429 Too Many Requests") as caught:
        await client.fetch(upstream.base + LIST, patience=30)
    assert 50 < (caught.value.retry_after or 0) <= 60
    assert upstream.requests_for(LIST) == 2


async def test_the_time_out_bounds_the_whole_call(upstream, client):
    upstream.fault(LIST, faults.status(500))

    with pytest.raises(UpstreamTimeout, match=r"no answer within 0\.05 s"):
        await client.fetch(upstream.base + LIST, patience=30, timeout=0.05)


async def test_a_name_that_does_not_resolve_is_unavailable(upstream):
    async with a_client(upstream, service_index="http://no-such-host.invalid/v3/index.json") as client:
        with pytest.raises(UpstreamUnavailable, match=r"cannot connect to no-such-host\.invalid"):
            await client.fetch("http://no-such-host.invalid/v3/index.json", patience=0)


# --- final answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 407, 451])
async def test_a_refusal_is_unavailable_at_once_and_never_an_absence(upstream, client, status):
    upstream.fault(LIST, faults.status(status))

    with pytest.raises(UpstreamUnavailable, match=f"answered {status}"):
        await client.fetch(upstream.base + LIST, patience=5)
    assert upstream.requests_for(LIST) == 1


async def test_no_content_is_an_absence(upstream, client):
    """
    Clients read it as "not here", and go on to their next source.
    """
    upstream.fault(LIST, faults.status(204))

    assert (await client.fetch(upstream.base + LIST, patience=5)).status == 404
    assert upstream.requests_for(LIST) == 1


@pytest.mark.parametrize("status", [201, 206, 304, 300, 302])
async def test_a_status_that_answers_nothing_is_nonsense(upstream, client, status):
    upstream.fault(LIST, faults.status(status))

    with pytest.raises(UpstreamNonsense, match=f"answered {status}"):
        await client.fetch(upstream.base + LIST, patience=5)


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_over_the_limit_is_nonsense(upstream, client, packed):
    upstream.gallery.extra["/v3/large.json"] = Document(b"0" * 5_000_000)
    upstream.fault("/v3/large.json", faults.Fault(gzip=packed))

    with pytest.raises(UpstreamNonsense, match="larger than 4000000 bytes"):
        await client.fetch(f"{upstream.base}/v3/large.json", patience=5, limit=4_000_000)
    assert upstream.requests_for("/v3/large.json") == 1


async def test_a_body_at_the_limit_is_taken(upstream, client):
    upstream.gallery.extra["/v3/large.json"] = Document(b"0" * 3_000_000)
    upstream.fault("/v3/large.json", faults.gzip_unasked())

    assert len((await client.fetch(f"{upstream.base}/v3/large.json", patience=0, limit=3_000_000)).body) == 3_000_000


async def test_an_unrequested_encoding_is_nonsense(upstream, client):
    upstream.fault(LIST, faults.Fault(headers={"Content-Encoding": "br"}))

    with pytest.raises(UpstreamNonsense, match="encoding"):
        await client.fetch(upstream.base + LIST, patience=1)


# --- offline, settings, bounds ----------------------------------------------------------------------------------------


async def test_offline_opens_no_socket(upstream):
    async with a_client(upstream, offline=True) as client:
        with pytest.raises(NotMirrored):
            await client.fetch(upstream.url, patience=1)
        with pytest.raises(NotMirrored):
            async with client.download(upstream.url, patience=1):
                pass
    assert upstream.connections == 0


async def test_files_that_cannot_be_read_are_told_at_start(upstream):
    with pytest.raises(ConfigError) as caught:
        async with a_client(
            upstream, username="me", password_file="/nowhere/p", header_name="X-K", header_value_file="/nowhere/h"
        ):
            pass
    assert len(caught.value.problems) == 2


async def test_connections_are_bounded(upstream):
    release = asyncio.Event()
    upstream.fault("/v3/*", faults.until(release))
    async with a_client(upstream, connections=3, head_timeout=5) as client:
        fetches = [asyncio.create_task(client.fetch(f"{upstream.base}/v3/{n}.json", patience=0)) for n in range(10)]
        while len(upstream.log) < 3:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert len(upstream.log) == 3
        release.set()
        await asyncio.gather(*fetches)

    assert (len(upstream.log), upstream.connections) == (10, 3)


async def test_waiting_for_a_connection_is_not_the_upstreams_failure(upstream):
    """
    Waiting longer for a free connection than the head timeout is not reported as an upstream timeout.
    """
    upstream.fault("/v3/*", faults.delay(0.25))
    async with a_client(upstream, connections=1, head_timeout=0.7) as client:
        answers = await asyncio.gather(*(client.fetch(f"{upstream.base}/v3/{n}.json", patience=0) for n in range(4)))

    assert [answer.status for answer in answers] == [404] * 4


async def test_a_caller_that_leaves_affects_no_other(upstream, client):
    release = asyncio.Event()
    upstream.fault("/v3/x.json", faults.until(release))
    leaver = asyncio.create_task(client.fetch(f"{upstream.base}/v3/x.json", patience=0))
    while not upstream.log:
        await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver

    assert (await client.fetch(upstream.base + LIST, patience=0)).status == 200


async def test_after_close_it_is_unavailable(upstream):
    async with a_client(upstream) as client:
        pass
    with pytest.raises(UpstreamError, match="shutting down"):
        await client.fetch(upstream.url, patience=0)
