"""Files that were found to be wrong, moved out of the mirror: never served, and kept for a month to be looked into.

A plain folder, `quarantine/` in the data directory. Which files are wrong is decided by `guard` and `mirroring.care`.
"""

import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from nugetproxy import metrics
from nugetproxy.errors import StorageUnavailable
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.logs import logger
from nugetproxy.mirroring.kept.files import KeptFiles, QuarantinedFile
from nugetproxy.mirroring.kept.symbols import delete_pdbs
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.data_directory import MIRROR, QUARANTINE
from nugetproxy.storage.private_files import make_private_folder
from nugetproxy.storage.spool import disk_failures

KEPT_FOR: Final = 30 * 86400.0
"""Seconds after which a quarantined file is deleted."""

# Bytes of a name, without its suffix.
_LONGEST_NAME: Final = 200

_log = logger()


class Quarantine:
    """The quarantine of the data directory `directory`."""

    def __init__(self, directory: Path, files: KeptFiles) -> None:
        self._mirror = directory / MIRROR
        self._folder = directory / QUARANTINE
        self._files = files

    def take(self, key: BlobKey, why: str) -> QuarantinedFile | None:
        """Move a package file here and remove its nuspec and PDBs; None if it is not there.

        Blocks; raises StorageUnavailable. The caller holds the lease of the package, and records the result.
        """
        upstream, lower_id, lower_version = key.segments[:3]
        path, now = self._mirror.joinpath(*key.segments), time.time()
        with disk_failures("move a file to quarantine"):
            make_private_folder(self._folder)
            name = _name(f"{int(now * 1000)}-{upstream}-{lower_id}.{lower_version}")
            try:
                size = path.stat().st_size
                path.rename(self._folder / name)
                (self._folder / name).chmod(0o600)
            except FileNotFoundError:
                return None
        delete_pdbs(path.parent)
        with suppress(OSError):
            path.with_name(f"{lower_id}.nuspec").unlink(missing_ok=True)
            path.parent.rmdir()
            path.parent.parent.rmdir()
        return QuarantinedFile(name, (upstream, lower_id, lower_version), size, why, int(now))

    async def record(self, taken: QuarantinedFile) -> None:
        """Report a file that was moved here. A failure to write is only logged: the file itself is out of the way."""
        upstream, lower_id, lower_version = taken.key
        metrics.QUARANTINED.labels(upstream).inc()
        _log.error("kept_package_quarantined", upstream=upstream, package=f"{lower_id} {lower_version}", why=taken.why,
                   file=f"{QUARANTINE}/{taken.file}")  # fmt: skip
        try:
            await self._files.quarantine(taken)
        except StorageUnavailable as error:
            _log.warning("inventory_not_written", error=str(error))

    async def sweep(self, now: float) -> int:
        """Delete the files that have been here for `KEPT_FOR`; returns how many. Raises StorageUnavailable.

        Also those of a process that was killed before it recorded them.
        """
        removed = await UPKEEP.run(self._delete_before, now - KEPT_FOR)
        if removed:
            await self._files.forget_quarantined(removed)
        return len(removed)

    def _delete_before(self, moment: float) -> list[str]:
        removed = []
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                if path.stat().st_ctime < moment:
                    path.unlink()
                    removed.append(path.name)
        return removed


def _name(text: str) -> str:
    """A file name for a package, short enough for any file system however long its id is."""
    return f"{text.encode()[:_LONGEST_NAME].decode(errors='ignore')}.nupkg"
