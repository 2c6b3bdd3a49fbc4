"""How connections end: time-outs, limits, a client that stops reading, a graceful stop."""

import asyncio
import json
import os
import socket
from typing import Any

import pytest

from nugetproxy import metrics
from tests.web.lanes import LOOPS, Served, get, hot_json, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)

PATIENT: dict[str, Any] = {"header_timeout": 9.0, "idle_timeout": 9.0, "stall_timeout": 9.0}


def refused(reason: str) -> float:
    value: float = metrics.CONNECTIONS_REFUSED.labels(reason)._value.get()
    return value


async def empty(served: Served) -> None:
    while len(served.server.connections):
        await asyncio.sleep(0.005)


def test_a_head_that_is_never_finished_is_refused(loop):
    async def scenario():
        async with serving(**PATIENT | {"header_timeout": 0.15}) as served:
            client = await served.open()
            client.writer.write(get("/hot")[:-1])
            reply = await client.reply()
            return reply.status, await client.is_closed(), served.seen

    before = refused("header_timeout")

    assert run_on(loop, scenario) == (408, True, [])
    assert refused("header_timeout") - before == 1


def test_trickling_does_not_extend_the_time_for_a_head(loop):
    """
    Slow loris: a byte now and then keeps no connection open.
    """

    async def scenario():
        async with serving(**PATIENT | {"header_timeout": 0.15}) as served:
            client = await served.open()
            sent = 0
            for byte in get("/hot"):
                if not len(served.server.connections) and sent:
                    break
                client.writer.write(bytes([byte]))
                sent += 1
                await asyncio.sleep(0.01)
            return sent

    assert run_on(loop, scenario) < len(get("/hot"))


def test_a_connection_without_a_request_is_closed(loop):
    async def scenario():
        async with serving(**PATIENT | {"header_timeout": 0.15}) as served:
            return await (await served.open()).is_closed()

    assert run_on(loop, scenario)


@pytest.mark.parametrize("target", ["/hot", "/echo"])
def test_an_idle_connection_is_closed(loop, target):
    async def scenario():
        async with serving(**PATIENT | {"idle_timeout": 0.15}) as served:
            served.hot.offer("/hot", None, hot_json())
            client = await served.open()
            await client.ask(get(target))
            return await client.is_closed()

    before = refused("idle")

    assert run_on(loop, scenario)
    assert refused("idle") - before == 1


def test_half_a_request_behind_a_whole_one_times_out_too(loop):
    async def scenario():
        async with serving(**PATIENT | {"header_timeout": 0.15}) as served:
            client = await served.open()
            client.writer.write(get("/echo") + get("/echo")[:-5])
            return (await client.reply()).status, await client.is_closed()

    before = refused("header_timeout")

    assert run_on(loop, scenario) == (200, True)
    assert refused("header_timeout") - before == 1


def test_a_request_being_answered_is_not_idle(loop):
    """
    How long a response may take is up to the application.
    """

    async def scenario():
        async with serving(header_timeout=0.1, idle_timeout=0.1, stall_timeout=0.1) as served:
            client = await served.open()
            client.writer.write(get("/held"))
            await asyncio.sleep(0.4)
            served.release.set()
            return (await client.reply()).body

    assert run_on(loop, scenario) == b"held"


@pytest.mark.parametrize("target", ["/hot", "/large"])
def test_a_reader_that_stopped_is_cut(loop, target):
    async def scenario():
        async with serving(**PATIENT | {"stall_timeout": 0.2}) as served:
            served.hot.offer("/hot", None, hot_json(os.urandom(8_000_000)))
            raw = socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", served.port))
            raw.sendall(get(target))
            await asyncio.sleep(0.05)
            await empty(served)
            raw.close()

    before = refused("stall")
    run_on(loop, scenario)

    assert refused("stall") - before == 1


def test_a_slow_reader_is_not_cut(loop):
    """
    Progress is what the client acknowledges: the transport's own buffer may not change for a long time.
    """

    async def scenario():
        async with serving(**PATIENT | {"stall_timeout": 0.2}) as served:
            served.hot.offer("/hot", None, hot_json(os.urandom(20_000_000)))
            raw = socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", served.port))
            raw.setblocking(False)
            raw.send(get("/hot"))
            received = 0
            for _ in range(30):
                received += len(await asyncio.get_running_loop().sock_recv(raw, 4096))
                await asyncio.sleep(0.02)
            still_open = len(served.server.connections)
            raw.close()
            return still_open

    assert run_on(loop, scenario) == 1


def test_a_connection_over_the_limit_gets_a_503(loop):
    async def scenario():
        async with serving(**PATIENT | {"max_connections": 2}) as served:
            busy = [await served.open() for _ in range(2)]
            for client in busy:
                client.writer.write(get("/held"))
            while len(served.seen) < 2:
                await asyncio.sleep(0.005)
            third = await served.open()
            reply = await third.reply()
            closed = await third.is_closed()
            served.release.set()
            return reply.status, reply.header("Retry-After"), closed, [(await c.reply()).status for c in busy]

    before = refused("limit")

    assert run_on(loop, scenario) == (503, "1", True, [200, 200])
    assert refused("limit") - before == 1


def test_at_the_limit_idle_connections_make_room(loop):
    async def scenario():
        async with serving(**PATIENT | {"max_connections": 2}) as served:
            served.hot.offer("/hot", None, hot_json())
            idle = await served.open()
            await idle.ask(get("/hot"))
            busy = await served.open()
            busy.writer.write(get("/held"))
            while not served.seen:
                await asyncio.sleep(0.005)
            reply = await served.ask(get("/hot"))
            served.release.set()
            return reply.status, await idle.is_closed(), (await busy.reply()).status

    assert run_on(loop, scenario) == (200, True, 200)


def test_one_address_may_not_take_everything(loop):
    async def scenario():
        async with serving(**PATIENT | {"max_connections_per_address": 1}) as served:
            served.hot.offer("/hot", None, hot_json())
            first = await served.open()
            await first.ask(get("/hot"))
            refused_status = (await (await served.open()).reply()).status
            await first.close()
            await empty(served)
            return refused_status, (await served.ask(get("/hot"))).status

    assert run_on(loop, scenario) == (503, 200)


def test_open_connections_are_counted(loop):
    async def scenario():
        async with serving(**PATIENT) as served:
            before = metrics.CONNECTIONS._value.get()
            clients = [await served.open() for _ in range(3)]
            for client in clients:
                await client.ask(get("/echo"))
            during = metrics.CONNECTIONS._value.get() - before
            for client in clients:
                await client.close()
            await empty(served)
            return during, metrics.CONNECTIONS._value.get() - before

    assert run_on(loop, scenario) == (3, 0)


def test_a_stop_closes_idle_connections_and_finishes_running_answers(loop):
    async def scenario():
        body = os.urandom(20_000_000)
        async with serving(**PATIENT) as served:
            served.hot.offer("/hot", None, hot_json(body))
            idle, lane, held = [await served.open() for _ in range(3)]
            await idle.ask(get("/hot", method="HEAD"))
            lane.writer.write(get("/hot"))
            held.writer.write(get("/held"))
            while not served.seen:
                await asyncio.sleep(0.005)
            assert served.server.connections.busy() == 2
            stopping = asyncio.create_task(served.server.drain(10))
            idle_closed = await idle.is_closed()
            whole = (await lane.reply()).body == body
            served.release.set()
            answered = (await held.reply()).body
            ends = [await client.is_closed() for client in (lane, held)]
            return idle_closed, whole, answered, ends, await stopping

    assert run_on(loop, scenario) == (True, True, b"held", [True, True], 0)


@pytest.mark.parametrize("sent", [0, 1000], ids=["head on its way", "in the body"])
def test_a_stop_receives_the_rest_of_a_request(loop, sent):
    """
    A push that is under way is not lost because of a restart.
    """

    async def scenario():
        async with serving(**PATIENT) as served:
            client = await served.open()
            await client.ask(get("/echo"))
            push = b"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
            if sent:
                client.writer.write(push[:sent])
                while len(served.seen) < 2:
                    await asyncio.sleep(0.005)
            else:
                os.write(client.writer.get_extra_info("socket").fileno(), push[:40])
            stopping = asyncio.create_task(served.server.drain(10))
            await asyncio.sleep(0.02)
            client.writer.write(push[sent or 40 :])
            reply = await client.reply()
            return json.loads(reply.body)["body"], await client.is_closed(), await stopping

    assert run_on(loop, scenario) == (200_000, True, 0)


def test_a_stop_waits_no_longer_than_it_may(loop):
    async def scenario():
        async with serving(**PATIENT) as served:
            held = await served.open()
            held.writer.write(get("/held"))
            while not served.seen:
                await asyncio.sleep(0.005)
            return await served.server.drain(0.05), len(served.server.connections)

    assert run_on(loop, scenario) == (1, 0)


@pytest.mark.parametrize("target", ["/hot", "/echo"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_request_on_its_way_at_the_stop_is_answered(loop, target, is_first):
    """
    No client sees an error because of a restart: requests already in the kernel are read first.
    """

    async def scenario():
        async with serving(**PATIENT) as served:
            served.hot.offer("/hot", None, hot_json())
            client = await served.open()
            if not is_first:
                await client.ask(get("/echo"))
            raw = client.writer.get_extra_info("socket")
            os.write(raw.fileno(), get(target))
            stopping = asyncio.create_task(served.server.drain(5))
            reply = await client.reply()
            return reply.status, await client.is_closed(), await stopping

    assert run_on(loop, scenario) in [(200, True, 0), (404, True, 0)]
