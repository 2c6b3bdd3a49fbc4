"""The data of downloads: what to fetch, where its bytes go, and what is reported when it is kept and later on."""

import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from nugetproxy.feeds.base import Answer, PackageContent
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.storage.blobs.base import BlobInfo, BlobKey, BlobStore
from nugetproxy.storage.refusals import Refusals
from nugetproxy.storage.spool import SpoolFolder
from nugetproxy.storage.spool_notices import SpoolNotices

C = TypeVar("C", bound=PackageContent)

Watcher = Callable[[bytes], bool]
"""Is given the bytes of a download in order from the first one, before they are checked, until it returns False. Called
on the event loop: it must be quick and raise nothing."""
Watch = Callable[[PackageIdentity], Watcher | None]
"""Called when the bytes of a package begin to arrive; None if nobody wants to see them."""


def watch_nothing(_: PackageIdentity) -> None:
    """A `Watch` that wants to see no download."""


CONTENT_SECONDS: Final = 86_400.0
"""Seconds that a package file or a part of it is fresh. It never changes; a day is long enough."""


def kept_content(content: C, since: float) -> Answer[C]:
    """The caching data of a package file, or a part of it, that has been kept since then (unix time in seconds)."""
    age = max(0.0, time.time() - since)
    return Answer(content, Provenance(Outcome.HIT, age=age, fresh_for=CONTENT_SECONDS))


@dataclass(frozen=True, slots=True)
class CommittedPackage:
    """A package that has just been stored. `content_hash` is that of lock files, `sha512` of the file; both base64.

    `modified` is the file's time in nanoseconds, `milliseconds` how long the download took.
    """

    upstream: str
    identity: PackageIdentity
    manifest: PackageManifest
    path: Path
    size: int
    content_hash: str
    sha512: str
    modified: int = 0
    milliseconds: int = 0


class Incoming(Protocol):
    """One file being received. See `upstream.resuming.UpstreamDownload`."""

    status: int
    start: int
    total: int | None
    etag: str
    last_modified: str
    content_type: str
    sha512: str | None
    md5: bytes | None

    def chunks(self) -> AsyncIterator[bytes]: ...


class Source(Protocol):
    """Where one download gets its bytes: an upstream, or what another node has left."""

    def download(
        self, url: str, *, start: int = 0, if_range: str = "", patience: float
    ) -> AbstractAsyncContextManager[Incoming]:
        """See `UpstreamClient.download`."""


class Guard(Protocol):
    """Whether kept files are still as they were committed."""

    def looks_right(self, kept: BlobInfo) -> bool:
        """By size and time only: cheap enough for the event loop."""

    async def examine(self, key: BlobKey) -> None:
        """Read a file that does not look right. Afterwards it does, or it is gone. Raises StorageUnavailable."""


@dataclass(frozen=True, slots=True)
class WantedContent:
    """What to fetch, and where to store it: the package at `nupkg`, its manifest at `nuspec`."""

    upstream: UpstreamClient
    identity: PackageIdentity
    url: str
    key: str
    nupkg: BlobKey
    nuspec: BlobKey


@dataclass(frozen=True, slots=True)
class Places:
    """Where bytes are written, and the threads that wait for the disk."""

    folder: SpoolFolder
    notices: SpoolNotices
    blobs: BlobStore
    refusals: Refusals
    threads: Executor
