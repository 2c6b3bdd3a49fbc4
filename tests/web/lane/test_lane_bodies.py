"""Bodies sent by the lane: of any size, to slow clients, and to clients that leave."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from nugetproxy.feeds.base import LocalFile
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.http.portions import QUEUED, SLICE, TURN
from nugetproxy.web.lane.lane import JOINED, Lane
from tests.web.lanes import HIT, JSON_HEADERS, LOOPS, get, hot_json, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)


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
            reply = await served.ask(get("/hot"))
            return reply.body == body, reply.is_from_lane

    assert run_on(loop, scenario) == (True, True)


def test_a_request_during_a_long_body_is_answered_after_it(loop):
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


def test_a_client_that_asks_and_never_reads_costs_bounded_memory(loop):
    """
    Rule 3 of the lane: what waits for one connection is a slice or two, however much was requested.
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
            served.hot.offer("/hot", None, hot_json(os.urandom(12_000_000)))
            client = await served.open()
            client.writer.write(get("/hot"))
            await client.reader.readexactly(1000)
            client.writer.transport.abort()
            while len(served.server.connections):
                await asyncio.sleep(0.005)
            again = await served.ask(get("/hot", method="HEAD"))
            return again.status

    assert run_on(loop, scenario) == 200


def test_a_client_that_only_stops_sending_gets_its_whole_body(loop):
    async def scenario():
        body = os.urandom(12_000_000)
        async with serving() as served:
            served.hot.offer("/hot", None, hot_json(body))
            client = await served.open()
            client.writer.write(get("/hot"))
            client.writer.write_eof()
            reply = await client.reply()
            return reply.body == body, await client.is_closed()

    assert run_on(loop, scenario) == (True, True)
