"""Files without rows are swept, rows without files are reported."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
import structlog

from nugetproxy.errors import StorageUnavailable
from nugetproxy.feeds.base import Part
from nugetproxy.hosting.contents import FOLDER, new_key
from nugetproxy.hosting.packages import HostedPackage, HostedPackages, StoredContent
from nugetproxy.hosting.upkeep import Swept, check_blobs, sweep_unreferenced_blobs
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.database.base import Transaction
from tests.builders import make_nupkg
from tests.engines.main_database import IS_POSTGRES, fetched
from tests.hosting.house import House

GARBAGE = PackageIdentity.parse("contoso.garbage", "1.0.0")
HOUR = 3600.0


def leave_garbage(house: House, age: float) -> Path:
    """What a process killed between its blob and its row leaves; `age` in seconds."""
    spool = house.spool(b"garbage")
    key = new_key(FOLDER, GARBAGE, spool.sha512, ".nupkg")
    house.contents.commit(key, spool)
    path = house.blobs.path(key)
    moment = path.stat().st_mtime - age
    os.utime(path, (moment, moment))
    return path


async def test_old_garbage_is_removed_and_packages_stay(house: House) -> None:
    await house.push(await house.actor())
    package = house.files()
    os.utime(package[0], (0, 0))
    leave_garbage(house, 2 * HOUR)
    assert await _sweep(house) == Swept(1, len(b"garbage"))
    assert house.files() == package


async def test_a_young_file_may_be_a_push(house: House) -> None:
    path = leave_garbage(house, HOUR / 2)
    assert await _sweep(house) == Swept(0, 0)
    assert path.exists()


async def test_garbage_is_kept_for_a_week_from_when_it_was_found(house: House) -> None:
    """
    Whatever its age: an administrator who restored an old backup may notice later, and restore the right one.
    """
    path = leave_garbage(house, 1000 * HOUR)
    found = time.time()
    for later, swept in ((0.0, 0), (24 * 7 * HOUR - 1, 0), (24 * 7 * HOUR, 1)):
        done = await sweep_unreferenced_blobs(house.database, house.packages, house.blobs, now=found + later)
        assert (done.blobs, path.exists()) == (swept, not swept)
    assert _unclaimed(house) == 1
    await _sweep(house)
    assert _unclaimed(house) == 0


async def test_the_time_starts_over_when_a_file_was_needed_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.push(await house.actor())
    [path] = house.files()
    os.utime(path, (0, 0))
    needed, found = house.packages.blobs, time.time()
    for later, is_known in ((0.0, False), (HOUR, True), (24 * 7 * HOUR, False)):
        monkeypatch.setattr(house.packages, "blobs", needed if is_known else lambda *_: frozenset())
        await sweep_unreferenced_blobs(house.database, house.packages, house.blobs, now=found + later)
        assert _unclaimed(house) == (0 if is_known else 1)
    assert path.exists()


def _unclaimed(house: House) -> int:
    count: int = fetched(house.database, "SELECT count(*) FROM unclaimed_blobs")[0][0]
    return count


async def test_no_empty_folders_stay_behind(house: House) -> None:
    leave_garbage(house, 2 * HOUR)
    await _sweep(house)
    assert list((house.path / "hosted").rglob("*")) == []


async def test_other_blobs_are_not_ours_to_sweep(house: House) -> None:
    path = house.path / "hosted" / "symbols" / "x.pdb"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    os.utime(path, (0, 0))
    assert await _sweep(house) == Swept(0, 0)
    assert path.exists()


async def test_a_package_without_its_file_is_reported(house: House) -> None:
    alice = await house.actor()
    await house.push(alice)
    await house.push(alice, version="2.0.0")
    assert await check_blobs(house.database, house.packages, house.blobs) == ()
    lost = (await house.packages.of("contoso.utils"))[1].blob
    house.blobs.delete(lost)
    with structlog.testing.capture_logs() as told:
        assert await check_blobs(house.database, house.packages, house.blobs) == (str(lost),)
    assert [(line["event"], line["blob"]) for line in told] == [("hosted_blob_missing", str(lost))]


async def test_concurrent_pushes_and_deletions_are_no_losses(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Between reading the rows and looking for the files, one version is added and another deleted.
    """
    alice, root = await house.actor(), await house.actor("root", administrator=True)
    await house.push(alice)
    old = await house.database.look(house.packages.blobs)
    await house.push(alice, version="2.0.0")
    await house.publish.delete(root, PackageIdentity.parse("Contoso.Utils", "1.0.0"), address="")
    read = [await house.database.look(house.packages.blobs), old]
    monkeypatch.setattr(house.packages, "blobs", lambda _: read.pop())
    with structlog.testing.capture_logs() as told:
        assert await check_blobs(house.database, house.packages, house.blobs) == ()
    assert (told, read) == ([], [])


async def test_a_version_deleted_while_it_is_opened_is_no_loss(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    package = PackageIdentity.parse("Contoso.Utils", "1.0.0")
    await house.push(await house.actor())
    root = await house.actor("root", administrator=True)
    stored = await house.packages.find_content(package)
    await house.publish.delete(root, package, address="")
    found = [None, stored]

    async def find_content(*_: object) -> StoredContent | None:
        return found.pop()

    monkeypatch.setattr(HostedPackages, "find_content", find_content)
    with structlog.testing.capture_logs() as told, pytest.raises(StorageUnavailable):
        await house.feed.content(package, Part.NUPKG)
    assert told == []


@pytest.mark.parametrize("is_other", [False, True], ids=["same process", "other process"])
async def test_a_push_that_slept_is_not_swept(house: House, other: House, is_other: bool) -> None:
    """
    Its bytes are as old as garbage, its row is being written, and a sweep has just found no row.
    """
    sweeper = other if is_other else house
    loop, sweeps = asyncio.get_running_loop(), []
    index_package = house.index.index_package

    def sleep(transaction: Transaction, package: HostedPackage) -> None:
        index_package(transaction, package)
        os.utime(house.blobs.path(package.blob), (0, 0))
        assert asyncio.run(sweeper.database.look(sweeper.packages.blobs)) == frozenset()
        sweeps.append(asyncio.run_coroutine_threadsafe(_sweep(sweeper), loop))
        time.sleep(0.1)  # it would have swept by now

    house.index.index_package = sleep  # type: ignore[method-assign]
    try:
        await house.push(await house.actor())
    except StorageUnavailable:
        # PostgreSQL lets the sweep run beside the push, which then is refused.
        assert (IS_POSTGRES, is_other) == (True, True)
        assert await house.packages.ids() == ()
        return
    assert [await asyncio.wrap_future(sweep) for sweep in sweeps] == [Swept(0, 0)]
    assert len(house.files()) == 1
    assert await check_blobs(house.database, house.packages, house.blobs) == ()


async def test_a_push_that_slept_too_long_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A sweep ran between its blob and its row: the push is not reported as published.
    """
    enter = house.publish._enter

    async def late(*arguments: Any) -> Any:
        for path in house.files():
            os.utime(path, (0, 0))
        assert await _sweep(house) == Swept(1, len(make_nupkg()))
        return await enter(*arguments)

    monkeypatch.setattr(house.publish, "_enter", late)
    with pytest.raises(StorageUnavailable, match="not needed"):
        await house.push(await house.actor())
    assert await house.packages.ids() == ()


async def _sweep(house: House) -> Swept:
    return await sweep_unreferenced_blobs(house.database, house.packages, house.blobs, unneeded_for=0)


def test_a_folder_that_vanishes_under_a_commit_is_created_again(house: House) -> None:
    """
    A deletion also removes empty folders, possibly just after a push has created one.
    """
    spool = house.spool(b"bytes")
    key = new_key(FOLDER, GARBAGE, spool.sha512, ".nupkg")
    move, moves = spool.move_to, 0

    def move_late(target: Path, *, mode: int = 0o600) -> None:
        nonlocal moves
        moves += 1
        if moves == 1:
            target.parent.rmdir()
        move(target, mode=mode)

    spool.move_to = move_late  # type: ignore[method-assign]  # another act happens in between
    house.contents.commit(key, spool)
    assert house.blobs.path(key).read_bytes() == b"bytes"
