"""Which documents are kept, by URL: read beside a server that uses the store, and without opening the store."""

import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from nugetproxy.errors import StorageUnavailable
from nugetproxy.httpcache.stored import StoredResponse

# diskcache's file name: importing diskcache for a constant would take longer than the query.
_DATABASE: Final = "cache.db"


def kept_urls(directory: Path, containing: str) -> list[str]:
    """URLs containing this text of documents kept in the store of `directory`. Absences are left out.

    Raises StorageUnavailable.
    """
    path = directory / _DATABASE
    if not path.exists():
        return []
    pattern = "".join(f"\\{character}" if character in "\\%_" else character for character in containing)
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            rows = connection.execute(
                "SELECT key, value FROM Cache WHERE raw = 1 AND key LIKE ? ESCAPE '\\'", (f"http%{pattern}%",)
            )
            return [url for url, value in rows if not _is_absence(value)]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StorageUnavailable(f"{path} cannot be read: {error}") from error


def _is_absence(value: object) -> bool:
    try:
        return not isinstance(value, bytes) or StoredResponse.from_bytes(value).is_absence
    except ValueError:
        return True
