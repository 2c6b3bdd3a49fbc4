"""Protected: the names of ids that are ours alone are never sent upstream.

Rule 1: the feed below is never asked about an id under a protected prefix, nor with a text that names one.
Rule 2: if the feed below mentions such ids itself (in a search for something else, in advisories), they are dropped.
Other packages cannot name them as their title or as their replacement.
The prefixes are passed in; the feed that hosts these ids is above this one.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from nugetproxy.errors import PackageNotFound
from nugetproxy.feeds.base import Answer, CatalogEntry, Feed, Offered, PackageContent, Part, SmallContent
from nugetproxy.feeds.paging import Rows, first_rows
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages

# An answer that is empty by rule stays so until the prefixes change, which hot answers detect themselves.
_PROTECTED: Final = Provenance(Outcome.HIT, fresh_for=10.0, detail="protected")


IsOurs = Callable[[str], Awaitable[bool]]
"""Whether a lower-case id is protected or hosted, so that no upstream may be asked about it. It may raise
StorageUnavailable."""

_ALTERNATE: Final = "alternatePackage"


async def nothing_is_ours(_lower_id: str) -> bool:
    """The `IsOurs` of a mirror without protected prefixes."""
    return False


class Prefixes(Protocol):
    """The current set of ids that are ours alone."""

    def resembles(self, lower_id: str) -> bool:
        """Whether the id is under a protected prefix, or can be mistaken for one that is."""

    def touches(self, search_text: str) -> bool:
        """Whether a word of the text names a protected prefix, with or without its dot, or an id below one."""

    def __bool__(self) -> bool:
        """Whether there are any."""


class Protected:
    """A Feed in front of another: every request to it passes through here."""

    def __init__(
        self,
        prefixes: Callable[[], Awaitable[Prefixes]],
        below: Feed,
        attempted: Callable[[str], None],
        appeared: Callable[[str], None],
    ) -> None:
        """`attempted` is called with each request not sent (an id or a text), `appeared` with each protected id
        (lower-case) that the feed below named.

        Both are called often and must return immediately.
        """
        self._prefixes = prefixes
        self._below = below
        self._attempted = attempted
        self._appeared = appeared

    async def offered(self) -> Offered:
        return await self._below.offered()

    # --- by id --------------------------------------------------------------------------------------------------------

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        await self._refuse_if_protected(package_id)
        return await self._below.versions(package_id)

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        await self._refuse_if_protected(package_id)
        return await self._without_our_names(await self._below.registration(package_id))

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        await self._refuse_if_protected(package_id)
        return await self._without_our_names(await self._below.registration_between(package_id, lower, upper))

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        await self._refuse_if_protected(package_id)
        return await self._without_our_names(await self._below.complete_registration(package_id))

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        await self._refuse_if_protected(package.id)
        answer = await self._below.leaf(package)
        ours = await self._ours(_names(answer.value.entry))
        return Answer(_leaf_without(answer.value, ours), answer.provenance)

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        await self._refuse_if_protected(package.id)
        answer = await self._below.catalog_entry(package)
        leaf, document = answer.value.leaf, answer.value.document
        ours = await self._ours([*_names(leaf.entry), *(_names(document) if document is not None else ())])
        if not ours:
            return answer
        shown = CatalogEntry(_leaf_without(leaf, ours), _without(document, ours) if document is not None else None)
        return Answer(shown, answer.provenance)

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        await self._refuse_if_protected(package.id)
        return await self._below.content(package, part)

    async def _refuse_if_protected(self, package_id: PackageId) -> None:
        if (await self._prefixes()).resembles(package_id.lower):
            self._attempted(package_id.lower)
            raise PackageNotFound(package_id.text, "its prefix is protected and nothing is hosted under this id")

    # --- by text ------------------------------------------------------------------------------------------------------

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        if not await self._prefixes():
            return await self._below.search(query)  # its own pages, unchanged
        if await self._names_protected(query.text, query.package_type):
            return Answer(SearchPage(0, ()), _PROTECTED)

        async def ask(skip: int, take: int) -> Rows[SearchHit]:
            answer = await self._below.search(replace(query, skip=skip, take=take))
            return Rows(answer.value.hits, answer.value.total, answer.provenance)

        async def keep(hits: Sequence[SearchHit]) -> list[SearchHit]:
            prefixes = await self._prefixes()
            return [
                self._hit_without_our_names(hit, prefixes) for hit in hits if not self._has_appeared(hit.id, prefixes)
            ]

        if query.asks_nothing:
            return await self._below.search(query)
        end = query.skip + query.take
        found = await first_rows(ask, keep, lambda hit: lower_invariant(hit.id), end)
        return Answer(SearchPage(found.total, found.rows[query.skip : end]), found.provenance)

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        if not await self._prefixes():
            return await self._below.complete(query)
        if await self._names_protected(query.text or "", query.package_type):
            return Answer(CompletionPage(0, ()), _PROTECTED)
        if query.package_id is not None and await self._names_protected(query.package_id, None):
            return Answer(CompletionPage(None if query.asks_versions else 0, ()), _PROTECTED)
        if query.asks_versions or query.asks_nothing:
            return await self._below.complete(query)

        async def ask(skip: int, take: int) -> Rows[str]:
            answer = await self._below.complete(replace(query, skip=skip, take=take))
            return Rows(answer.value.values, answer.value.total, answer.provenance)

        async def keep(ids: Sequence[str]) -> list[str]:
            prefixes = await self._prefixes()
            return [text for text in ids if not self._has_appeared(text, prefixes)]

        end = query.skip + query.take
        found = await first_rows(ask, keep, lower_invariant, end)
        return Answer(CompletionPage(found.total, found.rows[query.skip : end]), found.provenance)

    async def _names_protected(self, text: str, package_type: str | None) -> bool:
        prefixes = await self._prefixes()
        if not prefixes.touches(text) and not prefixes.touches(package_type or ""):
            return False
        self._attempted(text)
        return True

    def _has_appeared(self, package_id: str, prefixes: Prefixes) -> bool:
        lower_id = lower_invariant(package_id)
        if not prefixes.resembles(lower_id):
            return False
        self._appeared(lower_id)
        return True

    # --- names in the metadata of other ids ---

    async def _without_our_names(self, answer: Answer[Registration]) -> Answer[Registration]:
        if not await self._prefixes():
            return answer
        ours = await self._ours({name for leaf in answer.value.loaded_leaves for name in _names(leaf.entry)})
        if not ours:
            return answer
        return replace(answer, value=answer.value.changed(lambda leaf: _leaf_without(leaf, ours)))

    async def _ours(self, names: Iterable[str]) -> set[str]:
        prefixes = await self._prefixes()
        return {name for name in names if self._has_appeared(name, prefixes)}

    def _hit_without_our_names(self, hit: SearchHit, prefixes: Prefixes) -> SearchHit:
        ours = {name for name in _names(hit.raw) if self._has_appeared(name, prefixes)}
        return replace(hit, raw=_without(hit.raw, ours)) if ours else hit

    # --- trust --------------------------------------------------------------------------------------------------------

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        """Without advisories about look-alikes: clients would apply them to our own packages."""
        answer = await self._below.vulnerabilities()
        prefixes = await self._prefixes()
        pages = tuple(
            replace(page, body={name: rows for name, rows in page.body.items() if name not in hidden})
            if (hidden := {name for name in page.body if prefixes.resembles(lower_invariant(name))})
            else page
            for page in answer.value.pages
        )
        return Answer(VulnerabilityPages(pages), answer.provenance)

    async def signatures(self) -> Answer[RepositorySignatures]:
        return await self._below.signatures()

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        return await self._below.certificate(fingerprint)


def _names(entry: Mapping[str, Any]) -> Iterable[str]:
    """The names in a catalogEntry or a search hit, except the dependencies, which may be any package."""
    if isinstance(title := entry.get("title"), str):
        yield title
    if (alternate := _alternate_of(entry)) and isinstance(package_id := alternate.get("id"), str):
        yield package_id


def _leaf_without(leaf: Leaf, names: set[str]) -> Leaf:
    return replace(leaf, raw={**leaf.raw, "catalogEntry": _without(leaf.entry, names)}) if names else leaf


def _without(entry: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    shown = dict(entry)
    if shown.get("title") in names:
        del shown["title"]
    if (alternate := _alternate_of(entry)) and alternate.get("id") in names:
        shown["deprecation"] = {name: value for name, value in entry["deprecation"].items() if name != _ALTERNATE}
    return shown


def _alternate_of(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    deprecation = entry.get("deprecation")
    alternate = deprecation.get(_ALTERNATE) if isinstance(deprecation, dict) else None
    return alternate if isinstance(alternate, dict) else None
