"""A mirror with a budget: it stays within it, loses no request, and keeps what cannot be fetched again."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from nugetproxy.mirroring.care import upkeep
from nugetproxy.mirroring.kept.inventory import Inventory, open_ledger
from nugetproxy.mirroring.kept.last_use import LastUse
from tests.fakes.faults import Fault
from tests.flows.mirror import Mirror, running
from tests.flows.private_feed import House, opened

PADDING = 30_000
BUDGET = {"budget": "200 KB"}


def path(number: int) -> str:
    return f"/v3/flatcontainer/p{number}/1.0.0/p{number}.1.0.0.nupkg"


def stored(data: Path) -> int:
    return sum(file.stat().st_size for file in (data / "mirror").rglob("*.nupkg"))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eviction runs only where a test asks for it, and does not spare what was used a moment ago."""
    monkeypatch.setattr(upkeep, "_LOOK_SECONDS", 1e9)
    monkeypatch.setattr(LastUse, "is_recent", lambda *_: False)


def packages(upstream, count: int):
    return [upstream.add_package(f"P{number}", "1.0.0", padding=PADDING) for number in range(count)]


async def care(mirror: Mirror | House) -> None:
    assert mirror.services.care is not None
    await mirror.services.care.upkeep.look()


async def fetch(mirror: Mirror, numbers) -> None:
    for number in numbers:
        for _ in range(2):  # the second waits until it is stored
            await mirror.get(path(number))


async def test_the_mirror_is_brought_within_its_budget(upstream, tmp_path):
    """
    And what was evicted is served again, from the upstream.
    """
    made = packages(upstream, 10)
    async with running(tmp_path, upstream, mirroring=BUDGET) as mirror:
        await fetch(mirror, range(10))
        assert stored(tmp_path) > 300_000
        await care(mirror)
        assert stored(tmp_path) <= 200_000
        for number, package in enumerate(made):
            assert (await mirror.get(path(number))).body == package.nupkg
    with closing(open_ledger(tmp_path / "inventory.db")) as database:
        assert Inventory(database).totals().bytes == stored(tmp_path)


async def test_without_a_budget_nothing_is_evicted(upstream, tmp_path):
    packages(upstream, 3)
    async with running(tmp_path, upstream) as mirror:
        await fetch(mirror, range(3))
        await care(mirror)
    assert len(list((tmp_path / "mirror").rglob("*.nupkg"))) == 3


@pytest.mark.parametrize("state", ["deleted upstream", "unreachable", "offline"])
async def test_what_cannot_be_fetched_again_stays(upstream, tmp_path, state):
    packages(upstream, 10)
    async with running(tmp_path, upstream) as mirror:
        await fetch(mirror, range(10))
    before = stored(tmp_path)
    if state == "deleted upstream":
        for number in range(10):
            upstream.gallery.remove(f"P{number}", "1.0.0")
    elif state == "unreachable":
        upstream.fault("*/index.json", Fault(status=503))
    async with running(tmp_path, upstream, offline=state == "offline", mirroring=BUDGET) as mirror:
        await care(mirror)
        assert (await mirror.get(path(3))).status == 200
    assert stored(tmp_path) == before


async def test_a_protected_id_is_not_asked_about(upstream, tmp_path):
    """
    It was mirrored before it was protected: the upstream must not learn that it matters to us.
    """
    packages(upstream, 10)
    async with running(tmp_path, upstream) as mirror:
        await fetch(mirror, range(10))
    asked = len(upstream.log)
    async with opened(tmp_path, upstream, mirroring=BUDGET, feed={"protected_prefixes": ["P"]}) as house:
        await care(house)
    assert [each.path for each in upstream.log[asked:] if "/p" in each.path] == []
    assert len(list((tmp_path / "mirror").rglob("*.nupkg"))) == 10


async def test_hosted_packages_are_never_evicted(upstream, tmp_path):
    packages(upstream, 10)
    async with opened(tmp_path, upstream, mirroring={"budget": "1 KB"}) as house:
        assert (await house.push("Contoso.Own", "1.0.0")).status == 201
        for number in range(10):
            await house.get(path(number))
        await care(house)
        assert (await house.get("/v3/flatcontainer/contoso.own/1.0.0/contoso.own.1.0.0.nupkg")).status == 200
    assert list((tmp_path / "hosted").rglob("*.nupkg"))


async def test_eviction_beside_restores_loses_no_request(upstream, tmp_path):
    made = packages(upstream, 20)
    failures: list[tuple[int, int]] = []
    is_over = False

    async with running(tmp_path, upstream, mirroring=BUDGET) as mirror:

        async def restore(start: int) -> None:
            for step in range(60):
                number = (start + step * 7) % len(made)
                got = await mirror.get(path(number))
                if got.status != 200 or got.body != made[number].nupkg:
                    failures.append((number, got.status))

        async def evict() -> None:
            assert mirror.services.care is not None
            while not is_over:
                await mirror.services.care.eviction.free(120_000)
                await asyncio.sleep(0)

        evicting = asyncio.create_task(evict())
        await asyncio.gather(*(restore(start) for start in range(6)))
        is_over = True
        await evicting
    assert failures == []
    assert upstream.requests_for("*.nupkg") > len(made)
