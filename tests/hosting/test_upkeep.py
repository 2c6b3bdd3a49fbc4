"""Files without rows are swept, rows without files are told."""

import os
from pathlib import Path

from nugetproxy.hosting.upkeep import Swept, check_blobs, sweep_unreferenced_blobs
from nugetproxy.nuget.identity import PackageIdentity
from tests.hosting.house import House

GARBAGE = PackageIdentity.parse("contoso.garbage", "1.0.0")
HOUR = 3600.0


def leave_garbage(house: House, age: float) -> Path:
    """What a process leaves that is killed between its blob and its row; `age` in seconds."""
    spool = house.spool(b"garbage")
    key = house.contents.new_key(GARBAGE, spool.sha512)
    house.contents.commit(key, spool)
    path = house.blobs.path(key)
    moment = path.stat().st_mtime - age
    os.utime(path, (moment, moment))
    return path


async def test_old_garbage_goes_and_packages_stay(house: House) -> None:
    await house.push(await house.actor())
    package = house.files()
    os.utime(package[0], (0, 0))
    leave_garbage(house, 2 * HOUR)
    assert sweep_unreferenced_blobs(house.packages, house.blobs) == Swept(1, len(b"garbage"))
    assert house.files() == package


def test_what_is_young_may_be_a_push(house: House) -> None:
    path = leave_garbage(house, HOUR / 2)
    assert sweep_unreferenced_blobs(house.packages, house.blobs) == Swept(0, 0)
    assert path.exists()


def test_no_empty_folders_stay_behind(house: House) -> None:
    leave_garbage(house, 2 * HOUR)
    sweep_unreferenced_blobs(house.packages, house.blobs)
    assert list((house.path / "hosted").rglob("*")) == []


def test_other_blobs_are_not_ours_to_sweep(house: House) -> None:
    path = house.path / "hosted" / "symbols" / "x.pdb"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    os.utime(path, (0, 0))
    assert sweep_unreferenced_blobs(house.packages, house.blobs) == Swept(0, 0)
    assert path.exists()


async def test_a_package_without_its_file_is_told(house: House) -> None:
    alice = await house.actor()
    await house.push(alice)
    await house.push(alice, version="2.0.0")
    assert check_blobs(house.packages, house.blobs) == ()
    lost = house.packages.of("contoso.utils")[1].blob
    house.blobs.delete(lost)
    assert check_blobs(house.packages, house.blobs) == (str(lost),)


def test_a_folder_that_vanishes_under_a_commit_is_made_again(house: House) -> None:
    """
    A deletion takes empty folders along, and may do so while a push has just made one.
    """
    spool = house.spool(b"bytes")
    key = house.contents.new_key(GARBAGE, spool.sha512)
    move, moves = spool.move_to, 0

    def move_late(target: Path) -> None:
        nonlocal moves
        moves += 1
        if moves == 1:
            target.parent.rmdir()
        move(target)

    spool.move_to = move_late  # type: ignore[method-assign]  # another act comes in between
    house.contents.commit(key, spool)
    assert house.blobs.path(key).read_bytes() == b"bytes"
