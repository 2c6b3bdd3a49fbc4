"""A broken download is resumed where it broke, and two files are never mixed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from nugetproxy.errors import UpstreamError, UpstreamNonsense, UpstreamTimeout, UpstreamUnavailable
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


# --- breaking and going on --------------------------------------------------------------------------------------------

BREAKS = {
    "truncated": lambda: faults.truncated(150_000),
    "reset midway": lambda: faults.reset_midway(150_000),
    "stalled": lambda: faults.stalled(150_000),
    "broken chunks": lambda: faults.Fault(cut_at=150_000, chunked=True),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_broken_stream_goes_on_where_it_broke(upstream, client, package, name):
    upstream.fault("*.nupkg", BREAKS[name](), times=2)
    first = len(upstream.log)

    assert package.nupkg == await received(client, upstream)
    etag = upstream.recorded(PATH)[first + 1].headers["if-range"]
    assert upstream.requests_for(PATH) == 3
    assert [r.headers["range"] for r in upstream.recorded(PATH)[1:]] == ["bytes=150000-", "bytes=300000-"]
    assert etag.startswith("0x8D")


async def test_bytes_are_not_fetched_twice(upstream, client, package):
    upstream.fault("*.nupkg", faults.truncated(150_000), times=2)
    await received(client, upstream)

    assert len(package.nupkg) == upstream.sent


async def test_faults_between_break_and_resume_are_bridged(upstream, client, package):
    for fault in (faults.truncated(100_000), faults.status(503), faults.reset(), faults.silent()):
        upstream.fault("*.nupkg", fault, times=1)

    assert package.nupkg == await received(client, upstream)
    assert upstream.log[-1].headers["range"] == "bytes=100000-"


async def test_a_death_and_revival_midway_is_bridged(upstream, client, package):
    upstream.fault("*.nupkg", faults.stalled(100_000), times=1)
    async with client.download(upstream.base + PATH, patience=5) as download:
        chunks = download.chunks()
        parts = [await anext(chunks)]
        await upstream.die()
        reviving = asyncio.create_task(revive_soon(upstream))
        parts += [chunk async for chunk in chunks]
        await reviving

    assert package.nupkg == b"".join(parts)


async def revive_soon(upstream: FakeUpstream) -> None:
    await asyncio.sleep(0.05)
    await upstream.revive()


async def test_a_break_before_the_first_byte_begins_again(upstream, client, package):
    upstream.fault("*.nupkg", faults.truncated(0), times=1)

    assert package.nupkg == await received(client, upstream)
    assert "range" not in upstream.log[-1].headers


async def test_only_a_date_is_enough_to_go_on(upstream, client, package):
    upstream.fault("*.nupkg", faults.Fault(cut_at=100_000, drop=frozenset({"etag"})), times=1)

    assert package.nupkg == await received(client, upstream)
    assert upstream.log[-1].headers["if-range"] == "Mon, 01 Jan 2024 00:00:00 GMT"


async def test_a_weak_etag_is_not_used_to_go_on(upstream, client, package):
    weak = faults.Fault(cut_at=100_000, headers={"ETag": 'W/"x"'})
    upstream.fault("*.nupkg", weak, times=1)
    upstream.fault("*.nupkg", faults.Fault(headers={"ETag": 'W/"x"'}))

    assert package.nupkg == await received(client, upstream)
    assert upstream.log[-1].headers["if-range"] == "Mon, 01 Jan 2024 00:00:00 GMT"


async def test_without_any_validator_a_broken_stream_stays_broken(upstream, client, package):
    upstream.fault("*.nupkg", faults.Fault(cut_at=100_000, drop=frozenset({"etag", "last-modified"})))

    with pytest.raises(UpstreamUnavailable, match="cut off"):
        await received(client, upstream)
    assert upstream.requests_for(PATH) == 1


async def test_an_upstream_without_ranges_sends_the_whole_again_and_the_first_part_is_skipped(
    upstream, client, package
):
    upstream.fault("*.nupkg", faults.truncated(100_000), times=1)
    upstream.fault("*.nupkg", faults.no_range())

    assert package.nupkg == await received(client, upstream)
    assert len(package.nupkg) + 100_000 == upstream.sent


async def test_an_upstream_without_ranges_that_breaks_again_is_asked_again(upstream, client, package):
    upstream.fault("*.nupkg", faults.truncated(200_000), times=1)
    upstream.fault("*.nupkg", faults.Fault(cut_at=100_000, ignores_range=True), times=1)
    upstream.fault("*.nupkg", faults.no_range())

    assert package.nupkg == await received(client, upstream)


async def test_a_whole_answer_that_breaks_before_the_position_does_not_shift_the_next(upstream, client, package):
    upstream.fault("*.nupkg", faults.Fault(cut_at=200_000, chunked=True), times=1)
    upstream.fault("*.nupkg", faults.Fault(cut_at=100_000, chunked=True, ignores_range=True), times=1)
    upstream.fault("*.nupkg", faults.Fault(chunked=True))

    assert package.nupkg == await received(client, upstream)


@pytest.mark.parametrize(
    "going_on",
    [
        faults.Fault(),
        faults.Fault(ignores_if_range=True),
        faults.no_range(),
        faults.Fault(ignores_if_range=True, drop=frozenset({"etag"})),
        faults.Fault(ignores_if_range=True, drop=frozenset({"etag", "last-modified"})),
        faults.Fault(ignores_range=True, drop=frozenset({"etag"})),
    ],
)
async def test_two_files_are_never_mixed(upstream, client, package, going_on):
    """
    The package is replaced between the break and the resumption, by one of the same size.
    """
    upstream.fault("*.nupkg", faults.truncated(100_000), times=1)
    upstream.fault("*.nupkg", going_on)
    async with client.download(upstream.base + PATH, patience=5) as download:
        chunks = download.chunks()
        await anext(chunks)
        replaced = package.nupkg[:-1] + bytes([package.nupkg[-1] ^ 1])
        upstream.gallery.change("A", "1.0.0", nupkg=replaced)

        with pytest.raises(UpstreamNonsense, match="changed during the download"):
            async for _ in chunks:
                pass


async def test_a_file_of_another_size_is_never_continued(upstream, client, package):
    upstream.fault("*.nupkg", faults.truncated(100_000), times=1)
    upstream.fault("*.nupkg", faults.Fault(ignores_if_range=True, drop=frozenset({"etag", "last-modified"})))
    async with client.download(upstream.base + PATH, patience=5) as download:
        chunks = download.chunks()
        await anext(chunks)
        upstream.gallery.change("A", "1.0.0", nupkg=package.nupkg + b"more")

        with pytest.raises(UpstreamNonsense, match="changed during the download"):
            async for _ in chunks:
                pass


async def test_a_file_that_vanishes_midway_is_not_an_absence(upstream, client, package):
    upstream.fault("*.nupkg", faults.truncated(100_000), times=1)
    upstream.fault("*.nupkg", faults.status(404))

    with pytest.raises(UpstreamNonsense, match="answered 404 in the middle"):
        await received(client, upstream)


async def test_a_wrong_range_is_nonsense(upstream, client, package):
    upstream.fault("*.nupkg", faults.truncated(100_000), times=1)
    upstream.fault("*.nupkg", faults.Fault(headers={"Content-Range": "bytes 0-9/10"}, status=206, body=b"0123456789"))

    with pytest.raises(UpstreamNonsense, match="another range"):
        await received(client, upstream)


async def test_more_than_announced_is_nonsense(upstream, client, package):
    upstream.fault("*.nupkg", faults.Fault(cut_at=100_000, drop=frozenset({"etag"})), times=1)
    total = len(package.nupkg)
    long = faults.Fault(status=206, headers={"Content-Range": f"bytes 100000-{total - 1}/{total}"}, body=b"x" * total)
    upstream.fault("*.nupkg", long)

    with pytest.raises(UpstreamNonsense, match="more bytes than announced"):
        await received(client, upstream)


async def test_less_than_announced_is_asked_for_again(upstream, client, package):
    """
    A 206 that ends cleanly but too early is a broken stream.
    """
    total, etag = len(package.nupkg), ""
    async with client.download(upstream.base + PATH, patience=0) as download:
        etag = download.etag
    upstream.fault("*.nupkg", faults.truncated(100_000), times=1)
    short = faults.Fault(
        status=206,
        headers={"Content-Range": f"bytes 100000-{total - 1}/{total}", "ETag": etag},
        body=package.nupkg[100_000:200_000],
    )
    upstream.fault("*.nupkg", short, times=1)

    assert package.nupkg == await received(client, upstream)
    assert upstream.log[-1].headers["range"] == "bytes=200000-"


async def test_a_break_at_the_very_end_of_a_file_of_unknown_size_is_its_end(upstream, client, package):
    upstream.fault("*.nupkg", faults.Fault(cut_at=len(package.nupkg), chunked=True), times=1)

    assert package.nupkg == await received(client, upstream)
    assert upstream.requests_for(PATH) == 2


@pytest.mark.parametrize("first", [faults.Fault(cut_at=100_000), faults.Fault(cut_at=100_000, chunked=True)])
async def test_a_file_that_is_shorter_now_is_not_the_end_of_a_longer_one(upstream, client, package, first):
    upstream.fault("*.nupkg", first, times=1)
    shorter = {"Content-Range": "bytes */100000", "ETag": '"another"'}
    upstream.fault("*.nupkg", faults.Fault(status=416, headers=shorter))

    with pytest.raises(UpstreamNonsense, match="answered 416 in the middle"):
        await received(client, upstream)


@pytest.mark.parametrize(
    ("fault", "error"),
    [(faults.truncated(1000), UpstreamUnavailable), (faults.stalled(1000), UpstreamTimeout)],
)
async def test_patience_ends(upstream, client, package, fault, error):
    """
    A few bytes per connection are not progress: they do not renew the patience.
    """
    upstream.fault("*.nupkg", fault)

    with pytest.raises(error):
        await received(client, upstream, patience=0.3)
    assert upstream.requests_for(PATH) < 60


async def test_progress_renews_patience(upstream, client, package):
    upstream.fault("*.nupkg", faults.Fault(cut_at=70_000, delay=0.1))

    assert package.nupkg == await received(client, upstream, patience=0.3)


async def test_a_dead_upstream_midway_fails(upstream, client, package):
    upstream.fault("*.nupkg", faults.stalled(100_000))
    async with client.download(upstream.base + PATH, patience=0.1) as download:
        chunks = download.chunks()
        await anext(chunks)
        await upstream.die()

        with pytest.raises(UpstreamError):
            async for _ in chunks:
                pass
