"""What a node keeps of a real bucket, and what it asks of it."""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nugetproxy.errors import NotKeptHere, StorageUnavailable
from nugetproxy.storage import spool as spool_module
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.blobs.node_cache import NodeCache
from nugetproxy.storage.blobs.node_space import SPARED_FOR, USED_EVERY
from nugetproxy.storage.blobs.s3 import BucketBlobs
from nugetproxy.storage.blobs.s3_client import BucketAddress, BucketClient, Patience
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.reserve import NO_RESERVE, Reserve
from nugetproxy.storage.spool import MemoryBudget, Spool, SpoolFolder
from tests.contracts.blob_store import KEY, BlobStoreContract, MakeSpool, sha512_of
from tests.engines.seaweedfs import SeaweedFs
from tests.fakes.bucket_gateway import BucketGateway, answering, cut, flipped, silent

HASTY = Patience(connect=1.0, silence=1.5, request=3.0, repeating=0.5)
PACKAGE = b"package"
SHA512 = sha512_of(PACKAGE)

MakeNode = Callable[..., NodeCache]


@pytest.fixture
def make_spool(tmp_path: Path) -> MakeSpool:
    folder = SpoolFolder(tmp_path / "pushes", MemoryBudget(1_000_000))

    def make(content: bytes) -> Spool:
        spool = folder.create("test")
        spool.append(content)
        return spool

    return make


@pytest.fixture
def gateway(seaweedfs: SeaweedFs) -> Iterator[BucketGateway]:
    with BucketGateway(seaweedfs.endpoint) as running:
        yield running


@pytest.fixture
def now() -> list[float]:
    """The time that all nodes see; tests change it."""
    return [1_800_000_000.0]


@pytest.fixture
def make_node(seaweedfs: SeaweedFs, gateway: BucketGateway, tmp_path: Path, now: list[float]) -> MakeNode:
    """Makes a worker of the node with this name; workers of one node share its folder."""
    address = seaweedfs.address(gateway.endpoint)

    def make(
        name: str = "node",
        budget: int | None = None,
        reserve: Reserve = NO_RESERVE,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> NodeCache:
        folder = tmp_path / name
        return NodeCache(
            BucketBlobs(BucketClient(address, patience)),
            folder / "hosted",
            SpoolFolder(folder / "spool", MemoryBudget(0), reserve),
            Leases(folder / "locks"),
            budget,
            clock=lambda: now[0],
        )

    return make


@pytest.fixture
def store(bucket: BucketAddress, tmp_path: Path) -> NodeCache:
    return NodeCache(
        BucketBlobs(BucketClient(bucket)),
        tmp_path / "hosted",
        SpoolFolder(tmp_path / "spool", MemoryBudget(0)),
        Leases(tmp_path / "locks"),
    )


class TestNodeCache(BlobStoreContract):
    pass


def key_of(number: int) -> BlobKey:
    return BlobKey.of("packages", f"{number}.nupkg")


def commit(node: NodeCache, make_spool: MakeSpool, count: int, size: int = 1000) -> None:
    for number in range(count):
        node.commit(key_of(number), make_spool(bytes([number]) * size))


async def bring(node: NodeCache, number: int, size: int = 1000) -> None:
    await node.bring(key_of(number), size, sha512_of(bytes([number]) * size))


def kept(node: NodeCache, count: int) -> list[int]:
    return [number for number in range(count) if node.path(key_of(number)).exists()]


async def streamed(node: NodeCache) -> bytes:
    return b"".join([block async for block in node.stream(KEY, len(PACKAGE), SHA512)])


# --- cost -------------------------------------------------------------------------------------------------------------


async def test_requests_of_a_push_and_of_restores(make_node: MakeNode, gateway: BucketGateway, make_spool: MakeSpool):
    """
    Two requests for a push, one for the first restore through another node, none for any other.
    """
    one, two = make_node("one"), make_node("two")
    one.commit(KEY, make_spool(PACKAGE))
    assert gateway.methods() == ["HEAD", "PUT"]

    await one.bring(KEY, len(PACKAGE), SHA512)
    assert one.stat(KEY)
    assert gateway.methods() == []

    await two.bring(KEY, len(PACKAGE), SHA512)
    assert gateway.methods() == ["GET"]
    for _ in range(3):
        await two.bring(KEY, len(PACKAGE), SHA512)
        assert two.path(KEY).read_bytes() == PACKAGE
    assert gateway.methods() == []


async def test_one_download_for_all_who_wait_in_all_workers(
    make_node: MakeNode, gateway: BucketGateway, make_spool: MakeSpool
):
    make_node("other").commit(KEY, make_spool(PACKAGE))
    gateway.methods()
    gateway.disturb(silent(0.1), times=1)
    workers = make_node(), make_node(), make_node()

    await asyncio.gather(*(worker.bring(KEY, len(PACKAGE), SHA512) for worker in workers for _ in range(20)))
    assert gateway.methods() == ["GET"]
    assert workers[0].path(KEY).read_bytes() == PACKAGE


async def test_a_waiter_that_leaves_ends_nothing_for_the_others(
    make_node: MakeNode, gateway: BucketGateway, make_spool: MakeSpool
):
    make_node("other").commit(KEY, make_spool(PACKAGE))
    gateway.methods()
    gateway.disturb(silent(0.1), times=1)
    node = make_node()
    first, second = (asyncio.ensure_future(node.bring(KEY, len(PACKAGE), SHA512)) for _ in range(2))
    await asyncio.sleep(0.02)
    first.cancel()

    await second
    assert first.cancelled()
    assert gateway.methods() == ["GET"]


def test_every_node_describes_a_blob_alike(make_node: MakeNode, make_spool: MakeSpool):
    """
    So that a download can go on at another node.
    """
    one, two = make_node("one"), make_node("two")
    committed = one.commit(KEY, make_spool(PACKAGE))
    here, there = one.stat(KEY), two.stat(KEY)
    assert here
    assert there
    asyncio.run(two.bring(KEY, len(PACKAGE), SHA512))
    brought = two.stat(KEY)
    assert brought
    assert len({each.etag for each in (committed, here, there, brought)}) == 1


# --- wrong bytes ------------------------------------------------------------------------------------------------------


async def test_wrong_bytes_are_never_visible_and_not_fetched_again_for_a_while(
    make_node: MakeNode, gateway: BucketGateway, make_spool: MakeSpool, now: list[float]
):
    make_node("other").commit(KEY, make_spool(PACKAGE))
    node = make_node()
    gateway.disturb(flipped)
    gateway.methods()

    for _ in range(3):
        with pytest.raises(StorageUnavailable, match="not those"):
            await node.bring(KEY, len(PACKAGE), SHA512)
        assert not node.path(KEY).exists()
    with pytest.raises(StorageUnavailable, match="not those"):
        await streamed(node)
    assert gateway.methods() == ["GET"]

    gateway.rest()
    now[0] += 31
    await node.bring(KEY, len(PACKAGE), SHA512)
    assert node.path(KEY).read_bytes() == PACKAGE


async def test_a_stream_of_wrong_bytes_never_ends_well(
    make_node: MakeNode, gateway: BucketGateway, make_spool: MakeSpool
):
    node = make_node()
    node.commit(KEY, make_spool(PACKAGE))
    gateway.disturb(flipped)

    with pytest.raises(StorageUnavailable, match="not those"):
        await streamed(node)


@pytest.mark.parametrize("wrong", [b"packag", b"packages", b"PACKAGE"])
async def test_a_file_with_other_bytes_is_replaced(make_node: MakeNode, make_spool: MakeSpool, wrong: bytes):
    """
    Mirrored packages may be fetched again and differ: a node that kept the old ones must notice.
    """
    old, new = make_node("old"), make_node("new")
    old.commit(KEY, make_spool(wrong))
    new.delete(KEY)
    new.commit(KEY, make_spool(PACKAGE))
    assert old.path(KEY).read_bytes() == wrong

    await old.bring(KEY, len(PACKAGE), SHA512)
    assert old.path(KEY).read_bytes() == PACKAGE


# --- the bucket fails -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [answering(503), silent(), cut], ids=["throttled", "silent", "cut"])
async def test_what_is_here_needs_no_bucket(
    make_node: MakeNode, gateway: BucketGateway, make_spool: MakeSpool, how: Callable[..., object]
):
    node, other = make_node(), make_node("other", patience=HASTY)
    node.commit(KEY, make_spool(PACKAGE))
    gateway.disturb(how)  # type: ignore[arg-type]

    await node.bring(KEY, len(PACKAGE), SHA512)
    assert node.path(KEY).read_bytes() == PACKAGE
    with pytest.raises(StorageUnavailable, match="bucket"):
        await other.bring(KEY, len(PACKAGE), SHA512)
    assert not other.path(KEY).exists()
    gateway.rest()
    assert os.listdir(other.path(BlobKey.of("x")).parent.parent / "spool") == []


# --- the disk fails ---------------------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def fill() -> None:
        def refuse(descriptor: int, block: bytes | memoryview, offset: int) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(spool_module, "write_to_disk", refuse)

    return fill


async def test_a_full_disk_keeps_nothing_and_streams(
    make_node: MakeNode, make_spool: MakeSpool, full_disk: Callable[[], None]
):
    make_node("other").commit(KEY, make_spool(PACKAGE))
    node = make_node()
    full_disk()

    with pytest.raises(NotKeptHere):
        await node.bring(KEY, len(PACKAGE), SHA512)
    assert not node.path(KEY).exists()
    assert await streamed(node) == PACKAGE


async def test_the_reserve_of_the_disk_is_left_alone(make_node: MakeNode, make_spool: MakeSpool, tmp_path: Path):
    make_node("other").commit(KEY, make_spool(PACKAGE))
    node = make_node(reserve=Reserve(tmp_path, 1 << 62))

    with pytest.raises(NotKeptHere, match="reserve"):
        await node.bring(KEY, len(PACKAGE), SHA512)
    assert await streamed(node) == PACKAGE


def test_a_push_succeeds_on_a_node_that_cannot_keep_it(make_node: MakeNode, make_spool: MakeSpool, tmp_path: Path):
    """
    The bucket has it, which is what counts.
    """
    node = make_node()
    (tmp_path / "node" / "hosted").write_bytes(b"a file where the folder should be")

    node.commit(KEY, make_spool(PACKAGE))
    with make_node("other").open(KEY) as file:
        assert file.read() == PACKAGE


# --- the budget -------------------------------------------------------------------------------------------------------


async def test_the_files_used_longest_ago_go_first(make_node: MakeNode, make_spool: MakeSpool, now: list[float]):
    commit(make_node("other"), make_spool, 10)
    unlimited, node = make_node(), make_node(budget=10_000)
    for number in (*range(10), 0):
        await bring(unlimited, number)
        now[0] += USED_EVERY + 1
    now[0] += SPARED_FOR

    await node.trim()
    assert kept(node, 10) == [0, 2, 3, 4, 5, 6, 7, 8, 9]


async def test_the_budget_is_kept_without_being_asked(make_node: MakeNode, make_spool: MakeSpool, now: list[float]):
    commit(make_node("other"), make_spool, 20)
    node = make_node(budget=10_000)
    for number in range(20):
        await bring(node, number)
        await node.close()
        now[0] += SPARED_FOR + 1
        assert len(kept(node, 20)) <= 10
    assert kept(node, 20)[-1] == 19


async def test_a_file_in_use_is_spared_and_an_open_one_stays_readable(
    make_node: MakeNode, make_spool: MakeSpool, now: list[float]
):
    commit(make_node("other"), make_spool, 4)
    node = make_node(budget=3000)
    for number in range(3):
        await bring(node, number)
    await node.trim()
    assert kept(node, 4) == [0, 1, 2]

    with node.open(key_of(0)) as file:
        now[0] += SPARED_FOR + 1
        await node.trim()
        assert kept(node, 4) == [1, 2]
        assert file.read() == bytes(1000)


async def test_what_is_larger_than_the_budget_is_streamed(make_node: MakeNode, make_spool: MakeSpool):
    make_node("other").commit(KEY, make_spool(PACKAGE))
    node = make_node(budget=7)

    with pytest.raises(NotKeptHere, match="larger"):
        await node.bring(KEY, len(PACKAGE), SHA512)
    assert await streamed(node) == PACKAGE


async def test_a_full_disk_makes_room_with_files_of_its_own(
    make_node: MakeNode, make_spool: MakeSpool, now: list[float]
):
    class Small(Reserve):
        """A disk with room for three files."""

        def check(self, more: int) -> None:
            if more and len(kept(node, 9)) * 1000 + more > 3000:
                raise StorageUnavailable("only the reserve is left")

    commit(make_node("other"), make_spool, 4)
    node = make_node(reserve=Small(Path(), 0))
    for number in range(4):
        await bring(node, number)
        now[0] += SPARED_FOR + 1

    assert kept(node, 4) == [2, 3]
