"""The inventory of the mirror: for the search over kept packages, for totals, and for comparing hashes.

The package files are authoritative and the inventory follows them: a row is written after a file's commit, and
`reconcile` creates the rows for a tree that was copied here without its inventory. No download waits for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from nugetproxy.errors import DataOfAnotherVersion, InvalidPackage, StorageUnavailable
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.logs import logger
from nugetproxy.mirroring.kept.files import write_files
from nugetproxy.mirroring.kept.parts import kept_manifest
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.signature import content_hash
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.opening import set_aside
from nugetproxy.storage.database.sqlite import SqliteDatabase

_log = logger()

RECONCILING: Final = "inventory reconcile"
"""The lease under which `reconcile` runs: a row that another process adds meanwhile would lose what only it knows."""

# Rows per transaction in `reconcile`: enough to be fast, few enough that other writers hardly wait.
_BATCH: Final = 200

_UPSERT: Final = """
INSERT INTO mirrored_packages
    (upstream, lower_id, lower_version, package_id, words, package_types, size, content_hash, committed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, lower_id, lower_version) DO UPDATE SET
    package_id = excluded.package_id, words = excluded.words, package_types = excluded.package_types,
    size = excluded.size, content_hash = excluded.content_hash, committed = excluded.committed
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """The number of packages kept, and their bytes."""

    packages: int
    bytes: int


@dataclass(frozen=True, slots=True)
class KeptPackage:
    """One kept package, as recorded in the inventory. `size` in bytes, `committed` in unix seconds; the rest as in
    `kept.files`."""

    upstream: str
    manifest: PackageManifest
    size: int
    content_hash: str
    committed: int
    modified: int = 0
    sha512: str = ""
    fetch_milliseconds: int = 0
    verified: int = 0


def open_ledger(path: Path, *, read_only: bool = False) -> SqliteDatabase:
    """The inventory's database. It can be rebuilt from the files, so it never prevents a start: an unreadable one is
    moved aside, and if none can be written (a full disk) it is kept in memory until the next start.

    `read_only`: nothing can be written there. A complete one is used as it is, otherwise it is rebuilt in memory.

    Raises DataOfAnotherVersion for one of another version: a server that uses it may be running.
    """
    if read_only:
        return _open_whole(path) or SqliteDatabase(path, "inventory", in_memory=True)
    for _ in range(2):
        try:
            return SqliteDatabase(path, "inventory")
        except DataOfAnotherVersion:
            raise
        except StorageUnavailable as error:
            _log.warning("inventory_unreadable", path=str(path), error=str(error))
            set_aside(path)
    return SqliteDatabase(path, "inventory", in_memory=True)


def _open_whole(path: Path) -> SqliteDatabase | None:
    """None if it is missing, unreadable, of another version, or incomplete."""
    if not path.exists():
        return None
    try:
        database = SqliteDatabase(path, "inventory", read_only=True)
    except StorageUnavailable as error:
        _log.warning("inventory_unreadable", path=str(path), error=str(error))
        return None
    if database.fetch_now("SELECT 1 FROM reconciled"):
        return database
    database.close()
    return None


class Inventory:
    """The inventory over one database."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def add(self, package: KeptPackage) -> None:
        """Add a package. Returns immediately; a failure to write is only logged, since the file itself is safe."""
        future = self._database.submit(_inserting([package]))
        future.add_done_callback(_log_failure)

    async def add_rows(self, rows: Iterable[tuple[Sequence[object], Sequence[object]]]) -> None:
        """Add packages by their `rows_of`, in one transaction. Raises StorageUnavailable."""
        of_packages, of_files = zip(*rows, strict=True)
        await self._database.write(lambda transaction: _insert_rows(transaction, of_packages, of_files))

    def totals(self) -> Totals:
        """Raises StorageUnavailable."""
        rows = self._database.fetch_now("SELECT packages, bytes FROM mirrored_totals")
        return Totals(*rows[0])

    def content_hash(self, upstream: str, lower_id: str, lower_version: str) -> str | None:
        """The base64 SHA-512 as in lock files, None if the package is not in the inventory."""
        rows = self._database.fetch_now(
            "SELECT content_hash FROM mirrored_packages WHERE upstream = ? AND lower_id = ? AND lower_version = ?",
            (upstream, lower_id, lower_version),
        )
        return str(rows[0][0]) if rows else None

    def keeps(self, lower_id: str, lower_version: str) -> bool:
        """Whether the package is kept from any upstream. Raises StorageUnavailable."""
        return bool(
            self._database.fetch_now(
                "SELECT 1 FROM mirrored_packages WHERE lower_id = ? AND lower_version = ?", (lower_id, lower_version)
            )
        )

    def search(self, upstream: str, text: str, package_type: str | None) -> list[str]:
        """The ids (original casing) of kept packages that contain every word of `text`.

        Words are found in id, title, tags, authors and description. Best first: exact id, id starts with the text, id
        contains it, the rest. `package_type` is lower-case. Words may be scoped as in nuget.org's query language
        (`packageid:`, `id:`).
        """
        conditions, parameters = ["upstream = ?"], [upstream]
        words = []
        for token in text.lower().split():
            scope, colon, value = token.partition(":")
            value = value.strip('"')
            if colon and scope == "packageid":
                conditions.append("lower_id = ?")
                parameters.append(value)
            elif colon and scope == "id":
                conditions.append("instr(lower_id, ?) > 0")
                parameters.append(value)
            elif colon and scope in _TEXT_FIELDS:
                conditions.append("instr(words, ?) > 0")
                parameters.append(value)
            elif not colon:
                words.append(token.strip('"'))
        for word in words:
            conditions.append("instr(words, ?) > 0")
            parameters.append(word)
        if package_type is not None:
            conditions.append("instr(package_types, ?) > 0")
            parameters.append(f" {package_type} ")
        rows = self._database.fetch_now(
            f"SELECT lower_id, max(package_id) FROM mirrored_packages WHERE {' AND '.join(conditions)}"  # noqa: S608  conditions are ours
            " GROUP BY lower_id ORDER BY lower_id",
            parameters,
        )
        whole = " ".join(words)
        ranked = sorted(
            rows, key=lambda row: (row[0] != whole, not row[0].startswith(whole), whole not in row[0], row[0])
        )
        return [str(row[1]) for row in ranked]

    def ids_starting_with(self, upstream: str, prefix: str) -> list[str]:
        """The ids (original casing) of kept packages that start with `prefix` (any casing), in order."""
        lower = prefix.lower()
        rows = self._database.fetch_now(
            "SELECT max(package_id) FROM mirrored_packages WHERE upstream = ? AND lower_id >= ? AND lower_id < ?"
            " GROUP BY lower_id ORDER BY lower_id",
            (upstream, lower, lower + "\U0010ffff"),
        )
        return [str(row[0]) for row in rows]

    async def reconcile(self, tree: Path) -> int:
        """Add every package file below `tree` ({upstream}/{lower id}/{lower version}/), once per inventory.

        For a tree that came without its inventory (copied by hand, or carried across an air gap). If interrupted, it
        is done again at the next start. Returns the number of packages added. Runs in a thread, in the background.
        """
        if self._database.fetch_now("SELECT 1 FROM reconciled") or not tree.is_dir():
            return 0
        entered = 0
        walk = _packages_below(tree)
        while batch := await UPKEEP.run(list, islice(walk, _BATCH)):
            await self._database.write(_inserting(batch))
            entered += len(batch)
        await self._database.write(
            lambda transaction: transaction.change("INSERT OR IGNORE INTO reconciled VALUES (1)")
        )
        if entered:
            _log.info("inventory_made_anew", packages=entered)
        return entered


# Fields of the search language that are matched in one text here; ranking is not needed while the upstream is down.
_TEXT_FIELDS: Final = frozenset({"title", "description", "tag", "tags", "author", "authors", "summary"})


def _row(package: KeptPackage) -> tuple[object, ...]:
    manifest = package.manifest
    words = " ".join(
        (manifest.id.text, manifest.title, manifest.summary, *manifest.tags, manifest.authors, manifest.description)
    )
    types = " ".join(kind.name for kind in manifest.package_types) or "Dependency"
    return (
        package.upstream,
        manifest.identity.lower_id,
        manifest.identity.lower_version,
        manifest.id.text,
        words.lower()[:8000],
        f" {types.lower()} ",
        package.size,
        package.content_hash,
        package.committed,
    )


def _file_row(package: KeptPackage) -> tuple[object, ...]:
    identity = package.manifest.identity
    return (
        package.upstream,
        identity.lower_id,
        identity.lower_version,
        package.size,
        package.modified,
        package.sha512,
        package.fetch_milliseconds,
        package.committed,
        package.committed,
        package.verified,
    )


def rows_of(package: KeptPackage) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """The rows of a package: what it says about itself, and the condition of its file. The upstream comes first."""
    return _row(package), _file_row(package)


def _inserting(batch: Iterable[KeptPackage]) -> Any:
    packages = list(batch)
    return lambda transaction: _insert_rows(transaction, map(_row, packages), map(_file_row, packages))


def _insert_rows(
    transaction: Transaction, rows: Iterable[Sequence[object]], file_rows: Iterable[Sequence[object]]
) -> None:
    transaction.change_many(_UPSERT, rows)
    write_files(transaction, file_rows)


def _packages_below(tree: Path) -> Iterator[KeptPackage]:
    for path in tree.glob("*/*/*/*.nupkg"):
        upstream, lower_id, lower_version = path.parts[-4:-1]
        if path.name != f"{lower_id}.{lower_version}.nupkg":
            continue
        try:
            manifest = kept_manifest(path, path.parent / f"{lower_id}.nuspec")
            with path.open("rb") as file:
                digest = content_hash(file)
            stat = path.stat()
        except (OSError, InvalidPackage) as error:
            _log.warning("kept_package_unreadable", path=str(path), error=str(error))
            continue
        yield KeptPackage(upstream, manifest, stat.st_size, digest, int(stat.st_mtime), stat.st_mtime_ns)


def _log_failure(future: "Future[Any]") -> None:
    error = future.exception()
    if isinstance(error, StorageUnavailable):
        _log.warning("inventory_not_written", error=str(error))
    elif error is not None:
        _log.error("inventory_not_written", exc_info=error)
