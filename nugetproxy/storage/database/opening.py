"""Where the databases are, and how the main one is opened: by the server and by all commands that manage it."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.sqlite import SqliteDatabase

MAIN: Final = "nugetproxy.db"
"""Accounts, hosted packages, the audit log: data that cannot be rebuilt."""
INVENTORY: Final = "inventory.db"
"""The inventory of mirrored content: rebuilt from the files when it is lost."""
RESTORING: Final = "restoring-a-backup"
"""A folder that exists while a backup is being restored."""
SIDE_FILES: Final = ("", "-wal", "-shm")
"""The suffixes of the files that SQLite keeps for one database in WAL mode."""


def open_main_database(directory: Path, *, reading: bool = False, always_writes: bool = False) -> SqliteDatabase:
    """The main database, private to its owner; created when missing, except for `reading`, which then finds it empty.

    `directory` is the data directory, which must exist; `reading` needs no write permission there. `always_writes`: see
    `SqliteDatabase`. Raises StorageUnavailable.
    """
    path = directory / MAIN
    refuse_half(directory)
    missing = reading and not path.exists()
    try:
        return SqliteDatabase(
            path,
            "main",
            in_memory=missing,
            read_only=reading and not missing and not can_write(directory),
            always_writes=always_writes,
        )
    except StorageUnavailable as error:
        if not _is_damage(error.__cause__):
            raise
        raise StorageUnavailable(f"{path} cannot be read: {error.__cause__}; restore it from a backup") from error


def refuse_half(directory: Path) -> None:
    """Raises StorageUnavailable while a restore runs, or after one that was killed."""
    if (directory / RESTORING).exists():
        raise StorageUnavailable(
            f"a backup is being restored into {directory}; if that was interrupted, run `nugetproxy restore` again"
        )


def can_write(directory: Path) -> bool:
    """Whether this user can write in the directory: False on a read-only file system, even for root."""
    return os.access(directory, os.W_OK | os.X_OK)


def set_aside(path: Path) -> None:
    """Rename a database that can be rebuilt, as far as the disk allows."""
    for suffix in SIDE_FILES:
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).replace(path.with_name(f"{path.name}{suffix}.unreadable"))


def _is_damage(cause: BaseException | None) -> bool:
    """False for a locked database or a full disk: those are OperationalError."""
    return isinstance(cause, sqlite3.DatabaseError) and not isinstance(cause, sqlite3.OperationalError)
