"""Unmet requests: counted in memory, written in batches, bounded, and forgotten once they are met."""

from contextlib import closing

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage, open_ledger
from nugetproxy.mirroring.kept.unmet import UnmetRequests
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.database.sqlite import SqliteDatabase
from tests.builders import make_nuspec

UTILS, BASE, ONE = PackageId.parse("Contoso.Utils"), PackageId.parse("Contoso.Base"), NuGetVersion.parse("1.0")


@pytest.fixture
def database(tmp_path):
    with closing(open_ledger(tmp_path / "inventory.db")) as opened:
        yield opened


def told(requests: UnmetRequests, since: int = 0) -> list[tuple[str, str, int, int, int]]:
    return [(each.package_id, each.version, each.times, each.first, each.last) for each in requests.stored(since)]


async def test_requests_are_counted_across_batches_and_processes(database):
    moments = iter([100, 150, 170])
    for requests, count in (
        (UnmetRequests(database, lambda: next(moments)), 2),
        (UnmetRequests(database, lambda: 120), 1),
    ):
        for _ in range(count):
            requests.note(UTILS, ONE)
        await requests.flush()
    requests.note(BASE)
    await requests.flush()

    assert told(requests) == [("Contoso.Utils", "1.0.0", 3, 100, 150), ("Contoso.Base", "", 1, 120, 120)]
    assert told(requests, since=121) == [("Contoso.Utils", "1.0.0", 3, 100, 150)]


async def test_the_most_frequent_stay(database):
    requests = UnmetRequests(database, lambda: 100, most=2)
    for _ in range(2):
        requests.note(UTILS, ONE)
    await requests.flush()
    for number in range(50):
        requests.note(PackageId.parse(f"Random{number}"))
    await requests.flush()

    stored = told(requests)
    assert len(stored) == 2
    assert stored[0][0] == "Contoso.Utils"


async def test_memory_is_bounded(database):
    requests = UnmetRequests(database)
    for number in range(5_000):
        requests.note(PackageId.parse(f"Random{number}"))
    await requests.flush()
    assert len(requests.stored()) == 2_000


async def test_what_is_kept_meanwhile_is_no_longer_wanted(database):
    requests = UnmetRequests(database, lambda: 100)
    requests.note(UTILS, ONE)
    requests.note(UTILS, NuGetVersion.parse("2.0"))
    requests.note(UTILS)
    await requests.flush()
    Inventory(database).add(KeptPackage("up", read_nuspec(make_nuspec("Contoso.Utils", "1.0.0")), 10, "hash", 100))
    await database.write(lambda _: None)

    assert [row[:2] for row in told(requests)] == [("Contoso.Utils", "2.0.0")]


async def test_clearing_keeps_what_came_after(database):
    moments = iter([100, 200])
    requests = UnmetRequests(database, lambda: next(moments))
    requests.note(UTILS)
    requests.note(BASE)
    await requests.flush()
    await requests.clear(100)
    assert [row[0] for row in told(requests)] == ["Contoso.Base"]


async def test_a_full_disk_delays_them(database, monkeypatch):
    requests = UnmetRequests(database, lambda: 100)
    requests.note(UTILS)

    async def full(*_: object) -> None:
        raise StorageUnavailable("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteDatabase, "write", full)
        await requests.flush()
    requests.note(UTILS)
    await requests.flush()
    assert told(requests) == [("Contoso.Utils", "", 2, 100, 100)]
