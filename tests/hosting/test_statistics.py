"""Download counts: one batch for many downloads, summed over processes."""

from collections.abc import Callable
from typing import Any

from nugetproxy.errors import StorageUnavailable
from nugetproxy.hosting.statistics import Statistics
from nugetproxy.nuget.identity import PackageIdentity
from tests.hosting.house import House

ONE, TWO = (PackageIdentity.parse("Contoso.Utils", version) for version in ("1.0", "2.0.0-RC"))


async def test_downloads_are_summed_over_processes(house: House, other: House) -> None:
    here, there = Statistics(house.database), Statistics(other.database)
    for _ in range(3):
        here.count(ONE)
    there.count(ONE)
    there.count(TWO)
    await here.flush()
    await there.flush()
    assert await here.downloads_of("contoso.utils") == {"1.0.0": 4, "2.0.0-rc": 1}
    assert (await here.total_of("contoso.utils"), await here.total_of("contoso.other")) == (5, 0)


async def test_many_downloads_are_one_write(house: House) -> None:
    statistics = Statistics(house.database)
    writes = 0
    write = house.database.write

    async def counting(work: Callable[..., Any]) -> Any:
        nonlocal writes
        writes += 1
        return await write(work)

    house.database.write = counting  # type: ignore[method-assign]  # to see what reaches the disk
    for number in range(1000):
        statistics.count((ONE, TWO)[number % 2])
    await statistics.flush()
    await statistics.flush()
    assert writes == 1
    assert await statistics.total_of("contoso.utils") == 1000


async def test_counts_that_cannot_be_written_are_written_later(house: House) -> None:
    statistics = Statistics(house.database)
    write = house.database.write

    async def fail(_: Callable[..., Any]) -> Any:
        raise StorageUnavailable("full")

    statistics.count(ONE)
    house.database.write = fail  # type: ignore[method-assign]  # a full disk
    await statistics.flush()
    statistics.count(ONE)
    house.database.write = write  # type: ignore[method-assign]
    await statistics.flush()
    assert await statistics.total_of("contoso.utils") == 2
