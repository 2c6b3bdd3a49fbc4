"""Migrating the databases of a data directory: only by a server at startup or by `nugetproxy migrate`.

A process of another version that uses the directory would not understand the new schema, so none may be running.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from nugetproxy.errors import DataOfAnotherVersion, StorageUnavailable
from nugetproxy.storage.database.migrate import VERSION, Difference, difference, migrate
from nugetproxy.storage.database.open_elsewhere import process_with_open
from nugetproxy.storage.database.opening import INVENTORY, MAIN, set_aside
from nugetproxy.storage.occupants import alone

# Seconds that SQLite waits for a command that is writing at that moment.
_BUSY: Final = 10.0

# Seconds that another process may have a database open: longer than most commands, shorter than any server.
_BRIEFLY: Final = 2.0


def bring_up_to_date(
    directory: Path, *, hosting: bool = True, begin: Callable[[], None] = lambda: None
) -> dict[str, tuple[str, ...]]:
    """Migrate the existing databases to this version; returns the applied migrations, by the name of the file.

    A database that does not exist yet is created when it is opened. `hosting`: whether the main database is used at
    all. `begin` is called before the first migration, which can take minutes. An inventory of a newer version is set
    aside: it is rebuilt from the files.

    Raises StorageUnavailable when the directory is in use and there is something to do; DataOfAnotherVersion when a
    newer version wrote the main database.
    """
    databases = {MAIN: "main", INVENTORY: "inventory"} if hosting else {INVENTORY: "inventory"}
    older = {file: found for file, schema in databases.items() if (found := _to_do(directory / file, schema))}
    if not older:
        return {}
    before = next((f"nugetproxy {each.written_by}" for each in older.values() if each.written_by), "an older build")
    doing = f"migrate the data from {before} to {VERSION}"
    with alone(directory, doing):
        for file in older:
            _refuse_open(directory / file, doing)
        begin()
        return {file: _migrated(directory / file, databases[file]) for file in older}


def _to_do(path: Path, schema: str) -> Difference | None:
    """None when the file is missing, new, current or damaged: the code that opens it handles these cases."""
    with _opened(path) as connection:
        if connection is None:
            return None
        try:
            found = difference(connection, schema)
        except DataOfAnotherVersion:
            if path.name != INVENTORY:
                raise
            return Difference((), is_new=False, written_by="")
        except sqlite3.DatabaseError:
            return None
    return found if found.pending and not found.is_new else None


def _refuse_open(path: Path, doing: str) -> None:
    """Raises StorageUnavailable when a process has the database open that `alone` does not know."""
    try:
        process = process_with_open(path, _BRIEFLY)
    except OSError as error:
        raise StorageUnavailable(f"cannot {doing}: {path}: {error.strerror}") from error
    if process is not None:
        named = f"process {process}" if process else "a process of another container"
        raise StorageUnavailable(
            f"cannot {doing} while {named} has {path} open, such as a server of an older version: stop it first"
        )


def _migrated(path: Path, schema: str) -> tuple[str, ...]:
    with _opened(path) as connection:
        if connection is None:
            return ()
        try:
            return migrate(connection, schema)
        except DataOfAnotherVersion:
            if path.name != INVENTORY:
                raise
        except sqlite3.Error as error:
            raise StorageUnavailable(f"{path} cannot be migrated: {error}. Nothing was changed") from error
    set_aside(path)
    return ()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The existing file; None when it does not exist."""
    if not path.exists():
        yield None
        return
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", _BUSY, isolation_level=None, uri=True)
    except sqlite3.Error as error:
        raise StorageUnavailable(f"{path} cannot be opened: {error}") from error
    with contextlib.closing(connection):
        yield connection
