"""Kept packages for tests of the mirror's care: rows, and files on disk."""

from pathlib import Path

from nugetproxy.mirroring.downloads.keys import package_key
from nugetproxy.mirroring.kept.files import KeptFile, KeptFiles
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.database.sqlite import SqliteDatabase
from tests.builders import make_nuspec

DAY = 86_400


def a_file(
    name: str, *, size: int = 1_000_000, used: int = 0, milliseconds: int = 800, upstream: str = "up"
) -> KeptFile:
    return KeptFile(upstream, name, "1.0.0", size, 0, "", milliseconds, used, used, 0, 0)


class Mirror:
    """A mirror on disk with its inventory."""

    def __init__(self, data: Path, database: SqliteDatabase) -> None:
        self.data = data
        self.database = database
        self.files = KeptFiles(database)
        self.inventory = Inventory(database)
        self.blobs = FilesystemBlobs(data / "mirror")

    async def keep(self, name: str, size: int = 1000, used: int = 0, version: str = "1.0.0") -> Path:
        path = self.blobs.path(package_key("up", name, version))
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(size))
        nuspec = make_nuspec(name, version)
        path.with_name(f"{name}.nuspec").write_bytes(nuspec)
        modified = path.stat().st_mtime_ns
        self.inventory.add(KeptPackage("up", read_nuspec(nuspec), size, "hash", used, modified))
        await self.database.write(lambda _: None)
        return path

    def names(self) -> list[str]:
        return sorted(path.parents[1].name for path in self.data.rglob("*.nupkg"))
