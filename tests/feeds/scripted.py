"""Feeds for testing layers: they hold packages in memory and record requests."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nugetproxy.errors import PackageNotFound, VersionNotFound
from nugetproxy.feeds.base import Answer, CatalogEntry, Part, SmallContent
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration, registration_of
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPage, VulnerabilityPages
from tests.fakes.feed import FakeFeed

NAMED = Provenance(Outcome.HIT, fresh_for=30.0)


def a_hit(package_id: str, versions: Sequence[str], **more: Any) -> SearchHit:
    rows = [{"version": version, "downloads": 1} for version in versions]
    return SearchHit(package_id, {"id": package_id, "version": versions[-1], "versions": rows, **more})


class ScriptedFeed(FakeFeed):
    """Packages by id, with their versions ascending. A search finds ids that contain the text, in insertion order."""

    def __init__(self, name: str, packages: Mapping[str, Sequence[str]], *, burnt: Iterable[str] = ()) -> None:
        super().__init__()
        self.name = name
        self.packages = dict(packages)
        self.burnt = frozenset(burnt)
        self.deleted: dict[str, list[str]] = {}
        """Versions by lower-case id."""
        self.advisories: dict[str, list[dict[str, Any]]] = {}
        self.hidden_from_search: frozenset[str] = frozenset()
        self.more: dict[str, Any] = {}
        """Additional fields of every hit."""
        self.said: dict[str, Any] = {}
        """Additional fields of every leaf."""

    # --- by id ---

    async def is_empty(self) -> bool:
        return not self.packages and not self.burnt

    async def known_among(self, lower_ids: Iterable[str]) -> frozenset[str]:
        return frozenset(lower_ids) & ({text.lower() for text in self.packages} | self.burnt)

    async def owned_versions(self, lower_id: str) -> frozenset[NuGetVersion]:
        there = (each for name, versions in self.packages.items() if name.lower() == lower_id for each in versions)
        return frozenset(map(NuGetVersion.parse, (*there, *self.deleted.get(lower_id, ()))))

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        self.asked.append(("versions", package_id.text))
        return Answer(tuple(map(NuGetVersion.parse, self._of(package_id)[1])), NAMED)

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        self.asked.append(("registration", package_id.text))
        name, versions = self._of(package_id)
        return Answer(registration_of(name, [self._leaf(name, version) for version in versions]), NAMED)

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        return await self.registration(package_id)

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        return await self.registration(package_id)

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        self.asked.append(("leaf", str(package)))
        name, _ = self._of_version(package)
        return Answer(self._leaf(name, package.version.normalized), NAMED)

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        leaf = (await self.leaf(package)).value
        return Answer(CatalogEntry(leaf, {**leaf.entry}), NAMED)

    async def content(self, package: PackageIdentity, part: Part) -> Answer[Any]:
        self.asked.append(("content", str(package)))
        self._of_version(package)
        return Answer(SmallContent(self.name.encode(), "text/plain", self.name), NAMED)

    # --- by text ---

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        self.asked.append(("search", query))
        text = query.text.lower().removeprefix("packageid:")
        exact = text != query.text.lower()
        found = [
            a_hit(name, versions, by=self.name, **self.more)
            for name, versions in self.packages.items()
            if (text == name.lower() if exact else text in name.lower() and name not in self.hidden_from_search)
        ]
        return Answer(SearchPage(len(found), tuple(found[query.skip : query.skip + query.take])), NAMED)

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        self.asked.append(("complete", query))
        if query.asks_versions:
            found = next((each for name, each in self.packages.items() if name.lower() == query.package_id), ())
            return Answer(CompletionPage(None, tuple(found)), NAMED)
        ids = [name for name in self.packages if (query.text or "").lower() in name.lower()]
        return Answer(CompletionPage(len(ids), tuple(ids[query.skip : query.skip + query.take])), NAMED)

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        return Answer(VulnerabilityPages((VulnerabilityPage("base", "2026-01-01T00:00:00Z", self.advisories),)), NAMED)

    async def signatures(self) -> Answer[RepositorySignatures]:
        return Answer(RepositorySignatures(True, ()), NAMED)

    def _of(self, package_id: PackageId) -> tuple[str, Sequence[str]]:
        for name, versions in self.packages.items():
            if name.lower() == package_id.lower:
                return name, versions
        if package_id.lower in self.burnt:
            raise VersionNotFound(package_id.text, "*")
        raise PackageNotFound(package_id.text)

    def _of_version(self, package: PackageIdentity) -> tuple[str, Sequence[str]]:
        name, versions = self._of(package.id)
        if package.version not in map(NuGetVersion.parse, versions):
            raise VersionNotFound(package.id.text, package.version.normalized)
        return name, versions

    def _leaf(self, name: str, version: str) -> Leaf:
        entry = {"id": name, "version": version, "by": self.name, **self.said}
        return Leaf(NuGetVersion.parse(version), name, True, False, {"catalogEntry": entry})
