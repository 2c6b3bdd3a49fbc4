"""Copying a private feed that others use meanwhile. `flows/test_storage_copy.py` copies between engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.hosting.copying import FeedCopy, NeededBlob, Place
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.opening import open_main_database
from nugetproxy.storage.spool import MemoryBudget, Spool, SpoolFolder
from tests.hosting.house import House

VERSIONS = "SELECT lower_version FROM hosted_packages ORDER BY lower_version"


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "target").mkdir()
    database = open_main_database(tmp_path / "target")
    yield Place(database, FilesystemBlobs(tmp_path / "target" / "hosted"))
    database.close()


def copying(house: House, target: Place) -> FeedCopy:
    spools = SpoolFolder(house.path / "target" / "spool", MemoryBudget(0))
    return FeedCopy(Place(house.database, house.blobs), target, spools, lambda *_: None)


async def stocked(house: House, *versions: str) -> None:
    for version in versions:
        await house.push(await house.actor(administrator=True), version=version)


async def test_what_is_deleted_between_the_rows_and_the_files_is_not_missed(
    house: House, target: Place, monkeypatch: pytest.MonkeyPatch
):
    await stocked(house, "1.0.0", "2.0.0")
    copy, rounds = copying(house, target), 0
    copy_blobs = copy._copy_blobs

    async def after_a_deletion(database: Database) -> tuple[NeededBlob, ...]:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            actor = await house.actor(administrator=True)
            await house.publish.delete(actor, PackageIdentity.parse("Contoso.Utils", "1.0.0"), address="")
        return await copy_blobs(database)

    monkeypatch.setattr(copy, "_copy_blobs", after_a_deletion)
    assert await copy.complete() == ()
    assert rounds == 2
    assert await target.database.fetch(VERSIONS) == [("2.0.0",)]
    await copy.check()


async def test_a_copy_goes_on_where_it_was_broken_off(house: House, target: Place, monkeypatch: pytest.MonkeyPatch):
    await stocked(house, "1.0.0", "2.0.0", "3.0.0")
    commit, committed = target.blobs.commit, list[BlobKey]()

    def fail_later(key: BlobKey, spool: Spool) -> object:
        if len(committed) == 2:
            raise StorageUnavailable("the disk is full")
        committed.append(key)
        return commit(key, spool)

    with monkeypatch.context() as patch:
        patch.setattr(target.blobs, "commit", fail_later)
        with pytest.raises(StorageUnavailable, match="the disk is full"):
            await copying(house, target).ahead()
    again = copying(house, target)
    await again.ahead()
    assert (again.blobs, again.rows > 0) == (1, True)
    rows = again.rows
    await again.ahead()
    assert (again.blobs, again.rows) == (1, rows)
    await stocked(house, "4.0.0")
    assert await again.complete() == ()
    await again.check()
    assert again.blobs == 2
    assert await target.database.fetch(VERSIONS) == [(f"{n}.0.0",) for n in range(1, 5)]


async def test_a_check_finds_what_is_not_the_same(house: House, target: Place):
    await stocked(house, "1.0.0")
    copy = copying(house, target)
    assert await copy.complete() == ()
    [info] = list(target.blobs.walk())
    target.blobs.delete(info.key)
    with pytest.raises(StorageUnavailable, match="is not in the copy"):
        await copy.check()
    await house.actor("bob")
    with pytest.raises(StorageUnavailable, match="the copy of accounts has 1 rows instead of 2"):
        await copy.check()
