"""Requests that no parser accepts: refused in our words, with the right status, counted and logged like all others."""

import asyncio
import json
import logging
import os

import pytest

from nugetproxy import metrics
from nugetproxy.web.http.aiohttp_connection import MAX_FIELD, MAX_FIELDS, MAX_LINE
from nugetproxy.web.lane.unfinished_head import MAX_HEAD
from tests.web.lanes import LOOPS, get, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)

SECRET = "s3cret"

UNREADABLE = {
    "blank before colon": (b"GET /echo HTTP/1.1\r\nHost: x\r\nA s3cret : x\r\n\r\n", 400, "malformed"),
    "no HTTP": (b"s3cret?\r\n\r\n", 400, "not an HTTP/1.1 request"),
    "another version": (b"GET /s3cret HTTP/7.9\r\nHost: x\r\n\r\n", 400, "not an HTTP/1.1 request"),
    "another expectation": (get("/echo", "Expect: s3cret"), 417, '"Expect" may only say 100-continue'),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03s3cret\r\n\r\n", 400, "use an http:// URL"),
    "two lengths": (b"PUT /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "malformed"),
    "NUL": (b"GET /s3cret\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed"),
    "NUL in a header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: s3cret\x00\r\n\r\n", 400, "malformed"),
    "brackets before an @": (b"GET http://[s3cret]@/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "target is malformed"),
    "a host that cannot be decoded": (
        b"GET http://xn--a/s3cret HTTP/1.1\r\nHost: x\r\n\r\n",
        400,
        "target is malformed",
    ),
    "CONNECT to such a host": (b"CONNECT /xn--a.xn--b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "target is malformed"),
    "long line": (get("/echo?" + SECRET * 6000), 414, "request line is longer than 32 KiB"),
    "endless line": (b"GET /" + b"s3cret" * 8000, 414, "request line is longer than 32 KiB"),
    "long header": (get("/echo", "A: " + SECRET * 2100), 431, "a header is longer than 12 KiB"),
    "many headers": (get("/echo", *(f"A{n}: {SECRET}" for n in range(MAX_FIELDS))), 431, "more than 128 headers"),
    "long head": (get("/echo", *(f"A{n}: {SECRET * 1000}" for n in range(10))), 431, "head is longer than 48 KiB"),
}


@pytest.mark.parametrize(("request_bytes", "status", "why"), UNREADABLE.values(), ids=UNREADABLE.keys())
@pytest.mark.parametrize("lane", [True, False], ids=["lane", "no lane"])
def test_it_is_refused_in_our_words(loop, lane, request_bytes, status, why):
    """
    The reason is in the status line, nothing that was sent is repeated, and the connection is closed.
    """

    async def scenario():
        async with serving(lane=lane) as served:
            client = await served.open()
            reply = await client.ask(request_bytes)
            return reply, await client.is_closed(), served.seen

    reply, closed, seen = run_on(loop, scenario)

    assert reply.status == status
    assert why in reply.reason
    assert json.loads(reply.body) == {"error": reply.reason, "request_id": reply.header("X-Request-Id")}
    assert (reply.header("Server"), reply.header("X-Content-Type-Options")) == ("nugetproxy", "nosniff")
    assert (reply.header("Connection"), reply.header("Cache-Control")) == ("close", "no-store")
    assert SECRET not in str(reply)
    assert (closed, seen) == (True, [])


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (get("/echo?" + "a" * MAX_LINE), 414),
        (get("/echo", "A: " + "a" * (MAX_FIELD + 1)), 431),
        (b"GET /echo HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    ],
    ids=["line", "header", "malformed"],
)
def test_behind_another_request_it_is_refused_after_the_first_was_answered(loop, second, status):
    """
    In this case only aiohttp's parser sees it.
    """

    async def scenario():
        async with serving() as served:
            client = await served.open()
            client.writer.write(get("/held"))
            while not served.seen:
                await asyncio.sleep(0.005)
            client.writer.write(second)
            await asyncio.sleep(0.02)
            served.release.set()
            first, refused = await client.reply(), await client.reply()
            return first.body, refused.status, refused.header("Server"), await client.is_closed()

    assert run_on(loop, scenario) == (b"held", status, "nugetproxy", True)


def test_a_client_that_still_sends_is_not_cut_off(loop):
    """
    An immediate close would reset it, and the response would be lost: we read on and drop the rest until it is done.
    """

    async def scenario():
        async with serving() as served:
            client = await served.open()
            client.writer.write(b"PUT /echo HTTP/1.1\r\nHost : x\r\nContent-Length: 4000000\r\n\r\n")
            for _ in range(40):
                client.writer.write(b"x" * 100_000)
                await client.writer.drain()
            client.writer.write_eof()
            return (await client.reply()).status, await client.is_closed()

    assert run_on(loop, scenario) == (400, True)


def test_one_that_sends_without_end_is_closed(loop):
    async def scenario():
        async with serving(header_timeout=0.1) as served:
            client = await served.open()
            await client.ask(b"PUT /echo HTTP/1.1\r\nHost : x\r\nContent-Length: 4000000\r\n\r\n")
            while len(served.server.connections):
                client.writer.write(b"x")
                await asyncio.sleep(0.01)

    run_on(loop, scenario)


def test_it_is_logged_and_counted(loop):
    async def scenario():
        reader, writer = os.pipe()
        async with serving(descriptor=writer) as served:
            await served.ask(b"GET /s3cret HTTP/1.1\r\nHost : x\r\n\r\n")
        os.close(writer)
        with os.fdopen(reader) as log:
            return [json.loads(line) for line in log]

    before = counted()
    [line] = run_on(loop, scenario)

    assert (line["status"], line["resource"], line["outcome"]) == (400, "unknown", "refused")
    assert (line["method"], line["path"], line["remote"]) == ("-", "-", "127.0.0.1")
    assert counted() - before == 1


def counted() -> float:
    value: float = metrics.REQUESTS.labels("unknown", "refused", "400")._value.get()
    return value


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/echo?packageIds=" + "a" * (MAX_LINE - 100)),
        get("/echo", "Authorization: Bearer " + "a" * 8192),
        get("/echo?" + "a" * (MAX_LINE - 100), *(f"A{n}: {'a' * 4000}" for n in range(3))),
    ],
    ids=["line", "authorization", "both"],
)
@pytest.mark.parametrize("lane", [True, False], ids=["lane", "no lane"])
def test_long_requests_of_legitimate_clients_are_read(loop, lane, request_bytes):
    """
    GetUpdates about hundreds of ids, or a large token.
    """
    assert len(request_bytes) < MAX_HEAD

    async def scenario():
        async with serving(lane=lane) as served:
            return (await served.ask(request_bytes)).status

    assert run_on(loop, scenario) == 200


def test_a_client_that_leaves_before_it_hears_to_continue_is_no_error(loop, caplog):
    """
    aiohttp would log a traceback for each of them.
    """

    async def scenario():
        async with serving() as served:
            for _ in range(20):
                client = await served.open()
                client.writer.write(get("/echo", "Expect: 100-continue", "Content-Length: 5"))
                client.writer.write_eof()
                await client.reader.read()
            return served.seen

    assert run_on(loop, scenario) == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
