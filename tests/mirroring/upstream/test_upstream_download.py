"""Downloading packages over connections that break, stall and lie."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator

import pytest

from nugetproxy.errors import DocumentAbsent, UpstreamNonsense, UpstreamUnavailable
from nugetproxy.httpcache.decisions import Health
from nugetproxy.mirroring.upstream.client import UpstreamClient
from tests.fakes import faults
from tests.fakes.packages import GalleryPackage
from tests.fakes.upstream import FakeUpstream
from tests.mirroring.clients import a_client

SIZE = 400_000
PATH = "/v3-flatcontainer/a/1.0.0/a.1.0.0.nupkg"


@pytest.fixture
def package(upstream: FakeUpstream) -> GalleryPackage:
    return upstream.add_package("A", "1.0.0", padding=SIZE)


@pytest.fixture
async def client(upstream: FakeUpstream) -> AsyncIterator[UpstreamClient]:
    async with a_client(upstream) as running:
        yield running


async def received(client: UpstreamClient, upstream: FakeUpstream, patience: float = 5) -> bytes:
    async with client.download(upstream.base + PATH, patience=patience) as download:
        return b"".join([chunk async for chunk in download.chunks()])


# --- the head ---------------------------------------------------------------------------------------------------------


async def test_the_head_tells_about_the_file(upstream, client, package):
    upstream.gallery.states_sha512 = True
    async with client.download(upstream.base + PATH, patience=0) as download:
        assert (200, 0, len(package.nupkg)) == (download.status, download.start, download.total)
        assert package.sha512 == download.sha512
        assert hashlib.md5(package.nupkg).digest() == download.md5
        assert download.content_type == "application/octet-stream"
        assert download.etag.startswith("0x8D")
        assert download.last_modified.endswith("GMT")
        assert package.nupkg == b"".join([chunk async for chunk in download.chunks()])


async def test_nothing_is_stated_that_was_not_sent(upstream, client, package):
    upstream.fault("*.nupkg", faults.Fault(drop=frozenset({"etag", "last-modified", "content-md5"}), chunked=True))
    async with client.download(upstream.base + PATH, patience=0) as download:
        assert (download.total, download.sha512, download.md5) == (None, None, None)
        assert (download.etag, download.last_modified) == ("", "")
        assert package.nupkg == b"".join([chunk async for chunk in download.chunks()])


@pytest.mark.parametrize("status", [204, 404, 410])
async def test_an_absent_file_is_reported_before_the_first_byte(upstream, client, status):
    upstream.fault("*", faults.status(status))

    with pytest.raises(DocumentAbsent):
        await received(client, upstream)
    assert upstream.requests_for("*") == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_never_an_absence(upstream, client, package, status):
    upstream.fault("*.nupkg", faults.status(status))

    with pytest.raises(UpstreamUnavailable, match=f"answered {status}"):
        await received(client, upstream)
    assert upstream.requests_for(PATH) == 1


async def test_faults_before_the_head_are_bridged(upstream, client, package):
    for fault in (faults.status(503), faults.silent(), faults.reset()):
        upstream.fault("*.nupkg", fault, times=1)

    assert package.nupkg == await received(client, upstream)
    assert upstream.requests_for(PATH) == 4


async def test_a_file_whose_end_cannot_be_seen_is_refused(upstream, client, package):
    upstream.fault("*.nupkg", faults.no_length())

    with pytest.raises(UpstreamNonsense, match="truncation could not be detected"):
        await received(client, upstream)


async def test_unrequested_gzip_is_decompressed(upstream, client, package):
    upstream.fault("*.nupkg", faults.gzip_unasked())
    async with client.download(upstream.base + PATH, patience=0) as download:
        assert (download.total, download.md5) == (None, None)
        assert package.nupkg == b"".join([chunk async for chunk in download.chunks()])
    assert upstream.log[0].headers["accept-encoding"] == "identity"


async def test_cut_gzip_is_nonsense(upstream, client, package):
    body = gzip.compress(package.nupkg)[:-100]
    upstream.fault("*.nupkg", faults.Fault(status=200, headers={"Content-Encoding": "gzip"}, body=body))

    with pytest.raises(UpstreamNonsense, match="ends too early"):
        await received(client, upstream)


async def test_an_empty_file_is_whole(upstream, client):
    upstream.fault("*.nupkg", faults.status(200))

    assert await received(client, upstream) == b""


# --- beginning in the middle ------------------------------------------------------------------------------------------


async def test_it_begins_where_asked(upstream, client, package):
    async with client.download(upstream.base + PATH, patience=0) as download:
        etag = download.etag
    async with client.download(upstream.base + PATH, start=1000, if_range=etag, patience=0) as download:
        assert (206, 1000, len(package.nupkg)) == (download.status, download.start, download.total)
        assert package.nupkg[1000:] == b"".join([chunk async for chunk in download.chunks()])


async def test_another_file_by_now_is_sent_whole(upstream, client, package):
    async with client.download(upstream.base + PATH, start=1000, if_range="0x8DOLD", patience=0) as download:
        assert (download.status, download.start) == (200, 0)
        assert package.nupkg == b"".join([chunk async for chunk in download.chunks()])


async def test_beginning_past_the_end_is_nonsense(upstream, client, package):
    with pytest.raises(UpstreamNonsense, match="no bytes from 999999"):
        async with client.download(upstream.base + PATH, start=999_999, patience=0):
            pass


# --- the machine ------------------------------------------------------------------------------------------------------


async def test_a_reader_that_waits_holds_the_sender_back(upstream, client):
    """
    Unread bytes are not fetched: memory stays bounded however large the file.
    """
    upstream.add_package("A", "1.0.0", padding=30_000_000)
    async with client.download(upstream.base + PATH, patience=1) as download:
        chunks = download.chunks()
        largest = len(await anext(chunks))
        await asyncio.sleep(0.2)
        assert upstream.sent < 15_000_000
        rest = [len(chunk) async for chunk in chunks]

    assert max(largest, *rest) <= 2**20


async def test_leaving_early_closes_the_connection(upstream, client, package):
    upstream.fault("*.nupkg", faults.slow(1_000_000))
    async with client.download(upstream.base + PATH, patience=1) as download:
        await anext(download.chunks())

    assert (await client.fetch(upstream.url, patience=0)).status == 200
    assert upstream.connections == 2


async def test_downloads_leave_connections_for_documents(upstream, package):
    upstream.fault("*.nupkg", faults.stalled(10))
    async with a_client(upstream, connections=4, head_timeout=5, read_timeout=5) as client:
        waiting = [asyncio.create_task(received(client, upstream)) for _ in range(10)]
        while upstream.requests_for(PATH) < 3:
            await asyncio.sleep(0.001)

        assert (await client.fetch(upstream.url, patience=0)).status == 200
        assert upstream.requests_for(PATH) == 3
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_running_download_speaks_for_its_host(upstream, client, package):
    """
    Bytes that arrive are a success, long before the end.
    """
    upstream.fault("/v3/index.json", faults.status(503), times=1)
    with pytest.raises(UpstreamUnavailable):
        await client.fetch(upstream.url, patience=0)
    assert client.health_of(upstream.url) == Health.SUSPECT
    async with client.download(upstream.base + PATH, patience=0) as download:
        chunks = download.chunks()
        for _ in range(2):
            await anext(chunks)

        assert client.health is Health.GOOD
