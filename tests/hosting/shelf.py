"""A private feed with real search, and a quick way to fill it: rows as written by a push, without files."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nugetproxy.hosting.events import State, packed
from nugetproxy.hosting.feed import HostedFeed
from nugetproxy.hosting.package_changes import PushedPackage, change_package, insert_package
from nugetproxy.hosting.packages import find_package
from nugetproxy.hosting.publish import Publish
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.hosting.statistics import Statistics
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest, PackageType
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Transaction
from tests.hosting.house import NOON, House


class Shelf(House):
    """A house whose packages are searchable."""

    def __init__(self, path: Path, **more: Any) -> None:
        super().__init__(path, **more)
        self.search = HostedSearch(self.database, self.ownership.verified_among)
        self.statistics = Statistics(self.database, self.search)
        self.publish = Publish(
            self.database,
            self.contents,
            self.ownership,
            self.audit,
            self.revisions,
            index=self.search,
            clock=self.tick,
        )
        self.feed = HostedFeed(self.database, self.contents, self.search)

    async def stock(self, packages: Iterable[PackageManifest], *, indexed: bool = True) -> None:
        """Adds all these versions in one transaction."""

        def work(transaction: Transaction) -> None:
            for manifest in packages:
                package = insert_package(transaction, pushed(manifest), NOON // 100)
                if indexed:
                    self.search.index_package(transaction, package)

        await self.database.write(work)

    async def set_listed(self, package: str, *, listed: bool) -> None:
        """`package` is an id and a version."""
        identity = PackageIdentity.parse(*package.split())

        def work(transaction: Transaction) -> None:
            found = find_package(transaction.fetch, identity)
            assert found is not None
            changed = change_package(transaction, identity, with_listed(found.state, listed), NOON // 100)
            self.search.index_package(transaction, changed)

        await self.database.write(work)

    async def download(self, package: str, times: int) -> None:
        self.statistics.count(PackageIdentity.parse(*package.split()), times)
        await self.statistics.flush()

    async def found(self, text: str = "", **more: Any) -> SearchPage:
        return await self.search.search(SearchQuery(text, **more))

    async def ids(self, text: str = "", **more: Any) -> list[str]:
        return [hit.id for hit in (await self.found(text, **more)).hits]

    async def hit(self, package_id: str, **more: Any) -> SearchHit:
        page = await self.found(f"packageid:{package_id}", **more)
        assert [hit.id for hit in page.hits] == [package_id]
        return page.hits[0]

    async def completed(self, text: str | None = "", **more: Any) -> CompletionPage:
        return await self.search.complete(CompletionQuery(text, **more))


def package(
    package_id: str,
    version: str = "1.0.0",
    *,
    tags: str = "",
    types: Iterable[str] = (),
    description: str = "A library.",
    **more: Any,
) -> PackageManifest:
    return PackageManifest(
        id=PackageId.parse(package_id),
        version=NuGetVersion.parse(version),
        verbatim_version=version,
        description=description,
        tags=tuple(tags.split()),
        package_types=tuple(map(PackageType, types)),
        **{"authors": "Somebody", **more},
    )


def pushed(manifest: PackageManifest) -> PushedPackage:
    names = manifest.identity
    key = BlobKey.of("packages", names.lower_id, names.lower_version, f"{uuid.uuid4().hex}.nupkg")
    return PushedPackage(manifest, packed(()), 1000, "sha512", "hash", key, NOON // 1000)


def with_listed(state: State, listed: bool) -> State:
    return replace(state, listed=listed)
