"""Where the main database is, and how it is opened: by the server and by every command that manages it."""

import os
from pathlib import Path
from typing import Final

from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.private_files import open_private

MAIN: Final = "nugetproxy.db"


def open_main_database(directory: Path) -> SqliteDatabase:
    """Accounts, hosted packages, the audit log: what cannot be made anew. For its owner's eyes only.

    `directory` is the data directory, which must exist. Raises StorageUnavailable.
    """
    os.close(open_private(directory / MAIN))  # SQLite gives its other files the same owner and mode
    return SqliteDatabase(directory / MAIN, "main")
