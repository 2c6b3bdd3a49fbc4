"""Real processes that share a data directory and die by SIGKILL, with a real upstream."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.builders import make_nupkg
from tests.fakes import faults
from tests.fakes.faults import Fault
from tests.fakes.upstream import FakeUpstream

PATH = "/v3-flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
ROOT = Path(__file__).resolve().parents[3]
BODY = make_nupkg(payload=os.urandom(1_500_000))
WHOLE = f"whole {hashlib.sha256(BODY).hexdigest()}"
NO_VALIDATORS = frozenset({"etag", "last-modified"})


class Worker:
    def __init__(self, running: asyncio.subprocess.Process) -> None:
        self._running = running

    async def line(self) -> str:
        assert self._running.stdout is not None
        return (await asyncio.wait_for(self._running.stdout.readline(), 30)).decode().strip()

    async def says(self, wanted: str) -> None:
        assert await self.line() == wanted

    def kill(self) -> None:
        self._running.send_signal(signal.SIGKILL)


@asynccontextmanager
async def worker(directory: Path, upstream: FakeUpstream) -> AsyncIterator[Worker]:
    program = str(ROOT / "tests/mirroring/downloads/download_worker.py")
    arguments = (str(directory), upstream.url, upstream.base + PATH, "Contoso.Utils", "1.0.0")
    running = await asyncio.create_subprocess_exec(
        sys.executable, program, *arguments, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        yield Worker(running)
        await asyncio.wait_for(running.wait(), 30)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


@pytest.fixture
def gallery(upstream: FakeUpstream) -> FakeUpstream:
    upstream.add_package(BODY)
    return upstream


def kept(tmp_path: Path) -> bytes:
    return (tmp_path / "mirror/fake/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg").read_bytes()


async def test_two_processes_ask_once_and_both_stream(gallery: FakeUpstream, tmp_path: Path):
    """
    Both have first bytes before the upstream has sent the last.
    """
    both_ask = asyncio.Event()
    gallery.fault(PATH, Fault(until=both_ask, bytes_per_second=1_500_000))
    async with worker(tmp_path, gallery) as one, worker(tmp_path, gallery) as two:
        for running in (one, two):
            await running.says("asking")
        both_ask.set()
        for running in (one, two):
            await running.says("first")
        assert gallery.sent < len(BODY)
        for running in (one, two):
            await running.says(WHOLE)

    assert [request.path for request in gallery.log] == [PATH]
    assert kept(tmp_path) == BODY


@pytest.mark.parametrize("drop", [frozenset(), NO_VALIDATORS], ids=["resumed", "fetched anew"])
async def test_a_follower_goes_on_when_the_leader_is_killed(
    gallery: FakeUpstream, tmp_path: Path, drop: frozenset[str]
):
    """
    Its reader never notices; the upstream is asked for the rest if a validator proves that it is the same file.
    """
    gallery.fault(PATH, Fault(drop=drop, cut_at=800_000, cut_by="stall"), times=1)
    gallery.fault(PATH, Fault(drop=drop))
    async with worker(tmp_path, gallery) as leader:
        for line in ("asking", "first"):
            await leader.says(line)
        async with worker(tmp_path, gallery) as follower:
            for line in ("asking", "first"):
                await follower.says(line)
            leader.kill()
            await follower.says(WHOLE)

    assert len(gallery.log) == 2
    assert ("range" in gallery.log[1].headers) == (not drop)
    assert ("if-range" in gallery.log[1].headers) == (not drop)
    assert kept(tmp_path) == BODY


async def test_a_reader_breaks_when_the_leader_is_killed_and_the_package_has_changed(
    gallery: FakeUpstream, tmp_path: Path
):
    gallery.fault(PATH, faults.stalled(800_000), times=1)
    other = make_nupkg(payload=os.urandom(1_500_000))
    async with worker(tmp_path, gallery) as leader:
        for line in ("asking", "first"):
            await leader.says(line)
        async with worker(tmp_path, gallery) as follower:
            for line in ("asking", "first"):
                await follower.says(line)
            gallery.add_package(other)
            leader.kill()
            await follower.says("broken UpstreamNonsense")

    assert kept(tmp_path) == other


async def test_nothing_half_done_is_found_after_a_kill(gallery: FakeUpstream, tmp_path: Path):
    """
    The next process removes what the killed one left, and fetches.
    """
    gallery.fault(PATH, faults.stalled(800_000), times=1)
    async with worker(tmp_path, gallery) as killed:
        for line in ("asking", "first"):
            await killed.says(line)
        killed.kill()
    assert len(list((tmp_path / "spool").iterdir())) == 2
    assert not (tmp_path / "mirror").exists()
    async with worker(tmp_path, gallery) as heir:
        for line in ("asking", "first", WHOLE):
            await heir.says(line)

    assert list((tmp_path / "spool").iterdir()) == []
    assert "range" not in gallery.log[1].headers
    assert kept(tmp_path) == BODY
