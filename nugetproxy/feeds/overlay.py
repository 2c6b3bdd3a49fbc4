"""Overlay: hosted packages over a feed below, as one feed.

Rule 1: a hosted id is answered only from hosted packages, and the feed below is ignored: nobody can inject a version by
publishing the same id elsewhere. Only an id under which nothing was ever hosted goes to the feed below.
Rule 2: for ids configured as merged both count. A version that is ours, or was and has not been released for reuse, is
never taken from below.
Protected ids are refused by the layer below, so merging them changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, Generic, Protocol, TypeVar

from nugetproxy.errors import NugetproxyError, PackageNotFound, VersionNotFound
from nugetproxy.executors.threads import RENDERING
from nugetproxy.feeds.base import Answer, CatalogEntry, Feed, Offered, PackageContent, Part, SmallContent
from nugetproxy.feeds.paging import Rows, first_rows
from nugetproxy.feeds.uniting import (
    Owned,
    united_completion,
    united_hit,
    united_registration,
    united_versions,
    untold_version,
)
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import (
    CompletionPage,
    CompletionQuery,
    SearchHit,
    SearchPage,
    SearchQuery,
    hit_from_leaves,
)
from nugetproxy.protocol.v3.search_query import DEEPEST_SKIP, MOST_TAKEN
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages

T = TypeVar("T")
R = TypeVar("R")

# In versions; a thousand take a millisecond.
_UNITED_ON_LOOP: Final = 5_000

_NO_ANSWER: Final = (PackageNotFound, VersionNotFound)


class KnowingFeed(Feed, Protocol):
    """A feed that knows which ids are its own."""

    async def known_among(self, lower_ids: Iterable[str]) -> frozenset[str]:
        """Those of these ids that are its own."""

    async def is_empty(self) -> bool:
        """Whether it has no ids of its own."""

    async def owned_versions(self, lower_id: str) -> frozenset[NuGetVersion]:
        """The versions that only this feed may have: also unlisted ones, and deleted ones not released for reuse."""


class Overlay:
    """A Feed over two."""

    def __init__(self, hosted: KnowingFeed, below: Feed, merged: Callable[[str], bool]) -> None:
        """`merged(lower_id)`: whether the id combines both feeds."""
        self._hosted = hosted
        self._below = below
        self._merged = merged

    async def offered(self) -> Offered:
        hosted, below = await asyncio.gather(self._hosted.offered(), self._below.offered())
        return replace(below, search=True, readme=True, extra=hosted.extra | below.extra)

    # --- by id --------------------------------------------------------------------------------------------------------

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        return await self._of_id(package_id, lambda feed: feed.versions(package_id), united_versions)

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        if self._merged(package_id.lower):
            return await self.complete_registration(package_id)
        return await self._first(lambda feed: feed.registration(package_id))

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        if self._merged(package_id.lower):
            return await self.complete_registration(package_id)
        return await self._first(lambda feed: feed.registration_between(package_id, lower, upper))

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        return await self._of_id(package_id, lambda feed: feed.complete_registration(package_id), united_registration)

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        return await self._of_version(package, lambda feed: feed.leaf(package))

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        return await self._of_version(package, lambda feed: feed.catalog_entry(package))

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        return await self._of_version(package, lambda feed: feed.content(package, part))

    async def _first(self, ask: Callable[[Feed], Awaitable[T]]) -> T:
        try:
            return await ask(self._hosted)
        except PackageNotFound:
            return await ask(self._below)

    async def _of_id(
        self,
        package_id: PackageId,
        ask: Callable[[Feed], Awaitable[Answer[T]]],
        unite: Callable[[T | None, T, Owned], T | None],
    ) -> Answer[T]:
        if not self._merged(package_id.lower):
            return await self._first(ask)
        hosted, absence = None, None
        try:
            hosted = await ask(self._hosted)
        except PackageNotFound:
            return await ask(self._below)
        except VersionNotFound as error:
            absence = error
        try:
            below = await ask(self._below)
        except _NO_ANSWER:
            if hosted is None:
                raise
            return hosted
        owned = await self._hosted.owned_versions(package_id.lower)
        ours = hosted.value if hosted else None
        if _size(ours) + _size(below.value) > _UNITED_ON_LOOP:
            value = await RENDERING.run(unite, ours, below.value, owned)
        else:
            value = unite(ours, below.value, owned)
        if value is None:
            raise absence or PackageNotFound(package_id.text)
        provenance = hosted.provenance.joined(below.provenance) if hosted else below.provenance
        return Answer(value, provenance, below.warnings)

    async def _of_version(self, package: PackageIdentity, ask: Callable[[Feed], Awaitable[T]]) -> T:
        try:
            return await ask(self._hosted)
        except PackageNotFound:
            return await ask(self._below)
        except VersionNotFound as absence:
            is_merged = self._merged(package.lower_id)
            if not is_merged or package.version in await self._hosted.owned_versions(package.lower_id):
                raise
            try:
                return await ask(self._below)
            except PackageNotFound:
                raise absence from None

    # --- by text ------------------------------------------------------------------------------------------------------

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        """Hosted packages first, then those below without the hosted ids, in pages over both.

        The pages of a query, of any size, are slices of one list. All have the same total, in which ids that both feeds
        have count once, to the extent that `first_rows` promises.
        """
        if query.asks_nothing:
            return Answer(SearchPage(0, ()))
        if await self._hosted.is_empty():
            return await self._below.search(query)  # its own pages, unchanged

        async def ask(skip: int, take: int) -> Rows[SearchHit]:
            answer = await self._below.search(replace(query, skip=skip, take=take))
            return Rows(answer.value.hits, answer.value.total, answer.provenance)

        async def found_among_hosted(skip: int) -> Rows[str]:
            page = (await self._hosted.search(replace(query, skip=skip, take=MOST_TAKEN))).value
            return Rows(tuple(lower_invariant(hit.id) for hit in page.hits), page.total)

        rows_below = _RowsBelow(self._hosted, self._merged, _id_of, found_among_hosted)
        hosted = await self._hosted.search(query)
        start, end = (max(0, place - hosted.value.total) for place in (query.skip, query.skip + query.take))
        below = await first_rows(ask, rows_below.among, _id_of, end)
        hits = await asyncio.gather(
            *(self._united_with_below(hit, query, rows_below.hidden) for hit in hosted.value.hits),
            *(self._united_with_hosted(hit, query) for hit in below.rows[start:end]),
        )
        page = SearchPage(hosted.value.total + below.total, tuple(hits))
        return Answer(page, hosted.provenance.joined(below.provenance))

    async def _united_with_below(self, hit: SearchHit, query: SearchQuery, seen: Mapping[str, SearchHit]) -> SearchHit:
        lower_id = _id_of(hit)
        if not self._merged(lower_id):
            return hit
        # Usually the same search found it there too; not every upstream supports searching for a single id.
        theirs = seen.get(lower_id) or await _hit_of(self._below, hit, query)
        return (await self._united(hit, theirs, query) if theirs is not None else None) or hit

    async def _united_with_hosted(self, hit: SearchHit, query: SearchQuery) -> SearchHit:
        lower_id = _id_of(hit)
        if not self._merged(lower_id):
            return hit
        ours = await _hit_of(self._hosted, hit, query)
        return await self._united(ours, hit, query) or hit

    async def _united(self, hosted: SearchHit | None, below: SearchHit, query: SearchQuery) -> SearchHit | None:
        owned, told = await self._hosted.owned_versions(_id_of(below)), None
        if (version := untold_version(hosted, below, owned)) is not None:
            with suppress(NugetproxyError):  # the search succeeded even without it
                leaf = (await self._below.leaf(PackageIdentity(PackageId.parse(below.id), version))).value
                told = hit_from_leaves((leaf,), replace(query, text="", package_type=None))
        return united_hit(hosted, below, owned, told)

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        """As `search`, for ids; the versions of an id come from the feed that answers for it."""
        if query.asks_nothing:
            return Answer(CompletionPage(None if query.asks_versions else 0, ()))
        if query.asks_versions:
            return await self._complete_versions(query)
        if await self._hosted.is_empty():
            return await self._below.complete(query)

        async def ask(skip: int, take: int) -> Rows[str]:
            answer = await self._below.complete(replace(query, skip=skip, take=take))
            return Rows(answer.value.values, answer.value.total, answer.provenance)

        async def found_among_hosted(skip: int) -> Rows[str]:
            page = (await self._hosted.complete(replace(query, skip=skip, take=MOST_TAKEN))).value
            return Rows(tuple(map(lower_invariant, page.values)), page.total)

        rows_below = _RowsBelow(self._hosted, self._merged, lower_invariant, found_among_hosted)
        hosted = await self._hosted.complete(query)
        total = len(hosted.value.values) if hosted.value.total is None else hosted.value.total
        start, end = (max(0, place - total) for place in (query.skip, query.skip + query.take))
        below = await first_rows(ask, rows_below.among, lower_invariant, end)
        page = CompletionPage(total + below.total, (*hosted.value.values, *below.rows[start:end]))
        return Answer(page, hosted.provenance.joined(below.provenance))

    async def _complete_versions(self, query: CompletionQuery) -> Answer[CompletionPage]:
        lower_id = lower_invariant(query.package_id or "")
        if not await self._hosted.known_among([lower_id]):
            return await self._below.complete(query)
        hosted = await self._hosted.complete(query)
        if not self._merged(lower_id):
            return hosted
        below = await self._below.complete(query)
        page = united_completion(hosted.value, below.value, await self._hosted.owned_versions(lower_id))
        return Answer(page, hosted.provenance.joined(below.provenance))

    # --- trust --------------------------------------------------------------------------------------------------------

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        return await self._below.vulnerabilities()

    async def signatures(self) -> Answer[RepositorySignatures]:
        """Never "all signed": hosted packages, now or later, have no repository signature, and clients would insist."""
        answer = await self._below.signatures()
        return Answer(replace(answer.value, all_repository_signed=False), answer.provenance)

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        return await self._below.certificate(fingerprint)


class _RowsBelow(Generic[R]):
    """Selects the rows from below that may be shown beside hosted packages, for one query."""

    def __init__(
        self,
        hosted: KnowingFeed,
        merged: Callable[[str], bool],
        lower_id_of: Callable[[R], str],
        found_among_hosted: Callable[[int], Awaitable[Rows[str]]],
    ) -> None:
        """`found_among_hosted(skip)` returns the lower-case ids of hosted packages that the query finds."""
        self._hosted = hosted
        self._merged = merged
        self._found_among_hosted = found_among_hosted
        self._lower_id_of = lower_id_of
        self._found: frozenset[str] | None = None
        self.hidden: dict[str, R] = {}
        """Rows of merged ids that are not shown, because the hosted rows are."""

    async def among(self, rows: Sequence[R]) -> list[R]:
        """The rows without hosted ids, even if the query does not find the hosted package: we serve other content.

        The row of a merged id is kept if the query does not find the hosted package.
        """
        by_id = {self._lower_id_of(row): row for row in rows}
        known = await self._hosted.known_among(by_id)
        merged = {lower_id for lower_id in known if self._merged(lower_id)}
        shown_above = merged & await self._found_ids() if merged else set()
        self.hidden.update((lower_id, by_id[lower_id]) for lower_id in shown_above)
        hidden = known - merged | shown_above
        return [row for row in rows if self._lower_id_of(row) not in hidden]

    async def _found_ids(self) -> frozenset[str]:
        """Down to the deepest page: nothing from below is ever shown after that."""
        if self._found is None:
            found: set[str] = set()
            for skip in range(0, DEEPEST_SKIP + 1, MOST_TAKEN):
                page = await self._found_among_hosted(skip)
                found.update(page.rows)
                if len(page.rows) < MOST_TAKEN:
                    break
            self._found = frozenset(found)
        return self._found


def _size(value: object) -> int:
    """The number of versions."""
    return value.count if isinstance(value, Registration) else len(value) if isinstance(value, tuple) else 0


def _id_of(hit: SearchHit) -> str:
    return lower_invariant(hit.id)


async def _hit_of(feed: Feed, hit: SearchHit, query: SearchQuery) -> SearchHit | None:
    """Another feed's hit for the id of a hit; None if it has none."""
    asked = replace(query, text=f"packageid:{hit.id}", skip=0, take=1)
    found = (await feed.search(asked)).value.hits
    return next((other for other in found if _id_of(other) == _id_of(hit)), None)
