import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nugetproxy.errors import DocumentAbsent, NotMirrored, NugetproxyError, UpstreamTimeout, UpstreamUnavailable
from nugetproxy.feeds.base import Answer, GrowingContent, LocalFile
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.mirroring.downloads.contents import CONTENT_SECONDS
from nugetproxy.mirroring.downloads.mirrored_downloads import CommittedPackage, MirroredDownloads
from nugetproxy.mirroring.kept.parts import kept_manifest
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.leases import Leases
from tests.builders import make_nupkg, make_nuspec
from tests.mirroring.scripted import Script, ScriptedUpstream

IDENTITY = PackageIdentity.parse("Contoso.Utils", "1.0.0")
URL = "http://127.0.0.1:1/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
SMALL = make_nupkg(payload=b"small")
LARGE = make_nupkg(payload=os.urandom(700_000))

Make = Callable[..., MirroredDownloads]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[MirroredDownloads] = []

    def one(memory_relay: int = 10_000_000, mode: Mode = Mode.ONLINE) -> MirroredDownloads:
        downloads = MirroredDownloads(tmp_path, Leases(tmp_path / "leases"), memory_relay, mode)
        made.append(downloads)
        return downloads

    yield one
    for downloads in made:
        await downloads.close(5)


@pytest.fixture
def downloads(make: Make) -> MirroredDownloads:
    return make()


async def body_of(answer: Answer[LocalFile | GrowingContent], start: int = 0) -> bytes:
    if isinstance(answer.value, LocalFile):
        return answer.value.path.read_bytes()[start:]
    return b"".join([chunk async for chunk in answer.value.chunks(start)])


async def fetched(downloads: MirroredDownloads, upstream: ScriptedUpstream) -> bytes:
    return await body_of(await downloads.open(upstream.client, IDENTITY, URL))


async def committed(downloads: MirroredDownloads) -> LocalFile:
    await downloads.close(10)
    kept = downloads.find("nuget.org", IDENTITY)
    assert kept is not None
    return kept


def spooled(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "spool").iterdir())


# --- kept ---


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
async def test_a_package_is_fetched_handed_out_and_kept(downloads: MirroredDownloads, tmp_path: Path, body: bytes):
    upstream = ScriptedUpstream(Script(body))

    assert await fetched(downloads, upstream) == body
    kept = await committed(downloads)
    assert kept.path.read_bytes() == body
    assert kept.path == tmp_path / "mirror/nuget.org/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert b"<id>Contoso.Utils</id>" in (kept.path.parent / "contoso.utils.nuspec").read_bytes()
    assert spooled(tmp_path) == []


async def test_what_is_kept_is_not_asked_for_again(make: Make):
    downloads, upstream = make(), ScriptedUpstream(Script(SMALL))
    first = await downloads.open(upstream.client, IDENTITY, URL)
    await body_of(first)
    await committed(downloads)
    second = await make().open(upstream.client, IDENTITY, URL)

    assert isinstance(second.value, LocalFile)
    assert second.value.size == len(SMALL)
    assert first.provenance.outcome is Outcome.MISS
    assert first.provenance.stored
    assert second.provenance.outcome is Outcome.HIT
    assert second.provenance.fresh_for == CONTENT_SECONDS
    assert upstream.requests == [(0, "")]


async def test_who_asks_after_the_last_byte_gets_the_file(downloads: MirroredDownloads):
    """
    Readers finish before the commit; a request in between waits for it.
    """
    upstream = ScriptedUpstream(Script(LARGE))
    await fetched(downloads, upstream)
    again = await downloads.open(upstream.client, IDENTITY, URL)

    assert isinstance(again.value, LocalFile)
    assert len(upstream.requests) == 1


async def test_kept_versions_are_those_whose_package_is_there(downloads: MirroredDownloads, tmp_path: Path):
    assert downloads.kept_versions("nuget.org", "contoso.utils") == ()
    await fetched(downloads, ScriptedUpstream(Script(SMALL)))
    await committed(downloads)
    half = tmp_path / "mirror/nuget.org/contoso.utils/2.0.0"
    half.mkdir()
    (half / "contoso.utils.nuspec").write_bytes(b"")

    assert downloads.kept_versions("nuget.org", "contoso.utils") == ("1.0.0",)


async def test_offline_only_what_is_kept_is_given(make: Make):
    upstream = ScriptedUpstream(Script(SMALL))
    with pytest.raises(NotMirrored):
        await make(mode=Mode.OFFLINE).open(upstream.client, IDENTITY, URL)
    downloads = make()
    await fetched(downloads, upstream)
    await committed(downloads)

    assert await fetched(make(mode=Mode.OFFLINE), upstream) == SMALL
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("signed", [True, False])
async def test_listeners_are_told_of_a_commit(downloads: MirroredDownloads, signed: bool):
    """
    A listener that fails harms neither the package nor the next listener.
    """
    body, told = make_nupkg(payload=b"told", signed=signed), list[CommittedPackage]()

    def failing(_: CommittedPackage) -> None:
        raise RuntimeError("a listener's own trouble")

    downloads.on_commit += [failing, told.append]
    await fetched(downloads, ScriptedUpstream(Script(body)))
    kept = await committed(downloads)
    sha512 = base64.b64encode(hashlib.sha512(body).digest()).decode()

    (package,) = told
    assert (package.upstream, package.identity, package.path) == ("nuget.org", IDENTITY, kept.path)
    assert (package.size, package.sha512) == (len(body), sha512)
    assert (package.content_hash == sha512) is not signed
    assert package.manifest.identity == IDENTITY


# --- many readers ---


async def test_two_hundred_askers_cost_one_request(downloads: MirroredDownloads):
    """
    They join while the body arrives, and share its blocks.
    """
    body = make_nupkg(payload=os.urandom(20_000_000))
    upstream = ScriptedUpstream(Script(body))

    async def ask(number: int) -> int:
        for _ in range(number):
            await asyncio.sleep(0)
        answer = await downloads.open(upstream.client, IDENTITY, URL)
        assert not isinstance(answer.value, LocalFile)
        assert answer.value.size == len(body)
        received = 0
        async for chunk in answer.value.chunks():
            assert chunk == body[received : received + len(chunk)]
            received += len(chunk)
        return received

    assert {await task for task in [asyncio.create_task(ask(n)) for n in range(200)]} == {len(body)}
    assert len(upstream.requests) == 1


async def test_first_bytes_come_before_the_last_are_there(downloads: MirroredDownloads):
    gate = asyncio.Event()
    upstream = ScriptedUpstream(Script(LARGE, waits={300_000: gate}))
    answer = await downloads.open(upstream.client, IDENTITY, URL)
    assert not isinstance(answer.value, LocalFile)
    chunks = answer.value.chunks()
    first = await anext(chunks)
    gate.set()

    assert first + b"".join([chunk async for chunk in chunks]) == LARGE


async def test_open_returns_with_the_head(downloads: MirroredDownloads):
    gate = asyncio.Event()
    upstream = ScriptedUpstream(Script(LARGE, waits={0: gate}))
    answer = await downloads.open(upstream.client, IDENTITY, URL)

    assert not isinstance(answer.value, LocalFile)
    assert answer.value.size == len(LARGE)
    gate.set()
    assert await body_of(answer) == LARGE


async def test_a_reader_begins_where_it_wants(downloads: MirroredDownloads):
    answer = await downloads.open(ScriptedUpstream(Script(LARGE)).client, IDENTITY, URL)

    assert await body_of(answer, 500_000) == LARGE[500_000:]
    assert await body_of(answer, len(LARGE)) == b""


async def test_a_slow_reader_and_one_that_leaves_affect_no_other(downloads: MirroredDownloads):
    gate = asyncio.Event()
    upstream = ScriptedUpstream(Script(LARGE, waits={400_000: gate}))
    slow, leaving, quick = [await downloads.open(upstream.client, IDENTITY, URL) for _ in range(3)]
    assert not isinstance(slow.value, LocalFile)
    slow_chunks = slow.value.chunks()
    beginning = await anext(slow_chunks)
    leaver, stayer = asyncio.create_task(body_of(leaving)), asyncio.create_task(body_of(quick))
    await asyncio.sleep(0.01)
    leaver.cancel()
    gate.set()

    assert await stayer == LARGE
    assert (await committed(downloads)).size == len(LARGE)
    assert beginning + b"".join([chunk async for chunk in slow_chunks]) == LARGE


async def test_the_download_goes_on_when_all_have_left(downloads: MirroredDownloads):
    gate = asyncio.Event()
    upstream = ScriptedUpstream(Script(LARGE, head=gate))
    asker = asyncio.create_task(downloads.open(upstream.client, IDENTITY, URL))
    await asyncio.sleep(0.01)
    asker.cancel()
    await asyncio.gather(asker, return_exceptions=True)
    gate.set()

    assert (await committed(downloads)).path.read_bytes() == LARGE


async def test_a_body_of_unknown_size_is_handed_out(downloads: MirroredDownloads):
    answer = await downloads.open(ScriptedUpstream(Script(LARGE, states_total=False)).client, IDENTITY, URL)

    assert not isinstance(answer.value, LocalFile)
    assert answer.value.size is None
    assert await body_of(answer) == LARGE


# --- failures before the first byte ---


@pytest.mark.parametrize(
    "failure",
    [
        DocumentAbsent(URL),
        UpstreamUnavailable("nuget.org", "503", retry_after=7.0),
        UpstreamTimeout("nuget.org", "no head"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_failure_before_the_head_reaches_every_asker(downloads: MirroredDownloads, failure: NugetproxyError):
    gate = asyncio.Event()
    upstream = ScriptedUpstream(Script(head=gate, fails=failure))
    askers = [asyncio.create_task(downloads.open(upstream.client, IDENTITY, URL)) for _ in range(5)]
    await asyncio.sleep(0.01)
    gate.set()
    answers = await asyncio.gather(*askers, return_exceptions=True)

    assert answers == [failure] * 5
    assert len(upstream.requests) == 1


async def test_a_failure_is_not_remembered(downloads: MirroredDownloads):
    """
    A later request asks the upstream again.
    """
    upstream = ScriptedUpstream(Script(fails=UpstreamUnavailable("nuget.org", "503")), Script(SMALL))
    with pytest.raises(UpstreamUnavailable):
        await downloads.open(upstream.client, IDENTITY, URL)

    assert await fetched(downloads, upstream) == SMALL


async def test_closing_breaks_what_does_not_end(downloads: MirroredDownloads, tmp_path: Path):
    answer = await downloads.open(
        ScriptedUpstream(Script(LARGE, waits={300_000: asyncio.Event()})).client, IDENTITY, URL
    )
    reader = asyncio.create_task(body_of(answer))
    await asyncio.sleep(0.01)
    await downloads.close(0.01)

    with pytest.raises(UpstreamUnavailable, match="shutting down"):
        await reader
    assert spooled(tmp_path) == []


async def test_a_nuspec_that_is_too_large_stays_in_the_package(downloads: MirroredDownloads):
    """
    The package is still passed on and stored, and its manifest is read up to the limit.
    """
    package = make_nupkg(nuspec=make_nuspec(more="<!-- x -->" * 1_800_000))
    assert await fetched(downloads, ScriptedUpstream(Script(package))) == package
    kept = await committed(downloads)
    nuspec = kept.path.parent / IDENTITY.nuspec_name

    assert not nuspec.exists()
    assert kept_manifest(kept.path, nuspec).identity == IDENTITY
