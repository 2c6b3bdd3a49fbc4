"""Feed: anything that can answer for package ids, and the types of its answers.

Rule 1: a feed answers with values; the wire format belongs to `protocol`, the transport to `web`.
Rule 2: a feed never reports "unknown at the moment" as "does not exist".
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
"""In an answer's provenance: it consists of hosted packages, at least in part."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A value and where it came from. `warnings` are sentences for the client's user."""

    value: T
    provenance: Provenance = OWN
    warnings: tuple[str, ...] = ()


class Part(StrEnum):
    """The parts of an identity in the flat container."""

    NUPKG = "nupkg"
    NUSPEC = "nuspec"
    README = "readme"
    ICON = "icon"
    LICENSE = "license"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A complete, verified, immutable file on our disk.

    `modified` is in whole seconds since the epoch; `etag` is opaque text without quotes, stable for these bytes.
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
    """Bytes that are still arriving from the upstream, shared by all readers.

    The end of the content is only handed out after all checks have passed. On any failure `chunks` raises
    (UpstreamError, StorageUnavailable) and the reader must break its connection: a short body never looks complete.
    """

    @property
    def size(self) -> int | None:
        """Total size in bytes, None if the upstream did not state it."""

    @property
    def content_type(self) -> str: ...

    def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        """The bytes from `start` to the end, as they arrive. Closing the iterator early affects no other reader."""


PackageContent = LocalFile | SmallContent | GrowingContent


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """The catalog's document about an identity: the upstream's if it could be fetched, else None."""

    leaf: Leaf
    document: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class Offered:
    """Which optional resources a feed can currently serve."""

    vulnerabilities: bool = False
    repository_signatures: bool = False
    search: bool = True
    readme: bool = True
    extra: frozenset[str] = field(default_factory=frozenset)


class Feed(Protocol):
    """The contract. Every method may raise:

    PackageNotFound: the id is unknown; an overlay asks the next feed.
    VersionNotFound, PartNotFound: the feed owns the id but lacks this; an overlay stops here.
    UpstreamError (unavailable, timeout, nonsense): unknown at the moment. Never "not found".
    StorageUnavailable: our own disk failed.
    """

    async def offered(self) -> Offered:
        """What to advertise in the service index; never raises for an upstream's failure."""

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        """All versions, unlisted ones included, ascending. Never empty: raises for an id without versions."""

    async def registration(self, package_id: PackageId) -> Answer[Registration]:
        """The registration index; its outlying pages may be unloaded (they are being fetched ahead)."""

    async def registration_between(
        self, package_id: PackageId, lower: NuGetVersion, upper: NuGetVersion
    ) -> Answer[Registration]:
        """As `registration`, with every page that overlaps `lower`..`upper` (inclusive) loaded."""

    async def complete_registration(self, package_id: PackageId) -> Answer[Registration]:
        """As `registration`, with all pages loaded."""

    async def leaf(self, package: PackageIdentity) -> Answer[Leaf]:
        """One version's registration leaf; if the kept index lacks it, the upstream is asked again before refusing."""

    async def catalog_entry(self, package: PackageIdentity) -> Answer[CatalogEntry]: ...

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]: ...

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        """Never raises for an upstream's failure: kept packages are searched instead."""

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        """As `search`, for ids and versions."""

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        """Raises DocumentNotFound if none are kept and none can be fetched, NotOffered if there is no such resource;
        never UpstreamError.
        """

    async def signatures(self) -> Answer[RepositorySignatures]:
        """Raises DocumentNotFound if none are kept and none can be fetched; never UpstreamError."""

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        """A repository signing certificate (DER) by its lower-case SHA-256 fingerprint."""
