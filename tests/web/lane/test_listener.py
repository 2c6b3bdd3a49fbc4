"""Connections being accepted: none is lost, handshakes are limited in number and time, the lane loses no byte."""

import asyncio
import errno
import socket

import pytest

from nugetproxy import metrics
from nugetproxy.config import ServerSettings
from nugetproxy.runtime.listening import listen_on
from nugetproxy.web.lane.connections import Connections
from nugetproxy.web.lane.listener import Listener
from tests.web.lanes import LOOPS, TLS, Client, Served, get, hot_json, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    return TLS.made_in(tmp_path_factory.mktemp("tls"))


def refused(reason: str) -> float:
    value: float = metrics.CONNECTIONS_REFUSED.labels(reason)._value.get()
    return value


async def silent(served: Served) -> Client:
    """A client that connected and sends nothing."""
    client = Client(*await asyncio.open_connection("127.0.0.1", served.port))
    served.clients.append(client)
    return client


async def shaking(served: Served, count: int) -> None:
    while len(served.server.arriving) != count:
        await asyncio.sleep(0.005)


def test_requests_behind_it_are_answered(loop, tls):
    async def scenario():
        async with serving(tls=tls) as served:
            served.hot.offer("/hot", None, hot_json(b"x" * 500_000))
            client = await served.open()
            sizes = [len((await client.ask(get("/hot"))).body) for _ in range(2)]
            echo = await client.ask(get("/echo"))
            return sizes, echo.status, len(served.server.arriving), len(served.server.connections)

    assert run_on(loop, scenario) == ([500_000] * 2, 200, 0, 1)


def test_one_that_is_never_finished_is_ended_and_counted(loop, tls):
    async def scenario():
        async with serving(tls=tls, header_timeout=0.15) as served:
            client = await silent(served)
            client.writer.write(b"\x16\x03\x01")
            return await client.is_closed(), len(served.server.arriving)

    before = refused("header_timeout")

    assert run_on(loop, scenario) == (True, 0)
    assert refused("header_timeout") - before == 1


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"max_connections": 2}, "limit"), ({"max_connections_per_address": 2}, "address_limit")],
    ids=["all", "address"],
)
def test_the_number_of_handshakes_is_limited(loop, tls, limits, reason):
    async def scenario():
        async with serving(tls=tls, **limits) as served:
            for count in (1, 2):
                await silent(served)
                await shaking(served, count)
            return await (await silent(served)).is_closed(), len(served.server.arriving)

    before = refused(reason)

    assert run_on(loop, scenario) == (True, 2)
    assert refused(reason) - before == 1


def test_a_connection_over_the_limit_is_told_why(loop, tls):
    """
    Handshakes are counted separately, so that a full server can still say that it is full.
    """

    async def scenario():
        async with serving(tls=tls, max_connections=1) as served:
            busy = await served.open()
            busy.writer.write(get("/held"))
            while "/held" not in served.seen:
                await asyncio.sleep(0.005)
            refusal = await (await served.open()).reply()
            served.release.set()
            return refusal.status, (await busy.reply()).status

    assert run_on(loop, scenario) == (503, 200)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\0\x05hello"], ids=["gone", "no TLS"])
def test_one_that_fails_is_forgotten(loop, tls, said):
    async def scenario():
        async with serving(tls=tls) as served:
            client = await silent(served)
            await shaking(served, 1)
            client.writer.write(said)
            if not said:
                await client.close()
            await shaking(served, 0)
            return len(served.server.connections)

    assert run_on(loop, scenario) == 0


def test_plain_http_is_told_to_use_tls(loop, tls):
    """
    As nginx does. What the client is still sending is read, or it would get a reset instead of the response.
    """

    async def scenario():
        async with serving(tls=tls) as served:
            client = await silent(served)
            client.writer.write(b"PUT /api/v2/package HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
            await client.writer.drain()
            reply = await client.reply()
            client.writer.write(b"x" * 3_000_000)
            await client.writer.drain()
            return reply.status, reply.reason, await client.is_closed(), served.seen

    assert run_on(loop, scenario) == (400, "this port speaks https: use an https:// URL", True, [])


def test_a_stop_does_not_wait_for_silent_connections(loop, tls):
    async def scenario():
        async with serving(tls=tls) as served:
            client = await silent(served)
            await shaking(served, 1)
            unfinished = await served.server.drain(0.1)
            return unfinished, await client.is_closed()

    assert run_on(loop, scenario) == (0, True)


def test_without_a_time_limit_for_heads_requests_are_served(loop, tls):
    """
    0 means no limit, which asyncio's own handshake time-out does not support.
    """

    async def scenario():
        async with serving(tls=tls, header_timeout=0) as served:
            return (await served.ask(get("/echo"))).status

    assert run_on(loop, scenario) == 200


@pytest.mark.parametrize("turns", range(6))
def test_an_accepted_connection_is_answered_even_in_the_turn_of_a_stop(loop, turns):
    """
    A connection that was not accepted yet is left to the other workers, which listen on the same socket.
    """

    async def scenario():
        async with serving() as served:
            [bound] = listen_on("127.0.0.1", 0)
            with bound.dup() as others, socket.create_connection(bound.getsockname()) as client:
                client.settimeout(10)
                client.sendall(get("/echo"))
                listener = served.server.listen(bound)
                for _ in range(turns):
                    await asyncio.sleep(0)
                listener.close()
                await served.server.drain(5)
                others.setblocking(False)
                try:
                    others.accept()[0].close()
                except BlockingIOError:
                    return client.recv(100).split(b"\r\n")[0]
                return b"left to others"

    answers = {0: b"left to others", 5: b"HTTP/1.1 200 OK"}

    assert run_on(loop, scenario) in ([answers[turns]] if turns in answers else answers.values())


class Exhausted(socket.socket):
    """A listening socket on a machine that has no more file descriptors."""

    tried = 0

    def accept(self):
        self.tried += 1
        raise OSError(errno.EMFILE, "Too many open files")


def test_without_open_files_it_waits_before_it_tries_again(loop, tls):
    """
    The socket stays readable: retrying immediately would keep the process busy with nothing else.
    """

    async def scenario():
        bound = Exhausted()
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        bound.setblocking(False)
        made = asyncio.BufferedProtocol
        listener = Listener(bound, Connections(ServerSettings()), made, 1.0, tls.server, made)
        try:
            with socket.create_connection(bound.getsockname()):
                await asyncio.sleep(0.1)
                return bound.tried
        finally:
            listener.close()

    assert run_on(loop, scenario) == 1
