"""Restoring a backup: all files are first copied to a staging folder and checked, and only then moved into place.

While the copy runs, and after a restore that was killed, the data directory contains a folder `restoring-a-backup`:
until it is gone, no process opens the directory (`storage.database.opening`), and another restore starts over.
"""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from nugetproxy.errors import InvalidRequest, StorageUnavailable
from nugetproxy.storage.access import PRIVATE
from nugetproxy.storage.backup.copying import copy_file
from nugetproxy.storage.backup.manifest import Manifest
from nugetproxy.storage.blobs.filesystem import sync_folder
from nugetproxy.storage.database.migrate import difference
from nugetproxy.storage.database.opening import INVENTORY, MAIN, RESTORING
from nugetproxy.storage.occupants import LOCKS, alone
from nugetproxy.storage.private_files import give_to_owner_of

# The databases that a backup may contain, by their path, with their schemas. Others are not checked.
_SCHEMAS: Final = {MAIN: "main", INVENTORY: "inventory"}


def restore(backup: Path, data: Path) -> Manifest:
    """Turn `data`, a new or empty directory, into the state it had when the backup was made.

    Raises InvalidRequest for a folder that is not a backup, StorageUnavailable when a file does not match the manifest,
    when the directory is in use or not empty, or when the disk fails; DataOfAnotherVersion for a backup of a newer
    version. On failure nothing is left behind.
    """
    manifest = Manifest.read(backup)
    made = not data.exists()
    try:
        _restore(backup, data, manifest)
    except BaseException as error:  # Ctrl-C, too: half of a restore is worse than none
        if made:
            shutil.rmtree(data, ignore_errors=True)
        if isinstance(error, OSError):
            raise StorageUnavailable(f"cannot restore into {data}: {error.strerror or error}") from error
        raise
    return manifest


def _restore(backup: Path, data: Path, manifest: Manifest) -> None:
    data.mkdir(PRIVATE.folder, parents=True, exist_ok=True)
    with alone(data, f"restore {backup}"):
        _clear_half(data)
        _refuse_others(data)
        try:
            _stage(backup, data, manifest)
            _move(data)
        except BaseException:  # as above
            _clear_half(data)
            raise


def _refuse_others(data: Path) -> None:
    found = sorted(each.name for each in data.iterdir() if each.name not in (LOCKS, "lost+found"))
    if found:
        raise InvalidRequest(
            f"the data directory {data} is not empty (it contains {found[0]}): restore into a new or empty one, and "
            "move other files there afterwards"
        )


def _clear_half(data: Path) -> None:
    """Remove what an unfinished restore left behind: while its folder exists, no other process has written here."""
    staged = data / RESTORING
    if not staged.exists():
        return
    for each in data.iterdir():
        if each.name not in (LOCKS, RESTORING, "lost+found"):
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    shutil.rmtree(staged)


def _stage(backup: Path, data: Path, manifest: Manifest) -> None:
    staged = data / RESTORING
    staged.mkdir(PRIVATE.folder)
    for path, expected in manifest.files.items():
        source = backup / path
        if source.is_symlink() or not source.is_file():
            raise StorageUnavailable(f"{source} is missing: the backup is damaged. Nothing was restored")
        if copy_file(source, staged / path) != expected:
            raise StorageUnavailable(
                f"{source} differs from the backed-up file: the backup is damaged. Nothing was restored"
            )
    for path, schema in _SCHEMAS.items():
        if path in manifest.files:
            _check_database(staged / path, schema)
    if MAIN in manifest.files:
        _begin_anew(staged / MAIN)
    for folder, _, names in os.walk(staged):
        for each in (Path(folder), *(Path(folder) / name for name in names)):
            give_to_owner_of(data, each)
    os.sync()


def _check_database(path: Path, schema: str) -> None:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as connection:
            difference(connection, schema)  # an older one is migrated when the server starts
            found = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error as error:
        found = [(str(error),)]
    if found != [("ok",)]:
        raise StorageUnavailable(f"{path.name} of the backup is damaged: {found[0][0]}. Nothing was restored")


def _begin_anew(path: Path) -> None:
    """A hold, and of what something is a copy, are about the storage that was backed up."""
    change = "UPDATE storage_state SET name = NULL, copy_of = NULL, held_until = NULL, held_because = NULL"
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'storage_state'").fetchall():
                connection.execute(change)
    except sqlite3.Error as error:
        raise StorageUnavailable(f"{path} cannot be written: {error}. Nothing was restored") from error


def _move(data: Path) -> None:
    """Moves the main database last: the files that it names must be there before it."""
    staged = data / RESTORING
    for each in sorted(staged.iterdir(), key=lambda each: each.name == MAIN):
        each.rename(data / each.name)
    sync_folder(data)
    staged.rmdir()
    sync_folder(data)
