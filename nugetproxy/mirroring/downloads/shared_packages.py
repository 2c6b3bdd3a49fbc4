"""The table of mirrored packages in the bucket of a fleet: what is there, when it was used, and what may go.

A row is added once its object is complete, and removed before the object is deleted. Until the row is there, and after
it is gone, the object is listed as unclaimed, so nothing is left over whenever a node is killed. Names of objects are
never used twice: deleting one never affects a package that was stored again.

All times are in seconds by the database's clock. Reading and writing objects belongs to `sharing`, deciding what goes
to `mirroring.care.bucket_budget`. All methods raise StorageUnavailable.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Database, Rows, Transaction

T = TypeVar("T")
PackageKey = tuple[str, str, str]
"""Upstream, lower id, lower version."""
PdbKey = tuple[str, str, str]
"""Upstream, lower name, lower key."""

Fence = Callable[[Transaction], None]
"""Called in a transaction; raises StorageUnavailable if this node may not do the work any more."""

_NOW: Final = "extract(epoch FROM clock_timestamp())::bigint"
_KEY: Final = "upstream, lower_id, lower_version"
_ONE: Final = "upstream = ? AND lower_id = ? AND lower_version = ?"
_INSERT: Final = (
    f"INSERT INTO shared_packages ({_KEY}, blob, size, sha512, stored, used)"  # noqa: S608 - ours
    f" VALUES (?, ?, ?, ?, ?, ?, {_NOW}, {_NOW}) ON CONFLICT DO NOTHING"
)
_CLOCK: Final = "extract(epoch FROM clock_timestamp())::double precision"
_FIND: Final = (
    f"SELECT blob, size, sha512, 0 FROM shared_packages WHERE {_ONE} UNION ALL"  # noqa: S608 - ours
    f" SELECT '', 0, '', until - {_CLOCK} FROM shared_absences WHERE what = ? AND until > {_CLOCK}"
)
_NOTE_ABSENT: Final = (
    f"INSERT INTO shared_absences (what, until) VALUES (?, {_CLOCK} + ?)"  # noqa: S608 - ours
    " ON CONFLICT (what) DO UPDATE SET until = excluded.until"
)
_ONE_PDB: Final = "upstream = ? AND lower_name = ? AND lower_key = ?"
_FIND_PDB: Final = _FIND.replace("shared_packages", "shared_pdbs").replace(_ONE, _ONE_PDB)
_INSERT_PDB: Final = (
    "INSERT INTO shared_pdbs (upstream, lower_name, lower_key, lower_id, lower_version, blob, size, sha512)"  # noqa: S608 - ours
    f" SELECT ?, ?, ?, ?, ?, ?, CAST(? AS BIGINT), ? WHERE EXISTS (SELECT 1 FROM shared_packages WHERE {_ONE})"
    " ON CONFLICT DO NOTHING"
)
_SIZE_WITH_PDBS: Final = (
    "size + (SELECT coalesce(sum(size), 0)::bigint FROM shared_pdbs AS s WHERE s.upstream = p.upstream"
    " AND s.lower_id = p.lower_id AND s.lower_version = p.lower_version)"
)
_UNCLAIM: Final = f"INSERT INTO shared_unclaimed (blob, since) SELECT blob, {_NOW} FROM gone ON CONFLICT DO NOTHING"  # noqa: S608 - ours
# In seconds. What the upstream did not offer is asked about again after this time.
_GONE_FOR: Final = 7 * 86400
# By how much the time of the last use may be behind: a package is written at most once in this time.
USE_BEHIND: Final = 3 * 3600


@dataclass(frozen=True, slots=True)
class SharedPackage:
    """A package in the bucket. `sha512` is that of the file, in base64."""

    blob: BlobKey
    size: int
    sha512: str


@dataclass(frozen=True, slots=True)
class Absence:
    """The upstream does not have it; to be believed for `left` more seconds."""

    left: float


@dataclass(frozen=True, slots=True)
class StoredPackage:
    """A row, for those who decide what goes. `size` is with its PDBs, `used` up to `USE_BEHIND` before the last use."""

    upstream: str
    lower_id: str
    lower_version: str
    blob: str
    size: int
    used: int

    @property
    def key(self) -> PackageKey:
        return self.upstream, self.lower_id, self.lower_version


class SharedPackages:
    """The rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key: PackageKey) -> SharedPackage | Absence | None:
        """The package, if the bucket has it, or that the upstream lacks it. One query."""
        rows = await self._database.fetch(_FIND, (*key, package_called(key)))
        return _found(rows)

    async def versions(self, upstream: str, lower_id: str) -> tuple[str, ...]:
        """The lower-case versions of an id that the bucket has."""
        sql = "SELECT lower_version FROM shared_packages WHERE upstream = ? AND lower_id = ?"
        return tuple(str(version) for (version,) in await self._database.fetch(sql, (upstream, lower_id)))

    # --- what upstreams lack ------------------------------------------------------------------------------------------

    async def note_absent(self, what: str, seconds: float) -> None:
        """The upstream said that it does not have this; for so long it is not asked again."""
        row = (what, seconds)
        await self._database.write(lambda transaction: transaction.change(_NOTE_ABSENT, row))

    async def forget_absences(self, fence: Fence) -> None:
        """Those that are not believed any more."""
        sql = f"DELETE FROM shared_absences WHERE until < {_CLOCK}"  # noqa: S608 - ours
        await self._database.write(_fenced(fence, lambda transaction: transaction.change(sql)))

    # --- storing ------------------------------------------------------------------------------------------------------

    async def announce(self, blob: BlobKey) -> None:
        """Before an object is written: it is deleted later unless a row claims it."""
        row = (str(blob),)
        sql = f"INSERT INTO shared_unclaimed (blob, since) VALUES (?, {_NOW})"  # noqa: S608 - ours
        await self._database.write(lambda transaction: transaction.change(sql, row))

    async def add(self, key: PackageKey, package: SharedPackage) -> bool:
        """The announced object is complete. False: another node stored the package, or the object may be gone by now;
        then it is deleted later."""
        blob = str(package.blob)

        def add(transaction: Transaction) -> bool:
            claimed = transaction.fetch("SELECT 1 FROM shared_unclaimed WHERE blob = ? AND since > 0", (blob,))
            if not claimed or not transaction.change(_INSERT, (*key, blob, package.size, package.sha512)):
                return False
            transaction.change("DELETE FROM shared_unclaimed WHERE blob = ?", (blob,))
            transaction.change("DELETE FROM shared_absences WHERE what = ?", (package_called(key),))
            return True

        return await self._database.write(add)

    async def forget(self, key: PackageKey, package: SharedPackage) -> None:
        """The object does not have these bytes, or does not exist."""
        row = (*key, str(package.blob))
        sql = f"WITH gone AS (DELETE FROM shared_packages WHERE {_ONE} AND blob = ? RETURNING blob) {_UNCLAIM}"  # noqa: S608 - ours
        await self._database.write(lambda transaction: transaction.change(sql, row))

    # --- PDBs ---------------------------------------------------------------------------------------------------------

    async def find_pdb(self, key: PdbKey, called: str) -> SharedPackage | Absence | None:
        """The PDB, if the bucket has it, or that the symbol server lacks it, which is noted under `called`."""
        return _found(await self._database.fetch(_FIND_PDB, (*key, called)))

    async def add_pdb(self, key: PdbKey, package: PackageKey, pdb: SharedPackage) -> bool:
        """As `add`. Also False where the bucket does not have the package."""
        row = (*key, *package[1:], str(pdb.blob), pdb.size, pdb.sha512, *package)

        def add(transaction: Transaction) -> bool:
            claimed = transaction.fetch("SELECT 1 FROM shared_unclaimed WHERE blob = ? AND since > 0", (str(pdb.blob),))
            if not claimed or not transaction.change(_INSERT_PDB, row):
                return False
            transaction.change("DELETE FROM shared_unclaimed WHERE blob = ?", (str(pdb.blob),))
            return True

        return await self._database.write(add)

    async def forget_pdb(self, key: PdbKey, pdb: SharedPackage) -> None:
        """As `forget`."""
        row = (*key, str(pdb.blob))
        sql = f"WITH gone AS (DELETE FROM shared_pdbs WHERE {_ONE_PDB} AND blob = ? RETURNING blob) {_UNCLAIM}"  # noqa: S608 - ours
        await self._database.write(lambda transaction: transaction.change(sql, row))

    # --- uses ---------------------------------------------------------------------------------------------------------

    async def note_uses(self, keys: Iterable[PackageKey]) -> None:
        """They were used lately. Not written where the last use is newer than `USE_BEHIND`."""
        rows = sorted(keys)  # in one order, so that two nodes wait for each other at most once
        sql = f"UPDATE shared_packages SET used = {_NOW} WHERE {_ONE} AND used < {_NOW} - {USE_BEHIND}"  # noqa: S608 - ours
        await self._database.write(lambda transaction: transaction.change_many(sql, rows))

    # --- removing -----------------------------------------------------------------------------------------------------

    async def total(self) -> tuple[int, int]:
        """How many packages there are, and the bytes of them and their PDBs. Reads the whole tables, in a thread."""
        sql = (
            "SELECT count(*), coalesce(sum(size), 0) + (SELECT coalesce(sum(size), 0) FROM shared_pdbs)"
            " FROM shared_packages"
        )
        [(packages, size)] = await self._database.read(lambda fetch: fetch(sql, ()))
        return int(packages), int(size)

    async def oldest(self, limit: int, after: StoredPackage | None = None) -> list[StoredPackage]:
        """Those that may go, least recently used first: not pinned, and offered by the upstream when last asked.

        After the row `after` in this order. Read in a thread.
        """
        beyond = "" if after is None else f" AND used >= ? AND (used, {_KEY}) > (?, ?, ?, ?)"
        given = () if after is None else (after.used, after.used, *after.key)
        sql = (
            f"SELECT {_KEY}, blob, {_SIZE_WITH_PDBS}, used FROM shared_packages AS p"  # noqa: S608 - ours
            f" WHERE gone < {_NOW} - {_GONE_FOR} AND NOT EXISTS (SELECT 1 FROM mirrored_pins AS pin"
            f" WHERE pin.lower_id = p.lower_id AND pin.lower_version IN ('', p.lower_version)){beyond}"
            f" ORDER BY used, {_KEY} LIMIT ?"
        )
        rows = await self._database.read(lambda fetch: fetch(sql, (*given, limit)))
        return [StoredPackage(*row) for row in rows]

    async def mark_gone(self, package: StoredPackage, fence: Fence) -> None:
        """The upstream does not offer it: it could not be fetched again."""
        row = (*package.key, package.blob)
        sql = f"UPDATE shared_packages SET gone = {_NOW} WHERE {_ONE} AND blob = ?"  # noqa: S608 - ours
        await self._database.write(_fenced(fence, lambda transaction: transaction.change(sql, row)))

    async def remove(self, packages: Sequence[StoredPackage], fence: Fence) -> list[StoredPackage]:
        """Remove rows, unless the package was used or pinned meanwhile; returns those that are gone now.

        Their objects are unclaimed from now on.
        """
        sql = (
            f"WITH gone AS (DELETE FROM shared_packages AS p WHERE {_ONE} AND blob = ? AND used = ? AND NOT EXISTS"  # noqa: S608 - ours
            " (SELECT 1 FROM mirrored_pins AS pin WHERE pin.lower_id = p.lower_id"
            " AND pin.lower_version IN ('', p.lower_version)) RETURNING upstream, lower_id, lower_version, blob),"
            " pdbs AS (DELETE FROM shared_pdbs AS s USING gone WHERE s.upstream = gone.upstream"
            " AND s.lower_id = gone.lower_id AND s.lower_version = gone.lower_version RETURNING s.blob)"
            f" INSERT INTO shared_unclaimed (blob, since) SELECT blob, {_NOW} FROM gone UNION ALL"
            f" SELECT blob, {_NOW} FROM pdbs ON CONFLICT DO NOTHING"
        )

        def remove(transaction: Transaction) -> list[StoredPackage]:
            return [each for each in packages if transaction.change(sql, (*each.key, each.blob, each.used))]

        return await self._database.write(_fenced(fence, remove))

    async def doomed(self, grace: int, limit: int, fence: Fence) -> list[str]:
        """Objects that have been unclaimed for `grace` seconds: nobody can claim them any more."""
        sql = (
            "UPDATE shared_unclaimed SET since = 0 WHERE blob IN"  # noqa: S608 - ours
            f" (SELECT blob FROM shared_unclaimed WHERE since <= {_NOW} - ? ORDER BY since LIMIT ?) RETURNING blob"
        )
        rows = await self._database.write(_fenced(fence, lambda transaction: transaction.fetch(sql, (grace, limit))))
        return [blob for (blob,) in rows]

    async def deleted(self, blobs: Sequence[str]) -> None:
        """These objects do not exist any more."""
        rows = [(blob,) for blob in blobs]
        sql = "DELETE FROM shared_unclaimed WHERE blob = ? AND since = 0"
        await self._database.write(lambda transaction: transaction.change_many(sql, rows))


def _found(rows: Rows) -> SharedPackage | Absence | None:
    left = 0.0
    for blob, size, sha512, seconds in rows:
        if blob:
            return SharedPackage(BlobKey(tuple(blob.split("/"))), size, sha512)
        left = seconds
    return Absence(left) if left > 0 else None


def package_called(key: PackageKey) -> str:
    """The name of a package among what upstreams lack."""
    return f"package {'/'.join(key)}"


def _fenced(fence: Fence, work: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
    def whole(transaction: Transaction) -> T:
        fence(transaction)
        return work(transaction)

    return whole
