"""What readers get, and what is stored, when our own disk fails; and how little memory a download needs."""

import asyncio
import errno
import gc
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.mirroring.downloads import fetching
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage import spool
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.leases import Leases
from tests.builders import make_nupkg
from tests.mirroring.downloads.failing import (
    IDENTITY,
    LARGE,
    SIGNED,
    SMALL,
    URL,
    Opened,
    Reader,
    files,
    flipped,
    store_failures,
)
from tests.mirroring.scripted import Script, ScriptedUpstream

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
    Every reader gets the right bytes from one request; nothing is stored and nothing is left behind.
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
    When the first download is done, its memory is available for the next.
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
    64 MB, a fast and a slow reader: memory stays below 4 MB.
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
