"""Copying a private feed from one storage to another: rows, search words, and the files that the rows name.

Everything that is copied is one moment of the source, which others may be using. What is there already is not copied
again: a copy that was interrupted is continued by repeating it. Who may use the two meanwhile is decided elsewhere.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.executors.threads import BUCKET, UPKEEP
from nugetproxy.hosting.contents import FOLDER
from nugetproxy.hosting.packages import key_of
from nugetproxy.hosting.search_index import write_words
from nugetproxy.hosting.symbols import FOLDER as SYMBOLS_FOLDER
from nugetproxy.storage.blobs.base import Blobs
from nugetproxy.storage.database.base import Database, Fetch, Rows
from nugetproxy.storage.database.copying import copy_growing, copy_others, counts
from nugetproxy.storage.spool import SpoolFolder

_FOLDERS: Final = (FOLDER, SYMBOLS_FOLDER)
_PAGE: Final = 1000
_NEEDED: Final = (
    """SELECT p.blob, p.size, p.sha512 FROM hosted_pushes AS p JOIN hosted_packages AS h USING (push)
    WHERE p.blob > ?1 ORDER BY p.blob LIMIT ?2""",
    "SELECT blob, size, sha512 FROM symbol_packages WHERE blob > ?1 ORDER BY blob LIMIT ?2",
    "SELECT blob, size, sha512 FROM symbol_files WHERE blob > ?1 ORDER BY blob LIMIT ?2",
)
_COUNT: Final = (
    "SELECT (SELECT count(*) FROM hosted_packages) + (SELECT count(*) FROM symbol_packages)"
    " + (SELECT count(*) FROM symbol_files)"
)
_WORDS_AT_ONCE: Final = 200
_FILES_AT_ONCE: Final = 12
_BLOCK: Final = 1024 * 1024
# Each round lacks only what was deleted since the one before, unless deletions never stop.
_MOST_ROUNDS: Final = 10

Progress = Callable[[str, int, int], None]
"""Called with what is copied, how much of it is done, and the total, 0 while it is not known. Blocks; any thread."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a private feed is kept."""

    database: Database
    blobs: Blobs


@dataclass(frozen=True, slots=True)
class NeededBlob:
    """A file that a hosted version needs. `sha512` is in base64."""

    key: str
    size: int
    sha512: str


class FeedCopy:
    """One copy. `spools` are on the file system of the target's files, if it has files.

    Every method raises StorageUnavailable.
    """

    def __init__(self, source: Place, target: Place, spools: SpoolFolder, progress: Progress) -> None:
        self._source = source
        self._target = target
        self._spools = spools
        self._progress = progress
        self._there: dict[str, int] | None = None
        self.blobs = self.bytes = self.rows = 0
        """What was copied, not counting what was there."""

    async def ahead(self) -> None:
        """Copy what may be copied before the rest: the files that are needed now, and rows that never change."""
        await self._copy_blobs(self._source.database)
        await self._source.database.read(self._copy_growing)

    async def complete(self) -> tuple[NeededBlob, ...]:
        """Make the target equal to one moment of the source. Returns the files that cannot be copied, because they are
        missing or damaged at the source.
        """
        wrong: tuple[NeededBlob, ...] = ()
        for _ in range(_MOST_ROUNDS):
            await self._source.database.read(self._copy_rows)
            before, wrong = wrong, await self._copy_blobs(self._target.database)
            # What is missing may have been deleted since that moment: then a later moment does not need it.
            if not wrong or wrong == before:
                break
        else:
            raise StorageUnavailable("packages are deleted faster than they can be copied: try again later")
        await self._write_words()
        return wrong

    async def check(self, wrong: tuple[NeededBlob, ...] = ()) -> None:
        """Compare the number of rows of each table, and the names and sizes of all files but those that are `wrong`.

        For a source that takes no changes; the hash of each file was compared when it was copied.
        """
        there, here = await self._source.database.read(counts), await self._target.database.read(counts)
        for table in there:
            if there[table] != here[table]:
                raise StorageUnavailable(f"the copy of {table} has {here[table]} rows instead of {there[table]}")
        known = await UPKEEP.run(_sizes, self._target.blobs)
        known_wrong = set(wrong)
        async for page in needed_blobs(self._target.database):
            for blob in page:
                if known.get(blob.key) != blob.size and blob not in known_wrong:
                    raise StorageUnavailable(f"{blob.key} is not in the copy")

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _copy_growing(self, fetch: Fetch) -> None:
        copy_growing(fetch, self._target.database, self._told)

    def _copy_rows(self, fetch: Fetch) -> None:
        self._copy_growing(fetch)
        copy_others(fetch, self._target.database, self._told)

    def _told(self, _: str, rows: int) -> None:
        self.rows += rows
        self._progress("rows", self.rows, 0)

    async def _write_words(self) -> None:
        [(total,)] = await self._target.database.fetch("SELECT count(*) FROM search_documents")
        last, done = -1, 0
        while True:
            numbers = await self._target.database.write(partial(write_words, after=last, most=_WORDS_AT_ONCE))
            if not numbers:
                return
            last, done = numbers[-1], done + len(numbers)
            self._progress("search", done, total)

    # --- files --------------------------------------------------------------------------------------------------------

    async def _copy_blobs(self, database: Database) -> tuple[NeededBlob, ...]:
        """Copy the files that a database names; returns those that cannot be copied."""
        if self._there is None:
            self._there = await UPKEEP.run(_sizes, self._target.blobs)
        [(total,)] = await database.fetch(_COUNT)
        done, wrong, turns = 0, list[NeededBlob](), asyncio.Semaphore(_FILES_AT_ONCE)

        async def one(blob: NeededBlob) -> None:
            async with turns:
                if not await BUCKET.run(self._copy_blob, blob):
                    wrong.append(blob)

        async for page in needed_blobs(database):
            missing = [blob for blob in page if self._there.get(blob.key) != blob.size]
            ended = await asyncio.gather(*map(one, missing), return_exceptions=True)
            if failure := next((each for each in ended if each is not None), None):
                raise failure
            done += len(page)
            self._progress("files", done, total)
        return tuple(sorted(wrong, key=lambda blob: blob.key))

    def _copy_blob(self, blob: NeededBlob) -> bool:
        """Blocks. False when the source does not have these bytes."""
        assert self._there is not None
        key = key_of(blob.key)
        try:
            file = self._source.blobs.open(key)
        except KeyError:
            return False
        spool = self._spools.create("copy", blob.size)
        try:
            with file:
                while block := file.read(_BLOCK):
                    spool.append(block)
            if spool.size != blob.size or base64.b64encode(spool.sha512).decode() != blob.sha512:
                return False
            if blob.key in self._there:  # with another size
                self._target.blobs.delete(key)
            self._target.blobs.commit(key, spool)
        finally:
            spool.end()
        self._there[blob.key] = blob.size
        self.blobs += 1
        self.bytes += blob.size
        return True


async def needed_blobs(database: Database) -> AsyncIterator[list[NeededBlob]]:
    """The files that a database names, a page at a time."""
    for query in _NEEDED:
        last = ""
        while rows := await database.read(partial(_rows_of, query, last)):
            last = rows[-1][0]
            yield [NeededBlob(*row) for row in rows]


def _rows_of(query: str, last: str, fetch: Fetch) -> Rows:
    return fetch(query, (last, _PAGE))


def _sizes(blobs: Blobs) -> dict[str, int]:
    """The size of each file in a store, by its key. Blocks."""
    return {str(info.key): info.size for folder in _FOLDERS for info in blobs.walk(folder)}
