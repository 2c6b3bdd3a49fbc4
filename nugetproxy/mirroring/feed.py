"""MirrorFeed: one mirrored upstream as a Feed.

It knows which document or package file answers which request, and when the view of kept packages replaces the
upstream's own. Fetching documents and package files belongs to its collaborators.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from cachetools import TLRUCache

from nugetproxy.errors import (
    DocumentAbsent,
    NotMirrored,
    NugetproxyError,
    PackageNotFound,
    PartNotFound,
    UnreadableDocument,
    UpstreamNonsense,
    VersionNotFound,
)
from nugetproxy.executors.threads import PACKAGES
from nugetproxy.feeds.base import Answer, CatalogEntry, Offered, PackageContent, Part, SmallContent
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.mirroring.documents.addresses import quoted
from nugetproxy.mirroring.documents.mirrored_documents import KeptDocument
from nugetproxy.mirroring.documents.readers import CatalogEntryOf
from nugetproxy.mirroring.documents.registrations import MirroredRegistrations
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.mirroring.documents.trust import MirroredTrust
from nugetproxy.mirroring.downloads.contents import kept_content
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.kept.parts import content_type_of, part_of_package, read_nuspec_of, refuse_page
from nugetproxy.mirroring.kept.view import KeptPackages, kept_provenance
from nugetproxy.mirroring.search import MirroredSearch
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.v3.catalog_reader import read_stated_file
from nugetproxy.protocol.v3.flat_container import read_versions
from nugetproxy.protocol.v3.registration import Leaf, Registration, catalog_entry_url
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages

# Seconds after which the service index is answered without its optional resources, rather than late.
_OFFER_PATIENCE: Final = 5.0


class MirrorFeed:
    """The Feed contract over one upstream and the content kept from it."""

    def __init__(
        self,
        source: MirroredSource,
        *,
        downloads: MirroredDownloads,
        kept: KeptPackages,
        search_timeout: float,
        absent_seconds: float,
        used: Callable[[str, PackageIdentity], None] = lambda _upstream, _package: None,
    ) -> None:
        """`search_timeout` and `absent_seconds` (how long a missing package file is remembered) are in seconds.

        `used` is told of each use of a package, with the name of the upstream.
        """
        self._used = used
        self._source = source
        self._registrations = MirroredRegistrations(source)
        self._trust = MirroredTrust(source)
        self._downloads = downloads
        self._kept = kept
        self._search = MirroredSearch(source, kept, self._registrations.stated_leaves, timeout=search_timeout)
        self._absent_seconds = absent_seconds
        self._missing_contents: TLRUCache[PackageIdentity, float] = TLRUCache(10_000, lambda _, left, now: now + left)

    async def offered(self) -> Offered:
        try:
            async with asyncio.timeout(_OFFER_PATIENCE):
                endpoints = await self._source.endpoints_however_old()
        except (NugetproxyError, TimeoutError):
            return Offered()
        vulnerabilities, signatures = await asyncio.gather(
            _can_answer(endpoints.vulnerabilities, self.vulnerabilities),
            _can_answer(endpoints.repository_signatures, self.signatures),
        )
        return Offered(vulnerabilities=vulnerabilities, repository_signatures=signatures)

    # --- versions and registrations -----------------------------------------------------------------------------------

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        if self._source.only_kept:
            kept = await self._kept.versions_in_fleet(package_id)
            if kept:
                return Answer(kept, kept_provenance(self._source))
            self._source.refuse_if_offline(package_id)
        flat_container = (await self._source.endpoints()).flat_container
        if flat_container is None:
            registration = await self.complete_registration(package_id)
            return Answer(tuple(leaf.version for leaf in registration.value.leaves), registration.provenance)
        try:
            document = await self._source.ask(
                _list_url(flat_container, package_id), DocumentKind.VERSIONS, read_versions
            )
            return Answer(await self._source.read(document, read_versions), document.provenance)
        except DocumentAbsent as error:
            raise PackageNotFound(package_id.text) from error

    async def still_offers(self, package: PackageIdentity) -> bool | None:
        """Whether the upstream has the version now, so that it could be fetched again; None if it cannot be asked."""
        if self._source.only_kept:
            return None
        try:
            answer = await self.versions(package.id)
        except PackageNotFound:
            return False
        except NugetproxyError:
            return None
        is_current = answer.provenance.outcome in (Outcome.HIT, Outcome.REFRESHED, Outcome.MISS)
        return package.version in answer.value if is_current else None

    async def stated_sha512(self, package: PackageIdentity) -> str | None:
        """The SHA-512 (base64) that stored documents of the upstream state for the package; sends no request."""
        for leaf in await self._registrations.stated_leaves(package.id):
            url = catalog_entry_url(leaf) if leaf.version == package.version else None
            document = self._source.peek(url) if url is not None else None
            if document is not None:
                with contextlib.suppress(UnreadableDocument):
                    return read_stated_file(document.body, package).sha512
        return None

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        kept = await self._kept_registration(package_id)
        if kept is not None:
            return kept
        return await self._registrations.index(package_id)

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        kept = await self._kept_registration(package_id)
        # A client may still be reading the pages of an index from before the upstream was considered down.
        if kept is not None and (self._source.is_offline or kept.value.overlapping(lower, upper)):
            return kept
        return await self._registrations.between(package_id, lower, upper)

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        kept = await self._kept_registration(package_id)
        return kept or await self._registrations.loaded(package_id, lambda registration: registration.outlying)

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        kept = await self._kept_registration(package.id)
        if kept is None:
            return await self._registrations.leaf(package)
        leaf = kept.value.find(package.version)
        if leaf is not None:
            return Answer(leaf, kept.provenance)
        if self._source.is_offline:
            raise NotMirrored(str(package))
        return await self._registrations.leaf(package)

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        answer = await self.leaf(package)
        read = CatalogEntryOf(package)
        try:
            document = await self._catalog_document(answer.value, read)
            entry = await self._source.read(document, read) if document is not None else None
        except (DocumentAbsent, UpstreamNonsense):
            # Some feeds name addresses that do not exist; the leaf has nearly the same information.
            document = entry = None
        provenance = answer.provenance if document is None else answer.provenance.joined(document.provenance)
        return Answer(CatalogEntry(answer.value, entry), provenance)

    async def _catalog_document(self, leaf: Leaf, read: CatalogEntryOf) -> KeptDocument | None:
        url = catalog_entry_url(leaf)
        if url is None:
            return None
        if self._source.only_kept:
            return self._source.peek(url)
        return await self._source.ask(url, DocumentKind.CATALOG_ENTRY, read)

    async def _kept_registration(self, package_id: PackageId) -> Answer[Registration] | None:
        """The registration from the view of kept packages; None if the upstream's own is to be shown."""
        if not self._source.only_kept:
            return None
        registration = await self._kept.registration(package_id, self._registrations.stated_leaves)
        if registration is None:
            self._source.refuse_if_offline(package_id)
            return None
        return Answer(registration, kept_provenance(self._source))

    # --- contents -----------------------------------------------------------------------------------------------------

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        kept = await self._downloads.kept(self._source.name, package)
        if part is Part.NUPKG:
            self._used(self._source.name, package)
            return kept_content(kept, kept.modified) if kept is not None else await self._download(package)
        if kept is None and self._source.only_kept:
            kept = await self._downloads.brought(self._source.upstream, package)
        if kept is not None:
            found = await PACKAGES.run(part_of_package, kept, package, part)
            if found is not None:
                return kept_content(found, kept.modified)
        return await self._fetched_part(package, part, kept=kept is not None)

    async def _download(self, package: PackageIdentity) -> Answer[PackageContent]:
        if self._source.is_offline:
            found = await self._downloads.from_fleet(self._source.upstream, package)
            if found is None:
                raise NotMirrored(str(package))
            return Answer(found.value, found.provenance)
        if package in self._missing_contents:
            raise await self._absence(package)
        flat_container = (await self._source.endpoints()).flat_container
        url = await self._content_url(package, flat_container)
        try:
            opened = await self._downloads.open(self._source.upstream, package, url)
        except DocumentAbsent as error:
            self._missing_contents[package] = self._absent_seconds if error.left is None else error.left
            raise await self._absence(package) from error
        if flat_container is not None:
            await self._expire_list_without(package, _list_url(flat_container, package.id))
        return Answer(opened.value, opened.provenance)

    async def _content_url(self, package: PackageIdentity, flat_container: str | None) -> str:
        if flat_container is not None:
            return f"{_version_url(flat_container, package)}/{quoted(package.nupkg_name)}"
        # A feed without a flat container names each file in its registration.
        leaf = (await self.leaf(package)).value
        return text_of(leaf.raw.get("packageContent")) or text_of(leaf.entry.get("packageContent"))

    async def _absence(self, package: PackageIdentity) -> NugetproxyError:
        """The error for a missing package file: only a feed that has the id may say "no such version".

        Raises UpstreamError if that is not known: another feed may have the package.
        """
        try:
            await self.versions(package.id)
        except PackageNotFound as unknown:
            return unknown
        return VersionNotFound(package.id.text, package.version.normalized)

    async def _expire_list_without(self, package: PackageIdentity, url: str) -> None:
        """A version that exists but is not in our copy of the list proves that the copy is out of date."""
        listed = self._source.peek(url)
        with contextlib.suppress(DocumentAbsent, UpstreamNonsense):
            if listed is not None and package.version not in await self._source.read(listed, read_versions):
                self._source.expire(url, package.id)

    async def _fetched_part(self, package: PackageIdentity, part: Part, *, kept: bool) -> Answer[PackageContent]:
        """A part from the upstream, because the kept package does not have it or the package is not kept."""
        missing = PartNotFound(package.id.text, package.version.normalized, part.value)
        if self._source.is_offline:
            raise missing if kept else NotMirrored(str(package))
        flat_container = (await self._source.endpoints()).flat_container
        if flat_container is None:
            raise missing
        name = quoted(package.nuspec_name) if part is Part.NUSPEC else part.value
        check = read_nuspec_of(package) if part is Part.NUSPEC else refuse_page
        try:
            url = f"{_version_url(flat_container, package)}/{name}"
            document = await self._source.ask(url, DocumentKind.PART, check)
        except DocumentAbsent as error:
            absence = missing if kept else await self._absence(package)
            raise (absence if isinstance(absence, PackageNotFound) else missing) from error
        content = SmallContent(document.body, content_type_of(part, document.body), document.digest)
        return Answer(content, document.provenance)

    # --- search -------------------------------------------------------------------------------------------------------

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        return await self._search.search(query)

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        return await self._search.complete(query)

    # --- trust --------------------------------------------------------------------------------------------------------

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        return await self._trust.vulnerabilities()

    def vulnerability_age(self) -> float | None:
        """Seconds since the oldest kept vulnerability document was last confirmed; None if there is none."""
        return self._trust.vulnerability_age()

    async def signatures(self) -> Answer[RepositorySignatures]:
        return await self._trust.signatures()

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        return await self._trust.certificate(fingerprint)


async def _can_answer(url: str | None, ask: Callable[[], Awaitable[object]]) -> bool:
    """Whether we can answer for a resource of the upstream now: only then is it advertised."""
    if url is None:
        return False
    try:
        async with asyncio.timeout(_OFFER_PATIENCE):
            await ask()
    except (NugetproxyError, TimeoutError):
        return False
    return True


def _list_url(flat_container: str, package_id: PackageId) -> str:
    return f"{flat_container}{quoted(package_id.lower)}/index.json"


def _version_url(flat_container: str, package: PackageIdentity) -> str:
    return f"{flat_container}{quoted(package.lower_id)}/{package.lower_version}"
