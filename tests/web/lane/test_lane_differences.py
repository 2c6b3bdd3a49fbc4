"""The lane and aiohttp's parser read the same bytes alike: hot answers change nothing that a server sends."""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress

import pytest
from hypothesis import HealthCheck, given, settings

from tests.web.lane.odd_requests import Request, odd_requests
from tests.web.lane.two_ways import HOST, a_feed, application, warm

CASES = 300

# Hot for longer than this module runs.
HOT = "/v3/registration/contoso.utils/index.json"

# How long a server may take for a whole request; if it stays silent longer, it is waiting for more of it.
PATIENCE = 0.05

# Sent after the request: anything left in a parser shows up here, and the connection ends.
LAST = b"GET /health/live HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"


class Pair:
    """Two servers over one feed: the first has a lane, with every target hot under two hosts."""

    def __init__(self, runner: asyncio.Runner, ports: tuple[int, int]) -> None:
        self._runner = runner
        self._ports = ports

    def said(self, raw: bytes) -> list[list[tuple[str, list[str], bytes]]]:
        """What each of the two answered to the same bytes."""

        async def both() -> list[bytes]:
            return await asyncio.gather(*(talk(port, raw) for port in self._ports))

        return [comparable(received) for received in self._runner.run(both())]


async def talk(port: int, raw: bytes) -> bytes:
    """Everything that a server sends in response to `raw` followed by a last request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    received = b""
    try:
        writer.write(raw)
        with suppress(TimeoutError):  # it waits for more of the request, or the machine is busy
            async with asyncio.timeout(PATIENCE):
                received = await reader.read(1 << 20)
        writer.write(LAST)
        async with asyncio.timeout(5):
            while some := await reader.read(1 << 20):
                received += some
    except ConnectionError:
        pass  # closed while we were sending the last one
    finally:
        writer.close()
    return received


def comparable(received: bytes) -> list[tuple[str, list[str], bytes]]:
    """Status line, headers and body of each response, without what depends on the clock, the port and counters."""
    answers = []
    for piece in re.split(rb"HTTP/1\.(?=[01] \d{3} )", received)[1:]:
        head, _, body = piece.partition(b"\r\n\r\n")
        status, *headers = head.decode("latin-1").split("\r\n")
        clocks = re.compile(r"(Date|Age|Cache-Status|Content-Length|X-Request-Id): .*", re.IGNORECASE)
        known = [clocks.sub(r"\1", line) for line in headers]
        body = re.sub(rb"127\.0\.0\.1:\d+", b"us", re.sub(rb'"request_id":"[0-9a-f]{12}-[0-9a-f]+"', b"", body))
        answers.append((status, sorted(line.title() for line in known), body))
    return answers


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    stack = AsyncExitStack()

    async def start() -> tuple[int, int]:
        feed = a_feed(tmp_path_factory.mktemp("differences"), 3_000)
        sink = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, sink)
        fast, hot, _ = await stack.enter_async_context(application(feed, sink, lane=True))
        slow, *_ = await stack.enter_async_context(application(feed, sink, lane=False))
        for host in (HOST, "victim.example:80"):
            await warm(fast, hot, host=host)
        return fast, slow

    with asyncio.Runner() as runner:
        try:
            yield Pair(runner, runner.run(start()))
        finally:
            runner.run(stack.aclose())


@settings(max_examples=CASES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(asked=odd_requests())
def test_no_bytes_are_read_in_two_ways(servers, asked):
    with_lane, without = servers.said(asked.raw)
    assert with_lane == without, asked.raw[:500]


@pytest.mark.parametrize("host", [HOST, "victim.example:80"])
def test_a_target_that_holds_a_host_is_refused(servers, host):
    """
    This is the text that was once used as the key of a hot answer.
    """
    for raw in (
        Request(f"{HOT} http://{host}".encode()).raw,
        Request(f"http://{host}{HOT}".encode()).raw,
    ):
        with_lane, without = servers.said(raw)
        assert with_lane == without
        assert with_lane[0][0].startswith("1 400 ")


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "2.1", "3.0"])
@pytest.mark.parametrize("target", [HOT, "/v3/nothing"])
def test_another_version_of_http_is_refused(servers, target, version):
    for raw in (
        Request(target.encode(), version=f"HTTP/{version}".encode()).raw,
        Request(b"/x", version=f"HTTP/{version}".encode(), method=b"PUT", lines=(b"Content-Length: 5",)).raw + b"12345",
    ):
        with_lane, without = servers.said(raw)
        assert with_lane == without
        assert [status[:5] in ("1 505", "1 400") for status, *_ in with_lane] == [True]
