"""Backing up hosted packages while others push and delete."""

import asyncio
from pathlib import Path

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.hosting import backup as backups
from nugetproxy.hosting.backup import back_up_hosting
from nugetproxy.hosting.symbols import Symbols
from nugetproxy.hosting.upkeep import check_blobs
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.backup.restoring import restore
from nugetproxy.storage.backup.writing import BackupWriter
from nugetproxy.storage.database.opening import MAIN
from tests.engines.main_database import only_sqlite
from tests.hosting.house import House

pytestmark = only_sqlite


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup lies outside the data directory."""
    return tmp_path_factory.mktemp("elsewhere")


def writer(house: House, folder: Path) -> BackupWriter:
    return BackupWriter(house.path, folder, link=True)


async def test_what_is_pushed_meanwhile_is_in_it_whole_or_not_at_all(house: House, tmp_path: Path, elsewhere: Path):
    """
    Every row of the copy has its file, whichever snapshot it is.
    """
    actor = await house.actor()
    done = asyncio.Event()

    async def push_on() -> int:
        number = 0
        while not done.is_set():
            number += 1
            await house.push(actor, version=f"{number}.0.0")
        return number

    pushing = asyncio.create_task(push_on())
    kept = []
    for number in range(5):
        await asyncio.sleep(0.02)
        backup = writer(house, elsewhere / f"backup{number}")
        assert await asyncio.to_thread(back_up_hosting, backup) == ()
        backup.finish(())
        restore(elsewhere / f"backup{number}", tmp_path / f"restored{number}")
        restored = House(tmp_path / f"restored{number}")
        assert await check_blobs(restored.database, restored.packages, restored.blobs) == ()
        assert len(restored.files()) == len(await restored.packages.of("contoso.utils"))
        kept.append(len(restored.files()))
        restored.close()
    done.set()
    assert kept == sorted(kept)
    assert 0 < kept[-1] <= await pushing


async def test_a_concurrent_deletion_is_not_taken_for_a_loss(
    house: House, tmp_path: Path, elsewhere: Path, monkeypatch
):
    """
    A version is deleted after the snapshot of the database and before its file is copied: a newer snapshot is taken.
    """
    actor = await house.actor(administrator=True)
    for version in ("1.0.0", "2.0.0"):
        await house.push(actor, version=version)
    backup = writer(house, elsewhere / "backup")
    add_database, moments = backup.add_database, 0

    def then_delete(path: str) -> Path:
        nonlocal moments
        moments += 1
        added = add_database(path)
        if moments == 1:
            gone = PackageIdentity.parse("Contoso.Utils", "1.0.0")
            asyncio.run_coroutine_threadsafe(house.publish.delete(actor, gone, address=""), loop).result(20)
        return added

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(backup, "add_database", then_delete)
    assert await asyncio.to_thread(back_up_hosting, backup) == ()
    manifest = backup.finish(())
    assert len([path for path in manifest.files if path.endswith(".nupkg")]) == 1
    restore(elsewhere / "backup", tmp_path / "restored")


async def test_lost_and_damaged_files_are_named_and_left_out(house: House, tmp_path: Path, elsewhere: Path):
    """
    The rest is backed up, and can be restored.
    """
    actor = await house.actor()
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await house.push(actor, version=version)
    lost, damaged, _ = house.files()
    lost.unlink()
    damaged.write_bytes(b"\0" + damaged.read_bytes()[1:])
    backup = writer(house, elsewhere / "backup")
    wrong = back_up_hosting(backup)

    assert set(wrong) == {str(path.relative_to(house.path)) for path in (lost, damaged)}
    backup.finish(wrong)
    assert restore(elsewhere / "backup", tmp_path / "restored").damaged == wrong


async def test_a_file_that_no_row_needs_is_not_in_it(house: House, elsewhere: Path):
    """
    For example one left by a push that was killed.
    """
    await house.push(await house.actor())
    (house.files()[0].parent / "garbage.nupkg").write_bytes(b"garbage")
    backup = writer(house, elsewhere / "backup")
    back_up_hosting(backup)

    assert [path.partition("/")[0] for path in sorted(backup.finish(()).files)] == ["hosted", MAIN]


async def test_it_includes_every_file_that_has_a_row(house: House, elsewhere: Path):
    """
    As the upkeep does, which deletes files it does not know.
    """
    await house.push(await house.actor())
    symbols = ("INSERT INTO symbol_packages VALUES (1, 'symbols/a', 1, '', 0)",
               "INSERT INTO symbol_files VALUES (1, 'a', 'a', 'a', '', 'symbols/b', 1, '')")  # fmt: skip
    await house.database.write(lambda transaction: [transaction.change(each) for each in symbols])
    named = backups._needed(writer(house, elsewhere / "backup").add_database(MAIN))

    known = await house.database.look(
        lambda fetch: house.packages.blobs(fetch) | Symbols.blobs(None, fetch)  # type: ignore[arg-type]  # needs no more
    )
    assert {path.removeprefix("hosted/") for path in named} == known
    assert {"symbols/a", "symbols/b"} < known


async def test_endless_deletions_are_reported(house: House, elsewhere: Path, monkeypatch):
    numbers = iter(range(100))

    def always_another(*_: object) -> dict[str, tuple[int, str]]:
        return {f"hosted/packages/x/{next(numbers)}.nupkg": (1, "")}

    monkeypatch.setattr(backups, "_needed", always_another)
    with pytest.raises(StorageUnavailable, match="deleted faster than they can be backed up"):
        back_up_hosting(writer(house, elsewhere / "backup"))
