"""Kept packages sent by the lane: whole, in part, to slow clients, from a cold disk, and cut short."""

import asyncio
import os
from pathlib import Path

import pytest

from nugetproxy.feeds.base import LocalFile
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.hot.open_files import OpenFile
from nugetproxy.web.http.portions import QUEUED, SLICE, TURN
from nugetproxy.web.lane.file_body import AHEAD, FIRST
from tests.web.lanes import HIT, JSON_HEADERS, LOOPS, TLS, Served, get, run_on, serving

pytestmark = pytest.mark.parametrize("loop", LOOPS)


def offer(served: Served, path: Path, body: bytes) -> None:
    path.write_bytes(body)
    file = LocalFile(path, len(body), 1_700_000_000, "e")
    served.hot.offer("/hot", None, HotAnswer("nupkg", HIT, HotVariant(JSON_HEADERS, file, modified=file.modified)))


@pytest.mark.parametrize(
    "size", [0, 1, FIRST - 1, FIRST, FIRST + 1, QUEUED, SLICE, SLICE + QUEUED + 1, TURN, TURN + 1, 5 * TURN + 17]
)
def test_files_of_any_size_arrive_whole(loop, size, tmp_path):
    async def scenario():
        body = os.urandom(size)
        async with serving() as served:
            offer(served, tmp_path / "f", body)
            client = await served.open()
            replies = [await client.ask(get("/hot")) for _ in range(3)]
            await client.close()
            return [reply.body == body for reply in replies], served.seen

    assert run_on(loop, scenario) == ([True] * 3, [])


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("0-0", 0, 1), ("5-", 5, None), ("-7", -7, None), (f"{FIRST - 1}-{FIRST}", FIRST - 1, FIRST + 1)],
)
def test_a_part_is_that_part(loop, wanted, start, end, tmp_path):
    async def scenario():
        body = os.urandom(2 * SLICE)
        async with serving() as served:
            offer(served, tmp_path / "f", body)
            reply = await served.ask(get("/hot", f"Range: bytes={wanted}"))
            return reply.status, reply.body == body[start:end], served.seen

    assert run_on(loop, scenario) == (206, True, [])


def test_it_arrives_whole_over_tls(loop, tmp_path):
    async def scenario():
        body = os.urandom(2 * SLICE + 3)
        async with serving(tls=TLS.made_in(tmp_path)) as served:
            offer(served, tmp_path / "f", body)
            reply = await served.ask(get("/hot"))
            return reply.body == body, served.seen

    assert run_on(loop, scenario) == (True, [])


def test_a_cold_disk_is_waited_for_in_a_thread(loop, tmp_path, monkeypatch):
    """
    Others are answered while the thread reads.
    """
    warmed: list[tuple[int, int]] = []

    async def scenario():
        body = os.urandom(AHEAD + SLICE)
        go_on = asyncio.Event()
        running = asyncio.get_running_loop()

        def is_cached(self, offset, count):
            return offset + count <= max((start + length for start, length in warmed), default=0)

        def warm(self, offset, count):
            asyncio.run_coroutine_threadsafe(go_on.wait(), running).result(10)
            warmed.append((offset, count))

        monkeypatch.setattr(OpenFile, "is_cached", is_cached)
        monkeypatch.setattr(OpenFile, "warm", warm)
        async with serving() as served:
            offer(served, tmp_path / "f", body)
            client = await served.open()
            asked = asyncio.create_task(client.ask(get("/hot")))
            other = await served.ask(get("/echo"))
            was_done = asked.done()
            go_on.set()
            reply = await asked
            return other.status, was_done, reply.body == body

    assert run_on(loop, scenario) == (200, False, True)
    assert len(warmed) >= 2
    assert all(count <= AHEAD for _, count in warmed)


def test_a_client_that_leaves_closes_the_file(loop, tmp_path):
    async def scenario():
        async with serving() as served:
            offer(served, tmp_path / "f", os.urandom(20 * SLICE))
            client = await served.open()
            client.writer.write(get("/hot"))
            await client.reader.readexactly(1000)
            [opened] = served.hot.files._open.values()
            during = opened._users
            client.writer.transport.abort()
            while len(served.server.connections):
                await asyncio.sleep(0.005)
            return during, opened._users

    assert run_on(loop, scenario) == (1, 0)


def test_a_file_that_is_cut_short_never_looks_complete(loop, tmp_path):
    async def scenario():
        body = os.urandom(20 * SLICE)
        async with serving() as served:
            offer(served, tmp_path / "f", body)
            client = await served.open()
            client.writer.write(get("/hot"))
            await client.reader.readuntil(b"\r\n\r\n")
            os.truncate(tmp_path / "f", SLICE)
            try:
                received = await client.reader.read(-1)
            except ConnectionError:
                received = b""
            return len(received) < len(body)

    assert run_on(loop, scenario)


def test_a_file_that_is_gone_is_asked_of_the_feed(loop, tmp_path):
    async def scenario():
        async with serving() as served:
            offer(served, tmp_path / "f", b"abc")
            (tmp_path / "f").unlink()
            await served.ask(get("/hot"))
            return served.seen

    assert run_on(loop, scenario) == ["/hot"]


def test_a_head_and_a_304_open_nothing(loop, tmp_path):
    async def scenario():
        async with serving() as served:
            offer(served, tmp_path / "f", b"abc")
            head = await served.ask(get("/hot", method="HEAD"))
            client = await served.open()
            unchanged = await client.ask(get("/hot", 'If-None-Match: "e"'))
            return head.status, unchanged.status, len(served.hot.files), served.seen

    assert run_on(loop, scenario) == (200, 304, 0, [])
