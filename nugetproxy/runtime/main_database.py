"""The main database, opened as the settings say: for a server and for the commands that manage it.

Only this module knows which engine it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nugetproxy.accounts.audit import newest_entry
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.opening import open_main_database


@dataclass(frozen=True, slots=True)
class MainDatabase:
    """`newest` returns the number of the newest entry of the audit log: see `Revisions.catch_up`."""

    database: Database
    newest: Callable[[], int]


def open_main(directory: Path, *, reading: bool = False) -> MainDatabase:
    """The main database of a data directory; see `open_main_database`. Raises StorageUnavailable."""
    database = open_main_database(directory, reading=reading)
    return MainDatabase(database, lambda: newest_entry(database.fetch_now))
