"""The registrations of one upstream: indexes, their pages, their leaves.

An index of many versions refers to its pages without inlining them, and clients then read page after page: a request
for the index starts fetching the first of them. The index also names the commit that last touched each page: a kept
page with that commit needs no revalidation. An index may have hundreds of pages: code that iterates over them yields to
other tasks.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from cachetools import LRUCache

from nugetproxy.errors import DocumentAbsent, PackageNotFound, UpstreamNonsense, UpstreamUnavailable, VersionNotFound
from nugetproxy.feeds.base import Answer
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.mirroring.documents.addresses import quoted
from nugetproxy.mirroring.documents.mirrored_documents import KeptDocument
from nugetproxy.mirroring.documents.readers import IndexOf, PageOf
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.v3.registration import Leaf, Page, Registration

# The largest id we know on nuget.org has 57 pages. After the first 64, a client gets each page only as it asks for it.
_MOST_AHEAD: Final = 64
_AT_ONCE: Final = 8
"""Pages of one registration that a request fetches or reads concurrently."""
_MOST_LOADED: Final = 128 * 2**20
"""Maximum bytes of the pages of one registration that a request may load; parsed, they take about five times that."""
_REMEMBERED_COMMITS: Final = 20_000

_LONGEST_COMMIT: Final = 200
_NO_COMMIT: Final = ("", "")

Commit = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Index:
    """An index and the document it was parsed from."""

    package_id: PackageId
    registration: Registration
    document: KeptDocument


class MirroredRegistrations:
    """The upstream's metadata of the versions of an id."""

    def __init__(self, source: MirroredSource) -> None:
        self._source = source
        # By the page's digest: comparing commits must not require parsing every page of every index.
        self._commits: LRUCache[str, Commit] = LRUCache(_REMEMBERED_COMMITS)

    async def index(self, package_id: PackageId) -> Answer[Registration]:
        """The index; its outlying pages are not loaded but being fetched: clients read them one after another.

        Vague pages are loaded: clients could not use the index without their bounds.
        """
        answer, index = await self._loaded(package_id, lambda _: ())
        await self._fetch_ahead(index, index.registration.outlying[:_MOST_AHEAD])
        return answer

    async def between(self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion) -> Answer[Registration]:
        """The registration with the pages that overlap `lower`..`upper`; the next ones are on their way.

        A client may have kept the index, or it may name more pages than are fetched ahead with it.
        """

        def following(registration: Registration) -> Sequence[Page]:
            behind = (page for page in registration.outlying if page.lower > upper and not page.is_vague)
            return list(islice(behind, _AT_ONCE))

        loaded = await self._loaded(package_id, lambda found: found.overlapping(lower, upper), ahead=following)
        return loaded[0]

    async def loaded(
        self, package_id: PackageId, wanted: Callable[[Registration], Sequence[Page]], *, doubt: bool = False
    ) -> Answer[Registration]:
        """The registration with the wanted pages. If a page is gone (the index changed), both are fetched again."""
        return (await self._loaded(package_id, wanted, doubt=doubt))[0]

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        """One version's leaf. A version that the kept index lacks may be newer: the upstream is asked again."""
        for doubt in (False, True):
            answer = await self.loaded(
                package.id, lambda registration: registration.overlapping(package.version, package.version), doubt=doubt
            )
            leaf = answer.value.find(package.version)
            if leaf is not None:
                return Answer(leaf, answer.provenance)
        if answer.provenance.outcome is Outcome.STALE:
            raise UpstreamUnavailable(self._source.name, f"it is currently unknown whether {package} exists")
        raise VersionNotFound(package.id.text, package.version.normalized)

    async def stated_leaves(self, package_id: PackageId) -> list[Leaf]:
        """The leaves of the documents that are kept; never asks the upstream."""
        leaves: list[Leaf] = []
        try:
            endpoints = await self._source.kept_endpoints()
            if endpoints is None or endpoints.registrations is None:
                return []
            index = self._source.peek(f"{endpoints.registrations}{quoted(package_id.lower)}/index.json")
            if index is None:
                return []
            for page in (await self._source.read(index, IndexOf(package_id))).pages:
                if page.leaves is not None:
                    leaves.extend(page.leaves)
                elif (kept := self._source.peek(page.url)) is not None:
                    leaves.extend((await self._source.read(kept, PageOf(package_id))).leaves or ())
        except (UpstreamNonsense, DocumentAbsent):
            return []
        return leaves

    async def _loaded(
        self, package_id: PackageId, wanted: Callable[[Registration], Sequence[Page]], *, doubt: bool = False,
        ahead: Callable[[Registration], Sequence[Page]] = lambda _: (),
    ) -> tuple[Answer[Registration], _Index]:  # fmt: skip
        index = await self._index(package_id, doubt=doubt)
        await self._fetch_ahead(index, ahead(index.registration))
        try:
            return await self._with_pages(index, wanted), index
        except DocumentAbsent:
            index = await self._index(package_id, doubt=True)
        try:
            return await self._with_pages(index, wanted), index
        except DocumentAbsent as error:
            raise UpstreamNonsense(self._source.name, "its registration lists a page that does not exist") from error

    async def _url(self, package_id: PackageId) -> str:
        endpoints = await self._source.endpoints()
        if endpoints.registrations is None:
            raise UpstreamNonsense(self._source.name, "its service index lists no registrations")
        return f"{endpoints.registrations}{quoted(package_id.lower)}/index.json"

    async def _index(self, package_id: PackageId, *, doubt: bool = False) -> _Index:
        """`doubt`: ask the upstream even if our copy is fresh."""
        url, read = await self._url(package_id), IndexOf(package_id)
        try:
            document = await self._source.ask(url, DocumentKind.REGISTRATION, read, doubt=doubt)
            return _Index(package_id, await self._source.read(document, read), document)
        except DocumentAbsent as error:
            raise PackageNotFound(package_id.text) from error

    async def _fetch_ahead(self, index: _Index, pages: Sequence[Page]) -> None:
        wanted = []
        for number, page in enumerate(pages, 1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if await self._is_current(page, index):
                continue
            if self._is_outdated(page, index):
                self._source.expire(page.url, index.package_id)
            wanted.append(page.url)
        if wanted:
            self._source.prefetch(wanted, DocumentKind.REGISTRATION_PAGE, PageOf(index.package_id))

    async def _with_pages(
        self, index: _Index, wanted: Callable[[Registration], Sequence[Page]]
    ) -> Answer[Registration]:
        """Load the wanted pages and the vague ones. The first failure cancels the others."""
        registration, provenance = index.registration, index.document.provenance
        named = {page.url: page for page in _together(registration.vague, wanted(registration))}
        if not named:
            return Answer(registration, provenance)
        turns = asyncio.Semaphore(_AT_ONCE)
        left = _MOST_LOADED

        async def load(outlying: Page) -> tuple[Page, Provenance]:
            nonlocal left
            async with turns:
                page, document = await self._page(outlying, index)
            left -= len(document.body)
            if left < 0:
                why = f"its registration of {index.package_id} has more than {_MOST_LOADED // 2**20} MiB of pages"
                raise UpstreamNonsense(self._source.name, why)
            return page, document.provenance

        try:
            async with asyncio.TaskGroup() as group:
                loading = {url: group.create_task(load(page)) for url, page in named.items()}
        except ExceptionGroup as failures:  # the first is sufficient
            raise failures.exceptions[0] from None
        for task in loading.values():
            provenance = provenance.joined(task.result()[1])
        return Answer(registration.with_pages({url: task.result()[0] for url, task in loading.items()}), provenance)

    async def _page(self, outlying: Page, index: _Index) -> tuple[Page, KeptDocument]:
        read = PageOf(index.package_id)
        kept = self._source.peek(outlying.url)
        if kept is not None and await self._is_current(outlying, index):
            return await self._source.read(kept, read), replace(kept, provenance=index.document.provenance)
        document = await self._source.ask(
            outlying.url, DocumentKind.REGISTRATION_PAGE, read, doubt=self._is_outdated(outlying, index)
        )
        return await self._source.read(document, read), document

    def _is_outdated(self, outlying: Page, index: _Index) -> bool:
        """Whether the kept page is older than an index that names another commit for it, however fresh it is.

        A page that was confirmed after the index was received is as new as the index, whatever commits the upstream
        states.
        """
        kept = self._source.peek(outlying.url)
        return bool(outlying.raw.get("commitId")) and kept is not None and kept.confirmed < index.document.fetched

    async def _is_current(self, outlying: Page, index: _Index) -> bool:
        """Whether the kept page has the commit that the index states for it."""
        kept = self._source.peek(outlying.url)
        if kept is None:
            return False
        commit = self._commits.get(kept.digest)
        if commit is None:
            try:
                page = await self._source.read(kept, PageOf(index.package_id))
            except UpstreamNonsense:
                return False  # kept by an earlier release that parsed it differently
            commit = self._commits[kept.digest] = _commit(page)
        return commit == _commit(outlying) != _NO_COMMIT


def _commit(page: Page) -> Commit:
    """The page's commit if it can be stored: an upstream may write anything there, of any length."""
    commit = text_of(page.raw.get("commitId")), text_of(page.raw.get("commitTimeStamp"))
    return commit if 0 < sum(map(len, commit)) <= _LONGEST_COMMIT else _NO_COMMIT


def _together(*several: Iterable[Page]) -> Iterable[Page]:
    """The outlying pages of all of them."""
    return (page for pages in several for page in pages if page.leaves is None)
