"""A private feed whose packages are in a bucket, seen from two nodes with one database."""

import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.feeds.base import LocalFile, PackageContent, Part, SmallContent
from nugetproxy.hosting.carried import carried_packages
from nugetproxy.hosting.contents import HostedContents
from nugetproxy.hosting.feed import HostedFeed
from nugetproxy.hosting.symbols import Symbols
from nugetproxy.hosting.upkeep import check_blobs, sweep_unreferenced_blobs
from nugetproxy.mirroring.bundle.writing import Problems
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.runtime.hosted_content import HostedContent
from nugetproxy.storage import spool as spool_module
from nugetproxy.storage.blobs.base import BlobKey, BlobStore
from nugetproxy.storage.blobs.node_cache import NodeCache
from nugetproxy.storage.blobs.s3 import BucketBlobs
from nugetproxy.storage.blobs.s3_client import BucketClient, Patience
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder
from tests.builders import make_nupkg
from tests.engines.seaweedfs import SeaweedFs
from tests.fakes.bucket_gateway import BucketGateway, answering, flipped
from tests.hosting.house import House, Search
from tests.symbol_builders import KEY, make_debuggable, make_snupkg

ONE = PackageIdentity.parse("Contoso.Utils", "1.0.0")
NUPKG = make_nupkg("Contoso.Utils", "1.0.0")
YEAR = 365 * 86400.0


class Nodes:
    """`house` pushes at one node; `other` is the feed of another one."""

    def __init__(self, seaweedfs: SeaweedFs, gateway: BucketGateway, path: Path) -> None:
        self.gateway = gateway
        address = seaweedfs.address(gateway.endpoint)

        def node(name: str) -> NodeCache:
            folder = path / name
            client = BucketClient(address, Patience(repeating=0.5))
            spools = SpoolFolder(folder / "spool", MemoryBudget(0))
            return NodeCache(BucketBlobs(client), folder / "hosted", spools, Leases(folder / "locks"))

        self.house = House(path / "one", blobs=node("one"))
        self.blobs = node("two")
        self.other = HostedFeed(self.house.database, HostedContents(self.blobs), Search(), self.house.packages)

    async def push(self) -> None:
        spool = self.house.spool(NUPKG)
        await self.house.publish.push(await self.house.actor(), spool, address="192.0.2.1")

    async def get(self, part: Part = Part.NUPKG) -> bytes:
        return await bytes_of((await self.other.content(ONE, part)).value)


@pytest.fixture
def gateway(seaweedfs: SeaweedFs) -> Iterator[BucketGateway]:
    with BucketGateway(seaweedfs.endpoint) as running:
        yield running


@pytest.fixture
async def nodes(seaweedfs: SeaweedFs, gateway: BucketGateway, tmp_path: Path) -> AsyncIterator[Nodes]:
    nodes = Nodes(seaweedfs, gateway, tmp_path)
    yield nodes
    nodes.house.close()


async def bytes_of(content: PackageContent, start: int = 0) -> bytes:
    if isinstance(content, LocalFile):
        return content.path.read_bytes()[start:]
    if isinstance(content, SmallContent):
        return content.body
    return b"".join([block async for block in content.chunks(start)])


async def test_requests_of_a_push_a_restore_and_a_deletion(nodes: Nodes, gateway: BucketGateway):
    await nodes.push()
    assert gateway.methods() == ["HEAD", "PUT"]

    assert await bytes_of((await nodes.house.feed.content(ONE, Part.NUPKG)).value) == NUPKG
    assert gateway.methods() == []
    for part in (Part.NUPKG, Part.NUSPEC, Part.NUPKG):
        await nodes.get(part)
    assert gateway.methods() == ["GET"]

    await nodes.house.publish.delete(await nodes.house.actor("root", administrator=True), ONE, address="192.0.2.1")
    assert gateway.methods() == ["DELETE"]


async def test_both_nodes_give_the_same_answer(nodes: Nodes):
    await nodes.push()
    here = (await nodes.house.feed.content(ONE, Part.NUPKG)).value
    there = (await nodes.other.content(ONE, Part.NUPKG)).value

    assert isinstance(here, LocalFile)
    assert isinstance(there, LocalFile)
    assert here.path != there.path
    assert (here.size, here.modified, here.etag) == (there.size, there.modified, there.etag)
    assert here.path.read_bytes() == there.path.read_bytes() == NUPKG


async def test_a_push_without_the_bucket_publishes_nothing(nodes: Nodes, gateway: BucketGateway):
    gateway.disturb(answering(503))
    with pytest.raises(StorageUnavailable, match="bucket"):
        await nodes.push()
    gateway.rest()

    assert await nodes.house.packages.find_content(ONE) is None
    assert nodes.house.leftovers() == []
    await nodes.push()
    assert await nodes.get() == NUPKG


async def test_without_the_bucket_what_was_asked_for_before_is_served(nodes: Nodes, gateway: BucketGateway):
    await nodes.push()
    gateway.disturb(answering(503))
    with pytest.raises(StorageUnavailable, match="bucket"):
        await nodes.get()
    assert await bytes_of((await nodes.house.feed.content(ONE, Part.NUPKG)).value) == NUPKG

    gateway.rest()
    assert await nodes.get() == NUPKG
    gateway.disturb(answering(503))
    assert await nodes.get() == NUPKG


async def test_wrong_bytes_are_an_error(nodes: Nodes, gateway: BucketGateway):
    await nodes.push()
    gateway.disturb(flipped)

    with pytest.raises(StorageUnavailable, match="not those"):
        await nodes.get()


async def test_a_node_with_a_full_disk_passes_packages_on(nodes: Nodes, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int, block: bytes | memoryview, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    await nodes.push()
    monkeypatch.setattr(spool_module, "write_to_disk", full)
    found = (await nodes.other.content(ONE, Part.NUPKG)).value

    assert not isinstance(found, LocalFile | SmallContent)
    assert found.size == len(NUPKG)
    assert await bytes_of(found) == NUPKG
    assert await bytes_of(found, 10) == NUPKG[10:]
    assert b"<id>Contoso.Utils</id>" in await nodes.get(Part.NUSPEC)


async def test_a_blob_that_is_gone_is_our_failure(nodes: Nodes):
    await nodes.push()
    stored = await nodes.house.packages.find_content(ONE)
    assert stored
    nodes.house.blobs.delete(stored.blob)

    with pytest.raises(StorageUnavailable, match="missing"):
        await nodes.get()
    assert await check_blobs(nodes.house.database, nodes.house.packages, nodes.blobs) == (str(stored.blob),)


async def test_symbols_are_pushed_to_any_node_and_debuggers_ask_any(
    nodes: Nodes, gateway: BucketGateway, tmp_path: Path
):
    """
    The package is fetched to compare its assemblies; the symbols package and its one PDB are uploaded.
    """
    house = nodes.house
    alice = await house.actor()
    await house.publish.push(alice, house.spool(make_debuggable()), address="192.0.2.1")
    gateway.methods()

    def symbols_at(blobs: BlobStore, spools: SpoolFolder) -> Symbols:
        return Symbols(house.database, blobs, house.ownership, house.audit, house.revisions, spools)

    here, there = symbols_at(house.blobs, house.spools), symbols_at(nodes.blobs, SpoolFolder(tmp_path, MemoryBudget(0)))
    await there.push(alice, house.spool(make_snupkg()), address="192.0.2.1")
    assert sorted(gateway.methods()) == ["GET", "HEAD", "HEAD", "PUT", "PUT"]

    pdb = await bytes_of(await here.find("Contoso.Utils.pdb", KEY))
    assert gateway.methods() == ["GET"]
    assert pdb == await bytes_of(await there.find("Contoso.Utils.pdb", KEY))
    assert gateway.methods() == []
    assert await bytes_of(await here.snupkg(ONE)) == make_snupkg()


async def test_an_export_reads_packages_from_the_bucket(nodes: Nodes):
    await nodes.push()
    content = HostedContent(await nodes.house.database.read(carried_packages), nodes.blobs, ["*"], None)
    problems = Problems()

    entries = list(content.entries(problems))
    assert [b"".join(content.chunks(entry)) for entry in entries] == [NUPKG]
    stored = await nodes.house.packages.find_content(ONE)
    assert stored
    nodes.house.blobs.delete(stored.blob)
    with pytest.raises(FileNotFoundError):
        list(content.chunks(entries[0]))
    assert list(content.entries(problems)) == []
    assert len(problems.lines) == 1


async def test_garbage_is_swept_with_one_list(nodes: Nodes, gateway: BucketGateway):
    await nodes.push()
    garbage = BlobKey.of("packages", "contoso.utils", "2.0.0", "garbage.nupkg")
    nodes.house.blobs.commit(garbage, nodes.house.spool(b"garbage"))
    gateway.methods()

    swept = await sweep_unreferenced_blobs(
        nodes.house.database, nodes.house.packages, nodes.blobs, unneeded_for=0, older_than=-YEAR
    )
    assert (swept.blobs, swept.size) == (1, 7)
    assert gateway.methods() == ["GET", "DELETE"]
    assert await check_blobs(nodes.house.database, nodes.house.packages, nodes.blobs) == ()
    assert gateway.methods() == ["GET"]
    assert await nodes.get() == NUPKG


async def test_a_push_whose_blob_was_claimed_by_the_sweep_is_refused(nodes: Nodes, monkeypatch: pytest.MonkeyPatch):
    """
    It was suspended between its blob and its row. Otherwise the package would lose its file a week later.
    """
    commit: Callable[..., None] = nodes.house.contents.commit

    def slowly(key: BlobKey, spool: object) -> None:
        commit(key, spool)
        nodes.house.database.submit(
            lambda transaction: transaction.change("INSERT INTO unclaimed_blobs VALUES (?, 0)", (str(key),))
        ).result()

    monkeypatch.setattr(nodes.house.contents, "commit", slowly)
    with pytest.raises(StorageUnavailable, match="not needed"):
        await nodes.push()
    assert await nodes.house.packages.find_content(ONE) is None
