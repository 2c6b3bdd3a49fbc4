"""Verification: damage is found, quarantined and repaired; what is right stays."""

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.mirroring.care.verification import UpstreamSide, Verification
from nugetproxy.mirroring.downloads.keys import package_key
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.guard import sha512_of
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage, open_ledger
from nugetproxy.mirroring.kept.quarantine import Quarantine
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.signature import content_hash
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.leases import Leases
from tests.builders import make_nupkg, make_nuspec

NOW = 10_000_000
NAMES = ("a", "b", "c")


class Shelf:
    """Three kept packages, their rows, and a verification over them."""

    def __init__(self, data: Path, database) -> None:
        self.data, self.database, self.now = data, database, NOW
        self.files, self.inventory = KeptFiles(database), Inventory(database)
        self.blobs = FilesystemBlobs(data / "mirror")
        self.stated: dict[str, str] = {}
        self.repaired: list[str] = []
        self.verification = Verification(
            data / "mirror", self.inventory, self.files, self.blobs, Quarantine(data, self.files),
            Leases(data / "locks"), {"up": UpstreamSide(self._offers, self._stated, self._fetch_again)},
            clock=lambda: self.now,
        )  # fmt: skip

    async def _offers(self, package) -> bool:
        return str(package.lower_id) != "c"

    async def _stated(self, package) -> str | None:
        return self.stated.get(package.lower_id)

    async def _fetch_again(self, package) -> bool:
        self.repaired.append(package.lower_id)
        self.put(package.lower_id)
        await self.enter(package.lower_id)
        return True

    def path(self, name: str) -> Path:
        return self.blobs.path(package_key("up", name, "1.0.0"))

    def put(self, name: str) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(make_nupkg(name, "1.0.0"))

    async def enter(self, name: str, **changes) -> None:
        path = self.path(name)
        with path.open("rb") as file:
            digest = content_hash(file)
        row: dict[str, Any] = {"modified": path.stat().st_mtime_ns, "sha512": sha512_of(path)} | changes
        manifest = read_nuspec(make_nuspec(name, "1.0.0"))
        self.inventory.add(KeptPackage("up", manifest, path.stat().st_size, digest, 1, **row))
        await self.database.write(lambda _: None)

    async def verify(self, before: float = NOW + 1, **options):
        found = await self.verification.verify(before, **options)
        await self.database.write(lambda _: None)
        return found

    def quarantined(self) -> int:
        folder = self.data / "quarantine"
        return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.fixture
async def shelf(tmp_path):
    with closing(open_ledger(tmp_path / "inventory.db")) as database:
        made = Shelf(tmp_path, database)
        for name in NAMES:
            made.put(name)
            await made.enter(name)
        yield made


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)


def flip(path: Path) -> None:
    """One bit, with the time as before: nothing but reading it can tell."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def other(path: Path) -> None:
    path.write_bytes(make_nupkg("other", "1.0.0"))


async def test_what_is_right_is_noted(shelf):
    found = await shelf.verify()

    assert (found.is_clean, found.checked) == (True, 3)
    assert found.bytes == sum(shelf.path(name).stat().st_size for name in NAMES)
    assert {file.verified for file in await shelf.files.all()} == {NOW}


@pytest.mark.parametrize("damage", [cut, flip, other])
async def test_damage_is_quarantined_and_repaired(shelf, damage):
    damage(shelf.path("b"))
    found = await shelf.verify()

    assert [(each.key[1], each.is_repaired) for each in found.damaged] == [("b", True)]
    assert (shelf.repaired, shelf.quarantined()) == (["b"], 1)
    assert (await shelf.verify()).is_clean


async def test_without_repair_it_is_only_moved(shelf):
    flip(shelf.path("b"))
    found = await shelf.verify(repair=False)

    assert [each.is_repaired for each in found.damaged] == [False]
    assert (shelf.repaired, shelf.path("b").exists()) == ([], False)
    assert shelf.inventory.totals().packages == 2


@pytest.mark.parametrize("damage", [cut, flip, other])
async def test_damage_is_found_in_a_row_of_an_older_version(shelf, damage):
    await shelf.enter("b", modified=0, sha512="")
    damage(shelf.path("b"))

    assert [each.key[1] for each in (await shelf.verify()).damaged] == ["b"]


async def test_a_row_of_an_older_version_is_completed(shelf):
    await shelf.enter("b", modified=0, sha512="")
    assert (await shelf.verify()).is_clean

    assert shelf.files.expected(("up", "b", "1.0.0")).sha512 == sha512_of(shelf.path("b"))


async def test_a_hash_that_the_upstream_states_is_compared_and_nothing_is_moved(shelf):
    shelf.stated = {"a": sha512_of(shelf.path("a")), "b": sha512_of(shelf.path("a"))}
    found = await shelf.verify()

    assert ([each.key[1] for each in found.differing], found.is_clean) == (["b"], False)
    assert (shelf.path("b").exists(), shelf.repaired) == (True, [])


async def test_what_was_verified_lately_is_passed_over(shelf):
    """
    So a run that was killed is continued.
    """
    await shelf.enter("b", verified=NOW - 50)

    assert (await shelf.verify(NOW - 60)).checked == 2
    assert (await shelf.verify(NOW - 60)).checked == 0
    assert (await shelf.verify(NOW - 49)).checked == 1


async def test_after_the_clock_was_set_back_everything_is_due(shelf):
    await shelf.verify()
    shelf.now = NOW - 1000

    assert (await shelf.verify(NOW - 2000)).checked == 3


async def test_what_is_back_upstream_may_be_evicted_again(shelf):
    for name in ("b", "c"):
        await shelf.files.mark_gone(("up", name, "1.0.0"))
    await shelf.verify()

    assert [file.lower_id for file in await shelf.files.all() if file.is_gone] == ["c"]


async def test_files_without_a_row_are_entered(shelf):
    """
    As left by a process that was killed between the file and its row.
    """
    await shelf.database.write(lambda transaction: transaction.change("DELETE FROM mirrored_packages"))
    flip(shelf.path("c"))
    found = await shelf.verify()

    assert (found.added, [each.key[1] for each in found.damaged]) == (2, ["c"])
    assert shelf.inventory.search("up", "", None) == ["a", "b", "c"]


async def test_rows_without_a_file_are_removed(shelf):
    """
    As left by a process that was killed in the middle of an eviction.
    """
    shelf.path("b").unlink()
    found = await shelf.verify()

    assert (found.is_clean, found.missing, shelf.inventory.totals().packages) == (True, 1, 2)


async def test_manifests_left_alone_are_removed(shelf):
    nuspec = shelf.path("b").with_name("b.nuspec")
    nuspec.write_bytes(b"x")
    shelf.path("b").unlink()
    shelf.now = int(nuspec.stat().st_ctime) + 7200
    await shelf.verify(shelf.now + 1)

    assert not nuspec.exists()


async def test_a_nuspec_that_is_not_that_of_the_package_is_removed(shelf):
    nuspec = shelf.path("b").with_name("b.nuspec")
    nuspec.write_bytes(make_nuspec("b", "1.0.0"))
    right = shelf.path("a").with_name("a.nuspec")
    right.write_bytes(make_nuspec("a", "1.0.0"))
    nuspec.write_bytes(make_nuspec("b", "6.6.6"))
    await shelf.verify()

    assert not nuspec.exists()
    assert right.stat().st_mtime_ns == shelf.path("a").stat().st_mtime_ns


async def test_what_was_put_there_by_hand_stays(shelf):
    stray = shelf.data / "mirror" / "up" / "b" / "01.0"
    stray.mkdir()
    shutil.copy(shelf.path("b"), stray / "b.01.0.nupkg")

    assert (await shelf.verify()).is_clean
    assert list(stray.iterdir())


async def test_on_read_only_media_damage_is_only_reported(shelf):
    flip(shelf.path("b"))
    shelf.database.is_read_only = True
    found = await shelf.verification.verify(NOW + 1, repair=False)

    assert [each.key[1] for each in found.damaged] == ["b"]
    assert shelf.path("b").exists()


async def test_the_disk_fails(shelf, monkeypatch):
    async def full(*_):
        raise StorageUnavailable("no space left on device")

    monkeypatch.setattr(shelf.files, "_write", full)
    with pytest.raises(StorageUnavailable):
        await shelf.verify()
    assert all(shelf.path(name).exists() for name in NAMES)
