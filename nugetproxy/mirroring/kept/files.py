"""The condition of each kept file: what it must look like, when it was last used, whether the upstream still has it.

One short row for each row of the inventory, in the same database. What the package says about itself belongs to
`inventory`; looking at the files belongs to `guard`, and deciding what to remove to `mirroring.care`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nugetproxy.executors.threads import yielding
from nugetproxy.storage.database.base import Fetch, Transaction
from nugetproxy.storage.database.sqlite import SqliteDatabase

FileKey = tuple[str, str, str]
"""Upstream, lower id, lower version."""

_ONE: Final = "upstream = ? AND lower_id = ? AND lower_version = ?"
_COLUMNS: Final = (
    "upstream, lower_id, lower_version, size, modified, sha512, fetch_milliseconds, committed, used, verified, is_gone"
)
_SHOWN: Final = f"{_COLUMNS}, symbols"
_KEY: Final = "upstream, lower_id, lower_version"
_PORTION: Final = 1000
_PINNED: Final = (
    "mirrored_pins.lower_id = mirrored_files.lower_id"
    " AND mirrored_pins.lower_version IN ('', mirrored_files.lower_version)"
)
_UPSERT: Final = f"""
INSERT INTO mirrored_files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
ON CONFLICT (upstream, lower_id, lower_version) DO UPDATE SET
    size = excluded.size, modified = excluded.modified, sha512 = excluded.sha512,
    fetch_milliseconds = excluded.fetch_milliseconds, committed = excluded.committed,
    used = max(used, excluded.used), verified = excluded.verified, is_gone = 0
"""  # noqa: S608 - ours

# Not a package that was committed again after its row was read.
_REMOVE: Final = f"""
DELETE FROM mirrored_packages WHERE {_ONE} AND EXISTS (
    SELECT 1 FROM mirrored_files AS file
    WHERE file.upstream = mirrored_packages.upstream AND file.lower_id = mirrored_packages.lower_id
    AND file.lower_version = mirrored_packages.lower_version AND file.committed = ? AND file.modified = ?
)
"""  # noqa: S608 - ours


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One kept file. `size` in bytes, `modified` in nanoseconds, `sha512` in base64, times in unix seconds.

    0 and empty texts are unknown: the file was entered by an older version, or found without its row.
    """

    upstream: str
    lower_id: str
    lower_version: str
    size: int
    modified: int
    sha512: str
    fetch_milliseconds: int
    committed: int
    used: int
    verified: int
    is_gone: int
    """1 if the upstream no longer has the version, else 0."""
    symbols: int = 0
    """Bytes of its PDBs that are kept."""

    @property
    def occupied(self) -> int:
        """Bytes that its eviction frees."""
        return self.size + self.symbols

    @property
    def key(self) -> FileKey:
        return self.upstream, self.lower_id, self.lower_version


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """What a file must be: `size` in bytes, `modified` in nanoseconds (0: unknown), `sha512` of the file in base64
    (empty: unknown), `content_hash` as in lock files."""

    size: int
    modified: int
    sha512: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class DescribedFile:
    """A file and its package: the id in its own casing, `content_hash` as in lock files, `committed` in unix seconds.

    `size` and `sha512` as in `ExpectedFile`.
    """

    package_id: str
    content_hash: str
    committed: int
    size: int
    sha512: str


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A file that was found to be wrong. `file` is its name in `quarantine/`, `found` in unix seconds."""

    file: str
    key: FileKey
    size: int
    why: str
    found: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many files are in which condition. `upstreams` has the name, packages and bytes of each."""

    upstreams: list[tuple[str, int, int]]
    pinned: int
    gone: int
    never_verified: int
    oldest_use: int


class KeptFiles:
    """The rows, in the inventory's database. Writes raise StorageUnavailable; so do reads."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    @property
    def is_read_only(self) -> bool:
        return self._database.is_read_only

    def looks_like(self, key: FileKey) -> tuple[int, int] | None:
        """The size and time that a file must have (see `ExpectedFile`), None if it has no row. Takes microseconds."""
        rows = self._database.fetch_now(f"SELECT size, modified FROM mirrored_files WHERE {_ONE}", key)  # noqa: S608 - ours
        return (rows[0][0], rows[0][1]) if rows else None

    def expected(self, key: FileKey) -> ExpectedFile | None:
        """All that is known of a file; None if it has no row."""
        rows = self._database.fetch_now(
            "SELECT f.size, f.modified, f.sha512, p.content_hash FROM mirrored_files AS f"
            " JOIN mirrored_packages AS p USING (upstream, lower_id, lower_version)"
            " WHERE f.upstream = ? AND f.lower_id = ? AND f.lower_version = ?",
            key,
        )
        return ExpectedFile(*rows[0]) if rows else None

    def described(self, key: FileKey) -> DescribedFile | None:
        """What the inventory says of a file; None if it has no row."""
        rows = self._database.fetch_now(
            "SELECT p.package_id, p.content_hash, p.committed, f.size, f.sha512 FROM mirrored_files AS f"
            " JOIN mirrored_packages AS p USING (upstream, lower_id, lower_version)"
            " WHERE f.upstream = ? AND f.lower_id = ? AND f.lower_version = ?",
            key,
        )
        return DescribedFile(*rows[0]) if rows else None

    def all_keys(self) -> Iterator[FileKey]:
        """All files, by key, read in portions: nothing of them is held. Blocks."""
        last: FileKey | None = None
        while True:
            beyond = "" if last is None else f" WHERE ({_KEY}) > (?, ?, ?)"
            rows = self._database.fetch_now(
                f"SELECT {_KEY} FROM mirrored_files{beyond} ORDER BY {_KEY} LIMIT {_PORTION}",  # noqa: S608 - ours
                last or (),
            )
            for row in rows:
                last = row[0], row[1], row[2]
                yield last
            if len(rows) < _PORTION:
                return

    async def all(self, lower_id: str | None = None) -> list[KeptFile]:
        """Every file, or those of one id, by key. Read in a thread."""
        condition, parameters = ("", ()) if lower_id is None else (" WHERE lower_id = ?", (lower_id,))
        return await self._listed(
            f"SELECT {_SHOWN} FROM mirrored_files{condition} ORDER BY {_KEY}",  # noqa: S608 - ours
            parameters,
        )

    async def oldest(self, limit: int | None, after: KeptFile | None = None) -> list[KeptFile]:
        """The files that may be evicted, least recently used first: not pinned, and not known to be gone upstream.

        At most `limit`, after the file `after` in this order. Read in a thread.
        """
        beyond = "" if after is None else f" AND (used, {_KEY}) > (?, ?, ?, ?)"
        sql = (
            f"SELECT {_SHOWN} FROM mirrored_files WHERE is_gone = 0 AND NOT EXISTS"  # noqa: S608 - ours
            f" (SELECT 1 FROM mirrored_pins WHERE {_PINNED}){beyond} ORDER BY used, {_KEY} LIMIT ?"
        )
        parameters = (*(() if after is None else (after.used, *after.key)), -1 if limit is None else limit)
        return await self._listed(sql, parameters)

    async def unverified(self, before: int, now: int, limit: int, after: KeptFile | None = None) -> list[KeptFile]:
        """The files that were committed and last verified before this time, by key; at most `limit`, after `after`.

        Also those that were verified after `now`, before the clock was set back. Times in unix seconds.
        """
        beyond = "" if after is None else f" AND ({_KEY}) > (?, ?, ?)"
        sql = (
            f"SELECT {_SHOWN} FROM mirrored_files"  # noqa: S608 - ours
            f" WHERE (max(verified, committed) < ? OR max(verified, committed) > ?){beyond} ORDER BY {_KEY} LIMIT ?"
        )
        parameters = (before, now, *(() if after is None else after.key), limit)
        return await self._listed(sql, parameters)

    async def _listed(self, sql: str, parameters: Sequence[object]) -> list[KeptFile]:
        return await self._database.read(lambda fetch: [KeptFile(*row) for row in yielding(fetch(sql, parameters))])

    async def counts(self) -> Counts:
        """Read in a thread."""
        return await self._database.read(_counted)

    async def committed_since(self, moment: float) -> int:
        """Bytes of the files committed after this unix time."""
        rows = await self._database.read(
            lambda fetch: fetch(
                "SELECT coalesce(sum(size + symbols), 0) FROM mirrored_files WHERE committed > ?", (int(moment),)
            )
        )
        return int(rows[0][0])

    async def note_uses(self, uses: Mapping[FileKey, int]) -> None:
        """Record last uses, in unix seconds."""
        rows = [(when, *key) for key, when in uses.items()]
        await self._write(f"UPDATE mirrored_files SET used = max(used, ?) WHERE {_ONE}", rows)  # noqa: S608 - ours

    async def bring_back_to(self, now: int) -> None:
        """Last uses after `now` (unix seconds) become `now`: they are from before the clock was set back."""
        await self._write("UPDATE mirrored_files SET used = ? WHERE used > ?", [(now, now)])

    async def accept(self, key: FileKey, size: int, modified: int, sha512: str, *, verified: int = 0) -> None:
        """The file with this size and time is right. `verified`: when all of it was checked, 0 if it was not."""
        row = (size, modified, sha512, verified, *key)
        await self._write(
            f"UPDATE mirrored_files SET size = ?, modified = ?, sha512 = ?, verified = max(verified, ?) WHERE {_ONE}",  # noqa: S608 - ours
            [row],
        )

    async def mark_gone(self, key: FileKey, *, gone: bool = True) -> None:
        """Record whether the upstream no longer has the version."""
        await self._write(f"UPDATE mirrored_files SET is_gone = ? WHERE {_ONE}", [(int(gone), *key)])  # noqa: S608 - ours

    async def remove(self, files: Iterable[KeptFile]) -> None:
        """Remove rows, and those of the inventory, unless the package was committed again meanwhile."""
        await self._write(_REMOVE, [(*file.key, file.committed, file.modified) for file in files])

    async def _write(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        def write(transaction: Transaction) -> None:
            transaction.change_many(sql, rows)

        await self._database.write(write)

    async def quarantine(self, found: QuarantinedFile) -> None:
        """Record a file that was moved away; it is no longer a kept package."""

        def write(transaction: Transaction) -> None:
            transaction.change(f"DELETE FROM mirrored_packages WHERE {_ONE}", found.key)  # noqa: S608 - ours
            transaction.change(
                "INSERT OR REPLACE INTO quarantined_files VALUES (?, ?, ?, ?, ?, ?, ?)",
                (found.file, *found.key, found.size, found.why, found.found),
            )

        await self._database.write(write)

    async def quarantined(self) -> list[QuarantinedFile]:
        """The files in quarantine, oldest first."""
        columns = "file, upstream, lower_id, lower_version, size, why, found"
        rows = await self._database.read(
            lambda fetch: fetch(f"SELECT {columns} FROM quarantined_files ORDER BY found", ())  # noqa: S608 - ours
        )
        return [QuarantinedFile(row[0], (row[1], row[2], row[3]), *row[4:]) for row in rows]

    async def forget_quarantined(self, files: Iterable[str]) -> None:
        await self._write("DELETE FROM quarantined_files WHERE file = ?", [(file,) for file in files])


def _counted(fetch: Fetch) -> Counts:
    upstreams = fetch("SELECT upstream, count(*), sum(size + symbols) FROM mirrored_files GROUP BY upstream", ())
    [[gone, never_verified, oldest_use]] = fetch(
        "SELECT coalesce(sum(is_gone), 0), coalesce(sum(verified = 0), 0), coalesce(min(used), 0) FROM mirrored_files",
        (),
    )
    pinned = f"SELECT count(*) FROM mirrored_files WHERE EXISTS (SELECT 1 FROM mirrored_pins WHERE {_PINNED})"  # noqa: S608
    return Counts([(row[0], row[1], row[2]) for row in upstreams], fetch(pinned, ())[0][0], gone, never_verified,
                  oldest_use)  # fmt: skip


def write_files(transaction: Transaction, rows: Iterable[Sequence[object]]) -> None:
    """Enter files inside a transaction: the values of a row up to `verified`. None of them is gone upstream."""
    transaction.change_many(_UPSERT, rows)
