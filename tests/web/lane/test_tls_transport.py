"""TLS straight on a socket: what asyncio's own transport guarantees, and what TLS clients do."""

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from nugetproxy.web.lane.lane import Lane
from nugetproxy.web.lane.tls import RECORD, TLSTransport, handshake
from tests.web.lanes import LOOPS, TLS, get, hot_json, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> TLS:
    return TLS.made_in(tmp_path_factory.mktemp("tls"))


def limited_to(tls: TLS, version: ssl.TLSVersion) -> TLS:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.maximum_version = version
    return TLS(tls.server, client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_are_spoken(loop, tls, version):
    async def scenario():
        async with serving(tls=limited_to(tls, version)) as served:
            served.hot.offer("/hot", None, hot_json(b"h"))
            client = await served.open()
            spoken = client.writer.get_extra_info("ssl_object").version()
            return spoken, [(await client.ask(get(target))).status for target in ("/hot", "/echo", "/hot")]

    assert run_on(loop, scenario) == (version.name.replace("_", "."), [200, 200, 200])


def test_long_answers_of_both_ways_arrive_whole(loop, tls):
    async def scenario():
        body = os.urandom(5_000_001)
        async with serving(tls=tls) as served:
            served.hot.offer("/hot", None, hot_json(body))
            client = await served.open()
            hot, large = await client.ask(get("/hot")), await client.ask(get("/large"))
            return hot.body == body, large.body == b"L" * 8_000_000

    assert run_on(loop, scenario) == (True, True)


@pytest.mark.parametrize("size", [1, RECORD, RECORD + 1, 700_000])
def test_a_body_sent_to_us_arrives_whole(loop, tls, size):
    async def scenario():
        async with serving(tls=tls) as served:
            client = await served.open()
            head = get("/echo", f"Content-Length: {size}", method="POST")
            reply = await client.ask(head + b"x" * size)
            return reply.body

    assert f'"body": {size}'.encode() in run_on(loop, scenario)


def test_requests_that_come_in_one_record_are_all_answered(loop, tls):
    """
    OpenSSL holds bytes that were decrypted and not read: the socket does not report them as readable.
    """

    async def scenario():
        async with serving(tls=tls) as served:
            client = await served.open()
            client.writer.write(get("/echo") * 3)
            return [(await client.reply()).status for _ in range(3)]

    assert run_on(loop, scenario) == [200, 200, 200]


def test_a_request_may_come_in_many_records(loop, tls):
    async def scenario():
        async with serving(tls=tls) as served:
            served.hot.offer("/hot", None, hot_json(b"h"))
            client = await served.open()
            for byte in get("/hot"):
                client.writer.write(bytes([byte]))
                await client.writer.drain()
            return (await client.reply()).body

    assert run_on(loop, scenario) == b"h"


def test_a_client_that_reads_nothing_costs_bounded_memory(loop, tls):
    async def scenario():
        async with serving(tls=tls) as served:
            served.hot.offer("/hot", None, hot_json(os.urandom(30_000_000)))
            client = await served.open()
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # no public API
            client.writer.write(get("/hot"))
            await asyncio.sleep(0.2)
            [lane] = served.server.connections._open
            assert isinstance(lane, Lane)
            waiting = lane._transport.get_write_buffer_size()
            client.writer.transport.abort()
            return waiting

    assert 0 < run_on(loop, scenario) < 1_000_000


def test_a_reset_client_is_forgotten(loop, tls):
    async def scenario():
        async with serving(tls=tls) as served:
            client = await served.open()
            await client.ask(get("/echo"))
            client.writer.transport.abort()
            while len(served.server.connections):
                await asyncio.sleep(0.005)
            return True

    assert run_on(loop, scenario)


def test_the_last_record_of_an_answer_is_sent_without_waiting_for_acknowledgements(loop, tls):
    async def scenario():
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            socket.create_connection(listening.getsockname()) as client,
        ):
            taken, _ = listening.accept()
            taken.setblocking(False)
            client.setblocking(True)
            connecting = asyncio.to_thread(tls.client.wrap_socket, client, server_hostname="localhost")
            secured, its = await asyncio.gather(handshake(taken, tls.server), connecting)
            with secured, its:
                return secured.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    assert run_on(loop, scenario) != 0


def test_an_end_is_announced(loop, tls):
    """
    Without a close_notify a client could not tell the end from an attacker's cut.
    """

    async def scenario():
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        seen = []

        def client() -> None:
            with tls.client.wrap_socket(theirs, server_hostname="localhost", suppress_ragged_eofs=False) as secured:
                seen.append(secured.recv(100))
                seen.append(secured.recv(100))

        thread = threading.Thread(target=client)
        thread.start()
        transport = TLSTransport(asyncio.get_running_loop(), await handshake(ours, tls.server), Silent())
        transport.write(b"last words")
        transport.close()
        await asyncio.to_thread(thread.join)
        return seen

    assert run_on(loop, scenario) == [b"last words", b""]


class Silent(asyncio.BufferedProtocol):
    def get_buffer(self, sizehint: int) -> bytearray:
        return bytearray(100)

    def buffer_updated(self, nbytes: int) -> None:
        """Ignores what it receives."""


@pytest.mark.parametrize("first", [b"\x16\x03\x01\xff\xff garbage", b"\x16\x03\x01\x00\x05hello", b""])
def test_a_handshake_that_cannot_succeed_closes_the_socket(loop, tls, first):
    async def scenario():
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.sendall(first)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(OSError):
            await handshake(ours, tls.server)
        theirs.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            while theirs.recv(1000):  # an alert, perhaps
                pass
        theirs.close()
        return True

    assert run_on(loop, scenario)


def test_an_abandoned_handshake_closes_the_socket(loop, tls):
    async def scenario():
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        shaking = asyncio.create_task(handshake(ours, tls.server))
        await asyncio.sleep(0.01)
        shaking.cancel()
        await asyncio.gather(shaking, return_exceptions=True)
        theirs.settimeout(5)
        closed = theirs.recv(1) == b""
        theirs.close()
        return closed

    assert run_on(loop, scenario)


def test_the_certificate_is_of_the_right_authority(loop, tls, tmp_path: Path):
    async def scenario():
        async with serving(tls=TLS(tls.server, ssl.create_default_context())) as served:
            with pytest.raises(ssl.SSLCertVerificationError):
                await served.open()
            while len(served.server.arriving):
                await asyncio.sleep(0.005)
            return len(served.server.connections)

    assert run_on(loop, scenario) == 0
