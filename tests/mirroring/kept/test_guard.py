"""A kept file that was cut short or changed is not served, one that was only copied is."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from nugetproxy.mirroring.downloads.keys import package_key
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.guard import KeptGuard, sha512_of
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage, open_ledger
from nugetproxy.mirroring.kept.quarantine import KEPT_FOR, Quarantine
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.signature import content_hash
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.leases import Leases
from tests.builders import make_nupkg, make_nuspec

KEY = package_key("up", "contoso.utils", "1.0.0")


class Shelf:
    """One kept package with its row, and the guard over it."""

    def __init__(self, data: Path, database) -> None:
        self.data, self.database = data, database
        self.files = KeptFiles(database)
        self.blobs = FilesystemBlobs(data / "mirror")
        self.quarantine = Quarantine(data, self.files)
        self.guard = KeptGuard(self.files, self.blobs, self.quarantine, Leases(data / "locks"))
        self.path = self.blobs.path(KEY)
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(make_nupkg("Contoso.Utils", "1.0.0"))

    async def enter(self, *, knows_sha512: bool = True) -> None:
        with self.path.open("rb") as file:
            digest = content_hash(file)
        found = self.path.stat()
        manifest = read_nuspec(make_nuspec("Contoso.Utils", "1.0.0"))
        sha512 = sha512_of(self.path) if knows_sha512 else ""
        row = KeptPackage("up", manifest, found.st_size, digest, 1, found.st_mtime_ns, sha512)
        Inventory(self.database).add(row)
        await self.database.write(lambda _: None)

    async def serves(self) -> bool:
        """As `MirroredDownloads.kept`."""
        kept = self.blobs.stat(KEY)
        if kept is not None and not self.guard.looks_right(kept):
            await self.guard.examine(KEY)
            kept = self.blobs.stat(KEY)
        return kept is not None and self.guard.looks_right(kept)


@pytest.fixture
async def shelf(tmp_path):
    with closing(open_ledger(tmp_path / "inventory.db")) as database:
        made = Shelf(tmp_path, database)
        await made.enter()
        yield made


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(7, 7))


def touch(path: Path) -> None:
    os.utime(path, ns=(5, 5))


@pytest.mark.parametrize(("change", "why"), [(cut, "bytes instead of"), (flip, "SHA-512")])
async def test_what_was_changed_goes_to_quarantine(shelf, change, why):
    change(shelf.path)

    assert not await shelf.serves()
    assert not shelf.path.exists()
    [taken] = await shelf.files.quarantined()
    assert why in taken.why
    assert (shelf.data / "quarantine" / taken.file).stat().st_mode & 0o777 == 0o600
    assert Inventory(shelf.database).totals().packages == 0


async def test_a_copy_is_read_once_and_served(shelf, monkeypatch):
    touch(shelf.path)

    assert await shelf.serves()
    monkeypatch.setattr(shelf.guard, "examine", None)
    assert await shelf.serves()
    assert shelf.files.expected(("up", "contoso.utils", "1.0.0")).modified == 5


async def test_without_a_row_a_file_is_served(shelf):
    await shelf.database.write(lambda transaction: transaction.change("DELETE FROM mirrored_packages"))
    cut(shelf.path)

    assert await shelf.serves()


async def test_a_row_of_an_older_version_is_compared_by_the_content_hash(shelf):
    await shelf.enter(knows_sha512=False)
    touch(shelf.path)
    assert await shelf.serves()
    assert shelf.files.expected(("up", "contoso.utils", "1.0.0")).sha512 == sha512_of(shelf.path)

    await shelf.enter(knows_sha512=False)
    flip(shelf.path)
    assert not await shelf.serves()


async def test_on_read_only_media_a_copy_is_served_and_damage_is_not(shelf):
    touch(shelf.path)
    shelf.database.is_read_only = True
    assert await shelf.serves()

    cut(shelf.path)
    assert not await shelf.serves()
    assert shelf.path.exists()


async def test_a_package_with_the_longest_names_can_be_moved(shelf):
    key = package_key("u" * 64, "\u00e4" * 100, "1.0.0-" + "x" * 40)
    path = shelf.blobs.path(key)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")

    taken = shelf.quarantine.take(key, "why")
    assert (taken.key[0], (shelf.data / "quarantine" / taken.file).read_bytes()) == ("u" * 64, b"x")


async def test_a_quarantined_file_is_deleted_after_a_month(shelf):
    cut(shelf.path)
    await shelf.serves()
    [taken] = await shelf.files.quarantined()

    assert await shelf.quarantine.sweep(taken.found + KEPT_FOR - 60) == 0
    assert await shelf.quarantine.sweep(taken.found + KEPT_FOR + 60) == 1
    assert not list((shelf.data / "quarantine").iterdir())
    assert await shelf.files.quarantined() == []
