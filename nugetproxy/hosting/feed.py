"""HostedFeed: the private packages as a Feed.

An id that is hosted stays ours, even after all its versions were deleted: the feeds below answer only for ids that are
unknown here.
"""

from collections.abc import Callable, Iterable
from typing import Final, NoReturn, Protocol, TypeVar

from nugetproxy.errors import DocumentNotFound, PackageNotFound, PartNotFound, VersionNotFound
from nugetproxy.executors.threads import RENDERING
from nugetproxy.feeds.base import HOSTED, Answer, CatalogEntry, Offered, PackageContent, Part, SmallContent
from nugetproxy.hosting.contents import HostedContents
from nugetproxy.hosting.leaves import HostedRegistrations, catalog_document_of, leaf_of
from nugetproxy.hosting.packages import HostedPackage, HostedPackages, StoredContent
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages
from nugetproxy.storage.database.base import Database

T = TypeVar("T")

FRESH_SECONDS: Final = 10.0
"""How long caches between us and a client may keep answers about hosted packages: as nuget.org's versions lists.

Our own hot answers check the revision of hosted packages and need no such limit.
"""

_NEVER: Final = NuGetVersion.parse("0.0.0")


class Search(Protocol):
    """Finds hosted packages."""

    async def search(self, query: SearchQuery) -> SearchPage: ...

    async def complete(self, query: CompletionQuery) -> CompletionPage:
        """Ids, or the listed versions of an id."""


class HostedFeed:
    """The Feed contract for hosted packages."""

    def __init__(
        self,
        database: Database,
        contents: HostedContents,
        search: Search,
        packages: HostedPackages | None = None,
        revision: Callable[[str], int] | None = None,
    ) -> None:
        """`packages` of the same database, that remember which ids are ours: most requests are for others. `revision`
        as there: registrations in memory are used until it differs.
        """
        self._packages = packages or HostedPackages(database)
        self._registrations = HostedRegistrations(database, revision)
        self._contents = contents
        self._search = search

    async def is_empty(self) -> bool:
        """Whether no id is ours. Raises StorageUnavailable."""
        return await self._packages.is_empty()

    async def known_among(self, lower_ids: Iterable[str]) -> frozenset[str]:
        """Those of these ids that are ours, in one query. Raises StorageUnavailable."""
        return await self._packages.known_among(lower_ids)

    async def owned_versions(self, lower_id: str) -> frozenset[NuGetVersion]:
        """The versions of an id that are ours, including unlisted ones and deleted ones that were not released.

        Raises StorageUnavailable.
        """
        return await self._packages.versions_ever(lower_id)

    async def offered(self) -> Offered:
        return Offered(vulnerabilities=False, repository_signatures=False)

    # --- versions and registrations -----------------------------------------------------------------------------------

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        registration = await self._complete(package_id)
        return _answer(tuple(leaf.version for leaf in registration.leaves))

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        return _answer(await self._complete(package_id))

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        return _answer(await self._complete(package_id))

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        return _answer(await self._complete(package_id))

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        return _answer(leaf_of(await self._found(package)))

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        found = await self._found(package)
        # It lists all files of the package, possibly tens of thousands.
        entries = await self._packages.entries_of(found.push)
        document = await RENDERING.run(catalog_document_of, found, entries)
        return _answer(CatalogEntry(leaf_of(found), document))

    # --- contents -----------------------------------------------------------------------------------------------------

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        await self._refuse_foreign(package.id)
        stored = await self._packages.find_content(package)
        if stored is None:
            await self._refuse(package)
        return _answer(await self._content(package, stored, part))

    async def _content(self, package: PackageIdentity, stored: StoredContent, part: Part) -> PackageContent:
        async def is_needed() -> bool:
            return await self._packages.find_content(package) == stored

        if part is Part.NUPKG:
            return await self._contents.whole(stored, is_needed)
        found = await self._contents.part(stored, part, is_needed)
        if found is None:
            raise PartNotFound(package.id.text, package.version.normalized, part.value)
        return found

    # --- search -------------------------------------------------------------------------------------------------------

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        return _answer(SearchPage(0, ()) if query.asks_nothing else await self._search.search(query))

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        if query.asks_nothing:
            return _answer(CompletionPage(None if query.asks_versions else 0, ()))
        return _answer(await self._search.complete(query))

    # --- trust: only their owners vouch for private packages ----------------------------------------------------------

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        raise DocumentNotFound("hosted packages have no vulnerability documents")

    async def signatures(self) -> Answer[RepositorySignatures]:
        raise DocumentNotFound("hosted packages are not signed by this feed")

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        raise DocumentNotFound(f"no certificate {fingerprint[:64]}")

    # --- shared -------------------------------------------------------------------------------------------------------

    async def _complete(self, package_id: PackageId) -> Registration:
        await self._refuse_foreign(package_id)
        registration = await self._registrations.find(package_id.lower)
        if registration is None:
            await self._refuse(PackageIdentity(package_id, _NEVER), any_version=True)
        return registration

    async def _found(self, package: PackageIdentity) -> HostedPackage:
        await self._refuse_foreign(package.id)
        found = await self._packages.find(package)
        if found is None:
            await self._refuse(package)
        return found

    async def _refuse_foreign(self, package_id: PackageId) -> None:
        """Raises PackageNotFound for an id that is not ours."""
        if not await self._packages.knows(package_id.lower):
            raise PackageNotFound(package_id.text)

    async def _refuse(self, package: PackageIdentity, *, any_version: bool = False) -> NoReturn:
        if await self._packages.knows(package.lower_id):
            raise VersionNotFound(package.id.text, "" if any_version else package.version.normalized)
        raise PackageNotFound(package.id.text)


def _answer(value: T) -> Answer[T]:
    return Answer(value, Provenance(Outcome.HIT, fresh_for=FRESH_SECONDS, detail=HOSTED))
