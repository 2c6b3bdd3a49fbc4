"""The database of BaGet or BaGetter (SQLite): when a version was published, whether it is listed, its downloads."""

from pathlib import Path
from typing import Final

from nugetproxy.errors import InvalidRequest
from nugetproxy.feeds.offers import History, publication_date
from nugetproxy.hosting.moving_in.names import identity
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.database.foreign import read_foreign

USUAL_NAMES: Final = ("baget.db", "bagetter.db")
"""What the database is called in the data folder, where its settings do not say otherwise."""

_MOST_DOWNLOADS: Final = 2**53


def read_baget(path: Path) -> dict[PackageIdentity, History]:
    """Every version in the database. It is opened for reading only. Blocks.

    Raises InvalidRequest: it cannot be read, or is not such a database.
    """
    try:
        rows = read_foreign(path, "Packages", "Id, Version, Listed, Published, Downloads")
    except ValueError as error:
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
