"""Feed: anything that can answer for package ids, and the shapes of its answers.

Rule 1: a feed answers in values; what they look like on the wire is `protocol`'s affair and how they travel is `web`'s.
Rule 2: a feed never turns "cannot know now" into "does not exist".
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from nugetproxy.httpcache.outcome import OWN, Provenance
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchPage, SearchQuery
from nugetproxy.protocol.v3.signatures import RepositorySignatures
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPages

T = TypeVar("T")

HOSTED: Final = "hosted"
"""The detail of an answer's provenance that tells that it is made of hosted packages (some of it, at least)."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A value and where it came from."""

    value: T
    provenance: Provenance = OWN


class Part(StrEnum):
    """What can be asked of an identity in the flat container."""

    NUPKG = "nupkg"
    NUSPEC = "nuspec"
    README = "readme"
    ICON = "icon"
    LICENSE = "license"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A complete, checked, immutable file on our disk.

    `modified` is in seconds since the epoch, whole; `etag` is opaque text without quotes, stable for these bytes.
    """

    path: Path
    size: int
    modified: int
    etag: str
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class SmallContent:
    """A part that fits in memory (nuspec, readme, icon, licence)."""

    body: bytes
    content_type: str
    etag: str


class GrowingContent(Protocol):
    """Bytes that are still arriving from upstream, shared by all who ask.

    The bytes handed out never include the end of the content before all checks passed; on any failure `chunks` raises
    (UpstreamError, StorageUnavailable) and the reader must break its connection: a short body never looks complete.
    """

    @property
    def size(self) -> int | None:
        """Total size in bytes, None when the upstream did not say."""

    @property
    def content_type(self) -> str: ...

    def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        """The bytes from `start` to the end, as they arrive. Closing the iterator early harms no other reader."""


PackageContent = LocalFile | SmallContent | GrowingContent


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """The catalog's own page about an identity: the upstream's document where it was to be had, else None."""

    leaf: Leaf
    document: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class Offered:
    """Which optional resources a feed can answer for now."""

    vulnerabilities: bool = False
    repository_signatures: bool = False
    search: bool = True
    readme: bool = True
    extra: frozenset[str] = field(default_factory=frozenset)


class Feed(Protocol):
    """The contract. Every method may raise

    PackageNotFound: does not know the id; an overlay asks the next feed.
    VersionNotFound, PartNotFound: owns the id and lacks this; an overlay stops here.
    UpstreamError (unavailable, timeout, nonsense): cannot know now. Never "not found".
    StorageUnavailable: our own disk failed.
    """

    async def offered(self) -> Offered:
        """What to advertise in the service index; never raises for an upstream's failure."""

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        """All versions, unlisted ones included, ascending. Never empty: an id without versions raises."""

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        """The registration index; its outlying pages may be unloaded (they are being fetched ahead)."""

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        """As `registration`, with every page loaded that overlaps `lower`..`upper` (inclusive)."""

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        """As `registration`, with all pages loaded."""

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        """One version's registration leaf; a version the kept index lacks is asked for once more before refusing."""

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]: ...

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]: ...

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        """Never raises for an upstream's failure: what is kept is searched instead."""

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        """As `search`, for ids and versions."""

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        """Raises DocumentNotFound when nothing is kept and nothing can be had; never UpstreamError."""

    async def signatures(self) -> Answer[RepositorySignatures]:
        """Raises DocumentNotFound when none is kept and none can be had; never UpstreamError."""

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        """A repository signing certificate (DER) by its lower-case SHA-256 fingerprint."""
