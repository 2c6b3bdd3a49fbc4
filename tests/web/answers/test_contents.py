"""How a package is sent: files with conditions and ranges, and contents that are still arriving."""

import asyncio
import errno
import io
import os
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from structlog.testing import capture_logs

from nugetproxy.errors import StorageUnavailable, UpstreamUnavailable
from nugetproxy.feeds.base import LocalFile, Part
from nugetproxy.web.answers import transfer
from nugetproxy.web.hot.open_files import OpenFile
from tests.certificates import PrivateCA
from tests.fakes.feed import FakeFeed, Growing
from tests.web.serving import raw, serving

NUPKG = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"

MODIFIED = 1_700_000_000
LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"

SMALL = bytes(range(256)) * 4
LARGE = bytes(range(256)) * 12_345  # several slices and a remainder


def a_file(directory: Path, body: bytes) -> LocalFile:
    path = directory / "contoso.utils.1.0.0.nupkg"
    path.write_bytes(body)
    return LocalFile(path, len(body), MODIFIED, "tag")


def feed_of(content) -> FakeFeed:
    feed = FakeFeed()
    feed.contents[Part.NUPKG] = content
    return feed


@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
async def test_a_file_arrives_whole(tmp_path, body):
    """
    The bytes of the file, its length and its validators, whichever way it is sent.
    """
    async with serving(feed_of(a_file(tmp_path, body))) as client, client.get(NUPKG) as answer:
        assert body == await answer.read()
        assert (200, '"tag"', LAST_MODIFIED, "bytes", "application/octet-stream", str(len(body))) == (
            answer.status,
            *(answer.headers[n] for n in ("ETag", "Last-Modified", "Accept-Ranges", "Content-Type", "Content-Length")),
        )


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("headers", "status", "start", "end"),
    [
        ({"Range": "bytes=10-19"}, 206, 10, 20),
        ({"Range": "bytes=100-"}, 206, 100, None),
        ({"Range": "bytes=-7"}, 206, -7, None),
        ({"Range": "bytes=0-0"}, 206, 0, 1),
        ({"Range": "bytes=10-19", "If-Range": '"tag"'}, 206, 10, 20),
        ({"Range": "bytes=10-19", "If-Range": LAST_MODIFIED}, 206, 10, 20),
        ({"Range": "bytes=10-19", "If-Range": '"other"'}, 200, 0, None),
        ({"Range": "bytes=10-19", "If-Range": 'W/"tag"'}, 200, 0, None),
        ({"Range": "bytes=0-1,5-6"}, 200, 0, None),
        ({"Range": "lines=1-2"}, 200, 0, None),
        ({"Range": "bytes=9-3"}, 200, 0, None),
        ({"If-None-Match": '"other"'}, 200, 0, None),
        ({"If-Modified-Since": "Mon, 13 Nov 2023 22:13:20 GMT"}, 200, 0, None),
    ],
    ids=str,
)
async def test_ranges_of_a_file(tmp_path, body, headers, status, start, end):
    """
    A single range is served if it belongs to the file that the client has; in doubt the whole file is sent.
    """
    async with serving(feed_of(a_file(tmp_path, body))) as client, client.get(NUPKG, headers=headers) as answer:
        received = await answer.read()

    assert status == answer.status
    assert body[start:end] == received
    if status == 206:
        first = start % len(body)
        assert f"bytes {first}-{first + len(received) - 1}/{len(body)}" == answer.headers["Content-Range"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"tag"'}, 304),
        ({"If-None-Match": 'W/"tag"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-Modified-Since": LAST_MODIFIED}, 304),
        ({"If-None-Match": '"tag"', "Range": "bytes=0-1"}, 304),
        ({"If-Match": '"other"'}, 412),
        ({"If-Unmodified-Since": "Mon, 13 Nov 2023 22:13:20 GMT"}, 412),
        ({"Range": "bytes=99999999-"}, 416),
        ({"Range": "bytes=-0"}, 416),
    ],
    ids=str,
)
async def test_conditions_on_a_file(tmp_path, headers, status):
    """
    304, 412 and 416 do not contain the file; the 416 states its size.
    """
    async with serving(feed_of(a_file(tmp_path, LARGE))) as client, client.get(NUPKG, headers=headers) as answer:
        assert (status, b"") == (answer.status, await answer.read())

    assert (f"bytes */{len(LARGE)}" if status == 416 else None) == answer.headers.get("Content-Range")


async def test_head_ignores_a_range(tmp_path):
    """
    Range is defined for GET only.
    """
    feed = feed_of(a_file(tmp_path, LARGE))
    async with serving(feed) as client, client.head(NUPKG, headers={"Range": "bytes=0-1"}) as answer:
        assert (200, str(len(LARGE))) == (answer.status, answer.headers["Content-Length"])


async def test_a_connection_is_used_again_after_a_file(tmp_path):
    """
    After sendfile the connection still speaks HTTP.
    """
    async with serving(feed_of(a_file(tmp_path, LARGE))) as client:
        request = f"GET {NUPKG} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        last = f"GET {NUPKG} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        received = await raw(client, request + request + last)

    assert received.count(b"HTTP/1.1 200") == 3
    assert received.count(LARGE) == 3


@pytest.mark.parametrize(
    "failure", [BlockingIOError, ConnectionResetError, OSError(errno.EINVAL, "no such file system")]
)
async def test_what_sendfile_does_not_take_goes_through_the_transport(tmp_path, monkeypatch, failure):
    """
    It takes nothing of a client that reads slowly, or from some file systems; what is broken the transport finds out.
    """

    def sendfile(*_: object) -> int:
        raise failure

    monkeypatch.setattr(os, "sendfile", sendfile)
    async with serving(feed_of(a_file(tmp_path, LARGE))) as client, client.get(NUPKG) as answer:
        assert await answer.read() == LARGE


async def test_what_is_not_in_the_page_cache_is_read_by_a_thread(tmp_path, monkeypatch):
    reading: list[bool] = []
    original = io.FileIO.read

    class Watched(io.FileIO):
        def read(self, size: int | None = -1, /) -> Any:
            reading.append(threading.current_thread() is threading.main_thread())
            return original(self, size)

    monkeypatch.setattr(io, "FileIO", Watched)
    monkeypatch.setattr(OpenFile, "is_cached", lambda *_: False)
    async with serving(feed_of(a_file(tmp_path, LARGE))) as client, client.get(NUPKG) as answer:
        assert await answer.read() == LARGE

    assert set(reading) == {False}


async def test_files_travel_over_tls(tmp_path):
    """
    Long and short, with the links of documents naming https.
    """
    ca = PrivateCA(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*ca.issue())
    trusting = ssl.create_default_context(cafile=str(ca.file))
    async with serving(feed_of(a_file(tmp_path, LARGE)), tls=server) as client:
        async with client.get(NUPKG, ssl=trusting) as answer:
            assert await answer.read() == LARGE
        async with client.get("/v3/index.json", ssl=trusting) as answer:
            assert b"https://127.0.0.1:" in await answer.read()


async def test_a_file_that_is_gone_is_our_failure(tmp_path):
    """
    A file that the feed reports and the disk does not have is a 503, never a 404.
    """
    gone = a_file(tmp_path, SMALL)
    gone.path.unlink()
    async with serving(feed_of(gone)) as client, client.get(NUPKG) as answer:
        assert answer.status == 503


async def test_a_file_of_another_size_is_our_failure(tmp_path):
    """
    Bytes that cannot be the package's are not sent.
    """
    file = a_file(tmp_path, SMALL)
    file.path.write_bytes(SMALL[:-1])
    async with serving(feed_of(file)) as client, client.get(NUPKG) as answer:
        assert answer.status == 503


async def test_a_file_that_shrinks_while_it_is_sent_is_cut(tmp_path, monkeypatch):
    """
    The client sees that its body is short.
    """
    file = a_file(tmp_path, LARGE)
    opened = transfer._opened

    def shrinking(which: LocalFile):
        source = opened(which)
        with file.path.open("r+b") as writable:
            writable.truncate(1_500_000)
        return source

    monkeypatch.setattr(transfer, "_opened", shrinking)
    async with serving(feed_of(file)) as client, client.get(NUPKG) as answer:
        with pytest.raises(ClientPayloadError):
            await answer.read()


async def test_a_client_that_stops_reading_is_cut(tmp_path):
    """
    A connection whose client reads nothing is not kept open beyond the stall time-out.
    """
    file = a_file(tmp_path, LARGE * 6)
    async with serving(feed_of(file), {"server": {"stall_timeout": "200ms"}}) as client:
        reader, writer = await asyncio.open_connection(client.server.host, client.server.port, limit=1024)
        writer.write(f"GET {NUPKG} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(5):
            await reader.readline()
            server = client.server.handler
            assert server is not None
            while server.connections:
                await asyncio.sleep(0.02)
        writer.close()


# --- bytes that are still arriving ---


@pytest.mark.parametrize("size", [len(LARGE), None], ids=["known size", "unknown size"])
async def test_growing_content_arrives_whole(size):
    """
    With its length when it is known, in chunks when it is not.
    """
    growing = Growing([LARGE[:1000], b"", LARGE[1000:]], size=size)
    async with serving(feed_of(growing)) as client, client.get(NUPKG) as answer:
        assert await answer.read() == LARGE
        assert (None if size is None else str(size)) == answer.headers.get("Content-Length")
        assert ("chunked" if size is None else None) == answer.headers.get("Transfer-Encoding")

    assert growing.closed == 1


@pytest.mark.parametrize("size", [2000, None], ids=["known size", "unknown size"])
@pytest.mark.parametrize(
    "error", [UpstreamUnavailable("nuget.org", "reset"), RuntimeError("bug"), ConnectionResetError()]
)
async def test_growing_content_that_fails_is_seen_as_truncated(size, error):
    """
    A short body never looks complete: the connection is cut, without a last chunk.
    """
    growing = Growing([b"x" * 1000], size=size, error=error)
    async with serving(feed_of(growing)) as client, client.get(NUPKG) as answer:
        with pytest.raises(ClientPayloadError):
            await answer.read()

    assert growing.closed == 1


async def test_growing_content_that_ends_early_is_cut():
    """
    Fewer bytes than announced are a failure even if no error was raised.
    """
    async with serving(feed_of(Growing([b"x" * 1000], size=2000))) as client, client.get(NUPKG) as answer:
        with pytest.raises(ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize("size", [2000, None], ids=["known size", "unknown size"])
async def test_truncation_is_visible_on_the_wire(size):
    """
    Neither the announced length nor a last chunk is reached.
    """
    growing = Growing([b"x" * 1000], size=size, error=StorageUnavailable("disk full"))
    async with serving(feed_of(growing)) as client:
        try:
            received = await raw(client, f"GET {NUPKG} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        except ConnectionResetError:
            received = b""

    assert b"0\r\n\r\n" not in received
    assert received.count(b"x" * 10) <= 100


async def test_growing_content_that_fails_before_its_first_byte_has_an_error_status():
    """
    Until the first byte is sent, a failure is reported in the status line.
    """
    growing = Growing([], size=2000, error=UpstreamUnavailable("nuget.org", "connection refused"))
    async with serving(feed_of(growing)) as client, client.get(NUPKG) as answer:
        assert (answer.status, answer.reason) == (503, "upstream nuget.org is unavailable: connection refused")


@pytest.mark.parametrize(
    ("range_", "status", "start"),
    [("bytes=500-", 206, 500), ("bytes=-500", 206, 1500), ("bytes=500-599", 200, 0), ("bytes=0-", 200, 0)],
)
async def test_ranges_of_growing_content(range_, status, start):
    """
    Only a range up to the end is served: the end is held back until all checks have passed, a middle is not.
    """
    body = bytes(range(200)) * 10
    growing = Growing([body[:700], body[700:]], size=len(body))
    async with serving(feed_of(growing)) as client, client.get(NUPKG, headers={"Range": range_}) as answer:
        assert (status, body[start:]) == (answer.status, await answer.read())

    assert (f"bytes {start}-1999/2000" if status == 206 else None) == answer.headers.get("Content-Range")


async def test_a_resumed_download_of_growing_content_starts_over():
    """
    There is no entity tag yet, so If-Range cannot match.
    """
    growing = Growing([b"x" * 2000], size=2000)
    headers = {"Range": "bytes=500-", "If-Range": '"tag"'}
    async with serving(feed_of(growing)) as client, client.get(NUPKG, headers=headers) as answer:
        assert (answer.status, len(await answer.read())) == (200, 2000)


async def test_a_range_behind_the_end_of_growing_content_is_416():
    """
    The size is known before the bytes are.
    """
    growing = Growing([b"x" * 2000], size=2000)
    async with serving(feed_of(growing)) as client, client.get(NUPKG, headers={"Range": "bytes=2000-"}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */2000")


async def test_head_of_growing_content_reads_nothing():
    """
    HEAD reports the size and reads no bytes.
    """
    growing = Growing([b"x" * 2000], size=2000)
    async with serving(feed_of(growing)) as client, client.head(NUPKG) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "2000")

    assert growing.closed == 0


async def test_a_leaving_client_is_quiet():
    """
    A client that closes the connection in the middle of a body leaves nothing in the log, and the reader is released.
    """
    pieces = [b"x" * 100_000] * 200
    growing = Growing(pieces, size=20_000_000)
    with capture_logs() as lines:
        async with serving(feed_of(growing)) as client:
            reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
            writer.write(f"GET {NUPKG} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.read(1000)
            writer.transport.abort()
            async with asyncio.timeout(5):
                while not growing.closed:
                    await asyncio.sleep(0.01)

    assert [line for line in lines if line["log_level"] in ("warning", "error")] == []


async def test_a_client_that_leaves_in_the_middle_of_a_file_is_quiet_too(tmp_path):
    with capture_logs() as lines:
        async with serving(feed_of(a_file(tmp_path, os.urandom(20_000_000)))) as client:
            reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
            writer.write(f"GET {NUPKG} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.read(1000)
            writer.transport.abort()
            while client.server.handler.connections:
                await asyncio.sleep(0.01)

    assert [line for line in lines if line["log_level"] in ("warning", "error")] == []
