"""Many simultaneous requests: one upstream request, and everyone gets the same bytes."""

import asyncio

import pytest

from tests.fakes.faults import delay, slow
from tests.flows.mirror import running

BIG = 3_000_000


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v3/flatcontainer/contoso.utils/index.json", "/v3-flatcontainer/contoso.utils/index.json"),
        ("/v3/registration-gz-semver2/contoso.utils/index.json", "*/registration5-gz-semver2/contoso.utils/index.json"),
        ("/v3/registration/contoso.utils/index.json", "*/registration5-gz-semver2/contoso.utils/index.json"),
        ("/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg", "*.nupkg"),
        ("/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.nuspec", "*.nuspec"),
        ("/v3/query?q=contoso", "/query"),
    ],
)
async def test_fifty_cold_askers_cost_one_request(stocked, tmp_path, path, asked):
    stocked.fault(asked, delay(0.1))
    # On a busy machine fifty searches may take longer than the usual search timeout.
    async with running(tmp_path, stocked, mirroring={"search_timeout": "60s"}) as mirror:
        answers = await asyncio.gather(*(mirror.get(path) for _ in range(50)))
    assert {200} == {answer.status for answer in answers}
    assert len({answer.body for answer in answers}) == 1
    assert stocked.requests_for(asked) == 1


async def test_fifty_askers_of_different_resources_discover_the_upstream_once(stocked, tmp_path):
    paths = [f"/v3/{folder}/contoso.utils/index.json" for folder in ("flatcontainer", "registration")] * 25
    async with running(tmp_path, stocked) as mirror:
        answers = await asyncio.gather(*(mirror.get(path) for path in paths))
    assert {200} == {answer.status for answer in answers}
    assert stocked.requests_for("/v3/index.json") == 1


async def test_askers_of_a_growing_package_share_its_stream(upstream, tmp_path):
    """
    Readers that join during the download get the same bytes from the beginning; one that disconnects affects no other.
    """
    package = upstream.add_package("Big", "1.0.0", padding=BIG)
    upstream.fault("*.nupkg", slow(10_000_000))
    path = "/v3/flatcontainer/big/1.0.0/big.1.0.0.nupkg"
    async with running(tmp_path, upstream) as mirror:
        askers = []
        for _ in range(10):
            askers.append(asyncio.create_task(mirror.get(path)))
            await asyncio.sleep(0.01)
        askers[0].cancel()
        answers = await asyncio.gather(*askers[1:])
        await asyncio.gather(askers[0], return_exceptions=True)
    assert {package.nupkg} == {answer.body for answer in answers}
    assert upstream.requests_for("*.nupkg") == 1


async def test_a_package_that_everybody_left_is_kept_all_the_same(upstream, tmp_path):
    package = upstream.add_package("Big", "1.0.0", padding=BIG)
    upstream.fault("*.nupkg", slow(20_000_000))
    path = "/v3/flatcontainer/big/1.0.0/big.1.0.0.nupkg"
    async with running(tmp_path, upstream) as mirror:
        asker = asyncio.create_task(mirror.get(path))
        while not upstream.requests_for("*.nupkg"):
            await asyncio.sleep(0.005)
        asker.cancel()
        await asyncio.gather(asker, return_exceptions=True)
        assert package.nupkg == (await mirror.get(path)).body
    assert upstream.requests_for("*.nupkg") == 1


async def test_absence_is_shared_too(stocked, tmp_path):
    path = "/v3/flatcontainer/nobody/1.0.0/nobody.1.0.0.nupkg"
    async with running(tmp_path, stocked) as mirror:
        answers = await asyncio.gather(*(mirror.get(path) for _ in range(30)))
    assert {404} == {answer.status for answer in answers}
    assert stocked.requests_for("*.nupkg") == 1
    assert stocked.requests_for("/v3-flatcontainer/nobody/index.json") == 1
