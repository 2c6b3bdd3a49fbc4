"""A house that packages move into, and the folders of the servers that they come from."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nugetproxy.accounts.model import Actor
from nugetproxy.executors.threads import INSPECTION
from nugetproxy.hosting.moving_in.folder import FolderSource
from nugetproxy.hosting.moving_in.report import Report
from nugetproxy.hosting.moving_in.rules import check_import
from nugetproxy.hosting.moving_in.run import ImportLimits, MovingIn, Receiver
from nugetproxy.hosting.moving_in.source import Source
from nugetproxy.hosting.publish import Publish
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.hosting.statistics import Statistics
from nugetproxy.hosting.symbols import Symbols
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.identity import PackageIdentity
from tests.builders import make_nupkg
from tests.engines.main_database import fetched
from tests.hosting.house import House


class Desk:
    """`receiver` inspects in threads, so that a run takes milliseconds."""

    def __init__(self, house: House, alice: Actor, *, package_size: int = 10_000_000) -> None:
        self.house, self.alice = house, alice
        self.search = HostedSearch(house.database)
        self.publish = Publish(
            house.database, house.contents, house.ownership, house.audit, house.revisions, rules=check_import,
            index=self.search, clock=house.tick,
        )  # fmt: skip
        self.symbols = Symbols(
            house.database, house.blobs, house.ownership, house.audit, house.revisions, house.spools,
            clock=house.tick,
        )  # fmt: skip
        limits = ImportLimits(ArchiveLimits(), package_size, package_size)
        self.receiver = Receiver(
            self.publish, self.symbols, house.packages, house.spools, INSPECTION, limits, check_import
        )

    async def move_in(self, source: Path | Source, **more: Any) -> Report:
        """Everything for alice, unless the arguments say otherwise."""
        if isinstance(source, Path):
            source = FolderSource(source)
        actor_for = more.pop("actor_for", lambda _: self.alice)
        return await MovingIn(source, self.receiver, actor_for, **more).run()

    def here(self) -> list[str]:
        rows = fetched(self.house.database, "SELECT lower_id, lower_version FROM hosted_packages ORDER BY 1, 2")
        return [f"{lower_id} {version}" for lower_id, version in rows]

    async def bytes_of(self, package: str) -> bytes:
        found = await self.house.packages.find(PackageIdentity.parse(*package.split()))
        assert found is not None
        return self.house.blobs.path(found.blob).read_bytes()

    async def downloads(self, lower_id: str) -> dict[str, int]:
        return await Statistics(self.house.database).downloads_of(lower_id)


def outcomes(report: Report) -> list[tuple[str, str, str]]:
    """Place, outcome and the word for scripts of every file."""
    return [(row.offer.place, row.outcome.value, row.kind) for row in report.rows]


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def stored(folder: Path, package_id: str, version: str, content: bytes | None = None) -> Path:
    """A package as BaGet, Sleet, NuGet.Server and NuGet's own folders store it."""
    name = f"{package_id}/{version}/{package_id}.{version}.nupkg".lower()
    return write(folder, name, make_nupkg(package_id, version) if content is None else content)


def baget_database(path: Path, rows: Iterable[tuple[str, str, int, str, int]]) -> Path:
    """Id, version, whether it is listed, when it was published, and how often it was downloaded."""
    connection = sqlite3.connect(path)
    connection.execute(
        'CREATE TABLE "Packages" ("Key" INTEGER PRIMARY KEY, "Id" TEXT COLLATE NOCASE, "Version" TEXT COLLATE NOCASE,'
        ' "OriginalVersion" TEXT, "Listed" INTEGER, "Published" TEXT, "Downloads" INTEGER)'
    )
    connection.executemany(
        "INSERT INTO Packages (Id, Version, Listed, Published, Downloads) VALUES (?, ?, ?, ?, ?)", rows
    )
    connection.commit()
    connection.close()
    return path
