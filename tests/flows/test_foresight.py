"""A restore's next requests are asked of the upstream before the client sends them, and nothing else is."""

import asyncio
from typing import Any

from tests.fakes.faults import status, until
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Mirror, rules, running

LINKS = 5
FRESH = rules(fresh="1m")
NUGET = {"X-NuGet-Session-Id": "6f0b7a52-0a4b-4a1c-9a41-b5b1f0f7a0a1", "X-NuGet-Client-Version": "7.9.0"}


def stock(upstream: FakeUpstream) -> None:
    """A chain whose packages are larger than what is withheld; its first link depends on an id of ours, too."""
    for number in range(LINKS):
        next_one = [(f"Link{number + 1}", "1.0.0")] if number + 1 < LINKS else []
        dependencies = [*next_one, ("Secret.Core", "1.0.0")] if number == 0 else next_one
        upstream.add_package(f"Link{number}", "1.0.0", dependencies=dependencies, padding=100_000)
    upstream.add_package("Secret.Core", "1.0.0")


def package(number: int) -> str:
    return f"/v3/flatcontainer/link{number}/1.0.0/link{number}.1.0.0.nupkg"


def asked(upstream: FakeUpstream) -> list[str]:
    """The lists and packages that the upstream was asked for, shortened."""
    return sorted(r.path.rpartition("/")[2] if "1.0.0" in r.path else f"list {r.path.split('/')[-2]}"
                  for r in upstream.recorded("/v3-flatcontainer/*"))  # fmt: skip


async def all_quiet(mirror: Mirror) -> None:
    """Wait until foresight has nothing left to do."""
    foresight = mirror.services.foresight
    assert foresight is not None
    async with asyncio.timeout(10):
        while foresight._tasks or foresight._queue:
            await asyncio.sleep(0.005)


def mirroring(data: Any, upstream: FakeUpstream, **sections: Any) -> Any:
    return running(data, upstream, freshness=FRESH, feed={"protected_prefixes": ["Secret."]}, **sections)


async def test_a_chain_is_here_before_the_client_asks_for_its_second_link(upstream, tmp_path):
    stock(upstream)
    async with mirroring(tmp_path, upstream) as mirror:
        assert (await mirror.get(package(0), NUGET)).status == 200
        await all_quiet(mirror)
        chain = sorted([f"link{n}.1.0.0.nupkg" for n in range(LINKS)] + [f"list link{n}" for n in range(1, LINKS)])
        assert asked(upstream) == chain
        for number in range(1, LINKS):
            assert (await mirror.get(f"/v3/flatcontainer/link{number}/index.json", NUGET)).status == 200
            answer = await mirror.get(package(number), NUGET)
            assert answer.body == upstream.gallery.find(f"/v3-flatcontainer/{package(number)[18:]}", "").body
        await all_quiet(mirror)
        assert asked(upstream) == chain
        metrics = (await mirror.get("/metrics")).body.decode()
        assert 'nugetproxy_foresight_used_total{kind="package"}' in metrics
    assert upstream.requests_for("*secret*") == 0


async def test_what_a_kept_package_needs_is_fetched_once_something_is_not_kept(upstream, tmp_path):
    """
    Until then the restore may be warm, and costs nothing extra.
    """
    stock(upstream)
    async with mirroring(tmp_path, upstream) as mirror:
        assert (await mirror.get(package(0))).status == 200
    assert asked(upstream) == ["link0.1.0.0.nupkg"]
    async with mirroring(tmp_path, upstream) as mirror:
        assert (await mirror.get(package(0), NUGET)).status == 200
        await all_quiet(mirror)
        assert asked(upstream) == ["link0.1.0.0.nupkg"]
        assert (await mirror.get("/v3/flatcontainer/link1/index.json", NUGET)).status == 200
        await all_quiet(mirror)
    assert len(asked(upstream)) == 2 * LINKS - 1
    assert upstream.requests_for("*secret*") == 0


async def test_only_restores_are_foreseen_and_only_if_that_is_wanted(upstream, tmp_path):
    stock(upstream)
    async with mirroring(tmp_path / "on", upstream) as mirror:
        assert (await mirror.get(package(0))).status == 200
        await all_quiet(mirror)
    async with mirroring(tmp_path / "off", upstream, mirroring={"foresight": False}) as mirror:
        assert (await mirror.get(package(0), NUGET)).status == 200
        assert mirror.services.foresight is None
    async with mirroring(tmp_path / "on", upstream, offline=True) as mirror:
        assert (await mirror.get(package(0), NUGET)).status == 200
        assert mirror.services.foresight is None
    assert asked(upstream) == ["link0.1.0.0.nupkg"] * 2


async def test_an_upstream_that_asks_us_to_wait_is_asked_for_nothing_ahead(upstream, tmp_path):
    stock(upstream)
    async with mirroring(tmp_path, upstream) as mirror:
        assert (await mirror.get(package(0))).status == 200
        upstream.fault("/v3-flatcontainer/*", status(429, retry_after=60))
        assert (await mirror.get("/v3/flatcontainer/other/index.json", NUGET)).status == 503
        before = asked(upstream)
        assert (await mirror.get(package(0), NUGET)).status == 200
        await all_quiet(mirror)
        assert asked(upstream) == before


async def test_the_end_of_the_server_is_not_waited_for(upstream, tmp_path):
    stock(upstream)
    held = asyncio.Event()
    upstream.fault("/v3-flatcontainer/link1/*", until(held))
    async with mirroring(tmp_path, upstream) as mirror:
        assert (await mirror.get(package(0), NUGET)).status == 200
        async with asyncio.timeout(5):
            while len(asked(upstream)) < 3:
                await asyncio.sleep(0.005)
        foresight = mirror.services.foresight
        assert foresight is not None
        assert len(foresight._tasks) == 2
    assert not foresight._tasks
    held.set()
