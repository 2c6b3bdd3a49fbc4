"""Kept files are compared with the inventory when they are opened, and a file that is wrong is never served.

Size and time are compared for every request that opens a file. If they differ, the file is read: it may be the same
bytes, copied here by hand. If not, it goes to quarantine, and the package is fetched again.
"""

import base64
import hashlib
from pathlib import Path

from nugetproxy.errors import InvalidPackage, StorageUnavailable
from nugetproxy.executors.threads import DISK
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.keys import lease_of
from nugetproxy.mirroring.kept.files import ExpectedFile, FileKey, KeptFiles
from nugetproxy.mirroring.kept.quarantine import Quarantine
from nugetproxy.nuget.signature import content_hash
from nugetproxy.storage.blobs.base import BlobInfo, BlobKey, BlobStore
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.spool import disk_failures

_log = logger()


class KeptGuard:
    """The guard of the packages in `blobs`."""

    def __init__(self, files: KeptFiles, blobs: BlobStore, quarantine: Quarantine, leases: Leases) -> None:
        self._files = files
        self._blobs = blobs
        self._quarantine = quarantine
        self._leases = leases
        # Files found right although their time differs, by size and time: the inventory may not be writable.
        self._accepted: dict[FileKey, tuple[int, int]] = {}

    def looks_right(self, kept: BlobInfo) -> bool:
        """True also for a file without a row: its row is still being written, or its inventory was lost."""
        key = row_of(kept.key)
        try:
            expected = self._files.looks_like(key)
        except StorageUnavailable as error:
            # Without the inventory nothing is known about any file; a mirror that serves nothing would be worse.
            _log.warning("inventory_unavailable", error=str(error))
            return True
        found = kept.size, kept.modified
        return expected is None or found == expected or (kept.size, 0) == expected or self._accepted.get(key) == found

    async def examine(self, key: BlobKey) -> None:
        # No download can commit, and nobody else can move the file, while the lease is held.
        async with self._leases.hold(lease_of(key)):
            kept, expected = self._blobs.stat(key), self._files.expected(row_of(key))
            if kept is None or expected is None or self.looks_right(kept):
                return
            fault, sha512 = await DISK.run(_compare, self._blobs.path(key), kept, expected)
            if not fault:
                await self._accept(kept, sha512)
            elif self._files.is_read_only:
                _log.error("kept_package_damaged", package=str(key), why=fault)
            else:
                taken = await DISK.run(self._quarantine.take, key, fault)
                if taken is not None:
                    await self._quarantine.record(taken)

    async def _accept(self, kept: BlobInfo, sha512: str) -> None:
        self._accepted[row_of(kept.key)] = kept.size, kept.modified
        _log.info("kept_package_accepted", package=str(kept.key))
        if self._files.is_read_only:
            return
        try:
            await self._files.accept(row_of(kept.key), kept.size, kept.modified, sha512)
        except StorageUnavailable as error:
            _log.warning("inventory_not_written", error=str(error))


def row_of(key: BlobKey) -> FileKey:
    """The key of the row of a package file."""
    upstream, lower_id, lower_version = key.segments[:3]
    return upstream, lower_id, lower_version


def sha512_of(path: Path) -> str:
    """In base64. Blocks; raises OSError."""
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()


def _compare(path: Path, kept: BlobInfo, expected: ExpectedFile) -> tuple[str, str]:
    """What is wrong with a file, empty if nothing, and its SHA-512. Blocks; raises StorageUnavailable."""
    if kept.size != expected.size:
        return f"it has {kept.size} bytes instead of {expected.size}", ""
    with disk_failures("read a kept package"):
        sha512 = sha512_of(path)
        if expected.sha512:
            return ("" if sha512 == expected.sha512 else "its SHA-512 differs from that of the inventory"), sha512
        try:
            with path.open("rb") as file:
                same = content_hash(file) == expected.content_hash
        except InvalidPackage as error:
            return str(error), sha512
    return ("" if same else "its content hash differs from that of the inventory"), sha512
