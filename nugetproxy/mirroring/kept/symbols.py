"""The PDBs of kept packages: which ones their assemblies name, which are kept, and which the symbol server lacks.

One row for each, in the inventory's database; the file of a PDB is beside its package. A PDB belongs to its package: it
is counted and evicted with it. Fetching and serving them belongs to `mirroring.symbols`.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nugetproxy.mirroring.kept.files import FileKey
from nugetproxy.storage.blobs.base import BlobInfo, BlobKey, BlobStore
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.sqlite import SqliteDatabase

_COLUMNS: Final = "upstream, lower_id, lower_version, lower_key, lower_name, checksums, size, modified, sha512, absent"
_PACKAGE: Final = "upstream = ? AND lower_id = ? AND lower_version = ?"
_ENDING: Final = ".pdb"
# Packages that name the same PDB: real ones are few.
_MOST_PACKAGES: Final = 50
_PORTION: Final = 1000


@dataclass(frozen=True, slots=True)
class MirroredPdb:
    """A PDB that an assembly of a kept package names. Name and key are in lower case.

    `checksums` are those that the assembly states, as in the header SymbolChecksum. `size` in bytes, 0 if it is not
    kept; `modified` in nanoseconds, `sha512` in base64. `absent`: when the symbol server said that it lacks it, in unix
    seconds.
    """

    upstream: str
    lower_id: str
    lower_version: str
    lower_key: str
    lower_name: str
    checksums: str
    size: int = 0
    modified: int = 0
    sha512: str = ""
    absent: int = 0

    @property
    def package(self) -> FileKey:
        return self.upstream, self.lower_id, self.lower_version

    @property
    def blob(self) -> BlobKey:
        """Where it is kept."""
        return pdb_key(self.package, self.lower_key)

    @property
    def is_kept(self) -> bool:
        return self.size > 0


class KeptSymbols:
    """The rows. All methods raise StorageUnavailable."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    @property
    def is_read_only(self) -> bool:
        return self._database.is_read_only

    def find(self, lower_name: str, lower_key: str) -> list[MirroredPdb]:
        """One for each package that names the PDB, those that are kept first. Takes microseconds."""
        rows = self._database.fetch_now(
            f"SELECT {_COLUMNS} FROM mirrored_symbols WHERE lower_key = ? AND lower_name = ?"  # noqa: S608 - ours
            " ORDER BY size = 0, upstream, lower_id, lower_version LIMIT ?",
            (lower_key, lower_name, _MOST_PACKAGES),
        )
        return [MirroredPdb(*row) for row in rows]

    def of(self, package: FileKey) -> list[MirroredPdb] | None:
        """Those of a package, by key; None if its assemblies were not read."""
        known = self._database.fetch_now(
            f"SELECT 1 FROM mirrored_files WHERE {_PACKAGE} AND symbols_known = 1",  # noqa: S608 - ours
            package,
        )
        if not known:
            return None
        rows = self._database.fetch_now(
            f"SELECT {_COLUMNS} FROM mirrored_symbols WHERE {_PACKAGE} ORDER BY lower_key",  # noqa: S608 - ours
            package,
        )
        return [MirroredPdb(*row) for row in rows]

    def has_unread(self) -> bool:
        """Whether there are packages whose assemblies were not read. Takes microseconds."""
        return bool(self._database.fetch_now("SELECT 1 FROM mirrored_files WHERE symbols_known = 0 LIMIT 1"))

    def unread(self, limit: int) -> list[FileKey]:
        """Packages whose assemblies were not read, the most recently used first. Blocks."""
        rows = self._database.fetch_now(
            "SELECT upstream, lower_id, lower_version FROM mirrored_files WHERE symbols_known = 0"
            " ORDER BY used DESC LIMIT ?",
            (limit,),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def all_kept(self) -> Iterator[MirroredPdb]:
        """Every PDB that is kept, by name and key as in a path, read in portions. Blocks."""
        after: tuple[str, ...] = ("", "", "", "", "")
        order = "lower_name || '/', lower_key, upstream, lower_id, lower_version"
        while True:
            rows = self._database.fetch_now(
                f"SELECT {_COLUMNS} FROM mirrored_symbols WHERE size > 0 AND ({order}) > (?, ?, ?, ?, ?)"  # noqa: S608 - ours
                f" ORDER BY {order} LIMIT {_PORTION}",
                after,
            )
            for row in rows:
                pdb = MirroredPdb(*row)
                after = f"{pdb.lower_name}/", pdb.lower_key, *pdb.package
                yield pdb
            if len(rows) < _PORTION:
                return

    async def enter(self, package: FileKey, pdbs: Sequence[MirroredPdb]) -> None:
        """Its assemblies were read: these are their PDBs."""

        def write(transaction: Transaction) -> None:
            insert_pdbs(transaction, pdbs)
            transaction.change(f"UPDATE mirrored_files SET symbols_known = 1 WHERE {_PACKAGE}", package)  # noqa: S608 - ours

        await self._database.write(write)

    async def keep(self, pdb: MirroredPdb) -> None:
        """Its file is kept, with this size, time and SHA-512; or, with a size of 0, it is not kept any more."""
        sql = "UPDATE mirrored_symbols SET size = ?, modified = ?, sha512 = ?, absent = 0"
        where = f"{_PACKAGE} AND lower_key = ?"
        given = (pdb.size, pdb.modified, pdb.sha512, *pdb.package, pdb.lower_key)
        await self._database.write(lambda transaction: transaction.change(f"{sql} WHERE {where}", given))

    async def note_absent(self, pdb: MirroredPdb, now: int) -> None:
        """The symbol server of the upstream lacks it, at this unix time, whichever package names it."""
        sql = "UPDATE mirrored_symbols SET absent = ? WHERE lower_key = ? AND lower_name = ? AND upstream = ?"
        given = (now, pdb.lower_key, pdb.lower_name, pdb.upstream)
        await self._database.write(lambda transaction: transaction.change(sql, given))


def insert_pdbs(transaction: Transaction, pdbs: Sequence[MirroredPdb]) -> None:
    """Enter PDBs inside a transaction, if their package is kept; one that is known stays as it is."""
    transaction.change_many(
        f"INSERT INTO mirrored_symbols ({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10"  # noqa: S608 - ours
        " WHERE EXISTS (SELECT 1 FROM mirrored_files WHERE upstream = ?1 AND lower_id = ?2 AND lower_version = ?3)"
        " ON CONFLICT DO NOTHING",
        [
            (*pdb.package, pdb.lower_key, pdb.lower_name, pdb.checksums, pdb.size, pdb.modified, pdb.sha512, pdb.absent)
            for pdb in pdbs
        ],
    )


def pdb_key(package: FileKey, lower_key: str) -> BlobKey:
    """Where a PDB of a package is kept: beside it, under its key alone, because its name is chosen by the assembly."""
    return BlobKey.of(*package, f"{lower_key}{_ENDING}")


def pdb_files(blobs: BlobStore, package: FileKey) -> list[BlobInfo]:
    """The PDB files beside a package. Blocks; raises StorageUnavailable."""
    return [blob for blob in blobs.walk(*package) if blob.key.segments[-1].endswith(_ENDING)]


def delete_pdbs(folder: Path) -> None:
    """Delete the PDB files in the folder of a package that goes. Raises nothing: what is left is swept later."""
    with suppress(OSError):
        for path in folder.glob(f"*{_ENDING}"):
            path.unlink(missing_ok=True)
