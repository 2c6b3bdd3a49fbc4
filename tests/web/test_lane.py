"""The lane on a real socket: what it answers, what it leaves to aiohttp, and how the two share a connection."""

import asyncio
import gzip
import json
import os
import socket
from pathlib import Path

import pytest

from nugetproxy import metrics
from nugetproxy.feeds.base import LocalFile
from nugetproxy.web.hot import HotAnswer, HotVariant
from nugetproxy.web.lane import JOINED, MAX_HEAD, Lane
from nugetproxy.web.long_body import QUEUED, SLICE, TURN
from tests.web.lanes import HIT, JSON_HEADERS, LOOPS, TLS, get, hot_json, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)

GZIP = "Accept-Encoding: gzip, deflate"


def test_a_hot_target_never_reaches_aiohttp(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(b'{"a":1}'))
            return await served.ask(get("/hot")), served.seen

    reply, seen = run_on(loop, scenario)

    assert (reply.status, reply.reason, reply.body, seen) == (200, "OK", b'{"a":1}', [])


def test_what_is_not_hot_is_answered_by_aiohttp(loop):
    async def scenario():
        async with serving() as served:
            return await served.ask(get("/echo")), served.seen

    reply, seen = run_on(loop, scenario)

    assert (reply.status, seen) == (200, ["/echo"])


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


def test_gzip_is_sent_to_those_who_ask(loop):
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


def test_a_client_may_name_its_request(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json())
            named = await served.ask(get("/hot", "X-Request-Id: build-17"))
            odd = await served.ask(get("/hot", "X-Request-Id: a b"))
            return named.header("X-Request-Id"), odd.header("X-Request-Id")

    named, odd = run_on(loop, scenario)

    assert named == "build-17"
    assert odd not in (None, "a b")


@pytest.mark.parametrize("line", ["Range: bytes=0-1", "If-None-Match: x", "Connection: close", "Cookie: a=b"])
def test_a_special_request_is_aiohttps_although_its_target_is_hot(loop, line):
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


def test_the_lane_opens_again_after_aiohttp_answered(loop):
    """
    Answers of both kinds alternate on one connection.
    """

    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json())
            client = await served.open()
            lanes = [
                (await client.ask(get(target))).is_from_lane
                for target in ("/hot", "/echo", "/hot", "/echo", "/echo", "/hot", "/hot")
            ]
            await client.close()
            return lanes, served.seen

    lanes, seen = run_on(loop, scenario)

    assert lanes == [True, False, True, False, False, True, True]
    assert seen == ["/echo"] * 3


def test_the_lane_stays_closed_while_aiohttp_answers(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json())
            client = await served.open()
            client.writer.write(get("/held"))
            while not served.seen:
                await asyncio.sleep(0.005)
            client.writer.write(get("/hot"))
            await asyncio.sleep(0.05)
            served.release.set()
            first, second = await client.reply(), await client.reply()
            third = await client.ask(get("/hot"))
            await client.close()
            return first.body, second.is_from_lane, third.is_from_lane, served.seen

    assert run_on(loop, scenario) == (b"held", False, True, ["/held", "/hot"])


def test_the_lane_opens_again_after_a_body(loop):
    """
    A body leaves aiohttp's parser in an unknown place for us; the next plain request makes it known again.
    """

    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json())
            client = await served.open()
            posted = await client.ask(get("/echo", "Content-Length: 5", method="POST") + b"12345")
            lanes = [(await client.ask(get("/hot"))).is_from_lane for _ in range(2)]
            await client.close()
            return json.loads(posted.body)["body"], lanes

    assert run_on(loop, scenario) == (5, [False, True])


@pytest.mark.parametrize("targets", [("/hot", "/hot"), ("/echo", "/hot"), ("/hot", "/echo", "/hot")])
def test_pipelined_requests_are_aiohttps_and_in_order(loop, targets):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json())
            client = await served.open()
            client.writer.write(b"".join(get(target) for target in targets))
            statuses = [(await client.reply()).status for _ in targets]
            afterwards = await client.ask(get("/hot"))
            await client.close()
            return statuses, served.seen, afterwards.is_from_lane

    statuses, seen, afterwards = run_on(loop, scenario)

    assert statuses == [200 if target == "/echo" else 404 for target in targets]
    assert seen == list(targets)
    assert afterwards


def test_the_rest_of_a_second_head_goes_where_its_start_went(loop):
    """
    Half a request behind a whole one lies in aiohttp's parser; its other half must not be read by the lane.
    """

    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json())
            client = await served.open()
            whole, half = get("/echo"), get("/echo", "X-Sly: " + get("/hot").decode().replace("\r\n", " "))
            client.writer.write(whole + half[:30])
            first = await client.reply()
            await asyncio.sleep(0.02)
            client.writer.write(half[30:])
            second = await client.reply()
            await client.close()
            return first.status, second.status, second.is_from_lane

    assert run_on(loop, scenario) == (200, 200, False)


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


@pytest.mark.parametrize(
    "size", [0, 1, JOINED, JOINED + 1, QUEUED, SLICE - 1, SLICE, SLICE + QUEUED + 1, TURN, TURN + 1, 5 * TURN + 17]
)
def test_bodies_of_any_size_arrive_whole(loop, size):
    async def scenario():
        body = os.urandom(size)
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(body))
            client = await served.open()
            replies = [await client.ask(get("/hot")) for _ in range(3)]
            await client.close()
            return [reply.body == body for reply in replies], served.seen

    assert run_on(loop, scenario) == ([True] * 3, [])


def test_a_file_arrives_whole(loop, tmp_path: Path):
    async def scenario():
        body = os.urandom(3 * SLICE + 5)
        (tmp_path / "a.nupkg").write_bytes(body)
        async with serving() as served:
            file = LocalFile(tmp_path / "a.nupkg", len(body), 0, "e")
            served.hot.offer("/hot", None, HotAnswer("nupkg", HIT, HotVariant(JSON_HEADERS, file)))
            while not len(served.hot):
                await asyncio.sleep(0.005)
            reply = await served.ask(get("/hot"))
            return reply.body == body, reply.is_from_lane

    assert run_on(loop, scenario) == (True, True)


def test_a_request_that_comes_during_a_long_body_is_answered_after_it(loop):
    async def scenario():
        body = os.urandom(6_000_000)
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(body))
            client = await served.open()
            client.writer.write(get("/hot"))
            await asyncio.sleep(0.05)
            client.writer.write(get("/echo"))
            first, second = await client.reply(), await client.reply()
            third = await client.ask(get("/hot"))
            await client.close()
            return first.body == body, second.status, third.body == body

    assert run_on(loop, scenario) == (True, 200, True)


def test_both_sides_share_flow_control(loop):
    """
    A long answer of aiohttp's between two of the lane's, to a reader that is slow to start.
    """

    async def scenario():
        body = os.urandom(6_000_000)
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(body))
            client = await served.open()
            outcomes = []
            for target, expected in (("/hot", body), ("/large", b"L" * 8_000_000), ("/hot", body)):
                client.writer.write(get(target))
                await asyncio.sleep(0.03)
                outcomes.append((await client.reply()).body == expected)
            await client.close()
            return outcomes

    assert run_on(loop, scenario) == [True] * 3


def test_a_client_that_asks_and_never_reads_costs_bounded_memory(loop):
    """
    Rule 3 of the lane: what waits for one connection is a slice or two, however much was asked for.
    """

    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(os.urandom(JOINED)))
            made: list[Lane] = []
            served.server.connections.add = spy(served.server.connections.add, made)  # type: ignore[method-assign]
            raw = socket.create_connection(("127.0.0.1", served.port))
            raw.setblocking(False)
            loop_ = asyncio.get_running_loop()
            for _ in range(400):
                try:
                    async with asyncio.timeout(0.05):
                        await loop_.sock_sendall(raw, get("/hot"))
                except TimeoutError:
                    break
                await asyncio.sleep(0)
            lane = made[0]
            waiting = lane._transport.get_write_buffer_size() + len(lane._held)
            raw.close()
            return waiting

    assert run_on(loop, scenario) < 2 * SLICE


def spy(call, seen):
    def called(argument):
        seen.append(argument)
        return call(argument)

    return called


def test_a_client_that_leaves_in_the_middle_is_forgotten(loop):
    async def scenario():
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(os.urandom(20_000_000)))
            client = await served.open()
            client.writer.write(get("/hot"))
            await client.reader.readexactly(1000)
            client.writer.transport.abort()
            while len(served.server.connections):
                await asyncio.sleep(0.005)
            again = await served.ask(get("/hot", method="HEAD"))
            return again.status

    assert run_on(loop, scenario) == 200


def test_a_client_that_only_stopped_sending_gets_its_whole_body(loop):
    async def scenario():
        body = os.urandom(20_000_000)
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(body))
            client = await served.open()
            client.writer.write(get("/hot"))
            client.writer.write_eof()
            reply = await client.reply()
            return reply.body == body, await client.is_closed()

    assert run_on(loop, scenario) == (True, True)


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


def test_the_lane_works_over_tls(loop, tmp_path: Path):
    """
    Small and long bodies, both sides in turn, the scheme in the key, and a client that reads slowly.
    """

    async def scenario():
        body = os.urandom(6_000_000)
        async with serving(tls=TLS.made_in(tmp_path)) as served:
            served.hot.offer("/small", "https://127.0.0.1:1", hot_json(b"s"))
            served.hot.offer("/plain", "http://127.0.0.1:1", hot_json(b"p"))
            served.hot.offer("/long", None, hot_json(body))
            client = await served.open()
            whole = []
            for target, expected in (("/small", b"s"), ("/echo", None), ("/long", body), ("/small", b"s")):
                client.writer.write(get(target))
                await asyncio.sleep(0.03)
                reply = await client.reply()
                whole.append(expected in (None, reply.body))
            other_scheme = await client.ask(get("/plain"))
            return whole, other_scheme.status, served.seen

    assert run_on(loop, scenario) == ([True] * 4, 404, ["/echo", "/plain"])


def test_a_stop_ends_connections_over_tls(loop, tmp_path: Path):
    async def scenario():
        body = os.urandom(6_000_000)
        async with serving(tls=TLS.made_in(tmp_path)) as served:
            served.hot.offer("/long", None, hot_json(body))
            client = await served.open()
            client.writer.write(get("/long"))
            await asyncio.sleep(0.05)
            stopping = asyncio.create_task(served.server.drain(5))
            reply = await client.reply()
            return reply.body == body, await client.is_closed(), await stopping

    assert run_on(loop, scenario) == (True, True, 0)
