"""The budget of a fleet's bucket: what goes, what stays, and that nobody who is reading is hurt."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.executors.threads import ThreadExecutor
from nugetproxy.feeds.protected import nothing_is_ours
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.mirroring.care.bucket_budget import BucketBudget
from nugetproxy.mirroring.care.bucket_uses import BucketUses
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.downloads.shared_packages import USE_BEHIND, SharedPackage, SharedPackages
from nugetproxy.mirroring.downloads.sharing import FleetPackages
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.leases import Leases
from tests.mirroring.care.test_eviction import Upstream
from tests.mirroring.downloads.test_downloads import fetched
from tests.mirroring.downloads.test_sharing import LARGE, LocksOfAFleet, MemoryBucket, settled
from tests.mirroring.scripted import Script, ScriptedUpstream

THREADS = ThreadExecutor("bucket", 4)


def anybody(_: Transaction) -> None: ...


@pytest.fixture
def database(postgres, shared_database) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(postgres.dsn(shared_database))
    yield database
    database.close()


class Bucket:
    """Five packages of 100 bytes, `p0` the least recently used one."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.database = database
        self.rows = SharedPackages(database)
        self.objects = MemoryBucket()
        self.upstream = Upstream()

    async def filled(self) -> "Bucket":
        for number in range(5):
            await self.store(f"p{number}")
            await self.sql(f"UPDATE shared_packages SET used = {number + 1} WHERE lower_id = 'p{number}'")
        return self

    async def store(self, lower_id: str) -> None:
        blob = BlobKey.of("mirror", "up", lower_id, "1.0.0", f"{len(self.objects.objects)}.nupkg")
        await self.rows.announce(blob)
        self.objects.objects[blob] = bytes(100)
        assert await self.rows.add(("up", lower_id, "1.0.0"), SharedPackage(blob, 100, ""))

    def budget(self, size: int, grace: int = 0) -> BucketBudget:
        asks = {"up": self.upstream.still_offers}
        return BucketBudget(self.rows, self.objects, THREADS, asks, nothing_is_ours, budget=size, grace=grace)

    async def sql(self, text: str) -> None:
        await self.database.write(lambda transaction: transaction.change(text))

    async def names(self) -> list[str]:
        return [name for (name,) in await self.database.fetch("SELECT lower_id FROM shared_packages ORDER BY lower_id")]


@pytest.fixture
async def bucket(database) -> Bucket:
    return await Bucket(database).filled()


async def test_the_least_recently_used_go_until_nine_tenths_of_the_budget_are_left(bucket):
    await bucket.budget(400).look(anybody)

    assert await bucket.names() == ["p2", "p3", "p4"]
    assert sorted(key.segments[2] for key in bucket.objects.objects) == ["p2", "p3", "p4"]
    assert bucket.upstream.asked == ["p0", "p1"]


@pytest.mark.parametrize("budget", [0, 500])
async def test_within_the_budget_nothing_goes(bucket, budget):
    await bucket.budget(budget).look(anybody)

    assert (len(await bucket.names()), len(bucket.objects.objects), bucket.upstream.asked) == (5, 5, [])


async def test_pinned_packages_and_what_the_upstream_does_not_offer_stay(bucket):
    await bucket.sql("INSERT INTO mirrored_pins VALUES ('p0', '', 'x', '', 0), ('p1', '1.0.0', 'x', '', 0)")
    await bucket.sql("INSERT INTO mirrored_pins VALUES ('p4', '2.0.0', 'x', '', 0)")
    bucket.upstream.answers = {"p2": False, "p3": None}
    for _ in range(2):
        await bucket.budget(100).look(anybody)

    assert await bucket.names() == ["p0", "p1", "p2", "p3"]
    assert bucket.upstream.asked == ["p2", "p3", "p4", "p3"]


async def test_a_node_that_lost_the_job_removes_nothing(bucket):
    def lost(_: Transaction) -> None:
        raise StorageUnavailable("another node took over")

    with pytest.raises(StorageUnavailable):
        await bucket.budget(100).look(lost)

    assert (len(await bucket.names()), len(bucket.objects.objects)) == (5, 5)


async def test_objects_go_later_than_their_rows_and_a_package_can_be_stored_again_at_once(bucket):
    await bucket.budget(400, grace=3600).look(anybody)
    left = len(bucket.objects.objects)
    await bucket.store("p0")
    await bucket.sql("UPDATE shared_unclaimed SET since = since - 7200")
    await bucket.budget(0, grace=3600).look(anybody)

    assert left == 5
    assert await bucket.names() == ["p0", "p2", "p3", "p4"]
    assert sorted(key.segments[2] for key in bucket.objects.objects) == ["p0", "p2", "p3", "p4"]
    assert await bucket.database.fetch("SELECT * FROM shared_unclaimed") == []


async def test_an_object_that_is_being_deleted_cannot_be_claimed(bucket):
    blob = BlobKey.of("mirror", "up", "late", "1.0.0", "late.nupkg")
    await bucket.rows.announce(blob)
    await bucket.rows.doomed(0, 10, anybody)

    assert not await bucket.rows.add(("up", "late", "1.0.0"), SharedPackage(blob, 100, ""))


async def test_pdbs_count_and_go_with_their_package(bucket):
    blob = BlobKey.of("mirror", "up", "p0", "1.0.0", "p0.pdb")
    await bucket.rows.announce(blob)
    bucket.objects.objects[blob] = bytes(900)
    pdb = SharedPackage(blob, 900, "")
    added = [
        await bucket.rows.add_pdb(("up", "p.pdb", "key"), ("up", lower_id, "1.0.0"), pdb) for lower_id in ("p9", "p0")
    ]
    before = await bucket.rows.total()
    await bucket.budget(1000).look(anybody)

    assert (added, before) == ([False, True], (5, 1400))
    assert await bucket.names() == ["p1", "p2", "p3", "p4"]
    assert blob not in bucket.objects.objects
    assert await bucket.rows.find_pdb(("up", "p.pdb", "key"), "pdb") is None


async def test_uses_are_written_in_batches_and_at_most_once_in_some_hours(bucket):
    uses = BucketUses(bucket.rows)
    for _ in range(3):
        uses.note([("up", "p0", "1.0.0"), ("up", "p3", "1.0.0"), ("up", "unknown", "1.0.0")])
        await uses.flush()
    [(recent,)] = await bucket.database.fetch("SELECT count(*) FROM shared_packages WHERE used > ?", (USE_BEHIND,))
    await bucket.budget(400).look(anybody)

    assert recent == 2
    assert await bucket.names() == ["p0", "p3", "p4"]


async def test_a_node_that_reads_a_package_while_it_goes_gets_all_of_it(database, tmp_path: Path):
    objects = MemoryBucket()
    packages = FleetPackages(database, objects, LocksOfAFleet(), THREADS, 60.0)
    nodes = []
    for name in ("one", "two"):
        nodes.append(MirroredDownloads(tmp_path / name, Leases(tmp_path / name / "leases"), 10_000_000, Mode.ONLINE))
        nodes[-1].shared = packages
    await fetched(nodes[0], ScriptedUpstream(Script(LARGE)))
    await settled(nodes[0])
    budget = BucketBudget(
        packages.rows, objects, THREADS, {"nuget.org": Upstream().still_offers}, nothing_is_ours, budget=1, grace=0
    )
    loop = asyncio.get_running_loop()

    def remove(at: int) -> None:
        if at == 800_000:
            asyncio.run_coroutine_threadsafe(budget.look(anybody), loop).result(10)

    objects.reading = remove
    body = await fetched(nodes[1], ScriptedUpstream(Script(LARGE)))
    await settled(nodes[1])

    assert body == LARGE
    assert len(objects.objects) == 1  # it was stored again
    for node in nodes:
        await node.close(5)
