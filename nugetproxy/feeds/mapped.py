"""Mapped: several mirrored feeds as one, each answering for the ids that match its patterns.

The rule is NuGet's package source mapping: an exact id beats a prefix (`Contoso.*`), a longer prefix beats a shorter
one, `*` comes last. Feeds with the same best pattern are asked in order until one knows the id. A feed is never asked
about ids that are not mapped to it, and such ids in its search results are dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TypeVar

from nugetproxy.errors import DocumentNotFound, NotOffered, PackageNotFound
from nugetproxy.feeds.base import Answer, CatalogEntry, Feed, Offered, PackageContent, Part, SmallContent
from nugetproxy.feeds.paging import FIRST, SMALL, Ask, Found, Rows, first_rows
from nugetproxy.httpcache.outcome import OWN, Outcome, Provenance
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures, merge_repository_signatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages, merge_vulnerabilities

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class MappedSource:
    """One feed and the patterns of the ids it answers for."""

    name: str
    feed: Feed
    patterns: tuple[str, ...]

    def rank(self, lower_id: str) -> int:
        """How specifically this source is mapped for an id; -1 if it is not."""
        return max((_rank(pattern.lower(), lower_id) for pattern in self.patterns), default=-1)


def _rank(pattern: str, lower_id: str) -> int:
    if pattern.endswith("*"):
        return len(pattern) - 1 if lower_id.startswith(pattern[:-1]) else -1
    # An exact id outranks every prefix, and no id is longer than 100 characters.
    return 1000 if pattern == lower_id else -1


def sources_for(sources: Sequence[MappedSource], lower_id: str) -> tuple[MappedSource, ...]:
    """The sources with the most specific pattern for an id, in their order; empty if none is mapped."""
    best = max((source.rank(lower_id) for source in sources), default=-1)
    return tuple(source for source in sources if best >= 0 and source.rank(lower_id) == best)


class Mapped:
    """A Feed over several, by pattern."""

    def __init__(self, sources: Sequence[MappedSource]) -> None:
        self._sources = tuple(sources)

    async def offered(self) -> Offered:
        each = await asyncio.gather(*(source.feed.offered() for source in self._sources))
        return Offered(
            vulnerabilities=any(offer.vulnerabilities for offer in each),
            # A client that gets signatures verifies every package, so each source must provide its own.
            repository_signatures=all(offer.repository_signatures for offer in each),
        )

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        return await self._first(package_id, lambda feed: feed.versions(package_id))

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        return await self._first(package_id, lambda feed: feed.registration(package_id))

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        return await self._first(package_id, lambda feed: feed.registration_between(package_id, lower, upper))

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        return await self._first(package_id, lambda feed: feed.complete_registration(package_id))

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        return await self._first(package.id, lambda feed: feed.leaf(package))

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        return await self._first(package.id, lambda feed: feed.catalog_entry(package))

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        return await self._first(package.id, lambda feed: feed.content(package, part))

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        """The sources' hits in turn, each id once, as described by the first source that has it."""
        if query.asks_nothing:
            return Answer(SearchPage(0, ()))

        def asking(feed: Feed) -> Ask[SearchHit]:
            async def ask(skip: int, take: int) -> Rows[SearchHit]:
                answer = await feed.search(replace(query, skip=skip, take=take))
                return Rows(answer.value.hits, answer.value.total, answer.provenance)

            return ask

        found = await self._by_turns(asking, lambda hit: lower_invariant(hit.id), query.skip + query.take)
        return Answer(SearchPage(found.total, found.rows[query.skip :]), found.provenance)

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        """As `search`, for ids; versions are those of the first source that has any."""
        if query.asks_nothing:
            return Answer(CompletionPage(None if query.asks_versions else 0, ()))
        if query.asks_versions:
            return await self._complete_versions(query)

        def asking(feed: Feed) -> Ask[str]:
            async def ask(skip: int, take: int) -> Rows[str]:
                answer = await feed.complete(replace(query, skip=skip, take=take))
                return Rows(answer.value.values, answer.value.total, answer.provenance)

            return ask

        found = await self._by_turns(asking, lower_invariant, query.skip + query.take)
        return Answer(CompletionPage(found.total, found.rows[query.skip :]), found.provenance)

    async def _by_turns(self, asking: Callable[[Feed], Ask[R]], name_of: Callable[[R], str], wanted: int) -> Found[R]:
        """The first `wanted` rows of all sources together, without ids that are not mapped to their source.

        The position of a row depends only on the rows before it, so pages fit together. Rows that two sources share are
        subtracted from the total to the extent that `first_rows` subtracts dropped ones.
        """

        async def read(source: MappedSource) -> Found[R]:
            async def keep(rows: Sequence[R]) -> list[R]:
                return [row for row in rows if source in sources_for(self._sources, name_of(row))]

            return await first_rows(asking(source.feed), keep, name_of, max(wanted, FIRST))

        each = await asyncio.gather(*(read(source) for source in self._sources))
        best: dict[str, R] = {}
        for found in each:
            for row in found.rows:
                best.setdefault(name_of(row), row)
        turns = [
            name_of(row) for rows in zip_longest(*(found.rows for found in each)) for row in rows if row is not None
        ]
        united = list(dict.fromkeys(turns))
        # The rows examined for the total are the same for every page: all of them if they are few.
        looked_at = [name_of(row) for found in each for row in found.rows[: None if found.total <= SMALL else FIRST]]
        twice = len(looked_at) - len(set(looked_at))
        total = max(sum(found.total for found in each) - twice, len(united))
        return Found(tuple(best[name] for name in united[:wanted]), total, _joined(each))

    async def _complete_versions(self, query: CompletionQuery) -> Answer[CompletionPage]:
        """The versions of the first source that has any: an empty answer means that an id is unknown there.

        If that source cannot be asked, no other is: its versions could be those of another package.
        """
        answer = Answer(CompletionPage(None, ()))
        for source in sources_for(self._sources, (query.package_id or "").lower()):
            answer = await source.feed.complete(query)
            if answer.value.values or answer.provenance.outcome is Outcome.STALE:
                break
        return answer

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        answers = await self._all_that_have(lambda feed: feed.vulnerabilities())
        named = [(source.name, answer.value) for source, answer in answers]
        return Answer(merge_vulnerabilities(named), _joined([answer for _, answer in answers]))

    async def signatures(self) -> Answer[RepositorySignatures]:
        answers = await self._all_that_have(lambda feed: feed.signatures())
        merged = merge_repository_signatures([answer.value for _, answer in answers])
        return Answer(merged, _joined([answer for _, answer in answers]))

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        for source in self._sources:
            try:
                return await source.feed.certificate(fingerprint)
            except DocumentNotFound:
                continue
        raise DocumentNotFound(f"no certificate {fingerprint[:64]}")

    async def _first(self, package_id: PackageId, ask: Callable[[Feed], Awaitable[T]]) -> T:
        refusal: PackageNotFound | None = None
        for source in sources_for(self._sources, package_id.lower):
            try:
                return await ask(source.feed)
            except PackageNotFound as error:
                refusal = error
        raise refusal or PackageNotFound(package_id.text, "no upstream is mapped for this id")

    async def _all_that_have(self, ask: Callable[[Feed], Awaitable[Answer[T]]]) -> list[tuple[MappedSource, Answer[T]]]:
        """The answers of the sources that have one; raises DocumentNotFound if none has, NotOffered if none could."""
        results = await asyncio.gather(*(ask(source.feed) for source in self._sources), return_exceptions=True)
        answers: list[tuple[MappedSource, Answer[T]]] = []
        for source, result in zip(self._sources, results, strict=True):
            if isinstance(result, DocumentNotFound):
                continue
            if isinstance(result, BaseException):
                raise result
            answers.append((source, result))
        if not answers:
            is_offered = not all(isinstance(result, NotOffered) for result in results)
            raise (DocumentNotFound if is_offered else NotOffered)("no upstream has this document")
        return answers


def _joined(answers: Sequence[Answer[T] | Found[T]]) -> Provenance:
    provenance = answers[0].provenance if answers else OWN
    for answer in answers[1:]:
        provenance = provenance.joined(answer.provenance)
    return provenance
