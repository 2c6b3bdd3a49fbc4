"""Simultaneous downloads by several users of one data directory: the one with the lease asks, the others follow.

Two objects in one process behave like two processes: they share files and leases, nothing else.
"""

import asyncio
import base64
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nugetproxy.errors import DocumentAbsent, NugetproxyError, UpstreamNonsense, UpstreamTimeout, UpstreamUnavailable
from nugetproxy.feeds.base import GrowingContent, LocalFile
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.mirroring.downloads import following
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage import spool
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.spool import MemoryBudget, Spool, SpoolFolder
from nugetproxy.storage.spool_notices import SpoolNotice, SpoolNotices, Stage
from tests.builders import make_nupkg
from tests.mirroring.scripted import Script, ScriptedUpstream

IDENTITY = PackageIdentity.parse("Contoso.Utils", "1.0.0")
URL = "http://127.0.0.1:1/contoso.utils.1.0.0.nupkg"
KEY = "content:nuget.org/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
SMALL = make_nupkg(payload=b"small")
LARGE = make_nupkg(payload=os.urandom(700_000))


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[list[MirroredDownloads]]:
    made = [
        MirroredDownloads(tmp_path, Leases(tmp_path / "leases"), 2_000_000, Mode.ONLINE, patience=1) for _ in range(2)
    ]
    yield made
    for downloads in made:
        await downloads.close(5)


async def opened(downloads: MirroredDownloads, upstream: ScriptedUpstream) -> GrowingContent:
    answer = await downloads.open(upstream.client, IDENTITY, URL)
    assert not isinstance(answer.value, LocalFile)
    return answer.value


async def read(downloads: MirroredDownloads, upstream: ScriptedUpstream) -> bytes:
    answer = await downloads.open(upstream.client, IDENTITY, URL)
    if isinstance(answer.value, LocalFile):
        return answer.value.path.read_bytes()
    return b"".join([chunk async for chunk in answer.value.chunks()])


def kept(tmp_path: Path) -> bytes:
    return (tmp_path / "mirror/nuget.org/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg").read_bytes()


def spooled(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "spool").iterdir()]


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("states_total", [True, False])
async def test_all_processes_together_ask_once(
    pair: list[MirroredDownloads], tmp_path: Path, body: bytes, states_total: bool
):
    upstream = ScriptedUpstream(Script(body, block=10_000, states_total=states_total))
    bodies = await asyncio.gather(*(read(downloads, upstream) for downloads in pair * 5))
    for downloads in pair:
        await downloads.close(5)

    assert bodies == [body] * 10
    assert len(upstream.requests) == 1
    assert kept(tmp_path) == body
    assert spooled(tmp_path) == []


async def test_a_follower_gives_first_bytes_before_the_last_are_there(pair: list[MirroredDownloads]):
    gate = asyncio.Event()
    upstream = ScriptedUpstream(Script(LARGE, waits={300_000: gate}))
    leading = await opened(pair[0], upstream)
    followed = await opened(pair[1], upstream)
    chunks = followed.chunks()
    first = await anext(chunks)
    gate.set()

    assert followed.size == leading.size == len(LARGE)
    assert followed.content_type == leading.content_type
    assert first + b"".join([chunk async for chunk in chunks]) == LARGE
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        DocumentAbsent(URL),
        UpstreamUnavailable("nuget.org", "503", retry_after=7.0),
        UpstreamTimeout("nuget.org", "no head"),
        UpstreamNonsense("nuget.org", "a portal"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_failure_reaches_the_followers_too(pair: list[MirroredDownloads], failure: NugetproxyError):
    """
    None of the waiting ones asks the upstream a second time.
    """
    gate = asyncio.Event()
    upstream = ScriptedUpstream(Script(head=gate, fails=failure))
    askers = [asyncio.create_task(read(downloads, upstream)) for downloads in pair]
    await asyncio.sleep(0.05)
    gate.set()
    first, second = await asyncio.gather(*askers, return_exceptions=True)

    assert (type(first), str(first)) == (type(second), str(second)) == (type(failure), str(failure))
    assert getattr(second, "retry_after", None) == getattr(failure, "retry_after", None)
    assert len(upstream.requests) == 1


async def test_an_old_failure_says_nothing_to_who_comes_later(pair: list[MirroredDownloads]):
    upstream = ScriptedUpstream(Script(fails=UpstreamUnavailable("nuget.org", "503")), Script(SMALL))
    with pytest.raises(UpstreamUnavailable):
        await read(pair[0], upstream)

    assert await read(pair[1], upstream) == SMALL


async def test_a_failed_check_breaks_the_followers_readers(pair: list[MirroredDownloads]):
    bad = make_nupkg("Contoso.Other", payload=os.urandom(700_000))
    upstream = ScriptedUpstream(Script(bad))
    answers = await asyncio.gather(*(read(downloads, upstream) for downloads in pair), return_exceptions=True)

    assert [type(answer) for answer in answers] == [UpstreamNonsense] * 2
    assert len(upstream.requests) == 2


async def test_a_follower_goes_on_when_its_bytes_are_a_prefix_of_the_second_try(pair: list[MirroredDownloads]):
    broken = Script(LARGE, etag="", breaks_at=400_000, breaks_with=UpstreamUnavailable("nuget.org", "broke"))
    upstream = ScriptedUpstream(broken, Script(LARGE, etag=""))

    assert await asyncio.gather(*(read(downloads, upstream) for downloads in pair)) == [LARGE] * 2
    assert len(upstream.requests) == 2


async def test_a_leader_whose_disk_fails_delays_no_other(
    pair: list[MirroredDownloads], monkeypatch: pytest.MonkeyPatch
):
    """
    Each process then relays to its own clients: one request each, and none waits for another's memory.
    """
    gate = asyncio.Event()
    upstream = ScriptedUpstream(Script(LARGE, waits={500_000: gate}), Script(LARGE))

    def full(descriptor: int, block: bytes | memoryview, offset: int) -> int:
        if offset >= 300_000:
            raise OSError(errno.ENOSPC, "full")
        return os.pwrite(descriptor, block, offset)

    monkeypatch.setattr(spool, "write_to_disk", full)
    leading, followed = [asyncio.create_task(read(downloads, upstream)) for downloads in pair]

    assert await followed == LARGE
    gate.set()
    assert await leading == LARGE
    assert len(upstream.requests) == 2


async def test_a_leader_that_hangs_is_not_waited_for_for_ever(
    pair: list[MirroredDownloads], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(following, "_SILENCE", 0.05)
    gate = asyncio.Event()
    upstream = ScriptedUpstream(Script(LARGE, head=gate))
    leading = asyncio.create_task(read(pair[0], upstream))
    await asyncio.sleep(0.01)

    with pytest.raises(UpstreamTimeout, match="no progress"):
        await read(pair[1], upstream)
    gate.set()
    assert await leading == LARGE


async def test_a_leader_that_stops_is_followed_by_another(pair: list[MirroredDownloads], tmp_path: Path):
    """
    If it stops midway, its follower continues from the bytes already received.
    """
    upstream = ScriptedUpstream(Script(LARGE, waits={300_000: asyncio.Event()}), Script(LARGE))
    leading = await opened(pair[0], upstream)
    follower = asyncio.create_task(read(pair[1], upstream))
    chunks = leading.chunks()
    await anext(chunks)
    await asyncio.sleep(0.05)
    await pair[0].close(0)

    with pytest.raises(UpstreamUnavailable, match="shutting down"):
        await anext(chunks)
    assert await follower == LARGE
    assert upstream.requests[0] == (0, "")
    assert upstream.requests[1][0] > 0
    await pair[1].close(5)
    assert kept(tmp_path) == LARGE


async def test_a_notice_of_a_dead_leader_without_its_bytes_is_ignored(pair: list[MirroredDownloads], tmp_path: Path):
    notices = SpoolNotices(tmp_path / "spool")
    (tmp_path / "spool").mkdir(exist_ok=True)
    notices.write(SpoolNotice(KEY, Stage.COMPLETE, "gone.part", len(LARGE), validator="0x8D1"))

    assert await read(pair[0], ScriptedUpstream(Script(LARGE))) == LARGE


class Leader:
    """Another process, as seen through its files: it reports anything, and dies on command."""

    def __init__(self, directory: Path) -> None:
        self._folder = SpoolFolder(directory / "spool", MemoryBudget(0))
        self._notices = SpoolNotices(directory / "spool")
        self._spools: list[Spool] = []
        lease = Leases(directory / "leases").try_hold(KEY)
        assert lease is not None
        self.dies = lease.release

    def sends(self, content: bytes, validator: str = "", md5: str = "") -> None:
        spooled = self._folder.create("x")
        spooled.append(content)
        self._spools.append(spooled)
        assert spooled.path is not None
        self.tells(Stage.GROWING, spooled.path.name, validator, md5)

    def tells(self, stage: Stage, part: str, validator: str = "", md5: str = "") -> None:
        self._notices.write(SpoolNotice(KEY, stage, part, len(LARGE), "text/plain", validator, md5=md5))


async def test_bytes_are_never_completed_by_the_word_about_others(pair: list[MirroredDownloads], tmp_path: Path):
    """
    The leader restarted and ended before its follower could open the second part: the first is incomplete.
    """
    leader = Leader(tmp_path)
    leader.sends(bytes(len(LARGE)))
    upstream = ScriptedUpstream(Script(LARGE))
    chunks = (await opened(pair[0], upstream)).chunks()
    await anext(chunks)
    leader.tells(Stage.COMPLETE, "second.part")
    reader = asyncio.create_task(_rest(chunks))
    await asyncio.sleep(0.05)
    leader.dies()

    with pytest.raises(UpstreamNonsense):
        await reader
    await pair[0].close(5)
    assert kept(tmp_path) == LARGE


async def test_bytes_are_never_continued_by_the_validator_of_others(pair: list[MirroredDownloads], tmp_path: Path):
    """
    The leader died soon after it restarted: its readers still have bytes of the first part, its notice is about the
    second.
    """
    leader = Leader(tmp_path)
    leader.sends(bytes(500_000), "one")
    upstream = ScriptedUpstream(Script(LARGE, etag="two"))
    chunks = (await opened(pair[0], upstream)).chunks()
    await anext(chunks)
    leader.sends(LARGE[:100], "two")
    await asyncio.sleep(0.05)
    leader.dies()

    with pytest.raises(UpstreamNonsense):
        await _rest(chunks)
    assert upstream.requests == [(0, "")]
    await pair[0].close(5)
    assert kept(tmp_path) == LARGE


async def test_bytes_of_a_dead_leader_are_continued(pair: list[MirroredDownloads], tmp_path: Path):
    leader = Leader(tmp_path)
    leader.sends(LARGE[:500_000], "one")
    upstream = ScriptedUpstream(Script(LARGE, etag="one"))
    reader = asyncio.create_task(read(pair[0], upstream))
    await asyncio.sleep(0.03)
    leader.dies()

    assert await reader == LARGE
    assert upstream.requests == [(500_000, "one")]


async def test_what_a_dead_leader_was_told_to_expect_still_counts(pair: list[MirroredDownloads], tmp_path: Path):
    """
    Its bytes are wrong in the withheld part, which only the stated hash shows.
    """
    at = len(LARGE) - 40_000
    wrong = LARGE[:at] + bytes([LARGE[at] ^ 1]) + LARGE[at + 1 :]
    md5 = base64.b64encode(hashlib.md5(LARGE).digest()).decode()
    leader = Leader(tmp_path)
    leader.sends(wrong, "one", md5)
    leader.dies()

    assert await read(pair[0], upstream := ScriptedUpstream(Script(LARGE))) == LARGE
    assert upstream.requests == [(0, "")]


async def test_all_bytes_of_a_dead_leader_are_only_checked(pair: list[MirroredDownloads], tmp_path: Path):
    leader = Leader(tmp_path)
    leader.sends(LARGE, "one")
    upstream = ScriptedUpstream(Script(LARGE))
    leader.dies()

    assert await read(pair[0], upstream) == LARGE
    assert upstream.requests == []


async def test_bytes_of_a_dead_leader_that_cannot_be_copied_are_fetched_again(
    pair: list[MirroredDownloads], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    leader = Leader(tmp_path)
    leader.sends(LARGE[:500_000], "one")
    leader.dies()
    monkeypatch.setattr(spool, "write_to_disk", full)
    upstream = ScriptedUpstream(Script(LARGE, etag="one"))

    assert await read(pair[0], upstream) == LARGE
    assert upstream.requests == [(0, "")]


async def _rest(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def test_what_dead_processes_left_is_swept_at_start(tmp_path: Path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "x.0.part").write_bytes(b"half")
    SpoolNotices(tmp_path / "spool").write(SpoolNotice(KEY, Stage.GROWING, "x.0.part"))
    downloads = MirroredDownloads(tmp_path, Leases(tmp_path / "leases"), 0, Mode.ONLINE)

    assert spooled(tmp_path) == []
    assert downloads.find("nuget.org", IDENTITY) is None
    await downloads.close(1)
