"""Pushed bodies: every form in which clients send them, and every way in which a body can be wrong."""

import asyncio
import gzip
import socket
import struct
import threading
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web

from nugetproxy.storage.spool import MemoryBudget, SpoolFolder
from nugetproxy.web.requests.uploads import receive
from tests.builders import make_nupkg
from tests.flows.private_feed import (
    chunked,
    hang_up,
    head,
    official_form,
    old_form,
    opened,
    opened_with_lane,
    read_answer,
)
from tests.web.requests.pushes import PACKAGE, request

FILE = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
LIMITED = {"hosting": {"max_package_size": 1_000_000}}
MEGABYTES = 50


class TestForms:
    @pytest.mark.parametrize("path", ["/api/v2/package", "/api/v2/package/", "/api/v2", "/api/v2/"])
    @pytest.mark.parametrize("form", ["official", "old", "raw", "raw-chunked"])
    async def test_the_form_of_every_client_is_accepted(self, upstream, tmp_path, path, form):
        """
        At every address, byte for byte, whatever the file name.
        """
        if form == "official":
            headers, body = official_form(PACKAGE, "Somebody.Else.9.9.9.nupkg")
            headers, body = headers | {"Transfer-Encoding": "chunked"}, chunked(body, 1000)
        elif form == "old":
            headers, body = old_form(PACKAGE)
            headers = headers | {"Content-Length": str(len(body))}
        elif form == "raw":
            headers, body = {"Content-Length": str(len(PACKAGE))}, PACKAGE
        else:
            headers = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
            body = chunked(PACKAGE, 777)
        async with opened(tmp_path, upstream) as house:
            told = await house.exchange(request(house, headers, body, path=path))
            assert (told.status, told.reason, told.body) == (201, "Created", b"")
            assert (await house.get(FILE)).body == PACKAGE
            assert house.leftovers() == []

    async def test_a_client_that_waits_gets_a_100_continue(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            headers = {"Content-Length": str(len(PACKAGE)), "Expect": "100-continue"}
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request(house, headers, b""))
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(PACKAGE)
            assert (await read_answer(reader)).status == 201
            await hang_up(writer)

    @pytest.mark.parametrize(
        ("key", "length", "status"), [("", len(PACKAGE), 401), ("x", len(PACKAGE), 403), (None, 5_000_000, 413)]
    )
    async def test_a_client_that_waits_is_refused_before_it_uploads(self, upstream, tmp_path, key, length, status):
        """
        It never gets a 100 Continue.
        """
        async with opened(tmp_path, upstream, **LIMITED) as house:
            headers = {"Content-Length": str(length), "Expect": "100-continue"}
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request(house, headers, b"", key=key))
            assert (await read_answer(reader)).status == status
            await hang_up(writer)

    async def test_the_first_part_counts_whatever_it_is_called(self, upstream, tmp_path):
        other = make_nupkg("Contoso.Other", "2.0.0")
        body = (
            b"a preamble\r\n--b\r\nContent-Disposition: form-data; name=other; filename=\"../../x\"\r\n\r\n" + PACKAGE
            + b"\r\n--b\r\nContent-Disposition: form-data; name=package; filename=package.nupkg\r\n\r\n" + other
            + b"\r\n--b--\r\nan epilogue"
        )  # fmt: skip
        headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(len(body))}
        async with opened(tmp_path, upstream) as house:
            assert (await house.exchange(request(house, headers, body))).status == 201
            assert (await house.get(FILE)).body == PACKAGE
            assert not await house.hosting.packages.knows("contoso.other")

    async def test_a_connection_serves_the_next_push_too(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            for number in range(3):
                headers, body = official_form(make_nupkg("Contoso.Utils", f"{number}.0.0"))
                writer.write(request(house, headers | {"Content-Length": str(len(body))}, body))
                assert (await read_answer(reader)).status == 201
            await hang_up(writer)


BROKEN = {
    "no body": ({"Content-Length": "0"}, b""),
    "an empty form": ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b--\r\n"),
    "an empty part": ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\n\r\n\r\n--b--\r\n"),
    "no boundary": ({"Content-Type": "multipart/form-data"}, b"--b\r\n\r\nx\r\n--b--\r\n"),
    "an empty boundary": ({"Content-Type": 'multipart/form-data; boundary=""'}, b"--\r\n\r\nx\r\n----\r\n"),
    "another boundary": ({"Content-Type": "multipart/form-data; boundary=c"}, b"--b\r\n\r\nx\r\n--b--\r\n"),
    "a long boundary": ({"Content-Type": f"multipart/form-data; boundary={'b' * 100}"}, b"--b\r\n\r\nx\r\n--b--"),
    "a form in a form": (
        {"Content-Type": "multipart/mixed; boundary=b"},
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
    ),
    "no end": ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\n\r\n" + PACKAGE),
    "a lying length": (
        {"Content-Type": "multipart/mixed; boundary=b"},
        b"--b\r\nContent-Length: 9999999\r\n\r\nx\r\n--b--\r\n",
    ),
    "a negative length": (
        {"Content-Type": "multipart/mixed; boundary=b"},
        b"--b\r\nContent-Length: -1\r\n\r\nx\r\n--b--\r\n",
    ),
    "a header without end": ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\n" + b"A: " + b"x" * 70_000),
    "headers without end": ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\n" + b"A: x\r\n" * 10_000),
    "a long charset": (
        {"Content-Type": "multipart/form-data; boundary=b"},
        b"--b\r\nContent-Disposition: form-data; name=_charset_\r\n\r\n" + b"u" * 99 + b"\r\n--b--\r\n",
    ),
    "words": ({}, b"hello"),
}  # fmt: skip


class TestBroken:
    @pytest.mark.parametrize("what", BROKEN)
    async def test_is_a_400_and_leaves_nothing(self, upstream, tmp_path, what):
        headers, body = BROKEN[what]
        async with opened(tmp_path, upstream) as house:
            told = await house.exchange(request(house, {"Content-Length": str(len(body)), **headers}, body))
            assert told.status == 400, told
            assert await house.no_leftovers()
            assert await house.hosting.packages.ids() == ()
            assert (await house.push()).status == 201

    @pytest.mark.parametrize("how", ["length", "chunked", "form"])
    @pytest.mark.parametrize("goes", ["closes", "resets"])
    async def test_a_client_that_leaves_in_the_middle_publishes_nothing(self, upstream, tmp_path, how, goes):
        async with opened(tmp_path, upstream) as house:
            if how == "length":
                data = request(house, {"Content-Length": str(len(PACKAGE))}, PACKAGE[:-1])
            elif how == "chunked":
                data = request(house, {"Transfer-Encoding": "chunked"}, chunked(PACKAGE, 1000)[:-5])
            else:
                headers, body = official_form(PACKAGE)
                data = request(house, headers | {"Content-Length": str(len(body))}, body[:-20])
            _, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(data)
            await writer.drain()
            async with asyncio.timeout(10):
                while not house.leftovers():
                    await asyncio.sleep(0.005)
            if goes == "resets":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await hang_up(writer)
            assert await house.no_leftovers()
            assert await house.hosting.packages.ids() == ()

    async def test_a_client_that_stops_sending_is_disconnected(self, upstream, tmp_path, monkeypatch):
        monkeypatch.setattr("nugetproxy.web.requests.uploads.STALL_SECONDS", 0.05)
        async with opened(tmp_path, upstream) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request(house, {"Content-Length": str(len(PACKAGE))}, PACKAGE[:1000]))
            told = await read_answer(reader)
            assert (told.status, told.reason) == (400, "no data of the upload arrived for 0.05 seconds")
            await hang_up(writer)
            assert await house.no_leftovers()


class TestTooLarge:
    REASON = "the package is larger than 1000000 bytes"

    async def test_a_length_over_the_limit(self, upstream, tmp_path):
        body = bytes(3_000_000)
        async with opened(tmp_path, upstream, **LIMITED) as house:
            told = await house.exchange(request(house, {"Content-Length": str(len(body))}, body))
            assert told.status == 413
            assert house.leftovers() == []

    async def test_chunks_over_the_limit(self, upstream, tmp_path):
        headers, body = official_form(bytes(1_500_000))
        async with opened(tmp_path, upstream, **LIMITED) as house:
            told = await house.exchange(request(house, headers | {"Transfer-Encoding": "chunked"}, chunked(body)))
            assert told.status == 413
            assert await house.no_leftovers()

    async def test_a_coded_body_is_not_unpacked(self, upstream, tmp_path):
        """
        A megabyte of it could unpack to a gigabyte, even for clients without a key.
        """
        body = gzip.compress(bytes(10_000_000))
        coded = {"Content-Encoding": "gzip", "Content-Length": str(len(body))}
        async with opened_with_lane(tmp_path, upstream, **LIMITED) as house:
            told = await house.exchange(request(house, coded, body))
            assert (told.status, told.reason) == (400, "it is not a ZIP archive, or its end is missing")

    async def test_the_limit_itself_is_allowed(self, upstream, tmp_path):
        limit = {"hosting": {"max_package_size": len(PACKAGE)}}
        headers, body = official_form(PACKAGE)
        async with opened(tmp_path, upstream, **limit) as house:
            told = await house.exchange(request(house, headers | {"Content-Length": str(len(body))}, body))
            assert told.status == 201
            assert (await house.push(make_nupkg(version="2.0.0", payload=PACKAGE))).status == 413


class TestEarlyAnswers:
    @pytest.mark.parametrize(("key", "status"), [("", 401), ("wrong", 403), (None, 413)])
    @pytest.mark.parametrize("how", ["length", "chunked"])
    async def test_a_client_that_is_still_sending_sees_the_status(self, upstream, tmp_path, key, status, how):
        """
        Fifty megabytes where one is allowed: the status comes immediately, and the rest is read without a reset.
        """
        block = bytes(1_000_000)
        async with opened(tmp_path, upstream, **LIMITED) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            coding = {"Content-Length": str(MEGABYTES * len(block))} if how == "length" else {
                "Transfer-Encoding": "chunked"}  # fmt: skip
            piece = block if how == "length" else b"%x\r\n%b\r\n" % (len(block), block)
            writer.write(request(house, coding, piece, key=key))
            sent = 1
            if how == "length" or status != 413:
                told = await read_answer(reader)  # nothing else was sent yet
                assert told.status == status
            for _ in range(MEGABYTES - 1):
                writer.write(piece)
                await writer.drain()
                sent += 1
            if how == "chunked":
                writer.write(b"0\r\n\r\n")
            await writer.drain()
            if how == "chunked" and status == 413:
                assert (await read_answer(reader)).status == 413
            # The connection can be used again.
            writer.write(head("GET", "/health/live", {"Host": "x"}))
            assert (await read_answer(reader)).status == 200
            assert sent == MEGABYTES
            await hang_up(writer)
            assert await house.no_leftovers()

    @pytest.mark.parametrize(
        ("path", "line"),
        [("/v3/index.json", "405 PUT is not allowed here; "), ("/nuget", "404 there is no /nuget here; ")],
    )
    async def test_a_push_to_a_wrong_address_names_the_right_one(self, upstream, tmp_path, path, line):
        """
        Also with ten megabytes on their way: the limit of other bodies does not apply to them.
        """
        async with opened(tmp_path, upstream) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request(house, {"Content-Length": "10000000"}, b"x", path=path))
            told = await read_answer(reader)
            where = f"http://127.0.0.1:{house.port}"
            assert f"{told.status} {told.reason}".startswith(line)
            assert told.reason.endswith(
                f"push packages to {where}/v3/index.json, or without discovery to {where}/api/v2/package"
            )
            writer.write(bytes(9_999_999))
            await writer.drain()
            assert await reader.read() == b""
            await hang_up(writer)

    async def test_a_client_that_sends_without_end_is_cut_off(self, upstream, tmp_path, monkeypatch):
        monkeypatch.setattr("nugetproxy.web.requests.uploads.DRAIN_BYTES", 20_000_000)
        limit = {"hosting": {"max_package_size": 1_000_000}, "server": {"stop_timeout": 0.1}}
        piece = b"%x\r\n%b\r\n" % (1_000_000, bytes(1_000_000))
        async with opened(tmp_path, upstream, **limit) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request(house, {"Transfer-Encoding": "chunked"}, piece, key=""))
            assert (await read_answer(reader)).status == 401
            async with asyncio.timeout(40):
                with pytest.raises(ConnectionError):
                    await _send_for_ever(writer, piece)
            await hang_up(writer)

    async def test_a_refused_client_that_stops_sending_is_disconnected(self, upstream, tmp_path, monkeypatch):
        monkeypatch.setattr("nugetproxy.web.middleware.DRAIN_SECONDS", 0.05)
        async with opened(tmp_path, upstream) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request(house, {"Content-Length": "1000000"}, b"x", key=""))
            assert (await read_answer(reader)).status == 401
            async with asyncio.timeout(20):
                assert await reader.read() == b""
            await hang_up(writer)

    async def test_a_refused_client_that_trickles_is_disconnected(self, upstream, tmp_path, monkeypatch):
        monkeypatch.setattr("nugetproxy.web.requests.uploads.PACE_SECONDS", 0.3)
        async with opened(tmp_path, upstream) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request(house, {"Content-Length": "1000000"}, b"x", key=""))
            assert (await read_answer(reader)).status == 401
            async with asyncio.timeout(20):
                with pytest.raises(ConnectionError):
                    await _send_for_ever(writer, b"x", pause=0.01)
            await hang_up(writer)


async def _send_for_ever(writer: asyncio.StreamWriter, piece: bytes, pause: float = 0.0) -> None:
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


async def test_a_cancellation_while_the_spool_is_created_leaves_none(tmp_path, monkeypatch):
    spools, go_on, made = SpoolFolder(tmp_path, MemoryBudget(0)), threading.Event(), threading.Event()
    create = spools.create

    def slow(stem):
        spool = create(stem)
        made.set()
        go_on.wait(10)
        return spool

    monkeypatch.setattr(spools, "create", slow)
    request = SimpleNamespace(content_length=None)
    receiving = asyncio.create_task(receive(cast("web.Request", request), spools, 1000, "the package"))
    await asyncio.to_thread(made.wait, 10)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert len(list(tmp_path.iterdir())) == 1
    go_on.set()
    async with asyncio.timeout(10):
        while list(tmp_path.iterdir()):
            await asyncio.sleep(0.005)
