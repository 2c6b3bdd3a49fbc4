"""Reading SQLite files that are not a database of this program: the copy in a backup, another program's database."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.base import Rows

_READ: Final = "mode=ro"
# In a folder that cannot be written, a database with a write-ahead log opens only like this.
_IMMUTABLE: Final = "mode=ro&immutable=1"


def read_copy(path: Path, sql: str) -> Rows:
    """The rows of a query on a file that nobody writes. Blocks. Raises StorageUnavailable."""
    try:
        return _rows(path, _IMMUTABLE, sql)
    except sqlite3.Error as error:
        raise StorageUnavailable(f"{path} cannot be read: {error}") from error


def read_foreign(path: Path, table: str, columns: str) -> Rows:
    """These columns of a table, of a file that anyone may have made. It is opened for reading only. Blocks.

    Raises ValueError, with the reason, when it is not a database with this table.
    """
    try:
        try:
            return _table(path, _READ, table, columns)
        except sqlite3.OperationalError:
            return _table(path, _IMMUTABLE, table, columns)
    except sqlite3.Error as error:
        raise ValueError(str(error)) from error


def _table(path: Path, options: str, table: str, columns: str) -> Rows:
    with closing(_opened(path, options)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        kinds = connection.execute("SELECT type FROM sqlite_schema WHERE name = ?", (table,)).fetchall()
        if kinds != [("table",)]:  # a view could compute forever
            raise sqlite3.DatabaseError(f"it has no table {table}")
        return connection.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608  named by the caller's code


def _rows(path: Path, options: str, sql: str) -> Rows:
    with closing(_opened(path, options)) as connection:
        return connection.execute(sql).fetchall()


def _opened(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?{options}", uri=True)
