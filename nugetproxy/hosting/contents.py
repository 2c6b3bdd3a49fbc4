"""The bytes of hosted packages: where they lie, how they are made safe, and the reading of their parts.

The database says which blobs are packages. A key is never used twice: each push has its own, so that the loser of a
race may take its bytes away without looking at anybody else's.
"""

import secrets
from collections.abc import Callable
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
from nugetproxy.storage.blobs.filesystem import sync_folder
from nugetproxy.storage.spool import Spool, disk_failures

_log = logger()

FOLDER: Final = "packages"
"""The first segment of every key here; what else lies in the store is not ours."""


class HostedContents:
    """Package files in a store of blobs on this machine's disk."""

    def __init__(self, blobs: BlobStore) -> None:
        self.blobs = blobs

    def commit(self, key: BlobKey, spool: Spool) -> None:
        """Make the bytes visible, safe from a loss of power together with every folder on the way. Blocks.

        A store of mirrored packages may lose a name and fetch again; what is pushed here exists nowhere else.

        Raises StorageUnavailable; the blob may then be there all the same, and is garbage.
        """
        try:
            self.blobs.commit(key, spool)
        except StorageUnavailable:
            if self.blobs.path(key).parent.is_dir():
                raise
            # Whoever deleted the last file in that folder took the folder along, just between making and using it.
            self.blobs.commit(key, spool)
        folder = self.blobs.path(key).parent
        with disk_failures("make a package safe"):
            for _ in key.segments:
                sync_folder(folder)
                folder = folder.parent

    def discard(self, key: BlobKey) -> None:
        """Take the bytes away, as far as the disk lets us: what stays is swept later. Blocks; never raises."""
        with suppress(StorageUnavailable):
            self.blobs.delete(key)

    def local_file(self, content: StoredContent, is_needed: Callable[[], bool]) -> LocalFile:
        """Raises StorageUnavailable when the bytes are not where the database says: a bug, or a hand on the disk.

        `is_needed` looks once more if the database still says so: what was deleted a moment ago is no loss.
        """
        info = self.blobs.stat(content.blob)
        if info is None or info.size != content.size:
            if is_needed():
                _log.error("hosted_package_missing", blob=str(content.blob))
            raise StorageUnavailable(f"the file of a hosted package is missing: {content.blob}")
        # Neither changes when the files are restored from a back-up.
        return LocalFile(self.blobs.path(content.blob), content.size, content.pushed // 1_000_000, _tag(content.sha512))

    async def part(self, content: StoredContent, part: Part, is_needed: Callable[[], bool]) -> SmallContent | None:
        """A part of a package, None when it has no such part. Raises StorageUnavailable, as `local_file`."""
        file = self.local_file(content, is_needed)
        with disk_failures("read a hosted package"):
            return await PACKAGES.run(read_part, file, part)


def new_key(folder: str, package: PackageIdentity, sha512: bytes, ending: str) -> BlobKey:
    """A key that nobody else has. It names the content, for people who look at the folder."""
    name = f"{sha512.hex()[:32]}-{secrets.token_hex(4)}{ending}"
    return BlobKey.of(folder, package.lower_id, package.lower_version, name)


def _tag(sha512: str) -> str:
    """The beginning of the hash, in letters that an entity tag may hold."""
    return sha512[:32].replace("/", "_").replace("+", "-")
