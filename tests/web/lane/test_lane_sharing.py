"""How the lane and aiohttp share one connection: which of them gets a request, and in which order they answer."""

import asyncio
import json
import os

import pytest

from tests.web.lanes import LOOPS, get, hot_json, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)


def test_the_lane_opens_again_after_aiohttp_answered(loop):
    """
    Responses of both kinds alternate on one connection.
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
    After a body the state of aiohttp's parser is unknown to us; the next plain request makes it known again.
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


def test_both_halves_of_a_second_head_go_to_aiohttp(loop):
    """
    Half a request behind a whole one is in aiohttp's parser; the lane must not read its other half.
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


def test_both_sides_share_flow_control(loop):
    """
    A long response from aiohttp between two from the lane, to a client that is slow to start reading.
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
                await asyncio.sleep(0.03)  # aiohttp is done a little after its last byte is here
            await client.close()
            return outcomes

    assert run_on(loop, scenario) == [True] * 3
