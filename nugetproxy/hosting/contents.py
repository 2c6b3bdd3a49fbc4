"""The bytes of hosted packages: where they are stored, how they are made durable, and how their parts are read.

The database says which blobs are packages. A key is never used twice: each push has its own, so the loser of a race can
remove its bytes without checking anyone else's.
"""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.executors.threads import PACKAGES
from nugetproxy.feeds.base import LocalFile, Part, SmallContent
from nugetproxy.feeds.parts import read_part
from nugetproxy.hosting.packages import StoredContent
from nugetproxy.logs import logger
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobKey, BlobStore
from nugetproxy.storage.spool import Spool, disk_failures

_log = logger()

FOLDER: Final = "packages"
"""The first segment of every key here; other keys in the store are not ours."""


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
        """Raises StorageUnavailable when the file is not where the database says: a bug, or manual interference.

        `is_needed` checks again whether the database still names it: a file deleted a moment ago is no loss.
        """
        info = self.blobs.stat(content.blob)
        if info is None or info.size != content.size:
            if await is_needed():
                _log.error("hosted_package_missing", blob=str(content.blob))
            raise StorageUnavailable(f"the file of a hosted package is missing: {content.blob}")
        # Neither changes when the files are restored from a backup.
        return LocalFile(self.blobs.path(content.blob), content.size, content.pushed // 1_000_000, _tag(content.sha512))

    async def part(
        self, content: StoredContent, part: Part, is_needed: Callable[[], Awaitable[bool]]
    ) -> SmallContent | None:
        """A part of a package, None when it has no such part. Raises StorageUnavailable, as `local_file`."""
        file = await self.local_file(content, is_needed)
        with disk_failures("read a hosted package"):
            return await PACKAGES.run(read_part, file, part)


def new_key(folder: str, package: PackageIdentity, sha512: bytes, ending: str) -> BlobKey:
    """A unique key. It names the content, for people who look at the folder."""
    name = f"{sha512.hex()[:32]}-{secrets.token_hex(4)}{ending}"
    return BlobKey.of(folder, package.lower_id, package.lower_version, name)


def _tag(sha512: str) -> str:
    """The beginning of the hash, in characters that an entity tag may contain."""
    return sha512[:32].replace("/", "_").replace("+", "-")
