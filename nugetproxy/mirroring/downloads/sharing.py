"""Packages shared by the nodes of a fleet: one node asks the upstream, the others read what it left in the bucket.

A download that a node leads gets its bytes from the bucket if another node has left the package there, otherwise from
the upstream, while no other node asks for it. A row in the shared database says what is in the bucket, with its hash,
so that no wrong object is ever served. Without the bucket or the database each node fetches for itself: that costs more
requests, and is never wrong.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from nugetproxy import metrics
from nugetproxy.errors import DocumentAbsent, StorageUnavailable, UpstreamUnavailable
from nugetproxy.executors.base import Executor
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.contents import CommittedPackage, Incoming, WantedContent
from nugetproxy.mirroring.downloads.shared_packages import (
    Absence,
    PackageKey,
    SharedPackage,
    SharedPackages,
    package_called,
)
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.blobs.checked import WrongContent
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.leases import Rights
from nugetproxy.storage.refusals import Refusals

FOLDER: Final = "mirror"
"""The first segment of the keys of mirrored packages in the bucket."""

# Seconds that a node waits for another one to fetch a package before it asks the upstream as well.
_PATIENCE: Final = 60.0

_log = logger()


class Bucket(Protocol):
    """The part of `BucketBlobs` that is used here. Every method blocks, and raises StorageUnavailable."""

    def blocks(self, key: BlobKey, size: int, start: int = 0) -> Iterator[bytes]: ...

    def upload_file(self, key: BlobKey, path: Path, size: int, sha512: bytes) -> None: ...

    def delete(self, key: BlobKey) -> None: ...


class FleetPackages:
    """The packages of one fleet, as seen by one node."""

    def __init__(
        self, database: Database, bucket: Bucket, leases: Rights, threads: Executor, absent_seconds: float
    ) -> None:
        """`threads` wait for the bucket. `absent_seconds`: how long it is believed that an upstream lacks a package."""
        self._absent_seconds = absent_seconds
        self.rows = SharedPackages(database)
        self.bucket = bucket
        self.leases = leases
        self.threads = threads
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
                        await stack.enter_async_context(self.leases.hold(f"package {wanted.nupkg}"))
                    found = await self._find(upstream, wanted.identity)
            yield FleetSource(self, wanted, found)

    async def has(self, upstream: str, identity: PackageIdentity) -> bool:
        """Whether the package is in the bucket. Raises StorageUnavailable."""
        return isinstance(await self.rows.find(_key(upstream, identity)), SharedPackage)

    async def share(self, committed: CommittedPackage) -> None:
        """Leave a package for the other nodes. Never raises: what cannot be shared is fetched again elsewhere."""
        sha512 = base64.b64decode(committed.sha512)
        key = _key(committed.upstream, committed.identity)
        # No name is used twice: an object that is about to be deleted is not this one.
        blob = BlobKey.of(FOLDER, *key, f"{sha512.hex()[:32]}-{secrets.token_hex(4)}.nupkg")
        try:
            await self.rows.announce(blob)
            await self.threads.run(self.bucket.upload_file, blob, committed.path, committed.size, sha512)
            await self.rows.add(key, SharedPackage(blob, committed.size, committed.sha512))
        except StorageUnavailable as error:
            self._refusals.refused("package_not_shared", str(error), package=str(committed.identity))
        else:
            self._refusals.kept()

    async def note_absent(self, wanted: WantedContent) -> None:
        """The upstream does not have the package. Never raises: then each node asks for itself."""
        with suppress(StorageUnavailable):
            called = package_called(_key(wanted.upstream.name, wanted.identity))
            await self.rows.note_absent(called, self._absent_seconds)

    async def forget(self, wanted: WantedContent, found: SharedPackage) -> None:
        """Remove a package whose bytes in the bucket are not what was left there, or are missing. Never raises."""
        _log.error("shared_package_damaged", package=str(wanted.identity), blob=str(found.blob))
        with suppress(StorageUnavailable):
            await self.rows.forget(_key(wanted.upstream.name, wanted.identity), found)

    async def blocks(self, found: SharedPackage, start: int) -> AsyncIterator[bytes]:
        """Its bytes from `start` on. Raises StorageUnavailable."""
        reading = self.bucket.blocks(found.blob, found.size, start)
        while (block := await self.threads.run(next, reading, None)) is not None:
            yield block

    async def _find(self, upstream: str, identity: PackageIdentity) -> SharedPackage | Absence | None:
        try:
            return await self.rows.find(_key(upstream, identity))
        except StorageUnavailable as error:
            self._refusals.refused("package_not_shared", str(error), package=str(identity))
            return None


class FleetSource:
    """Where one download gets its bytes: first from the bucket, if the package is there, then from the upstream."""

    def __init__(self, packages: FleetPackages, wanted: WantedContent, found: SharedPackage | Absence | None) -> None:
        self._packages = packages
        self._wanted = wanted
        self._absence = found if isinstance(found, Absence) else None
        self._found = found if isinstance(found, SharedPackage) else None
        self._is_wrong = False
        self.name = wanted.upstream.name

    @asynccontextmanager
    async def download(
        self, url: str, *, start: int = 0, if_range: str = "", patience: float
    ) -> AsyncIterator[Incoming]:
        """See `UpstreamClient.download`."""
        if self._absence is not None:
            raise DocumentAbsent(url, self._absence.left)
        if self._is_wrong and self._found is not None:
            found, self._found = self._found, None
            await self._packages.forget(self._wanted, found)
        if self._found is None:
            async with AsyncExitStack() as stack:
                asking = self._wanted.upstream.download(url, start=start, if_range=if_range, patience=patience)
                try:
                    answer = await stack.enter_async_context(asking)
                except DocumentAbsent:
                    await self._packages.note_absent(self._wanted)
                    raise
                yield answer
            return
        begin = start if if_range == _tag(self._found) else 0
        yield _FromBucket(self.name, self._found, begin, self._packages.blocks(self._found, begin), self._ended)

    async def share(self, committed: CommittedPackage) -> None:
        """Leave the package in the bucket, unless it came from there."""
        if self._found is None:
            await self._packages.share(committed)

    def _ended(self, *, is_wrong: bool) -> None:
        """If the bucket is asked again, the upstream continues, from the beginning."""
        if is_wrong:
            self._is_wrong = True
        else:
            self._found = None


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
            # Missing, or wrong; otherwise the bucket failed, and the object may be right.
            self._ended(is_wrong=isinstance(error, KeyError | WrongContent))
            raise UpstreamUnavailable(self._upstream, f"the bucket failed: {error}") from error
        metrics.SHARED_PACKAGES.inc()
        # It was read to its end: whoever asks for it again found that it does not pass the checks.
        self._ended(is_wrong=True)


def _key(upstream: str, identity: PackageIdentity) -> PackageKey:
    return upstream, identity.lower_id, identity.lower_version


def _tag(found: SharedPackage) -> str:
    """A validator of our own: no upstream has it, so that its bytes are never joined with an upstream's."""
    return f'"bucket-{found.blob.segments[-1]}"'
