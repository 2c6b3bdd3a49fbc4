"""
All faults of an upstream with a package, through the whole application: the bytes are right, or the client notices.
"""

import asyncio

import aiohttp
import pytest

from tests.fakes.faults import (
    Fault,
    captive_portal,
    chunked,
    corrupt,
    gzip_unasked,
    no_length,
    no_range,
    redirect,
    reset,
    reset_midway,
    status,
    truncated,
    wrong_length,
)
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import files_below, running

SIZE = 400_000
PATH = "/v3/flatcontainer/big/1.0.0/big.1.0.0.nupkg"
SETTINGS = {"patience": 1.0, "breaker_failures": 50}


@pytest.fixture
def big(upstream: FakeUpstream) -> FakeUpstream:
    upstream.add_package("Big", "1.0.0", padding=SIZE)
    return upstream


def package(upstream: FakeUpstream) -> bytes:
    return upstream.gallery.packages["big"]["1.0.0"].nupkg


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        pytest.param(truncated(200_000), 2, id="truncated"),
        pytest.param(reset_midway(200_000), 2, id="reset midway"),
        pytest.param(gzip_unasked(), 1, id="gzip unasked"),
        pytest.param(reset(), 2, id="reset"),
        pytest.param(status(503), 2, id="503"),
        pytest.param(status(429, retry_after=0), 2, id="429"),
        pytest.param(corrupt(SIZE - 1000), 2, id="corrupt near its end"),
        pytest.param(captive_portal(), 2, id="captive portal"),
        pytest.param(chunked(), 1, id="chunked"),
    ],
)
async def test_one_fault_is_repaired_before_the_client_sees_it(big, tmp_path, fault, requests):
    """
    Resumed where it broke off, or fetched again: the client gets the package, and so does the next.
    """
    big.fault("*.nupkg", fault, times=1)
    async with running(tmp_path, big, upstream_settings=SETTINGS) as mirror:
        first = await mirror.get(PATH)
        second = await mirror.get(PATH)
    assert (first.status, first.body == package(big)) == (200, True)
    assert second.body == package(big)
    assert big.requests_for("*.nupkg") == requests


async def test_a_break_is_continued_by_range(big, tmp_path):
    big.fault("*.nupkg", Fault(cut_at=200_000, bytes_per_second=4_000_000), times=1)
    async with running(tmp_path, big, upstream_settings=SETTINGS) as mirror:
        assert (await mirror.get(PATH)).body == package(big)
    second = big.recorded("*.nupkg")[1]
    first, _, last = second.headers["range"].removeprefix("bytes=").partition("-")
    assert (0 < int(first) <= 200_000, last) == (True, "")
    assert second.headers["if-range"].startswith("0x8D")


async def test_an_upstream_without_ranges_is_asked_for_the_whole_again(big, tmp_path):
    big.fault("*.nupkg", Fault(cut_at=200_000, ignores_range=True), times=1)
    big.fault("*.nupkg", no_range())
    async with running(tmp_path, big, upstream_settings=SETTINGS) as mirror:
        assert (await mirror.get(PATH)).body == package(big)
    assert big.requests_for("*.nupkg") == 2


async def test_retry_after_is_kept_to(big, tmp_path):
    big.fault("*.nupkg", status(429, retry_after=1), times=1)
    loop = asyncio.get_running_loop()
    async with running(tmp_path, big, upstream_settings={"patience": 5.0}) as mirror:
        began = loop.time()
        assert (await mirror.get(PATH)).status == 200
    assert loop.time() - began >= 1.0


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(status(503), 503, id="503"),
        pytest.param(status(403), 503, id="403"),
        pytest.param(reset(), 503, id="reset"),
        pytest.param(captive_portal(), 502, id="captive portal"),
        pytest.param(redirect("http://127.0.0.1:1/"), 502, id="redirect"),
        pytest.param(no_length(), 502, id="no length"),
    ],
)
async def test_a_lasting_fault_before_the_first_byte_is_reported(big, tmp_path, fault, code):
    big.fault("*.nupkg", fault)
    async with running(tmp_path, big, upstream_settings={"patience": 0.2}) as mirror:
        assert (await mirror.get(PATH)).status == code
        async with asyncio.timeout(5):  # the failure stays visible to other processes for a moment
            while [name for name in files_below(tmp_path) if name.startswith(("mirror/", "spool/"))]:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(cut_at=200_000, ignores_range=True), id="truncated"),
        pytest.param(Fault(cut_at=200_000, cut_by="reset", ignores_range=True), id="reset midway"),
        pytest.param(Fault(cut_at=200_000, cut_by="stall", ignores_range=True), id="stalled"),
        pytest.param(corrupt(300_000), id="corrupt"),
        pytest.param(wrong_length(-1000), id="announced too short"),
        pytest.param(wrong_length(1000), id="announced too long"),
    ],
)
async def test_a_lasting_fault_in_the_body_breaks_the_answer(big, tmp_path, fault):
    """
    A short or wrong body never looks complete, and nothing of it is stored.
    """
    big.fault("*.nupkg", fault)
    async with running(tmp_path, big, upstream_settings={"patience": 0.2, "read_timeout": 0.3}) as mirror:
        try:
            answer = await mirror.get(PATH)
        except aiohttp.ClientError:
            pass
        else:
            assert answer.status in (502, 503)
        await asyncio.sleep(0.05)
        assert not list((tmp_path / "mirror").rglob("*.nupkg"))
        big.heal()
        assert (await mirror.get(PATH)).body == package(big)


async def test_a_package_of_another_name_is_refused(big, tmp_path):
    """
    A cache in between that mixes up its entries does not poison ours.
    """
    other = big.add_package("Other", "1.0.0", padding=SIZE)
    big.fault("*big.1.0.0.nupkg", status(200, body=other.nupkg))
    async with running(tmp_path, big, upstream_settings={"patience": 0.2}) as mirror:
        with pytest.raises(aiohttp.ClientError):
            await mirror.get(PATH)
        assert not list((tmp_path / "mirror").rglob("*.nupkg"))


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/v3/flatcontainer/big/index.json", "/v3-flatcontainer/big/index.json"),
        ("/v3/registration-gz-semver2/big/index.json", "/v3/registration5*/big/index.json"),
        ("/v3/flatcontainer/big/1.0.0/big.nuspec", "*.nuspec"),
        ("/v3/flatcontainer/big/1.0.0/readme", "*/readme"),
    ],
)
class TestDocuments:
    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(truncated(10), id="truncated"),
            pytest.param(reset_midway(10), id="reset midway"),
            pytest.param(wrong_length(10), id="wrong length"),
            pytest.param(status(500), id="500"),
        ],
    )
    async def test_one_fault_is_repaired(self, big, tmp_path, path, pattern, fault):
        big.fault(pattern, fault, times=1)
        async with running(tmp_path, big, upstream_settings=SETTINGS) as mirror:
            assert (await mirror.get(path)).status == 200
        assert big.requests_for(pattern) == 2

    async def test_a_captive_portal_is_reported_and_not_kept(self, big, tmp_path, path, pattern):
        big.fault(pattern, captive_portal())
        async with running(tmp_path, big, upstream_settings={"patience": 0.1}) as mirror:
            assert (await mirror.get(path)).status == 502
            big.heal()
            assert (await mirror.get(path)).status == 200

    async def test_a_captive_portal_does_not_replace_what_is_kept(self, big, tmp_path, path, pattern, later):
        async with running(tmp_path, big, upstream_settings={"patience": 0.1}) as mirror:
            kept = await mirror.get(path)
            later(90_000.0)
            big.fault("*", captive_portal())
            again = await mirror.get(path)
        assert (again.status, again.body) == (200, kept.body)


@pytest.mark.parametrize("fault", [gzip_unasked(), chunked()], ids=["gzip", "chunked"])
async def test_documents_in_any_transfer_are_read(big, tmp_path, fault):
    big.fault("*.json", fault)
    async with running(tmp_path, big) as mirror:
        assert (await mirror.json("/v3/flatcontainer/big/index.json"))["versions"] == ["1.0.0"]
        assert (await mirror.get("/v3/registration-gz/big/index.json")).status == 200
