"""Two nodes with disks of their own, which share packages through a bucket and a database."""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nugetproxy.errors import DocumentAbsent, NotMirrored, StorageUnavailable, UpstreamUnavailable
from nugetproxy.executors.threads import ThreadExecutor
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.downloads.sharing import FleetPackages
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.leases import Leases
from tests.builders import make_nupkg
from tests.mirroring.downloads.test_downloads import IDENTITY, URL, fetched
from tests.mirroring.scripted import Script, ScriptedUpstream

LARGE = make_nupkg(payload=os.urandom(1_500_000))
BLOCK = 100_000
ABSENT = 50.0

Make = Callable[..., MirroredDownloads]


class MemoryBucket:
    """Objects in memory. `fails_after`: bytes of a read after which the bucket fails; `is_down`: always."""

    def __init__(self) -> None:
        self.objects: dict[BlobKey, bytes] = {}
        self.fails_after: int | None = None
        self.is_down = False
        self.reads = 0
        self.reading: Callable[[int], object] = lambda _: None
        """Called before a block is read, with where it begins."""

    def blocks(self, key: BlobKey, size: int, start: int = 0) -> Iterator[bytes]:
        self.reads += 1
        self._answer()
        for at in range(start, size, BLOCK):
            self.reading(at)
            content = self.objects[key]
            if self.fails_after is not None and at >= self.fails_after:
                raise StorageUnavailable("the bucket broke off")
            yield content[at : at + BLOCK]

    def upload_file(self, key: BlobKey, path: Path, size: int, sha512: bytes) -> None:
        self._answer()
        self.objects[key] = path.read_bytes()

    def delete(self, key: BlobKey) -> None:
        self._answer()
        self.objects.pop(key, None)

    def _answer(self) -> None:
        if self.is_down:
            raise StorageUnavailable("the bucket is down")


class LocksOfAFleet:
    """The leases of nodes that are in one process."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        async with self._locks[key]:
            yield


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


@pytest.fixture
def database(postgres, shared_database) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(postgres.dsn(shared_database))
    yield database
    database.close()


@pytest.fixture
async def node(tmp_path: Path, bucket: MemoryBucket, database: PostgresDatabase) -> AsyncIterator[Make]:
    made: list[MirroredDownloads] = []
    packages = FleetPackages(database, bucket, LocksOfAFleet(), ThreadExecutor("bucket", 4), ABSENT)

    def one(mode: Mode = Mode.ONLINE) -> MirroredDownloads:
        place = tmp_path / f"node{len(made)}"
        made.append(MirroredDownloads(place, Leases(place / "leases"), 10_000_000, mode))
        made[-1].shared = packages
        return made[-1]

    yield one
    for downloads in made:
        await downloads.close(5)


async def settled(downloads: MirroredDownloads) -> None:
    """Its downloads are committed and shared."""
    await asyncio.gather(*downloads._tasks)


async def test_a_package_that_one_node_fetched_is_read_from_the_bucket_by_another(node: Make, bucket: MemoryBucket):
    upstream = ScriptedUpstream(Script(LARGE))
    one, other = node(), node()
    assert await fetched(one, upstream) == LARGE
    await settled(one)

    assert await fetched(other, ScriptedUpstream()) == LARGE
    await settled(other)
    assert other.find("nuget.org", IDENTITY) is not None
    assert (len(bucket.objects), bucket.reads) == (1, 1)


async def test_what_the_bucket_has_is_kept_by_every_node(node: Make, bucket: MemoryBucket, database: PostgresDatabase):
    """
    Offline, or while the upstream is down, each node lists it and fetches it from there.
    """
    one, other = node(), node(Mode.OFFLINE)
    await fetched(one, ScriptedUpstream(Script(LARGE)))
    await settled(one)

    assert other.kept_versions("nuget.org", IDENTITY.lower_id) == ()
    assert await other.versions_in_fleet("nuget.org", IDENTITY.lower_id) == (IDENTITY.lower_version,)
    kept = await other.brought(ScriptedUpstream().client, IDENTITY)
    assert kept is not None
    assert kept.path.read_bytes() == LARGE

    assert await other.from_fleet(ScriptedUpstream().client, PackageIdentity.parse("Contoso.Utils", "9.0.0")) is None
    database.close()
    assert await other.versions_in_fleet("nuget.org", IDENTITY.lower_id) == (IDENTITY.lower_version,)
    another = node(Mode.OFFLINE)
    with pytest.raises(StorageUnavailable):  # which is not an absence
        await another.versions_in_fleet("nuget.org", IDENTITY.lower_id)
    with pytest.raises(StorageUnavailable):
        await another.from_fleet(ScriptedUpstream().client, IDENTITY)


async def test_nodes_that_ask_together_cause_one_request(node: Make):
    upstream = ScriptedUpstream(Script(LARGE))
    bodies = await asyncio.gather(*(fetched(node(), upstream) for _ in range(3)))

    assert [body == LARGE for body in bodies] == [True] * 3
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("what", ["another body", "cut short", "gone"])
async def test_wrong_objects_are_never_handed_out_and_are_replaced(
    node: Make, bucket: MemoryBucket, database: PostgresDatabase, what: str
):
    one = node()
    await fetched(one, ScriptedUpstream(Script(LARGE)))
    await settled(one)
    [key] = bucket.objects
    if what == "gone":
        bucket.objects.clear()
    else:
        wrong = LARGE[:-1] + b"x" if what == "another body" else LARGE[: len(LARGE) // 2]
        bucket.objects[key] = wrong

    other = node()
    assert await fetched(other, ScriptedUpstream(Script(LARGE))) == LARGE
    await settled(other)
    [(blob,)] = await database.fetch("SELECT blob FROM shared_packages")
    assert (blob != str(key), bucket.objects[BlobKey(tuple(blob.split("/")))]) == (True, LARGE)
    assert await database.fetch("SELECT blob FROM shared_unclaimed") == [(str(key),)]


async def test_a_bucket_that_fails_in_the_middle_is_continued_by_the_upstream(node: Make, bucket: MemoryBucket):
    one, other = node(), node()
    await fetched(one, ScriptedUpstream(Script(LARGE)))
    await settled(one)
    bucket.fails_after = 800_000

    assert await fetched(other, ScriptedUpstream(Script(LARGE))) == LARGE


@pytest.mark.parametrize("what", ["bucket", "database"])
async def test_nodes_fetch_for_themselves_while_an_engine_is_down(
    node: Make, bucket: MemoryBucket, database: PostgresDatabase, what: str
):
    if what == "bucket":
        bucket.is_down = True
    else:
        database.close()
    for _ in range(2):
        assert await fetched(node(), ScriptedUpstream(Script(LARGE))) == LARGE


async def test_an_object_that_no_row_claims_is_deleted_later(
    node: Make, bucket: MemoryBucket, database: PostgresDatabase
):
    """
    The node is killed while it stores the package.
    """
    one = node()
    assert one.shared is not None
    bucket.is_down = True
    await fetched(one, ScriptedUpstream(Script(LARGE)))
    await settled(one)

    assert await database.fetch("SELECT count(*) FROM shared_packages") == [(0,)]
    assert len(await one.shared.rows.doomed(0, 10, lambda _: None)) == 1


async def test_an_absence_is_asked_for_once_within_its_lifetime(node: Make, database: PostgresDatabase):
    upstream = ScriptedUpstream(Script(fails=DocumentAbsent(URL)), Script(LARGE))
    answers = await asyncio.gather(*(fetched(node(), upstream) for _ in range(3)), return_exceptions=True)
    left = sorted(answer.left or 0 for answer in answers if isinstance(answer, DocumentAbsent))
    await database.write(lambda transaction: transaction.change("UPDATE shared_absences SET until = until - 60"))

    assert (len(left), left[0], 0 < left[1] <= left[2] <= ABSENT) == (3, 0, True)
    assert len(upstream.requests) == 1
    assert await fetched(node(), upstream) == LARGE


async def test_a_failure_of_the_upstream_is_no_absence(node: Make):
    upstream = ScriptedUpstream(Script(fails=UpstreamUnavailable("nuget.org", "down")), Script(LARGE))
    with pytest.raises(UpstreamUnavailable):
        await fetched(node(), upstream)

    assert await fetched(node(), upstream) == LARGE


async def test_offline_nodes_have_what_is_in_the_bucket(node: Make):
    one, offline = node(), node(Mode.OFFLINE)
    with pytest.raises(NotMirrored):
        await fetched(offline, ScriptedUpstream(Script(fails=NotMirrored(URL))))
    await fetched(one, ScriptedUpstream(Script(LARGE)))
    await settled(one)

    assert await fetched(offline, ScriptedUpstream()) == LARGE
