"""Mapped: several mirrored feeds as one, each answering for the ids its patterns name.

The rule is NuGet's package source mapping: an exact id beats a prefix (`Contoso.*`), the longer prefix beats the
shorter, `*` is last. Feeds with the same best pattern are asked in order until one knows the id. What a feed is not
mapped for it is never asked about, and what it says about such ids in searches is dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import TypeVar

from nugetproxy.errors import DocumentNotFound, PackageNotFound
from nugetproxy.feeds.base import Answer, CatalogEntry, Feed, Offered, PackageContent, Part, SmallContent
from nugetproxy.httpcache.outcome import OWN, Provenance
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures, merge_repository_signatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages, merge_vulnerabilities

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MappedSource:
    """One feed and the patterns of the ids it answers for."""

    name: str
    feed: Feed
    patterns: tuple[str, ...]

    def rank(self, lower_id: str) -> int:
        """How specifically this source is mapped for an id; -1 when it is not."""
        return max((_rank(pattern.lower(), lower_id) for pattern in self.patterns), default=-1)


def _rank(pattern: str, lower_id: str) -> int:
    if pattern.endswith("*"):
        return len(pattern) - 1 if lower_id.startswith(pattern[:-1]) else -1
    # An exact id outranks every prefix, and no id is longer than 100 characters.
    return 1000 if pattern == lower_id else -1


def sources_for(sources: Sequence[MappedSource], lower_id: str) -> tuple[MappedSource, ...]:
    """The sources with the most specific pattern for an id, in their order; empty when none is mapped."""
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
            # A client that is told of signatures verifies every package, so each source must have stated its own.
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
        if query.asks_nothing:
            return Answer(SearchPage(0, ()))
        # Each source is asked for everything up to the end of the wanted page, so that cutting after merging is right.
        wider = replace(query, skip=0, take=query.skip + query.take)
        answers = await asyncio.gather(*(source.feed.search(wider) for source in self._sources))
        mine = self._without_others([[hit.id for hit in answer.value.hits] for answer in answers])
        shown = [
            [hit for hit in answer.value.hits if hit.id.lower() in ids]
            for answer, ids in zip(answers, mine, strict=True)
        ]
        hits = [hit for hit in chain.from_iterable(zip_longest(*shown)) if hit is not None]
        dropped = sum(len(answer.value.hits) for answer in answers) - len(hits)
        total = sum(answer.value.total for answer in answers) - dropped
        page = SearchPage(total, tuple(hits[query.skip : query.skip + query.take]))
        return Answer(page, _joined(answers))

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        if query.asks_nothing:
            return Answer(CompletionPage(None if query.asks_versions else 0, ()))
        if query.asks_versions:
            return await self._complete_versions(query)
        wider = replace(query, skip=0, take=query.skip + query.take)
        answers = await asyncio.gather(*(source.feed.complete(wider) for source in self._sources))
        mine = self._without_others([answer.value.values for answer in answers])
        values = sorted(
            (
                value
                for answer, ids in zip(answers, mine, strict=True)
                for value in answer.value.values
                if value.lower() in ids
            ),
            key=str.lower,
        )
        dropped = sum(len(answer.value.values) for answer in answers) - len(values)
        total = sum(answer.value.total or len(answer.value.values) for answer in answers) - dropped
        return Answer(CompletionPage(total, tuple(values[query.skip : query.skip + query.take])), _joined(answers))

    async def _complete_versions(self, query: CompletionQuery) -> Answer[CompletionPage]:
        """Those of the first source that has any: an empty answer is how an id is unknown here."""
        answer = Answer(CompletionPage(None, ()))
        for source in sources_for(self._sources, (query.package_id or "").lower()):
            answer = await source.feed.complete(query)
            if answer.value.values:
                break
        return answer

    def _without_others(self, named: Sequence[Sequence[str]]) -> list[set[str]]:
        """For each source, which (lower) of the ids that it named are its to show: mapped, and not an earlier one's."""
        shown: set[str] = set()
        mine = []
        for source, ids in zip(self._sources, named, strict=True):
            lower = {text.lower() for text in ids} - shown
            mine.append({text for text in lower if source in sources_for(self._sources, text)})
            shown |= mine[-1]
        return mine

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
        """The answers of the sources that have one; raises DocumentNotFound when none has."""
        results = await asyncio.gather(*(ask(source.feed) for source in self._sources), return_exceptions=True)
        answers: list[tuple[MappedSource, Answer[T]]] = []
        for source, result in zip(self._sources, results, strict=True):
            if isinstance(result, DocumentNotFound):
                continue
            if isinstance(result, BaseException):
                raise result
            answers.append((source, result))
        if not answers:
            raise DocumentNotFound("no upstream has this")
        return answers


def _joined(answers: Sequence[Answer[T]]) -> Provenance:
    provenance = answers[0].provenance if answers else OWN
    for answer in answers[1:]:
        provenance = provenance.joined(answer.provenance)
    return provenance
