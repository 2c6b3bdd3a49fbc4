"""Backing up a fleet's private feed into a folder, and restoring a backup of either kind of storage into a shared one.

The folder is as that of an embedded storage (`storage.backup`): a SQLite database, and the files that it names. So
either kind can be restored into the other.
"""

import base64
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.hosting.backup import HOSTED
from nugetproxy.hosting.copying import FeedCopy, Place, Progress, needed_blobs
from nugetproxy.runtime.whole_feeds import WholeFeed, begin, finish, require_same_version
from nugetproxy.storage.backup.copying import copy_file
from nugetproxy.storage.backup.manifest import BackedUpFile, Manifest
from nugetproxy.storage.backup.writing import BackupWriter
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.database.opening import MAIN, open_main_database
from nugetproxy.storage.database.upgrading import bring_up_to_date
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder

_WORKING: Final = "unfinished"
"""The folder, in that of a backup, of what is not in its place yet."""


async def back_up_shared(source: WholeFeed, folder: Path, progress: Progress) -> Manifest:
    """Back up into a new or empty folder, while the feed is used: one moment of it, and every file of that moment.

    Raises InvalidRequest for a folder that is not empty, StorageUnavailable.
    """
    await require_same_version(source)
    working = folder / _WORKING
    writer = BackupWriter(working, folder, link=False)
    try:
        working.mkdir(0o700)
        blobs = FilesystemBlobs(folder / HOSTED)
        spools = SpoolFolder(working / "spool", MemoryBudget(0))
        with closing(open_main_database(working)) as database:
            copy = FeedCopy(source.place, Place(database, blobs), spools, progress)
            await copy.ahead()
            wrong = await copy.complete()
            there = {str(info.key) for info in blobs.walk()}
            async for page in needed_blobs(database):
                for blob in set(page).difference(wrong):
                    writer.record(f"{HOSTED}/{blob.key}", BackedUpFile(blob.size, base64.b64decode(blob.sha512).hex()))
                    there.discard(blob.key)
            for key in there:  # deleted at the source meanwhile
                (folder / HOSTED / key).unlink()
        writer.add_database(MAIN)
        shutil.rmtree(working)
        return writer.finish(tuple(f"{HOSTED}/{blob.key}" for blob in wrong))
    except OSError as error:
        writer.abandon()
        raise StorageUnavailable(f"{folder} cannot be written: {error.strerror}") from error
    except BaseException:  # Ctrl-C, too
        writer.abandon()
        raise


async def restore_shared(folder: Path, target: WholeFeed, by: str, progress: Progress) -> Manifest:
    """Fill an empty shared storage from a backup; one that was interrupted is continued.

    Raises InvalidRequest for a folder that is not a backup or a target that is not empty, StorageUnavailable when a
    file of the backup differs from its manifest, DataOfAnotherVersion for the backup of a newer version.
    """
    manifest = Manifest.read(folder)
    if MAIN not in manifest.files:
        raise StorageUnavailable(f"{folder} has no {MAIN}: it is a backup of a mirror alone")
    with tempfile.TemporaryDirectory(prefix="nugetproxy-") as working:
        try:
            if copy_file(folder / MAIN, Path(working) / MAIN) != manifest.files[MAIN]:
                raise StorageUnavailable(f"{folder / MAIN} differs from the backed-up file: the backup is damaged")
        except OSError as error:
            raise StorageUnavailable(f"{folder / MAIN} cannot be copied: {error.strerror or error}") from error
        bring_up_to_date(Path(working))
        with closing(open_main_database(Path(working))) as database:
            await begin(target, f"backup {manifest.files[MAIN].sha512[:32]}")
            source = Place(database, FilesystemBlobs(folder / HOSTED))
            copy = FeedCopy(source, target.place, target.spools, progress)
            wrong = await copy.complete()
            lost = sorted({f"{HOSTED}/{blob.key}" for blob in wrong}.difference(manifest.damaged))
            if lost:
                raise StorageUnavailable(f"{folder / lost[0]} is missing or damaged: the backup is damaged")
            await copy.check(wrong)
    await finish(target, by, "storage.restore", f"from a backup of {manifest.created}")
    return manifest
