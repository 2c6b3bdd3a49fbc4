"""Overlay: the packages we host above those of a feed below, as one feed.

Rule 1: an id that is hosted is answered by what is hosted, and the feed below is not heard: whoever publishes the same
id elsewhere cannot slip a version in. Only an id that nothing hosted ever had is for the feed below.
Rule 2: of ids that are listed as merged both are heard, and a hosted version wins over the same version below.
Protected ids are refused by the layer below, so merging them changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from nugetproxy.errors import PackageNotFound, VersionNotFound
from nugetproxy.feeds.base import Answer, CatalogEntry, Feed, Offered, PackageContent, Part, SmallContent
from nugetproxy.feeds.paging import Rows, first_rows
from nugetproxy.feeds.uniting import united_completion, united_hit, united_registration, united_versions
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.search_query import MOST_TAKEN
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages

T = TypeVar("T")
R = TypeVar("R")

_NO_ANSWER: Final = (PackageNotFound, VersionNotFound)


class KnowingFeed(Feed, Protocol):
    """A feed that can say at once which ids are its own."""

    def known_among(self, lower_ids: Iterable[str]) -> frozenset[str]: ...

    def is_empty(self) -> bool:
        """Whether no id is its own."""


class Overlay:
    """A Feed over two."""

    def __init__(self, hosted: KnowingFeed, below: Feed, merged: Callable[[str], bool]) -> None:
        """`merged` tells of a lower id whether both feeds make it up."""
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
        self, package_id: PackageId, ask: Callable[[Feed], Awaitable[Answer[T]]], unite: Callable[[T, T], T]
    ) -> Answer[T]:
        if not self._merged(package_id.lower):
            return await self._first(ask)
        try:
            hosted = await ask(self._hosted)
        except _NO_ANSWER:
            return await ask(self._below)
        try:
            below = await ask(self._below)
        except _NO_ANSWER:
            return hosted
        return Answer(unite(hosted.value, below.value), hosted.provenance.joined(below.provenance))

    async def _of_version(self, package: PackageIdentity, ask: Callable[[Feed], Awaitable[T]]) -> T:
        try:
            return await ask(self._hosted)
        except PackageNotFound:
            return await ask(self._below)
        except VersionNotFound as absence:
            if not self._merged(package.lower_id):
                raise
            try:
                return await ask(self._below)
            except PackageNotFound:
                raise absence from None

    # --- by text ------------------------------------------------------------------------------------------------------

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        """What is hosted first, then what lies below without the ids that are hosted, in pages over both."""
        if query.asks_nothing:
            return Answer(SearchPage(0, ()))
        if self._hosted.is_empty():
            return await self._below.search(query)  # its own pages, as they are

        async def ask(skip: int, take: int) -> Rows[SearchHit]:
            answer = await self._below.search(replace(query, skip=skip, take=take))
            return Rows(answer.value.hits, answer.value.total, answer.provenance)

        async def keep(hits: Sequence[SearchHit]) -> list[SearchHit]:
            return await self._strangers(hits, query)

        hosted = await self._hosted.search(query)
        end = query.skip + query.take - hosted.value.total
        below = await first_rows(ask, keep, max(end, query.take))
        own = await asyncio.gather(*(self._united_with_below(hit, query) for hit in hosted.value.hits))
        rest = below.rows[max(0, query.skip - hosted.value.total) : max(0, end)]
        page = SearchPage(hosted.value.total + below.total, (*own, *rest))
        return Answer(page, hosted.provenance.joined(below.provenance))

    async def _strangers(self, hits: Sequence[SearchHit], query: SearchQuery) -> list[SearchHit]:
        """The hits from below that may be shown: not of hosted ids, unless merged and not already among the hosted."""
        known = self._hosted.known_among(lower_invariant(hit.id) for hit in hits)
        if not known:
            return list(hits)
        shown = {lower_invariant(hit.id) for hit in (await self._hosted.search(_whole(query))).value.hits}
        kept = []
        for hit in hits:
            lower_id = lower_invariant(hit.id)
            if lower_id not in known:
                kept.append(hit)
            elif self._merged(lower_id) and lower_id not in shown:
                ours = await _hit_of(self._hosted, hit, query)
                kept.append(united_hit(ours, hit) if ours is not None else hit)
        return kept

    async def _united_with_below(self, hit: SearchHit, query: SearchQuery) -> SearchHit:
        if not self._merged(lower_invariant(hit.id)):
            return hit
        theirs = await _hit_of(self._below, hit, query)
        return hit if theirs is None else united_hit(hit, theirs)

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        """As `search`, for ids; the versions of an id are those of whoever answers for it."""
        if query.asks_nothing:
            return Answer(CompletionPage(None if query.asks_versions else 0, ()))
        if query.asks_versions:
            return await self._complete_versions(query)
        if self._hosted.is_empty():
            return await self._below.complete(query)

        async def ask(skip: int, take: int) -> Rows[str]:
            answer = await self._below.complete(replace(query, skip=skip, take=take))
            total = answer.value.total
            return Rows(answer.value.values, len(answer.value.values) if total is None else total, answer.provenance)

        async def keep(ids: Sequence[str]) -> list[str]:
            known = self._hosted.known_among(lower_invariant(text) for text in ids)
            if not known:
                return list(ids)
            whole = await self._hosted.complete(replace(query, skip=0, take=MOST_TAKEN))
            shown = {lower_invariant(text) for text in whole.value.values}
            # A merged id that the hosted feed would not complete (only prereleases, say) is still to be found below.
            return [
                text
                for text in ids
                if (lower := lower_invariant(text)) not in known or (self._merged(lower) and lower not in shown)
            ]

        hosted = await self._hosted.complete(query)
        total = len(hosted.value.values) if hosted.value.total is None else hosted.value.total
        end = query.skip + query.take - total
        below = await first_rows(ask, keep, max(end, query.take))
        values = (*hosted.value.values, *below.rows[max(0, query.skip - total) : max(0, end)])
        return Answer(CompletionPage(total + below.total, values), hosted.provenance.joined(below.provenance))

    async def _complete_versions(self, query: CompletionQuery) -> Answer[CompletionPage]:
        lower_id = lower_invariant(query.package_id or "")
        if not self._hosted.known_among([lower_id]):
            return await self._below.complete(query)
        hosted = await self._hosted.complete(query)
        if not self._merged(lower_id):
            return hosted
        below = await self._below.complete(query)
        page = united_completion(hosted.value, below.value)
        return Answer(page, hosted.provenance.joined(below.provenance))

    # --- trust --------------------------------------------------------------------------------------------------------

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        return await self._below.vulnerabilities()

    async def signatures(self) -> Answer[RepositorySignatures]:
        """Never all signed: what is hosted, or will be, has no repository's signature, and clients insist on one."""
        answer = await self._below.signatures()
        return Answer(replace(answer.value, all_repository_signed=False), answer.provenance)

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        return await self._below.certificate(fingerprint)


def _whole(query: SearchQuery) -> SearchQuery:
    return replace(query, skip=0, take=MOST_TAKEN)


async def _hit_of(feed: Feed, hit: SearchHit, query: SearchQuery) -> SearchHit | None:
    """What another feed says of the id of a hit; None when it shows nothing of it."""
    asked = replace(query, text=f"packageid:{hit.id}", skip=0, take=1)
    found = (await feed.search(asked)).value.hits
    return next((other for other in found if lower_invariant(other.id) == lower_invariant(hit.id)), None)
