"""The lane over TLS."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.web.lanes import LOOPS, TLS, get, hot_json, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)


def test_the_lane_works_over_tls(loop, tmp_path: Path):
    """
    Short and long bodies, lane and aiohttp in turn, the scheme in the key, and a client that reads slowly.
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
