"""Rule 2 of the lane: whichever way a request is answered, the client, the log and the counters see the same.

The same requests are sent to two servers over the real application, one with the lane and one without.
"""

import asyncio
import itertools
import json
import os
import re
from typing import Any

import pytest

from nugetproxy import metrics
from tests.web.lane.two_ways import FLAT, HOST, HOT_TARGETS, a_feed, application, ask, warm
from tests.web.lanes import LOOPS, Reply, get, run_on

OTHER_TARGETS = (
    "/",
    "/v3/nothing",
    f"{FLAT}/9.9.9/contoso.utils.9.9.9.nupkg",
    "/health/live",
    f"{FLAT}/index.json?x=%00",
)

SAID = (
    (),
    ("Accept-Encoding: gzip, deflate",),
    ("Accept-Encoding: identity",),
    ("Accept-Encoding: gzip;q=0, *;q=0",),
    ("Accept-Encoding: gzip", "Connection: keep-alive", "Accept: */*", "X-Forwarded-Host: evil.example"),
    ("Range: bytes=1-3",),
    ("Range: bytes=9999999-",),
    ("Range: bytes=1-", 'If-Range: "file-etag"'),
    ("range: bytes=-5", 'if-range: "another"'),
    ("Range: bytes=0-0,2-3",),
    ("If-None-Match: *",),
    ('If-None-Match: "x", "file-etag"', "Accept-Encoding: gzip"),
    ("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",),
    ("If-Modified-Since: yesterday", "Range: bytes=2-2"),
    ('If-Match: "x"',),
    ("If-Unmodified-Since: Tue, 14 Nov 2000 22:13:20 GMT",),
    ("Connection: close",),
    ("Authorization: Basic eDp5",),
    ("Cache-Control: no-cache",),
)

LANES_OWN = (("Range: bytes=1-3",), ("If-None-Match: *",))
"""Conditions and ranges that are answered from the hot table."""


def comparable(reply: Reply) -> tuple[int, str, list[tuple[str, str]], bytes]:
    """The reply without its clock: Date, and what Age and ttl may differ by on a busy machine."""
    headers = []
    for name, value in reply.headers:
        if name == "Date":
            assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", value)
            told = "a date"
        elif name == "Age":
            assert 20 <= int(value) <= 60
            told = "an age"
        elif name == "Cache-Status":
            told = re.sub(r"ttl=[1-4]?\d\b", "ttl=then", value)
        else:
            told = value
        headers.append((name.title(), told))
    return reply.status, reply.reason, sorted(headers), reply.body


def corpus(targets: tuple[str, ...]) -> list[bytes]:
    return [
        get(target, f"X-Request-Id: parity-{number}", *said, method=method, host=HOST)
        for number, (target, said, method) in enumerate(itertools.product(targets, SAID, ("GET", "HEAD")))
    ]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("size", [0, 3_000, 2_500_000])
def test_both_ways_answer_the_same(loop, size, tmp_path):
    """
    Header for header and byte for byte, over every kind of document and request.
    """

    async def scenario() -> list[tuple[bytes, Any, Any]]:
        feed, sink = a_feed(tmp_path, size), os.open(os.devnull, os.O_WRONLY)
        differing = []
        async with (
            application(feed, sink, lane=True) as (fast, hot, _),
            application(feed, sink, lane=False) as (slow, *_),
        ):
            await warm(fast, hot)
            assert len(hot) == len(HOT_TARGETS)
            for raw in corpus((*HOT_TARGETS, *OTHER_TARGETS)):
                one, other = comparable(await ask(fast, raw)), comparable(await ask(slow, raw))
                if one != other:
                    differing.append((raw, one, other))
        os.close(sink)
        return differing

    assert run_on(loop, scenario) == []


def test_the_lane_really_answered(tmp_path):
    """
    The comparison would prove nothing if both servers had answered through aiohttp.
    """

    async def scenario() -> tuple[int, set[int]]:
        feed, sink = a_feed(tmp_path, 3_000), os.open(os.devnull, os.O_WRONLY)
        async with application(feed, sink, lane=True) as (port, hot, _):
            await warm(port, hot)
            before, statuses = len(feed.asked), set()
            for target, said in itertools.product(HOT_TARGETS, (*SAID[:5], *LANES_OWN)):
                statuses.add((await ask(port, get(target, *said, host=HOST))).status)
            os.close(sink)
            return len(feed.asked) - before, statuses

    assert run_on("asyncio", scenario) == (0, {200, 206, 304})


def test_both_ways_log_and_count_the_same(tmp_path):
    def counted() -> list[tuple[str, float]]:
        names = (
            "nugetproxy_requests_total",
            "nugetproxy_response_bytes_total",
            "nugetproxy_request_duration_seconds_count",
        )
        found = [metrics.REQUESTS, metrics.BYTES_OUT, metrics.REQUEST_SECONDS]
        return [
            (f"{sample.name}{sorted(sample.labels.items())}", sample.value)
            for instrument in found
            for metric in instrument.collect()
            for sample in metric.samples
            if sample.name in names
        ]

    async def lines_of(*, lane: bool) -> tuple[list[Any], list[tuple[str, float]]]:
        feed = a_feed(tmp_path, 3_000)
        path = tmp_path / f"log-{lane}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        async with application(feed, descriptor, lane=lane) as (port, hot, server):
            await warm(port, hot)
            server.tally.flush()
            before = dict(counted())
            for raw in corpus((*HOT_TARGETS, *OTHER_TARGETS)):
                await ask(port, raw)
            await asyncio.sleep(0.02)
            server.tally.flush()
            grown = [(name, value - before.get(name, 0)) for name, value in counted() if value != before.get(name, 0)]
        os.close(descriptor)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        kept = [line for line in lines if line["request_id"] != "warming"]
        return [{name: line[name] for name in line if name not in ("time", "seconds")} for line in kept], sorted(grown)

    async def scenario() -> Any:
        return await lines_of(lane=True), await lines_of(lane=False)

    (fast_lines, fast_counts), (slow_lines, slow_counts) = run_on("asyncio", scenario)

    assert fast_lines == slow_lines
    assert fast_counts == slow_counts
