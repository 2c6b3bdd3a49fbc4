"""Advised: adds advisories of our own to what a feed says about vulnerabilities.

They appear wherever clients look: in the vulnerability pages, which restore reads, and in registrations, catalog
entries and searches. Which files they come from, and when they change, belongs to the caller.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

from nugetproxy.errors import DocumentNotFound, InvalidVersion, NotOffered
from nugetproxy.feeds.base import Answer, CatalogEntry, Feed, Offered, PackageContent, Part, SmallContent
from nugetproxy.httpcache.outcome import OWN, Provenance
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.advisories.values import PAGE, Advisories, with_advisories
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPage, VulnerabilityPages, merge_vulnerabilities

# Bytes of an advisory in a registration, besides its URL.
_ROW = 80


class Advised:
    """A Feed in front of another."""

    def __init__(
        self,
        advisories: Callable[[], Advisories],
        below: Feed,
        hidden: Callable[[Collection[str]], Awaitable[Collection[str]]] | None = None,
        *,
        dated: bool = False,
    ) -> None:
        """`hidden` selects, of the lower-case ids with advisories, those that readers of this feed may not learn of;
        None: there are none.

        It is called for each vulnerability document that is rendered. `dated` as in `Advisories.page`: not for clients.
        """
        self._advisories = advisories
        self._below = below
        self._hidden = hidden
        self._dated = dated
        self._paged: tuple[Advisories, VulnerabilityPage] | None = None

    async def offered(self) -> Offered:
        offered = await self._below.offered()
        return replace(offered, vulnerabilities=True) if self._advisories() else offered

    # --- by id --------------------------------------------------------------------------------------------------------

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        return await self._below.versions(package_id)

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        return self._advised(package_id, await self._below.registration(package_id))

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        return self._advised(package_id, await self._below.registration_between(package_id, lower, upper))

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        return self._advised(package_id, await self._below.complete_registration(package_id))

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        answer = await self._below.leaf(package)
        return Answer(self._leaf(answer.value), answer.provenance)

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        answer = await self._below.catalog_entry(package)
        found = self._advisories().about(package.lower_id, package.version)
        if not found:
            return answer
        document = answer.value.document
        entry = CatalogEntry(
            self._leaf(answer.value.leaf), None if document is None else with_advisories(document, found)
        )
        return Answer(entry, answer.provenance)

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        return await self._below.content(package, part)

    def _advised(self, package_id: PackageId, answer: Answer[Registration]) -> Answer[Registration]:
        if package_id.lower not in self._advisories().by_id:
            return answer
        return replace(answer, value=answer.value.changed(self._leaf))

    def _leaf(self, leaf: Leaf) -> Leaf:
        found = self._advisories().about(lower_invariant(leaf.package_id), leaf.version)
        if not found:
            return leaf
        more = sum(_ROW + len(advisory.url) for advisory in found)
        return replace(
            leaf, raw={**leaf.raw, "catalogEntry": with_advisories(leaf.entry, found)}, size=leaf.size + more
        )

    # --- by text ------------------------------------------------------------------------------------------------------

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        answer = await self._below.search(query)
        if not self._advisories() or not query.semver_level2:
            return answer
        return Answer(replace(answer.value, hits=tuple(map(self._hit, answer.value.hits))), answer.provenance)

    def _hit(self, hit: SearchHit) -> SearchHit:
        try:
            version = NuGetVersion.parse(text_of(hit.raw.get("version")))
        except InvalidVersion:
            return hit
        found = self._advisories().about(lower_invariant(hit.id), version)
        return replace(hit, raw=with_advisories(hit.raw, found, numbers=True)) if found else hit

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        return await self._below.complete(query)

    # --- trust --------------------------------------------------------------------------------------------------------

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        """Our own page first, so that it keeps its name; alone if there is no other."""
        advisories = self._advisories()
        if not advisories:
            return await self._below.vulnerabilities()
        below, provenance = await self._pages_below()
        ours = VulnerabilityPages((await self._page(advisories),))
        return Answer(merge_vulnerabilities([(PAGE, ours), ("upstream", below)]), provenance)

    async def _page(self, advisories: Advisories) -> VulnerabilityPage:
        """Built once for all requests: there may be tens of thousands."""
        if self._paged is None or self._paged[0] is not advisories:
            self._paged = (advisories, advisories.page(dated=self._dated))
        page = self._paged[1]
        if self._hidden is None or not (hidden := await self._hidden(page.body.keys())):
            return page
        return replace(page, body={name: rows for name, rows in page.body.items() if name not in hidden})

    async def _pages_below(self) -> tuple[VulnerabilityPages, Provenance]:
        try:
            answer = await self._below.vulnerabilities()
        except DocumentNotFound as error:
            if self._dated and not isinstance(error, NotOffered):
                raise  # for rules, "unknown" is not "none"
            return VulnerabilityPages(()), OWN
        return answer.value, answer.provenance

    async def signatures(self) -> Answer[RepositorySignatures]:
        return await self._below.signatures()

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        return await self._below.certificate(fingerprint)
