"""Packages shared by the nodes of a fleet: one node asks the upstream, the others read what it left in the bucket.

A download that a node leads gets its bytes from the bucket if another node has left the package there, otherwise from
the upstream, while no other node asks for it. A row in the shared database says what is in the bucket, with its hash,
so that no wrong object is ever served. Without the bucket or the database each node fetches for itself: that costs more
requests, and is never wrong.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from nugetproxy import metrics
from nugetproxy.errors import StorageUnavailable, UpstreamUnavailable
from nugetproxy.executors.base import Executor
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.contents import CommittedPackage, Incoming, WantedContent
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.leases import Rights
from nugetproxy.storage.refusals import Refusals

FOLDER: Final = "mirror"
"""The first segment of the keys of mirrored packages in the bucket."""

# Seconds that a node waits for another one to fetch a package before it asks the upstream as well.
_PATIENCE: Final = 60.0
_NOW: Final = "extract(epoch FROM clock_timestamp())::bigint"
_ONE: Final = "WHERE upstream = ? AND lower_id = ? AND lower_version = ?"
_INSERT: Final = (
    "INSERT INTO shared_packages (upstream, lower_id, lower_version, blob, size, sha512, stored, used)"  # noqa: S608 - ours
    f" VALUES (?, ?, ?, ?, ?, ?, {_NOW}, {_NOW}) ON CONFLICT DO NOTHING"
)
_FIND: Final = f"SELECT blob, size, sha512, used < {_NOW} - 86400 FROM shared_packages {_ONE}"  # noqa: S608 - ours
_USE: Final = f"UPDATE shared_packages SET used = {_NOW} {_ONE}"  # noqa: S608 - ours
_FORGET: Final = f"DELETE FROM shared_packages {_ONE} AND blob = ?"  # noqa: S608 - ours

_log = logger()


class Bucket(Protocol):
    """The part of `BucketBlobs` that is used here. Every method blocks, and raises StorageUnavailable."""

    def blocks(self, key: BlobKey, size: int, start: int = 0) -> Iterator[bytes]: ...

    def upload_file(self, key: BlobKey, path: Path, size: int, sha512: bytes) -> None: ...

    def delete(self, key: BlobKey) -> None: ...


@dataclass(frozen=True, slots=True)
class SharedPackage:
    """A package in the bucket. `sha512` is that of the file, in base64."""

    blob: BlobKey
    size: int
    sha512: str


class FleetPackages:
    """The packages of one fleet, as seen by one node."""

    def __init__(self, database: Database, bucket: Bucket, leases: Rights, threads: Executor) -> None:
        self._database = database
        self._bucket = bucket
        self._leases = leases
        self._threads = threads
        self._refusals = Refusals("packages_shared_again")

    @asynccontextmanager
    async def leading(self, wanted: WantedContent) -> AsyncIterator["FleetSource"]:
        """Where to get the bytes from; no other node asks the upstream for them until the end of the context."""
        upstream = wanted.upstream.name
        async with AsyncExitStack() as stack:
            found = await self._find(upstream, wanted.identity)
            if found is None:
                # After our patience without the right: a second request to the upstream is better than none.
                with suppress(TimeoutError, StorageUnavailable):
                    async with asyncio.timeout(_PATIENCE):
                        await stack.enter_async_context(self._leases.hold(f"package {wanted.nupkg}"))
                    found = await self._find(upstream, wanted.identity)
            yield FleetSource(self, wanted, found)

    async def share(self, committed: CommittedPackage) -> None:
        """Leave a package for the other nodes. Never raises: what cannot be shared is fetched again elsewhere."""
        sha512 = base64.b64decode(committed.sha512)
        identity = committed.identity
        name = f"{sha512.hex()[:32]}.nupkg"
        blob = BlobKey.of(FOLDER, committed.upstream, identity.lower_id, identity.lower_version, name)
        names = (committed.upstream, identity.lower_id, identity.lower_version)
        row = (*names, str(blob), committed.size, committed.sha512)
        try:
            await self._threads.run(self._bucket.upload_file, blob, committed.path, committed.size, sha512)
            await self._database.change(_INSERT, row)
        except StorageUnavailable as error:
            self._refusals.refused("package_not_shared", str(error), package=str(identity))
        else:
            self._refusals.kept()

    async def forget(self, wanted: WantedContent, found: SharedPackage) -> None:
        """Remove a package whose bytes in the bucket are not what was left there. Never raises."""
        names = (wanted.upstream.name, wanted.identity.lower_id, wanted.identity.lower_version, str(found.blob))
        _log.error("shared_package_damaged", package=str(wanted.identity), blob=str(found.blob))
        with suppress(StorageUnavailable):
            await self._database.change(_FORGET, names)
            await self._threads.run(self._bucket.delete, found.blob)

    async def blocks(self, found: SharedPackage, start: int) -> AsyncIterator[bytes]:
        """Its bytes from `start` on. Raises StorageUnavailable."""
        reading = self._bucket.blocks(found.blob, found.size, start)
        while (block := await self._threads.run(next, reading, None)) is not None:
            yield block

    async def _find(self, upstream: str, identity: PackageIdentity) -> SharedPackage | None:
        names = (upstream, identity.lower_id, identity.lower_version)
        try:
            rows = await self._database.fetch(_FIND, names)
        except StorageUnavailable as error:
            self._refusals.refused("package_not_shared", str(error), package=str(identity))
            return None
        if not rows:
            return None
        blob, size, sha512, is_due = rows[0]  # uses are noted once a day: they only decide what goes first
        if is_due:
            self._database.submit(lambda transaction: transaction.change(_USE, names)).add_done_callback(
                lambda future: future.cancelled() or future.exception()
            )
        return SharedPackage(BlobKey(tuple(blob.split("/"))), size, sha512)


class FleetSource:
    """Where one download gets its bytes: first from the bucket, if the package is there, then from the upstream."""

    def __init__(self, packages: FleetPackages, wanted: WantedContent, found: SharedPackage | None) -> None:
        self._packages = packages
        self._wanted = wanted
        self._found = found
        self._is_read = False
        self.name = wanted.upstream.name

    @asynccontextmanager
    async def download(
        self, url: str, *, start: int = 0, if_range: str = "", patience: float
    ) -> AsyncIterator[Incoming]:
        """See `UpstreamClient.download`."""
        if self._is_read and self._found is not None:
            # It was read to its end and asked for again: it did not pass the checks.
            found, self._found = self._found, None
            await self._packages.forget(self._wanted, found)
        if self._found is None:
            async with self._wanted.upstream.download(url, start=start, if_range=if_range, patience=patience) as answer:
                yield answer
            return
        begin = start if if_range == _tag(self._found) else 0
        yield _FromBucket(self.name, self._found, begin, self._packages.blocks(self._found, begin), self._ended)

    async def share(self, committed: CommittedPackage) -> None:
        """Leave the package in the bucket, unless it came from there."""
        if self._found is None:
            await self._packages.share(committed)

    def _ended(self, *, is_whole: bool) -> None:
        if is_whole:
            self._is_read = True
        else:
            self._found = None  # the bucket failed: the upstream continues, from the beginning


class _FromBucket:
    """An `Incoming` that is read from the bucket."""

    last_modified = ""
    content_type = "application/octet-stream"
    md5: bytes | None = None

    def __init__(
        self, upstream: str, found: SharedPackage, start: int, blocks: AsyncIterator[bytes], ended: Callable[..., Any]
    ) -> None:
        self.status = 206 if start else 200
        self.start = start
        self.total: int | None = found.size
        self.etag = _tag(found)
        self.sha512: str | None = found.sha512
        self._upstream = upstream
        self._blocks = blocks
        self._ended = ended

    async def chunks(self) -> AsyncIterator[bytes]:
        received = self.start
        try:
            async for block in self._blocks:
                received += len(block)
                yield block
        except (KeyError, StorageUnavailable) as error:
            self._ended(is_whole=False)
            raise UpstreamUnavailable(self._upstream, f"the bucket failed: {error}") from error
        metrics.SHARED_PACKAGES.inc()
        self._ended(is_whole=True)


def _tag(found: SharedPackage) -> str:
    """A validator of our own: no upstream has it, so that its bytes are never joined with an upstream's."""
    return f'"bucket-{found.blob.segments[-1]}"'
