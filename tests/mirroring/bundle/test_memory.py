"""The memory that an export takes does not grow with the size of packages, and hardly with their number."""

import os
import subprocess
import sys
from contextlib import closing

import pytest

from nugetproxy.mirroring.kept.guard import sha512_of
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage, open_ledger
from nugetproxy.nuget.nuspec import read_nuspec
from tests.builders import make_nuspec
from tests.mirroring.bundle.shelf import Shelf

# Allocated by Python at the worst moment of an export, in bytes. Modules are loaded, and the database is open before.
CODE = """
import asyncio, sys, tracemalloc
from pathlib import Path
from nugetproxy.mirroring.bundle.signature import PrivateKey
from nugetproxy.mirroring.bundle.target import Pipe
from nugetproxy.runtime.exporting import EVERYTHING, Export
from tests.mirroring.bundle.shelf import Shelf

async def main(data):
    async with Export(Shelf(Path(data)).config()) as export:
        with open("/dev/null", "wb") as nothing:
            tracemalloc.start()
            exported = await export.write(EVERYTHING, PrivateKey.generate(), Pipe(nothing))
            print(exported.head.counts["package"], exported.head.size, tracemalloc.get_traced_memory()[1])

asyncio.run(main(sys.argv[1]))
"""


def export(shelf: Shelf) -> tuple[int, int, int]:
    """Packages, bytes of the content, bytes of memory."""
    ended = subprocess.run([sys.executable, "-c", CODE, shelf.data], capture_output=True, text=True, check=False)
    assert 0 == ended.returncode, ended.stderr
    packages, size, peak = map(int, ended.stdout.split()[-3:])
    return packages, size, peak


async def fill(shelf: Shelf, count: int, size: int) -> None:
    """Packages of zeros, which take no space on the disk, with their nuspecs beside them."""
    kept: list[KeptPackage] = []
    for number in range(count):
        path, nuspec = shelf.path(f"package{number}"), make_nuspec(f"Package{number}", "1.0.0")
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            file.truncate(size)
        digest = kept[0].sha512 if kept else sha512_of(path)
        status = path.stat()
        beside = path.with_name(f"package{number}.nuspec")
        beside.write_bytes(nuspec)
        os.utime(beside, ns=(status.st_mtime_ns, status.st_mtime_ns))
        kept.append(KeptPackage("up", read_nuspec(nuspec), size, digest, 1, status.st_mtime_ns, digest))
    with closing(open_ledger(shelf.data / "inventory.db")) as database:
        for package in kept:
            Inventory(database).add(package)
        await database.write(lambda _: None)


@pytest.mark.parametrize(("count", "size"), [(2, 150_000_000), (400, 100)])
async def test_an_export_in_little_memory(tmp_path, count, size):
    """
    A bundle of 20 GB is to be written with 64 MB. Here it is 300 MB with 5 MB, and 400 packages with the same.
    """
    shelf = Shelf(tmp_path / "data")
    await fill(shelf, count, size)

    packages, written, peak = export(shelf)

    assert (count, True) == (packages, written >= count * size)
    assert peak < 5_000_000
