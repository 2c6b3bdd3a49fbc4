"""The bytes of hosted packages: where they are stored, how they are made durable, and how their parts are read.

The database says which blobs are packages. A key is never used twice: each push has its own, so the loser of a race can
remove its bytes without checking anyone else's.
"""

import io
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

from nugetproxy.errors import NotKeptHere, StorageUnavailable
from nugetproxy.executors.threads import PACKAGES
from nugetproxy.feeds.base import GrowingContent, LocalFile, Part, SmallContent
from nugetproxy.feeds.parts import part_of, read_part
from nugetproxy.hosting.packages import StoredContent
from nugetproxy.logs import logger
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobKey, BlobStore
from nugetproxy.storage.database.base import Fetch, Query
from nugetproxy.storage.spool import Spool, disk_failures

_log = logger()

FOLDER: Final = "packages"
"""The first segment of every key here; other keys in the store are not ours."""

_LARGEST_IN_MEMORY: Final = 16_000_000
"""Bytes of a package that is read into memory for one of its parts, where there is no room for it on the disk."""


class HostedContents:
    """Package files in a store of blobs."""

    def __init__(self, blobs: BlobStore) -> None:
        self.blobs = blobs

    def commit(self, key: BlobKey, spool: Spool) -> None:
        """Make the bytes visible, safe from power loss. Blocks.

        Raises StorageUnavailable; the blob may then exist all the same, and is garbage.
        """
        self.blobs.commit(key, spool)

    def discard(self, key: BlobKey) -> None:
        """Remove the bytes, as far as the disk allows: what remains is swept later. Blocks; never raises."""
        with suppress(StorageUnavailable):
            self.blobs.delete(key)

    async def local_file(self, content: StoredContent, is_needed: Callable[[], Awaitable[bool]]) -> LocalFile:
        """The package as a file of this machine.

        `is_needed` checks again whether the database still names it: a file deleted a moment ago is no loss.

        Raises:
            NotKeptHere: the package is stored, but this machine has no room for it.
            StorageUnavailable: it cannot be read, or is not where the database says: a bug, or manual interference.
        """
        try:
            await self.blobs.bring(content.blob, content.size, content.sha512)
        except KeyError:
            if await is_needed():
                _log.error("hosted_package_missing", blob=str(content.blob))
            raise StorageUnavailable(f"the file of a hosted package is missing: {content.blob}") from None
        return self._file(content)

    async def whole(
        self, content: StoredContent, is_needed: Callable[[], Awaitable[bool]]
    ) -> LocalFile | GrowingContent:
        """As `local_file`; without room for it here, the package is passed on as it is read from the store."""
        try:
            return await self.local_file(content, is_needed)
        except NotKeptHere:
            return _PassedOn(self.blobs, content)

    async def part(
        self, content: StoredContent, part: Part, is_needed: Callable[[], Awaitable[bool]]
    ) -> SmallContent | None:
        """A part of a package, None when it has no such part. Raises as `local_file`."""
        try:
            file = await self.local_file(content, is_needed)
        except NotKeptHere:
            if content.size > _LARGEST_IN_MEMORY:
                raise
            body = b"".join([block async for block in _PassedOn(self.blobs, content).chunks()])
            return await PACKAGES.run(part_of, io.BytesIO(body), self._file(content), part)
        with disk_failures("read a hosted package"):
            return await PACKAGES.run(read_part, file, part)

    def _file(self, content: StoredContent) -> LocalFile:
        # Neither time nor tag changes when the files are restored from a backup.
        return LocalFile(self.blobs.path(content.blob), content.size, content.pushed // 1_000_000, _tag(content.sha512))


class _PassedOn:
    """A `GrowingContent` that is read from the store for one client, and kept nowhere."""

    content_type = "application/octet-stream"

    def __init__(self, blobs: BlobStore, content: StoredContent) -> None:
        self._blobs = blobs
        self._content = content
        self.size: int | None = content.size

    async def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        """All bytes are read, because only all of them can be compared with the hash."""
        content = self._content
        async for block in self._blobs.stream(content.blob, content.size, content.sha512):
            if start < len(block):
                yield block[start:] if start else block
            start = max(0, start - len(block))


def claim_of(key: BlobKey) -> Query:
    """What `require_wanted` asks."""
    return "SELECT 1 FROM unclaimed_blobs WHERE blob = ?", (str(key),)


def require_wanted(fetch: Fetch, keys: Iterable[BlobKey]) -> None:
    """Inside the transaction that makes these blobs needed. Raises StorageUnavailable if the sweep has claimed one.

    A push may be suspended for hours between its blob and its row. Either its transaction finds the claim, or that of
    the sweep finds its row; no lock has to be held while blobs are deleted.
    """
    for key in keys:
        if fetch(*claim_of(key)):
            raise StorageUnavailable(f"{key} was not needed for too long, and is about to be removed")


def new_key(folder: str, package: PackageIdentity, sha512: bytes, ending: str) -> BlobKey:
    """A unique key. It names the content, for people who look at the folder."""
    name = f"{sha512.hex()[:32]}-{secrets.token_hex(4)}{ending}"
    return BlobKey.of(folder, package.lower_id, package.lower_version, name)


def _tag(sha512: str) -> str:
    """The beginning of the hash, in characters that an entity tag may contain."""
    return sha512[:32].replace("/", "_").replace("+", "-")
