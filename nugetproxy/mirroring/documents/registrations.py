"""The registrations of one upstream: indexes, their pages, their leaves.

An index of many versions names its pages without carrying them, and clients then read page after page: asking for the
index sets all of them under way. The index also names the commit that last touched each page, so a kept page of that
commit needs no asking.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nugetproxy.errors import (
    DocumentAbsent,
    PackageNotFound,
    UnreadableDocument,
    UpstreamNonsense,
    UpstreamUnavailable,
    VersionNotFound,
)
from nugetproxy.feeds.base import Answer
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.mirroring.documents.mirrored_documents import KeptDocument
from nugetproxy.mirroring.documents.source import MirroredSource, quoted
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.protocol.v3.registration import Leaf, Page, Registration, read_index, read_page


@dataclass(frozen=True, slots=True)
class _Index:
    """An index and the document it was read from."""

    registration: Registration
    document: KeptDocument


class MirroredRegistrations:
    """What the upstream states about the versions of an id."""

    def __init__(self, source: MirroredSource) -> None:
        self._source = source

    async def index(self, package_id: PackageId) -> Answer[Registration]:
        """The index, its outlying pages unloaded and on their way: clients read them one after another."""
        index = await self._index(package_id)
        self._fetch_ahead(package_id, index)
        return Answer(index.registration, index.document.provenance)

    async def loaded(
        self, package_id: PackageId, wanted: Callable[[Registration], Sequence[Page]], *, doubt: bool = False
    ) -> Answer[Registration]:
        """The registration with the wanted pages. A page that is gone (the index moved on) is looked for once more."""
        index = await self._index(package_id, doubt=doubt)
        try:
            return await self._with_pages(package_id, index, wanted)
        except DocumentAbsent:
            index = await self._index(package_id, doubt=True)
        try:
            return await self._with_pages(package_id, index, wanted)
        except DocumentAbsent as error:
            raise UpstreamNonsense(self._source.name, "its registration names a page that is gone") from error

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        """One version's leaf. A version that the kept index lacks may be newer than it: it is asked for once more."""
        for doubt in (False, True):
            answer = await self.loaded(
                package.id, lambda registration: registration.overlapping(package.version, package.version), doubt=doubt
            )
            leaf = answer.value.find(package.version)
            if leaf is not None:
                return Answer(leaf, answer.provenance)
        if answer.provenance.outcome is Outcome.STALE:
            raise UpstreamUnavailable(self._source.name, f"whether {package} exists cannot be known now")
        raise VersionNotFound(package.id.text, package.version.normalized)

    def stated_leaves(self, package_id: PackageId) -> list[Leaf]:
        """The leaves of the kept documents, as far as they are there; asks nobody."""
        try:
            endpoints = self._source.kept_endpoints()
            if endpoints is None or endpoints.registrations is None:
                return []
            index = self._source.peek(f"{endpoints.registrations}{quoted(package_id.lower)}/index.json")
            if index is None:
                return []
            leaves: list[Leaf] = []
            for page in self._source.read(index, read_index).pages:
                if page.leaves is not None:
                    leaves.extend(page.leaves)
                elif (kept := self._source.peek(page.url)) is not None:
                    leaves.extend(self._source.read(kept, read_page).leaves or ())
        except UpstreamNonsense:
            return []
        return leaves

    async def _url(self, package_id: PackageId) -> str:
        endpoints = await self._source.endpoints()
        if endpoints.registrations is None:
            raise UpstreamNonsense(self._source.name, "its service index has no registrations")
        return f"{endpoints.registrations}{quoted(package_id.lower)}/index.json"

    async def _index(self, package_id: PackageId, *, doubt: bool = False) -> _Index:
        """`doubt`: ask again even if ours is fresh."""
        url = await self._url(package_id)
        try:
            document = await self._source.ask(url, DocumentKind.REGISTRATION, _index_of(package_id), doubt=doubt)
        except DocumentAbsent as error:
            raise PackageNotFound(package_id.text) from error
        return _Index(self._source.read(document, read_index), document)

    def _fetch_ahead(self, package_id: PackageId, index: _Index) -> None:
        wanted = []
        for page in index.registration.outlying:
            if self._kept_page(page) is not None:
                continue
            if self._is_outdated(page, index):
                self._source.expire(page.url)
            wanted.append(page.url)
        if wanted:
            self._source.prefetch(wanted, DocumentKind.REGISTRATION_PAGE, _page_of(package_id))

    async def _with_pages(
        self, package_id: PackageId, index: _Index, wanted: Callable[[Registration], Sequence[Page]]
    ) -> Answer[Registration]:
        registration, provenance = index.registration, index.document.provenance
        pages = [page for page in wanted(registration) if page.leaves is None]
        loaded = await asyncio.gather(*(self._page(package_id, page, index) for page in pages))
        for outlying, (page, page_provenance) in zip(pages, loaded, strict=True):
            registration = registration.with_page(outlying.url, page)
            provenance = provenance.joined(page_provenance)
        return Answer(registration, provenance)

    async def _page(self, package_id: PackageId, outlying: Page, index: _Index) -> tuple[Page, Provenance]:
        kept = self._kept_page(outlying)
        if kept is not None:
            return kept, index.document.provenance
        doubt = self._is_outdated(outlying, index)
        document = await self._source.ask(
            outlying.url, DocumentKind.REGISTRATION_PAGE, _page_of(package_id), doubt=doubt
        )
        return self._source.read(document, read_page), document.provenance

    def _is_outdated(self, outlying: Page, index: _Index) -> bool:
        """Whether the kept page is older than an index that names another commit for it, however fresh it is.

        A page that was confirmed after the index came is as new as the index, whatever commits the upstream writes.
        """
        kept = self._source.peek(outlying.url)
        return bool(outlying.raw.get("commitId")) and kept is not None and kept.confirmed < index.document.fetched

    def _kept_page(self, outlying: Page) -> Page | None:
        """The kept page if it is of the commit that the index names for it."""
        kept = self._source.peek(outlying.url)
        if kept is None:
            return None
        page = self._source.read(kept, read_page)
        commit = (page.raw.get("commitId"), page.raw.get("commitTimeStamp"))
        named = (outlying.raw.get("commitId"), outlying.raw.get("commitTimeStamp"))
        return page if commit[0] and commit == named else None


def _index_of(package_id: PackageId) -> Callable[[bytes], None]:
    """A check that a body is an index of this id: a cache in between that mixes its entries up must not poison ours.

    It raises UnreadableDocument.
    """

    def check(body: bytes) -> None:
        _refuse_others(package_id, read_index(body).pages)

    return check


def _page_of(package_id: PackageId) -> Callable[[bytes], None]:
    """As `_index_of`, for a page."""

    def check(body: bytes) -> None:
        _refuse_others(package_id, [read_page(body)])

    return check


def _refuse_others(package_id: PackageId, pages: Iterable[Page]) -> None:
    for page in pages:
        if page.leaves and lower_invariant(page.leaves[0].package_id) != package_id.lower:
            raise UnreadableDocument("registration", f"it is that of {page.leaves[0].package_id}")
