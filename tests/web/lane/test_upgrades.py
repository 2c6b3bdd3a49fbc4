"""Requests that offer another protocol: answered as HTTP/1.1, and nothing behind one is misread."""

import asyncio
import os

import pytest

from tests.web.lanes import LOOPS, get, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)

H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: AAAA", "Sec-WebSocket-Version: 13")


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
def test_the_connection_goes_on(loop, offer):
    """
    curl --http2 and Java's client offer h2c with the first request of every connection.
    """

    async def scenario():
        async with serving() as served:
            client = await served.open()
            replies = [await client.ask(get("/echo", *headers)) for headers in (offer, (), ())]
            return [reply.status for reply in replies]

    assert run_on(loop, scenario) == [200, 200, 200]


@pytest.mark.parametrize("behind", ["in the same segment", "cut"])
def test_a_request_behind_one_is_never_read_from_its_middle(loop, behind):
    """
    aiohttp's parser drops what it received together with such a request. What follows would begin anywhere.
    """
    second, third = get("/second"), get("/third")

    async def scenario():
        async with serving() as served:
            client = await served.open()
            socket = client.writer.get_extra_info("socket")
            os.write(socket.fileno(), get("/echo", *H2C) + (second if behind != "cut" else b"GET /second?"))
            first = await client.reply()
            client.writer.write(third)
            await client.is_closed()
            return first.status, [path for path in served.seen if path != "/echo"]

    status, seen = run_on(loop, scenario)
    assert status == 200
    assert seen == []


def test_nor_behind_its_body(loop):
    async def scenario():
        async with serving() as served:
            client = await served.open()
            push = get("/echo", *H2C, "Content-Length: 5", method="PUT")
            client.writer.write(push)
            while not served.seen:
                await asyncio.sleep(0.005)
            client.writer.write(b"hello" + get("/second"))
            first = await client.reply()
            return first.status, await client.is_closed(), served.seen

    assert run_on(loop, scenario) == (200, True, ["/echo"])
