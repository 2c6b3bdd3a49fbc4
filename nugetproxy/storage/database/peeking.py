"""One query of a SQLite file as it is, before it is opened to work with: no migration, no thread."""

import contextlib
import sqlite3
from pathlib import Path

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.base import Rows


def peek(path: Path, sql: str) -> Rows:
    """The rows of a query; none if the file or the table does not exist. Raises StorageUnavailable."""
    if not path.exists():
        return []
    try:
        # Not read-only: SQLite may have to finish what a killed process left in the write-ahead log.
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        with contextlib.closing(connection):
            return connection.execute(sql).fetchall()
    except sqlite3.Error as error:
        if isinstance(error, sqlite3.OperationalError) and "no such table" in str(error):
            return []
        raise StorageUnavailable(f"database {path.name}: {error}") from error
