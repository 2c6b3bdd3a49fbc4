"""The database of BaGet or BaGetter (SQLite): when a version was published, whether it is listed, its downloads."""

import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from nugetproxy.errors import InvalidRequest
from nugetproxy.feeds.offers import History, publication_date
from nugetproxy.hosting.moving_in.names import identity
from nugetproxy.nuget.identity import PackageIdentity

USUAL_NAMES: Final = ("baget.db", "bagetter.db")
"""What the database is called in the data folder, where its settings do not say otherwise."""

_ROWS: Final = "SELECT Id, Version, Listed, Published, Downloads FROM Packages"
_MOST_DOWNLOADS: Final = 2**53


def read_baget(path: Path) -> dict[PackageIdentity, History]:
    """Every version in the database. It is opened for reading only. Blocks.

    Raises InvalidRequest: it cannot be read, or is not such a database.
    """
    try:
        try:
            rows = _rows(path, "mode=ro")
        except sqlite3.OperationalError:
            # In a folder that cannot be written, a database with a write-ahead log opens only like this.
            rows = _rows(path, "mode=ro&immutable=1")
    except sqlite3.Error as error:
        raise InvalidRequest(f"{path} is not the SQLite database of a BaGet server: {error}") from error
    found: dict[PackageIdentity, History] = {}
    for package_id, version, listed, published, downloads in rows:
        package = identity(str(package_id), str(version))
        if package is not None:
            found[package] = History(
                publication_date(str(published).strip().replace(" ", "T", 1)),
                bool(listed),
                None,
                downloads if isinstance(downloads, int) and 0 < downloads <= _MOST_DOWNLOADS else 0,
            )
    return found


def _rows(path: Path, options: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{options}", uri=True)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")  # the schema may be anyone's
        kinds = connection.execute("SELECT type FROM sqlite_schema WHERE name = 'Packages'").fetchall()
        if kinds != [("table",)]:  # a view could compute forever
            raise sqlite3.DatabaseError("it has no table Packages")
        return connection.execute(_ROWS).fetchall()
    finally:
        connection.close()
