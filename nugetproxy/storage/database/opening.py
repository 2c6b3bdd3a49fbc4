"""Where the main database is, and how it is opened: by the server and by every command that manages it."""

import sqlite3
from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.sqlite import SqliteDatabase

MAIN: Final = "nugetproxy.db"


def open_main_database(directory: Path) -> SqliteDatabase:
    """Accounts, hosted packages, the audit log: what cannot be made anew. Private to its owner.

    `directory` is the data directory, which must exist. Raises StorageUnavailable.
    """
    path = directory / MAIN
    try:
        return SqliteDatabase(path, "main")
    except StorageUnavailable as error:
        if not _is_damage(error.__cause__):
            raise
        raise StorageUnavailable(f"{path} cannot be read: {error.__cause__}; restore it from a back-up") from error


def _is_damage(cause: BaseException | None) -> bool:
    """Not so a database that is locked, or a disk that is full: those are OperationalError."""
    return isinstance(cause, sqlite3.DatabaseError) and not isinstance(cause, sqlite3.OperationalError)
