"""The values that a download is made of: what is wanted, where its bytes go, what is told when it is kept."""

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from nugetproxy.mirroring.upstream import UpstreamClient
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.storage.blobs.base import BlobKey, BlobStore
from nugetproxy.storage.spool import SpoolFolder
from nugetproxy.storage.spool_notices import SpoolNotices


@dataclass(frozen=True, slots=True)
class CommittedPackage:
    """A package that has just been kept. `content_hash` is that of lock files, `sha512` of the file; both base64."""

    upstream: str
    identity: PackageIdentity
    manifest: PackageManifest
    path: Path
    size: int
    content_hash: str
    sha512: str


@dataclass(frozen=True, slots=True)
class WantedContent:
    """What to fetch, and where it is kept: the package at `nupkg`, what its author wrote at `nuspec`."""

    upstream: UpstreamClient
    identity: PackageIdentity
    url: str
    key: str
    nupkg: BlobKey
    nuspec: BlobKey


@dataclass(frozen=True, slots=True)
class Places:
    """Where bytes go, and the threads that wait for the disk."""

    folder: SpoolFolder
    notices: SpoolNotices
    blobs: BlobStore
    threads: Executor
