"""The lane on a real socket: what it answers, and what it leaves to aiohttp."""

import asyncio
import gzip
import json
import os
import socket

import pytest

from nugetproxy import metrics
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.lane.unfinished_head import MAX_HEAD
from tests.web.lanes import JSON_HEADERS, LOOPS, get, hot_json, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)

GZIP = "Accept-Encoding: gzip, deflate"


def test_a_hot_target_never_reaches_aiohttp(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(b'{"a":1}'))
            return await served.ask(get("/hot")), served.seen

    reply, seen = run_on(loop, scenario)

    assert (reply.status, reply.reason, reply.body, seen) == (200, "OK", b'{"a":1}', [])


def test_a_newer_answer_has_its_own_head_within_the_same_second(loop):
    """
    Heads are rendered once a second for each answer.
    """

    async def scenario():
        async with serving() as served:
            replies = []
            for detail in ("offline", ""):
                variant = HotVariant(JSON_HEADERS, b"{}")
                served.hot.offer(
                    "/hot", None, HotAnswer("versions", Provenance(Outcome.HIT, 5.0, 60.0, detail=detail), variant)
                )
                replies += [await served.ask(get("/hot")), await served.ask(get("/hot"))]
                unmodified = [await served.ask(get("/hot", 'If-None-Match: "e"')) for _ in range(2)]
                assert [reply.status for reply in unmodified] == [304, 304]
                replies += unmodified
            return [(reply.header("Cache-Status"), reply.header("X-Request-Id")) for reply in replies]

    told = run_on(loop, scenario)

    assert ["detail=offline" in status for status, _ in told] == [True] * 4 + [False] * 4
    assert len({name for _, name in told}) == 8


def test_targets_that_are_not_hot_are_answered_by_aiohttp(loop):
    async def scenario():
        async with serving() as served:
            return await served.ask(get("/echo")), served.seen

    reply, seen = run_on(loop, scenario)

    assert (reply.status, seen) == (200, ["/echo"])


def test_a_connection_comes_back_from_aiohttp_however_quick_its_client_is(loop):
    """
    The next request may arrive before aiohttp has ended its tasks; the lane answers it all the same.
    """

    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(b"hot"))
            replies = await asyncio.to_thread(by_turns, served.port, 10)
            return replies, served.seen

    replies, seen = run_on(loop, scenario)

    assert [body.endswith(b"hot") for body in replies] == [False, True] * 10
    assert seen == ["/echo?slow"] * 10  # so the lane answered the others


def by_turns(port: int, times: int) -> list[bytes]:
    """The responses to a target that is not hot and one that is, in turn, each requested when the last one came."""
    replies = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for target in ["/echo?slow", "/hot"] * times:
            connection.sendall(get(target))
            received = b""
            while b"\r\n\r\n" not in received or not received.endswith((b"hot", b"}")):
                received += connection.recv(65536)
            replies.append(received)
    return replies


def test_what_arrives_while_aiohttp_ends_a_request_is_not_lost(loop):
    """
    Two requests at once behind one that was just answered: the first is not a whole chunk, so aiohttp has both.
    """

    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(b"hot"))
            return await asyncio.to_thread(two_behind_one, served.port), served.seen

    received, seen = run_on(loop, scenario)

    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert seen == ["/echo?slow", "/echo?1", "/echo?2"]


def two_behind_one(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(get("/echo?slow"))
        received = connection.recv(65536)
        connection.sendall(get("/echo?1") + get("/echo?2"))
        while received.count(b"}") < 3:
            received += connection.recv(65536)
    return received


def test_a_head_request_gets_the_head_alone(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(b"x" * 500_000))
            client = await served.open()
            first = await client.ask(get("/hot", method="HEAD"))
            second = await client.ask(get("/hot", method="HEAD"))
            await client.close()
            return first, second, served.seen

    first, second, seen = run_on(loop, scenario)

    assert (first.header("Content-Length"), second.status, seen) == ("500000", 200, [])


def test_gzip_is_sent_to_clients_that_accept_it(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(b"plain", gzip.compress(b"plain")))
            return await served.ask(get("/hot", GZIP)), await served.ask(get("/hot"))

    zipped, plain = run_on(loop, scenario)

    assert (zipped.header("Content-Encoding"), gzip.decompress(zipped.body)) == ("gzip", b"plain")
    assert (plain.header("Content-Encoding"), plain.body) == (None, b"plain")


def test_gzip_may_be_sent_unasked(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(b"plain", gzip.compress(b"plain"), gzip_unasked=True))
            return await served.ask(get("/hot")), await served.ask(get("/hot", "Accept-Encoding: identity"))

    silent, refusing = run_on(loop, scenario)

    assert (silent.header("Content-Encoding"), refusing.header("Content-Encoding")) == ("gzip", None)


def test_a_client_may_send_a_request_id(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json())
            named = await served.ask(get("/hot", "X-Request-Id: build-17"))
            odd = await served.ask(get("/hot", "X-Request-Id: a b"))
            return named.header("X-Request-Id"), odd.header("X-Request-Id")

    named, odd = run_on(loop, scenario)

    assert named == "build-17"
    assert odd not in (None, "a b")


@pytest.mark.parametrize("line", ["If-Match: x", "Connection: close", "Cookie: a=b", "IF-RANGE: x"])
def test_a_special_request_is_left_to_aiohttp_although_its_target_is_hot(loop, line):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/echo", None, hot_json())
            return await served.ask(get("/echo", line)), served.seen

    reply, seen = run_on(loop, scenario)

    assert (reply.status, reply.is_from_lane, seen) == (200, False, ["/echo"])


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /hot HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /hot HTTP/1.1\r\n\r\n",
        b"GET /hot HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /hot HTTP/1.1\nHost: a\n\n",
        b"GET /hot HTTP/1.1\r\nHost: a\r\nX: b\x00\r\n\r\n",
        b"GET /hot HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /hot HTTP/2.0\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"get /hot HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  /hot HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /hot  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /hot HTTP/1.1 \r\nHost: a\r\n\r\n",
    ],
)
def test_a_malformed_request_is_never_answered_from_the_table(loop, raw):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json())
            return await served.ask(raw)

    reply = run_on(loop, scenario)

    assert reply.status in (400, 404, 405, 501, 505)
    assert not reply.is_from_lane


@pytest.mark.parametrize("cuts", [(1,), (4, 10), (20, 21, 22), (-1,), (-2,), (-3,)])
def test_a_head_may_come_in_pieces(loop, cuts):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json())
            client = await served.open()
            raw = get("/hot")
            ends = [cut % len(raw) for cut in cuts]
            for start, end in zip([0, *ends], [*ends, len(raw)], strict=True):
                client.writer.write(raw[start:end])
                await asyncio.sleep(0.01)
            replies = [await client.reply(), await client.ask(get("/hot"))]
            await client.close()
            return [reply.body for reply in replies], served.seen

    assert run_on(loop, scenario) == ([b'{"a":1}'] * 2, [])


def test_an_answer_for_one_host_is_not_given_to_another(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/echo", "http://one", hot_json(b"1"))
            served.hot.offer("/echo", "https://two", hot_json(b"2"))
            one = await served.ask(get("/echo", host="one"))
            other_scheme = await served.ask(get("/echo", host="two"))
            return one.body, other_scheme.is_from_lane

    assert run_on(loop, scenario) == (b"1", False)


def test_an_endless_head_is_refused(loop):
    async def scenario():
        async with serving() as served:
            client = await served.open()
            reply = await client.ask(b"GET /hot HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MAX_HEAD)
            client.writer.write(b"more")
            closed = await client.is_closed()
            return reply.status, reply.header("Connection"), closed, served.seen

    assert run_on(loop, scenario) == (431, "close", True, [])


def test_what_the_lane_answers_is_logged_and_counted(loop):
    async def scenario():
        reader, writer = os.pipe()
        async with serving(descriptor=writer) as served:
            served.hot.offer("/hot?q=1", None, hot_json(b"x" * 100_000))
            await served.ask(get("/hot?q=1", "X-Request-Id: n-1"))
            await served.ask(get("/hot?q=1", "X-Request-Id: n-2", method="HEAD"))
            served.server.tally.flush()
        os.close(writer)
        text = b"".join(iter(lambda: os.read(reader, 65536), b""))
        os.close(reader)
        return [json.loads(line) for line in text.splitlines()]

    counter = metrics.REQUESTS.labels("versions", "hit", "200")._value
    sent = metrics.BYTES_OUT.labels("versions")._value
    before = counter.get(), sent.get()
    lines = run_on(loop, scenario)

    assert (counter.get() - before[0], sent.get() - before[1]) == (2, 100_000)
    assert [
        {
            "request_id": f"n-{number}",
            "remote": "127.0.0.1",
            "actor": "",
            "method": method,
            "path": "/hot?q=1",
            "status": 200,
            "bytes": size,
            "resource": "versions",
            "outcome": "hit",
            "user_agent": "NuGet xplat/7.9.0 (LINUX)",
        }
        for number, method, size in ((1, "GET", 100_000), (2, "HEAD", 0))
    ] == [{name: line[name] for name in line if name not in ("time", "seconds", "level", "event")} for line in lines]


def test_the_lane_can_be_switched_off(loop):
    async def scenario():
        async with serving(lane=False) as served:
            served.hot.offer("/echo", None, hot_json())
            return (await served.ask(get("/echo"))).is_from_lane

    assert run_on(loop, scenario) is False


def test_behind_a_proxy_forwarded_requests_are_aiohttps(loop):
    async def scenario():
        async with serving(trusted_proxies=("127.0.0.1",)) as served:
            served.hot.offer("/echo", None, hot_json())
            forwarded = await served.ask(get("/echo", "X-Forwarded-Proto: https"))
            direct = await served.ask(get("/echo"))
            return forwarded.is_from_lane, direct.is_from_lane

    assert run_on(loop, scenario) == (False, True)
