"""A FakeFeed of several packages, for the tests of the V2 feed."""

from typing import Any

from nugetproxy.errors import PackageNotFound, PartNotFound, VersionNotFound
from nugetproxy.feeds.base import Answer, CatalogEntry, PackageContent, Part
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration, registration_of
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from tests.fakes.feed import FakeFeed, a_leaf


class CatalogueFeed(FakeFeed):
    """`add` packages; searches look for their text in ids and tags, as registrations and the upstream would."""

    def __init__(self) -> None:
        super().__init__()
        self.packages: dict[str, list[Leaf]] = {}
        self.failing: dict[str, Exception] = {}
        """The exception raised for the registration of an id (lower case)."""
        self.documents: dict[str, dict[str, object]] = {}
        """Catalog pages by "id version"."""
        self.popularity: dict[str, int] = {}

    def add(self, package_id: str, version: str, *, listed: bool = True, **entry: Any) -> None:
        leaf = a_leaf(package_id, version, is_semver2=NuGetVersion.parse(version).is_semver2)
        leaf.entry.update(entry)
        leaf = Leaf(leaf.version, package_id, listed, leaf.is_semver2, leaf.raw)
        self.packages.setdefault(package_id.lower(), []).append(leaf)

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        return self._registration("registration", package_id)

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        return self._registration("complete_registration", package_id)

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        return self._registration("registration_between", package_id)

    def _registration(self, method: str, package_id: PackageId) -> Answer[Registration]:
        self.asked.append((method, package_id.lower))
        if package_id.lower in self.failing:
            raise self.failing[package_id.lower]
        leaves = self.packages.get(package_id.lower)
        if not leaves:
            raise PackageNotFound(package_id.text)
        return self._answer(registration_of(leaves[0].package_id, leaves))

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        self.asked.append(("content", (package, part)))
        self._find(package)
        if part not in self.contents:
            raise PartNotFound(package.id.text, package.version.normalized, part.value)
        return self._answer(self.contents[part])

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        return self._answer(self._find(package))

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        return self._answer(CatalogEntry(self._find(package), self.documents.get(str(package))))

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        self._ask("search", None, query)
        found = [hit for leaves in self.packages.values() if (hit := self._hit(leaves, query)) is not None]
        return self._answer(SearchPage(len(found), tuple(found[query.skip : query.skip + query.take])))

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        self._ask("complete", None, query)
        if query.asks_versions:
            leaves = self.packages.get((query.package_id or "").lower(), [])
            return self._answer(CompletionPage(None, tuple(leaf.version.normalized for leaf in leaves)))
        words = (query.text or "").lower()  # as nuget.org: of any word of an id
        ids = [
            leaves[0].package_id for lid, leaves in self.packages.items() if lid.startswith(words) or f".{words}" in lid
        ]
        return self._answer(CompletionPage(len(ids), tuple(ids[query.skip : query.skip + query.take])))

    def _hit(self, leaves: list[Leaf], query: SearchQuery) -> SearchHit | None:
        visible = sorted(
            leaf.version
            for leaf in leaves
            if leaf.listed
            and (query.prerelease or not leaf.version.is_prerelease)
            and (query.semver_level2 or not leaf.is_semver2)
        )
        texts = [str(leaf.entry.get(name, "")) for leaf in leaves for name in ("id", "tags", "description")]
        if not visible or query.text.lower() not in " ".join(texts).lower():
            return None
        package_id = leaves[0].package_id
        newest = next(leaf.entry for leaf in leaves if leaf.version == visible[-1])
        versions = [{"version": version.full, "downloads": 1} for version in visible]
        raw = {"id": package_id, "version": visible[-1].full, "versions": versions}
        raw |= {name: newest[name] for name in ("tags", "description", "title") if name in newest}
        return SearchHit(package_id, {**raw, "totalDownloads": self.popularity.get(package_id.lower(), 0)})

    def _find(self, package: PackageIdentity) -> Leaf:
        for leaf in self.packages.get(package.lower_id, ()):
            if leaf.version == package.version:
                return leaf
        if package.lower_id in self.packages:
            raise VersionNotFound(package.id.text, package.version.normalized)
        raise PackageNotFound(package.id.text)
