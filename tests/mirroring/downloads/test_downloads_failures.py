"""What readers see, and what is kept, when the upstream sends something wrong or our own disk fails."""

import asyncio
import errno
import gc
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nugetproxy import metrics
from nugetproxy.errors import NugetproxyError, StorageUnavailable, UpstreamNonsense, UpstreamUnavailable
from nugetproxy.feeds.base import Answer, GrowingContent, LocalFile
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.mirroring.downloads import fetching
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage import spool
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.leases import Leases
from tests.builders import make_nupkg
from tests.mirroring.scripted import Script, ScriptedUpstream

IDENTITY = PackageIdentity.parse("Contoso.Utils", "1.0.0")
URL = "http://127.0.0.1:1/contoso.utils.1.0.0.nupkg"
SMALL = make_nupkg(payload=b"small")
LARGE = make_nupkg(payload=os.urandom(700_000))
SIGNED = make_nupkg(payload=os.urandom(700_000), signed=True)
BROKEN = UpstreamUnavailable("nuget.org", "the connection broke")

Opened = Answer[LocalFile | GrowingContent]


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_SECONDS_AFTER_A_BREAK", 0.001)
    monkeypatch.setattr(fetching, "_FAILURE_IS_SHOWN", 0.001)


@pytest.fixture
async def downloads(tmp_path: Path) -> AsyncIterator[MirroredDownloads]:
    made = MirroredDownloads(tmp_path, Leases(tmp_path / "leases"), 2_000_000, Mode.ONLINE)
    yield made
    await made.close(5)


class Reader:
    """One asker: what it was told, what it was given, and how it ended."""

    def __init__(self) -> None:
        self.size: int | None = None
        self.body = b""
        self.failure: NugetproxyError | None = None

    async def read(self, downloads: MirroredDownloads, upstream: ScriptedUpstream) -> "Reader":
        try:
            answer = await downloads.open(upstream.client, IDENTITY, URL)
            if isinstance(answer.value, LocalFile):
                self.body, self.size = answer.value.path.read_bytes(), answer.value.size
                return self
            self.size = answer.value.size
            async for chunk in answer.value.chunks():
                self.body += chunk
        except NugetproxyError as failure:
            self.failure = failure
        return self

    @property
    def looks_complete(self) -> bool:
        """As a client sees it: a clean end, or as many bytes as were announced."""
        return self.failure is None or len(self.body) == self.size


def rejected(check: str) -> float:
    return float(metrics.CONTENT_REJECTED.labels("nuget.org", check)._value.get())


def store_failures() -> float:
    return float(metrics.STORE_FAILURES.labels("content")._value.get())


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- the upstream is wrong ---


@pytest.mark.parametrize("states_total", [True, False])
@pytest.mark.parametrize(("body", "cut"), [(LARGE, 500_000), (LARGE, len(LARGE) - 1), (SMALL, 100)])
async def test_nobody_takes_a_truncated_body_for_a_whole(
    downloads: MirroredDownloads, tmp_path: Path, body: bytes, cut: int, states_total: bool
):
    upstream = ScriptedUpstream(Script(body, breaks_at=cut, breaks_with=BROKEN, etag="", states_total=states_total))
    readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(20)))
    await downloads.close(5)

    assert [reader.looks_complete for reader in readers] == [False] * 20
    assert {type(reader.failure) for reader in readers} == {UpstreamUnavailable}
    assert files(tmp_path) == []
    assert len(upstream.requests) == 2


async def test_a_body_that_ends_early_without_a_break_is_no_whole(downloads: MirroredDownloads):
    upstream = ScriptedUpstream(Script(LARGE[:500_000], total=len(LARGE)))
    reader = await Reader().read(downloads, upstream)

    assert not reader.looks_complete
    assert isinstance(reader.failure, UpstreamNonsense)


@pytest.mark.parametrize("states_total", [True, False])
async def test_a_stream_without_end_does_not_fill_the_disk(
    downloads: MirroredDownloads, monkeypatch: pytest.MonkeyPatch, states_total: bool
):
    monkeypatch.setattr(fetching, "MAX_PACKAGE_SIZE", 500_000)
    reader = await Reader().read(downloads, ScriptedUpstream(Script(LARGE, states_total=states_total)))

    assert isinstance(reader.failure, UpstreamNonsense)
    assert not reader.looks_complete


async def test_an_empty_body_is_no_package(downloads: MirroredDownloads):
    reader = await Reader().read(downloads, ScriptedUpstream(Script(b"")))

    assert isinstance(reader.failure, UpstreamNonsense)


async def test_more_bytes_than_announced_are_no_whole(downloads: MirroredDownloads):
    before = rejected("length")
    reader = await Reader().read(downloads, ScriptedUpstream(Script(LARGE, total=500_000)))

    assert not reader.looks_complete
    assert rejected("length") == before + 2


@pytest.mark.parametrize(
    ("check", "good", "script"),
    [
        ("signature", SIGNED, Script(flipped(SIGNED, 400_000))),
        ("archive", LARGE, Script(LARGE[:-30] + b"x" * 30)),
        ("identity", LARGE, Script(make_nupkg("Contoso.Other", payload=os.urandom(700_000)))),
    ],
)
async def test_wrong_bytes_never_look_complete(
    downloads: MirroredDownloads, tmp_path: Path, check: str, good: bytes, script: Script
):
    """
    They are fetched once more, refused again, and not kept; the next asker is given good ones.
    """
    before = rejected(check)
    upstream = ScriptedUpstream(script, script, Script(good))
    readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(3)))

    assert [reader.looks_complete for reader in readers] == [False] * 3
    assert rejected(check) == before + 2
    assert files(tmp_path / "mirror") == []
    assert (await Reader().read(downloads, upstream)).body == good


async def test_a_stated_hash_is_checked(downloads: MirroredDownloads):
    before = rejected("hash")
    wrong = flipped(LARGE, 400_000)
    sha512 = await Reader().read(downloads, ScriptedUpstream(Script(wrong, sha512_of=LARGE)))
    md5 = await Reader().read(downloads, ScriptedUpstream(Script(wrong, md5_of=LARGE)))

    assert not sha512.looks_complete
    assert not md5.looks_complete
    assert rejected("hash") == before + 4
    assert (
        await Reader().read(downloads, ScriptedUpstream(Script(LARGE, sha512_of=LARGE, md5_of=LARGE)))
    ).body == LARGE


async def test_a_small_package_that_is_wrong_once_is_never_noticed(downloads: MirroredDownloads):
    """
    It was withheld whole, so the second fetch is all that anybody sees.
    """
    upstream = ScriptedUpstream(Script(flipped(SMALL, len(SMALL) - 3)), Script(SMALL))
    readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(5)))

    assert [reader.body for reader in readers] == [SMALL] * 5
    assert len(upstream.requests) == 2


async def test_readers_go_on_when_what_they_were_given_is_a_true_prefix(downloads: MirroredDownloads):
    """
    The wrong byte lay in the part that was withheld.
    """
    upstream = ScriptedUpstream(Script(flipped(SIGNED, len(SIGNED) - 40_000)), Script(SIGNED))
    readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(5)))

    assert [reader.body for reader in readers] == [SIGNED] * 5
    assert [reader.failure for reader in readers] == [None] * 5


async def test_a_reader_who_was_given_a_wrong_byte_breaks_and_the_others_go_on(downloads: MirroredDownloads):
    """
    One was given the wrong byte; one has asked and read nothing yet; one comes later.
    """
    more = asyncio.Event()
    upstream = ScriptedUpstream(Script(flipped(SIGNED, 200_000)), Script(SIGNED, waits={300_000: more}))
    patient = await downloads.open(upstream.client, IDENTITY, URL)
    assert not isinstance(patient.value, LocalFile)
    hasty = asyncio.create_task(Reader().read(downloads, upstream))
    while len(upstream.requests) < 2:
        await asyncio.sleep(0.001)
    late = asyncio.create_task(Reader().read(downloads, upstream))
    await asyncio.sleep(0.005)
    more.set()

    assert not (await hasty).looks_complete
    assert (await late).body == SIGNED
    assert b"".join([chunk async for chunk in patient.value.chunks()]) == SIGNED


async def test_a_package_that_changes_while_it_is_resumed_is_never_mixed(downloads: MirroredDownloads, tmp_path: Path):
    """
    The second answer is another file of the same size: who has bytes of the first breaks, the second is kept.
    """
    other = make_nupkg(payload=os.urandom(700_000))
    first = Script(LARGE, etag="one", breaks_at=300_000, breaks_with=BROKEN)
    reader = await Reader().read(downloads, upstream := ScriptedUpstream(first, Script(other, etag="two")))
    await downloads.close(5)

    assert upstream.requests == [(0, ""), (300_000, "one")]
    assert not reader.looks_complete
    assert LARGE.startswith(reader.body)
    assert (tmp_path / "mirror/nuget.org/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg").read_bytes() == other


async def test_a_package_that_changes_its_size_breaks_its_readers(downloads: MirroredDownloads):
    longer = make_nupkg(payload=os.urandom(800_000))
    upstream = ScriptedUpstream(Script(LARGE, etag="", breaks_at=10, breaks_with=BROKEN), Script(longer))
    reader = await Reader().read(downloads, upstream)

    assert reader.size == len(LARGE)
    assert not reader.looks_complete


@pytest.mark.parametrize("etag", ["0x8D1", ""])
async def test_a_break_in_the_middle_is_bridged(downloads: MirroredDownloads, etag: str):
    """
    By going on where it broke when there is a validator, else from the beginning; readers see nothing of it.
    """
    upstream = ScriptedUpstream(
        Script(LARGE, etag=etag, breaks_at=300_000, breaks_with=BROKEN), Script(LARGE, etag=etag)
    )
    readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(5)))

    assert [reader.body for reader in readers] == [LARGE] * 5
    assert upstream.requests == [(0, ""), (300_000, etag) if etag else (0, "")]


async def test_a_part_that_was_not_asked_for_is_not_used(downloads: MirroredDownloads):
    upstream = ScriptedUpstream(Script(LARGE, status=206, start=100), Script(LARGE))

    assert (await Reader().read(downloads, upstream)).body == LARGE


# --- our disk fails ---


def full_after(size: int, code: int = errno.ENOSPC) -> Callable[[int, bytes | memoryview, int], int]:
    def write(descriptor: int, block: bytes | memoryview, offset: int) -> int:
        if offset + len(block) > size:
            raise OSError(code, os.strerror(code))
        return os.pwrite(descriptor, block, offset)

    return write


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("size", [0, 300_000, len(LARGE) - 1])
async def test_a_disk_that_fails_is_not_the_clients_concern(
    downloads: MirroredDownloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, code: int
):
    """
    Every asker gets the right bytes from one request; nothing is kept and nothing is left.
    """
    before = store_failures()
    monkeypatch.setattr(spool, "write_to_disk", full_after(size, code))
    upstream = ScriptedUpstream(Script(LARGE))
    readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(5)))
    await downloads.close(5)

    assert [reader.body for reader in readers] == [LARGE] * 5
    assert len(upstream.requests) == 1
    assert store_failures() == before + 1
    assert files(tmp_path) == []


async def test_without_a_spool_folder_the_bytes_are_relayed(
    downloads: MirroredDownloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "spool").write_bytes(b"a file where the folder should be")
    upstream = ScriptedUpstream(Script(LARGE))
    answer = await downloads.open(upstream.client, IDENTITY, URL)

    assert not answer.provenance.stored
    assert not isinstance(answer.value, LocalFile)
    assert b"".join([chunk async for chunk in answer.value.chunks()]) == LARGE


async def test_a_disk_that_cannot_be_asked_keeps_nothing(downloads: MirroredDownloads, monkeypatch: pytest.MonkeyPatch):
    def failing(*_: object) -> None:
        raise StorageUnavailable("cannot look up a blob")

    monkeypatch.setattr(FilesystemBlobs, "stat", failing)
    monkeypatch.setattr(FilesystemBlobs, "walk", failing)

    assert downloads.find("nuget.org", IDENTITY) is None
    assert downloads.kept_versions("nuget.org", "contoso.utils") == ()
    assert (await Reader().read(downloads, ScriptedUpstream(Script(LARGE)))).body == LARGE


async def test_bytes_that_lie_only_on_the_disk_are_read_in_a_thread(
    downloads: MirroredDownloads, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(spool.OpenedFile, "read_now", lambda *_: None)

    assert (await Reader().read(downloads, ScriptedUpstream(Script(LARGE)))).body == LARGE


@pytest.mark.parametrize("given", [b"", OSError(errno.EIO, "unreadable")])
async def test_a_spool_that_cannot_be_read_breaks_its_reader(
    downloads: MirroredDownloads, monkeypatch: pytest.MonkeyPatch, given: bytes | OSError
):
    def read_now(*_: object) -> bytes:
        if isinstance(given, OSError):
            raise given
        return given

    monkeypatch.setattr(spool.OpenedFile, "read_now", read_now)
    reader = await Reader().read(downloads, ScriptedUpstream(Script(LARGE)))

    assert isinstance(reader.failure, StorageUnavailable)
    assert not reader.looks_complete


async def test_a_fault_of_ours_leaves_no_reader_waiting(downloads: MirroredDownloads, monkeypatch: pytest.MonkeyPatch):
    def faulty(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fetching, "check_content", faulty)
    reader = await Reader().read(downloads, ScriptedUpstream(Script(LARGE)))

    assert isinstance(reader.failure, StorageUnavailable)
    assert not reader.looks_complete


async def test_relayed_bytes_are_checked_too(downloads: MirroredDownloads, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spool, "write_to_disk", full_after(0))
    reader = await Reader().read(downloads, ScriptedUpstream(Script(flipped(SIGNED, 400_000))))

    assert not reader.looks_complete


async def test_over_the_memory_bound_a_refusal_comes_before_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    And when the first download is done, its memory serves the next.
    """
    downloads = MirroredDownloads(tmp_path, Leases(tmp_path / "leases"), len(LARGE) + 10, Mode.ONLINE)
    monkeypatch.setattr(spool, "write_to_disk", full_after(0))
    gate = asyncio.Event()
    first = asyncio.create_task(Reader().read(downloads, ScriptedUpstream(Script(LARGE, waits={300_000: gate}))))
    await asyncio.sleep(0.02)
    other = PackageIdentity.parse("Contoso.Utils", "2.0.0")
    second = make_nupkg(version="2.0.0", payload=os.urandom(500_000))
    with pytest.raises(StorageUnavailable):
        await (await downloads.open(ScriptedUpstream(Script(second)).client, other, URL)).value.chunks().__anext__()  # type: ignore[union-attr]
    gate.set()

    assert (await first).body == LARGE
    await asyncio.sleep(0.01)
    del first
    gc.collect()
    assert (await Reader().read(downloads, ScriptedUpstream(Script(LARGE)))).body == LARGE
    await downloads.close(5)


@pytest.mark.parametrize("body", [SMALL, LARGE])
async def test_a_failed_commit_is_not_the_clients_concern(
    downloads: MirroredDownloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
):
    def failing(*_: object) -> None:
        raise StorageUnavailable("cannot commit")

    before = store_failures()
    monkeypatch.setattr(FilesystemBlobs, "commit", failing)
    reader = await Reader().read(downloads, ScriptedUpstream(Script(body)))
    await downloads.close(5)

    assert reader.body == body
    assert store_failures() == before + 1
    assert files(tmp_path) == []


# --- memory ---


async def test_a_large_package_needs_little_memory(downloads: MirroredDownloads, monkeypatch: pytest.MonkeyPatch):
    """
    64 MB, a quick and a slow reader: what is held at once stays below 4 MB.
    """
    body = make_nupkg(payload=bytes(64_000_000))
    upstream = ScriptedUpstream(Script(body))
    tracemalloc.start()
    try:
        answers = [await downloads.open(upstream.client, IDENTITY, URL) for _ in range(2)]
        sizes = await asyncio.gather(*(_drained(answer, pause) for answer, pause in zip(answers, (0, 50), strict=True)))
        await downloads.close(10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sizes == [len(body)] * 2
    assert peak < 4_000_000


async def _drained(answer: Opened, turns: int) -> int:
    assert not isinstance(answer.value, LocalFile)
    size = 0
    async for chunk in answer.value.chunks():
        size += len(chunk)
        for _ in range(turns):
            await asyncio.sleep(0)
    return size
