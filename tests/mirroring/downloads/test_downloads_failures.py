"""What readers get, and what is stored, when the upstream sends something wrong."""

import asyncio
import gc
import os
from pathlib import Path

import pytest

from nugetproxy.errors import UpstreamNonsense, UpstreamUnavailable
from nugetproxy.feeds.base import LocalFile
from nugetproxy.mirroring.downloads import fetching
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from tests.builders import make_nupkg
from tests.mirroring.downloads.failing import (
    BROKEN,
    IDENTITY,
    LARGE,
    SIGNED,
    SMALL,
    URL,
    Reader,
    files,
    flipped,
    rejected,
)
from tests.mirroring.scripted import Script, ScriptedUpstream


@pytest.mark.parametrize("states_total", [True, False])
@pytest.mark.parametrize(("body", "cut"), [(LARGE, 500_000), (LARGE, len(LARGE) - 1), (SMALL, 100)])
async def test_a_truncated_body_never_looks_complete(
    downloads: MirroredDownloads, tmp_path: Path, body: bytes, cut: int, states_total: bool
):
    upstream = ScriptedUpstream(Script(body, breaks_at=cut, breaks_with=BROKEN, etag="", states_total=states_total))
    readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(20)))
    await downloads.close(5)

    assert [reader.looks_complete for reader in readers] == [False] * 20
    assert {type(reader.failure) for reader in readers} == {UpstreamUnavailable}
    assert files(tmp_path) == []
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    "script",
    [
        Script(LARGE, breaks_at=500_000, breaks_with=BROKEN, etag=""),
        Script(LARGE[:500_000], total=len(LARGE)),
        Script(b"no package" * 100),
        Script(b"no package" * 100_000),
    ],
    ids=["broken", "short", "rejected", "rejected late"],
)
async def test_the_spools_of_a_failed_download_are_closed(downloads: MirroredDownloads, tmp_path: Path, script: Script):
    """
    No garbage collection helps: the traceback of the failure refers to the spools.
    """
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            upstream = ScriptedUpstream(script)
            readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(5)))
            assert all(reader.failure for reader in readers)
        await asyncio.sleep(0.1)
        opened = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        assert [path for path in opened if path.startswith(str(tmp_path))] == []
    finally:
        gc.enable()


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
    They are fetched once more, refused again, and not stored; the next request gets good ones.
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
    It was withheld entirely, so readers see only the second fetch.
    """
    upstream = ScriptedUpstream(Script(flipped(SMALL, len(SMALL) - 3)), Script(SMALL))
    readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(5)))

    assert [reader.body for reader in readers] == [SMALL] * 5
    assert len(upstream.requests) == 2


async def test_readers_go_on_when_what_they_were_given_is_a_true_prefix(downloads: MirroredDownloads):
    """
    The wrong byte was in the part that was withheld.
    """
    upstream = ScriptedUpstream(Script(flipped(SIGNED, len(SIGNED) - 40_000)), Script(SIGNED))
    readers = await asyncio.gather(*(Reader().read(downloads, upstream) for _ in range(5)))

    assert [reader.body for reader in readers] == [SIGNED] * 5
    assert [reader.failure for reader in readers] == [None] * 5


async def test_a_reader_who_was_given_a_wrong_byte_breaks_and_the_others_go_on(downloads: MirroredDownloads):
    """
    One was given the wrong byte, one has read nothing yet, one joins later.
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
    The second answer is another file of the same size: readers with bytes of the first are broken off, the second is
    stored.
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
    By resuming where it broke if there is a validator, otherwise from the beginning; readers do not notice.
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
