"""A Feed that answers from memory, fails on demand and records its calls."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from nugetproxy.errors import DocumentNotFound, PackageNotFound, PartNotFound, VersionNotFound
from nugetproxy.feeds.base import Answer, CatalogEntry, Offered, PackageContent, Part, SmallContent
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration, registration_of
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPage, VulnerabilityPages

T = TypeVar("T")

HIT = Provenance(Outcome.HIT, age=20.0, fresh_for=40.0)

UPSTREAM = "https://upstream.test/v3"

FINGERPRINT = "ab" * 32


def a_leaf(package_id: str, version: str, *, is_semver2: bool = False) -> Leaf:
    """A leaf as an upstream would send it, with the upstream's URLs in it."""
    lower = package_id.lower()
    entry = {
        "@id": f"{UPSTREAM}/catalog/{lower}.{version}.json",
        "@type": "PackageDetails",
        "id": package_id,
        "version": version,
        "packageContent": f"{UPSTREAM}/flat/{lower}/{version}/{lower}.{version}.nupkg",
        "listed": True,
    }
    raw = {
        "@id": f"{UPSTREAM}/reg/{lower}/{version}.json",
        "@type": "Package",
        "catalogEntry": entry,
        "packageContent": entry["packageContent"],
        "registration": f"{UPSTREAM}/reg/{lower}/index.json",
    }
    return Leaf(NuGetVersion.parse(version), package_id, listed=True, is_semver2=is_semver2, raw=raw)


class Growing:
    """A GrowingContent whose bytes are known beforehand; may fail after some of them."""

    def __init__(
        self,
        pieces: Iterable[bytes],
        *,
        size: int | None = None,
        error: Exception | None = None,
        content_type: str = "application/octet-stream",
    ) -> None:
        self._pieces = tuple(pieces)
        self._error = error
        self.size = size
        self.content_type = content_type
        self.closed = 0
        """How many readers have ended, in whatever way."""

    async def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        try:
            skipped = 0
            for piece in self._pieces:
                rest = piece[max(0, start - skipped) :]
                skipped += len(piece)
                if rest:
                    yield rest
            if self._error is not None:
                raise self._error
        finally:
            self.closed += 1


class FakeFeed:
    """Knows one package unless told otherwise. `error`, when set, is raised by every method but `offered`."""

    def __init__(self, package_id: str = "Contoso.Utils", versions: Iterable[str] = ("1.0.0", "1.2.0-Beta.1")) -> None:
        self.leaves = [a_leaf(package_id, version) for version in versions]
        self.package_id = PackageId.parse(package_id)
        self.provenance = HIT
        self.error: Exception | None = None
        self.offers = Offered(vulnerabilities=True, repository_signatures=True)
        self.contents: dict[Part, PackageContent] = {}
        self.pages: tuple[VulnerabilityPage, ...] = (VulnerabilityPage("base", "2026-01-01T00:00:00Z", {"x": []}),)
        self.asked: list[tuple[str, Any]] = []

    async def offered(self) -> Offered:
        return self.offers

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        self._ask("versions", package_id)
        return self._answer(tuple(sorted(leaf.version for leaf in self.leaves)))

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        self._ask("registration", package_id)
        return self._answer(registration_of(self.package_id.text, self.leaves))

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        self._ask("registration_between", package_id)
        return self._answer(registration_of(self.package_id.text, self.leaves))

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        self._ask("complete_registration", package_id)
        return self._answer(registration_of(self.package_id.text, self.leaves))

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        self._ask("leaf", package.id, package)
        return self._answer(self._find(package))

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]:
        self._ask("catalog_entry", package.id, package)
        return self._answer(CatalogEntry(self._find(package), None))

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        self._ask("content", package.id, (package, part))
        self._find(package)
        if part not in self.contents:
            raise PartNotFound(package.id.text, package.version.normalized, part.value)
        return self._answer(self.contents[part])

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        self._ask("search", None, query)
        hit = SearchHit(self.package_id.text, {"id": self.package_id.text, "version": "1.0.0", "versions": []})
        return self._answer(SearchPage(1, (hit,)))

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        self._ask("complete", None, query)
        return self._answer(CompletionPage(1, (self.package_id.text,)))

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        self._ask("vulnerabilities")
        return self._answer(VulnerabilityPages(self.pages))

    async def signatures(self) -> Answer[RepositorySignatures]:
        self._ask("signatures")
        certificate = {"fingerprints": {"2.16.840.1.101.3.4.2.1": FINGERPRINT}, "contentUrl": f"{UPSTREAM}/c.crt"}
        return self._answer(RepositorySignatures(True, (certificate,)))

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        self._ask("certificate", None, fingerprint)
        if fingerprint != FINGERPRINT:
            raise DocumentNotFound("no such certificate")
        return self._answer(SmallContent(b"DER", "application/x-x509-ca-cert", "der"))

    def _ask(self, method: str, package_id: PackageId | None = None, what: Any = None) -> None:
        self.asked.append((method, package_id if what is None else what))
        if self.error is not None:
            raise self.error
        if package_id is not None and package_id != self.package_id:
            raise PackageNotFound(package_id.text)

    def _find(self, package: PackageIdentity) -> Leaf:
        found: Callable[[Leaf], bool] = lambda leaf: leaf.version == package.version  # noqa: E731
        for leaf in filter(found, self.leaves):
            return leaf
        raise VersionNotFound(package.id.text, package.version.normalized)

    def _answer(self, value: T) -> Answer[T]:
        return Answer(value, self.provenance)
