"""Noting: a Feed that notes which requested packages could not be served: not kept, and no upstream answers.

Not what an upstream says does not exist, nor what a policy withholds. Protected ids never reach this layer. Counting
and storing belongs to `kept.unmet`.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from nugetproxy import metrics
from nugetproxy.errors import NotMirrored, UpstreamError
from nugetproxy.feeds.base import Answer, CatalogEntry, Feed, Offered, PackageContent, Part, SmallContent
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages

T = TypeVar("T")

Note = Callable[[PackageId, NuGetVersion | None], None]
"""Called with the id, and with the version if one was requested."""


class Noting:
    """A Feed in front of another. Its answers and errors are those of the other."""

    def __init__(self, below: Feed, note: Note) -> None:
        self._below = below
        self._note = note

    async def offered(self) -> Offered:
        return await self._below.offered()

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        return await self._noting(self._below.versions(package_id), package_id)

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        return await self._noting(self._below.registration(package_id), package_id)

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        return await self._noting(self._below.registration_between(package_id, lower, upper), package_id)

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        return await self._noting(self._below.complete_registration(package_id), package_id)

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        return await self._noting(self._below.leaf(package), package.id, package.version)

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        return await self._noting(self._below.catalog_entry(package), package.id, package.version)

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        return await self._noting(self._below.content(package, part), package.id, package.version)

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        return await self._below.search(query)

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        return await self._below.complete(query)

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        return await self._below.vulnerabilities()

    async def signatures(self) -> Answer[RepositorySignatures]:
        return await self._below.signatures()

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        return await self._below.certificate(fingerprint)

    async def _noting(
        self, answer: Awaitable[Answer[T]], package_id: PackageId, version: NuGetVersion | None = None
    ) -> Answer[T]:
        try:
            return await answer
        except (NotMirrored, UpstreamError):
            metrics.UNMET_REQUESTS.inc()
            self._note(package_id, version)
            raise
