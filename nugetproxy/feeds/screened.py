"""Screened: what comes from the upstreams without the versions that the policy withholds.

Rule 1: a withheld version is absent from every list, registration and search. Downloading it by name is refused with
the reason.
Rule 2: a version whose facts cannot be fetched is not shown; an upstream's failure is reported as such.
Hosted packages are not screened: this layer is below the one that adds them.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from nugetproxy.errors import AllWithheld, InvalidVersion, NugetproxyError, VersionNotFound
from nugetproxy.feeds.base import Answer, CatalogEntry, Feed, Offered, PackageContent, Part, SmallContent
from nugetproxy.feeds.paging import Rows, first_rows
from nugetproxy.feeds.policy.sentences import refusal
from nugetproxy.feeds.screening import Screen, Screening
from nugetproxy.httpcache.outcome import Provenance
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
    visible_leaves,
)
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages

T = TypeVar("T")

# Rows of a search whose verdicts are looked up concurrently.
_AT_ONCE: Final = 8

# Of a search hit, what remains true if it describes an older version.
_OF_THE_ID: Final = ("@id", "@type", "registration", "id", "owners", "verified", "totalDownloads", "packageTypes")


class Screened:
    """A Feed in front of another."""

    def __init__(self, below: Feed, screening: Screening) -> None:
        self._below = below
        self._screening = screening

    async def offered(self) -> Offered:
        return await self._below.offered()

    # --- by id --------------------------------------------------------------------------------------------------------

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        answer = await self._below.versions(package_id)
        screen = await self._screening.of(package_id)
        if screen is None:
            return answer
        shown = tuple(version for version in answer.value if not screen.verdict(version).is_withheld)
        warning = self._screening.warning(screen, answer.value)
        if not shown:
            raise AllWithheld(package_id.text, warning)
        return Answer(shown, self._limited(answer.provenance, screen), (warning,) if warning else ())

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        return await self._registration(package_id, lambda: self._below.registration(package_id))

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        return await self._registration(package_id, lambda: self._below.registration_between(package_id, lower, upper))

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        return await self._registration(package_id, lambda: self._below.complete_registration(package_id))

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        screen = await self._visible(package)
        answer = await self._below.leaf(package)
        return answer if screen is None else Answer(answer.value, self._limited(answer.provenance, screen))

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        screen = await self._visible(package)
        answer = await self._below.catalog_entry(package)
        return answer if screen is None else Answer(answer.value, self._limited(answer.provenance, screen))

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        screen = await self._screening.of(package.id)
        if screen is None:
            return await self._below.content(package, part)
        verdict = self._screening.check(screen, package)
        answer = await self._below.content(package, part)
        if verdict.needs_file and part is Part.NUPKG:
            answer = await self._screening.inspected(screen, package, answer)
        return Answer(answer.value, self._limited(answer.provenance, screen, with_facts=False))

    async def _registration(
        self, package_id: PackageId, ask: Callable[[], Awaitable[Answer[Registration]]]
    ) -> Answer[Registration]:
        """What `ask` returns if nothing of it is withheld, else all pages, divided anew."""
        screen = await self._screening.of(package_id)
        if screen is None:
            return await ask()
        complete = await self._below.complete_registration(package_id)
        leaves = complete.value.leaves
        shown = complete.value.keeping(lambda leaf: not screen.verdict(leaf.version).is_withheld)
        warning = self._screening.warning(screen, [leaf.version for leaf in leaves])
        if not shown.pages:
            raise AllWithheld(package_id.text, warning)
        answer = await ask() if len(shown.leaves) == len(leaves) else replace(complete, value=shown)
        return Answer(answer.value, self._limited(answer.provenance, screen), (warning,) if warning else ())

    async def _visible(self, package: PackageIdentity) -> Screen | None:
        """Raises VersionNotFound for a withheld version."""
        screen = await self._screening.of(package.id)
        if screen is not None and (verdict := screen.verdict(package.version)).is_withheld:
            why = refusal(package, verdict)
            raise VersionNotFound(package.id.text, package.version.normalized, why)
        return screen

    def _limited(self, provenance: Provenance, *screens: Screen, with_facts: bool = True) -> Provenance:
        lasts = [self._screening.valid_for(screen, with_facts=with_facts) for screen in screens]
        return replace(provenance, valid_for=min(provenance.valid_for, *lasts, math.inf))

    # --- by text ------------------------------------------------------------------------------------------------------

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        if query.asks_nothing:
            return await self._below.search(query)
        screens: list[Screen] = []

        async def ask(skip: int, take: int) -> Rows[SearchHit]:
            answer = await self._below.search(replace(query, skip=skip, take=take))
            return Rows(answer.value.hits, answer.value.total, answer.provenance)

        async def keep(hits: Sequence[SearchHit]) -> list[SearchHit]:
            return await _each(hits, lambda hit: self._hit(hit, query, screens))

        end = query.skip + query.take
        found = await first_rows(ask, keep, lambda hit: lower_invariant(hit.id), end)
        page = SearchPage(found.total, found.rows[query.skip : end])
        return Answer(page, self._limited(found.provenance, *screens))

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        if query.asks_nothing:
            return await self._below.complete(query)
        if query.asks_versions:
            return await self._complete_versions(query)
        screens: list[Screen] = []

        async def ask(skip: int, take: int) -> Rows[str]:
            answer = await self._below.complete(replace(query, skip=skip, take=take))
            return Rows(answer.value.values, answer.value.total, answer.provenance)

        async def keep(ids: Sequence[str]) -> list[str]:
            return await _each(ids, lambda text: self._completed_id(text, query, screens))

        end = query.skip + query.take
        found = await first_rows(ask, keep, lower_invariant, end)
        page = CompletionPage(found.total, found.rows[query.skip : end])
        return Answer(page, self._limited(found.provenance, *screens))

    async def _complete_versions(self, query: CompletionQuery) -> Answer[CompletionPage]:
        answer = await self._below.complete(query)
        screens: list[Screen] = []
        screen = await self._screen_of(query.package_id or "", screens)
        if screen is None:
            return answer
        shown = tuple(text for text in answer.value.values if screen is not _UNKNOWN and _is_shown(screen, text))
        return Answer(replace(answer.value, values=shown), self._limited(answer.provenance, *screens))

    async def _hit(self, hit: SearchHit, query: SearchQuery, screens: list[Screen]) -> SearchHit | None:
        """The hit without withheld versions; None if nothing is left that the query may show."""
        screen = await self._screen_of(hit.id, screens)
        if screen is None:
            return hit
        if screen is _UNKNOWN:
            return None
        given = hit.raw.get("versions")
        rows = given if isinstance(given, list) else []
        shown = [row for row in rows if isinstance(row, dict) and _is_shown(screen, row.get("version"))]
        if _is_shown(screen, hit.raw.get("version")):
            return hit if len(shown) == len(rows) else SearchHit(hit.id, {**hit.raw, "versions": shown})
        leaves = await self._shown_leaves(PackageId.parse(hit.id), screen, query)
        told = hit_from_leaves(leaves, replace(query, text="", package_type=None))
        if told is None:
            return None
        described = {name: value for name, value in hit.raw.items() if name in _OF_THE_ID}
        return SearchHit(told.id, {**told.raw, **described, "versions": shown or told.raw["versions"]})

    async def _completed_id(self, text: str, query: CompletionQuery, screens: list[Screen]) -> str | None:
        screen = await self._screen_of(text, screens)
        if screen is None:
            return text
        if screen is _UNKNOWN:
            return None
        as_search = SearchQuery(prerelease=query.prerelease, semver_level2=query.semver_level2)
        return text if await self._shown_leaves(PackageId.parse(text), screen, as_search) else None

    async def _shown_leaves(self, package_id: PackageId, screen: Screen, query: SearchQuery) -> list[Leaf]:
        try:
            registration = (await self._below.complete_registration(package_id)).value
        except NugetproxyError:
            return []
        shown = (leaf for leaf in registration.leaves if not screen.verdict(leaf.version).is_withheld)
        return visible_leaves(shown, query)

    async def _screen_of(self, text: str, screens: list[Screen]) -> Screen | None:
        """As `Screening.of`, added to `screens`; `_UNKNOWN` if its facts cannot be fetched: a search succeeds without
        the id.
        """
        try:
            screen = await self._screening.of(PackageId.parse(text))
        except NugetproxyError:
            return _UNKNOWN
        if screen is not None:
            screens.append(screen)
        return screen

    # --- trust --------------------------------------------------------------------------------------------------------

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        return await self._below.vulnerabilities()

    async def signatures(self) -> Answer[RepositorySignatures]:
        return await self._below.signatures()

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        return await self._below.certificate(fingerprint)


_UNKNOWN: Final = Screen(PackageId("unknown"), (), {}, {}, {}, 0.0, 0)


def _is_shown(screen: Screen, text: object) -> bool:
    try:
        return isinstance(text, str) and not screen.verdict(NuGetVersion.parse(text)).is_withheld
    except InvalidVersion:
        return False


async def _each(rows: Sequence[T], change: Callable[[T], Awaitable[T | None]]) -> list[T]:
    """The changed rows in order, without None."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(row: T) -> T | None:
        async with turns:
            return await change(row)

    return [row for row in await asyncio.gather(*map(one, rows)) if row is not None]
