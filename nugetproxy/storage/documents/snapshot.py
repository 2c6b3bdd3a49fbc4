"""The kept documents at one moment, read beside servers that use the store, and without opening the store.

For copying documents elsewhere: what servers write meanwhile is not seen. The snapshot keeps SQLite from shortening its
log, so it is closed as soon as the documents were read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from nugetproxy.errors import StorageUnavailable
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.storage.database.opening import can_write
from nugetproxy.storage.database.read_only import ReadOnlyDatabase
from nugetproxy.storage.documents.strict import DATABASE, Clock, clock_key

# A document that may be served no longer than this many seconds after its confirmation answered one question, for
# example a search: it is of no use elsewhere.
_SHORT_USE: Final = 86_400.0
_LASTING: Final = (
    "SELECT key FROM Cache WHERE raw = 1 AND key LIKE 'http%' AND (expire_time IS NULL OR expire_time - store_time > ?)"
)


class DocumentsSnapshot:
    """Created by `documents_snapshot`. Reading raises StorageUnavailable."""

    def __init__(self, connection: sqlite3.Connection | None, path: Path) -> None:
        self._connection = connection
        self._path = path

    def lasting_urls(self) -> list[str]:
        """The URLs of all documents and absences, but for short-lived ones; in no order."""
        return [url for (url,) in self._fetch(_LASTING, (_SHORT_USE,)) if isinstance(url, str)]

    def get(self, url: str) -> StoredResponse | None:
        """The document or absence; None if there is none, or it cannot be read."""
        rows = self._fetch("SELECT key, value FROM Cache WHERE raw = 1 AND key IN (?, ?)", (url, clock_key(url)))
        values = {key: value for key, value in rows if isinstance(value, bytes)}
        if url not in values:
            return None
        try:
            stored = StoredResponse.from_bytes(values[url])
            clock = values.get(clock_key(url))
            if clock is not None:
                stored = Clock.from_bytes(clock).moved(stored)
        except ValueError:
            return None
        return stored if stored.url == url else None

    def _fetch(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[object, ...]]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StorageUnavailable(f"{self._path} cannot be read: {error}") from error


@contextmanager
def documents_snapshot(directory: Path) -> Iterator[DocumentsSnapshot]:
    """The documents in the store of `directory`, as they are now; none if there is no store.

    Raises StorageUnavailable.
    """
    path = directory / DATABASE
    if not path.exists():
        yield DocumentsSnapshot(None, path)
        return
    copied: ReadOnlyDatabase | None = None
    connection: sqlite3.Connection | None = None
    try:
        try:
            if can_write(directory):
                uri = f"file:{quote(str(path.absolute()))}?mode=ro"
            else:
                copied = ReadOnlyDatabase(path)
                uri = copied.uri
            connection = sqlite3.connect(uri, uri=True, isolation_level=None)
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM Cache LIMIT 1").fetchall()  # the snapshot begins with the first read
        except (sqlite3.Error, OSError) as error:
            raise StorageUnavailable(f"{path} cannot be read: {error}") from error
        yield DocumentsSnapshot(connection, path)
    finally:
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        if copied is not None:
            copied.close()
