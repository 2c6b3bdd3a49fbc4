"""Symbols of hosted packages: a .snupkg is pushed, and debuggers find its PDBs by their keys.

Rule 1: symbols belong to the push of a version. They can be replaced, and are removed with it.
Rule 2: as with packages, a push is complete when its coroutine returns, and one that raises has changed nothing.
The rules for a .snupkg belong to `nuget.symbols_package`.
"""

import asyncio
import base64
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from nugetproxy.accounts.audit import AuditLog, insert_audit
from nugetproxy.accounts.keys import actor_now
from nugetproxy.accounts.model import Actor
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.accounts.permissions import may_push, may_push_anything, require
from nugetproxy.errors import DocumentNotFound, PackageNotFound, PartNotFound, StorageUnavailable, VersionNotFound
from nugetproxy.executors.base import Executor
from nugetproxy.executors.threads import COMMITS, DISK, INSPECTION
from nugetproxy.feeds.base import GrowingContent, LocalFile
from nugetproxy.hosting.acts import ANY_PACKAGE, REFUSALS, PushQueue, RunningActs, absence, audited, done
from nugetproxy.hosting.contents import HostedContents, new_key, require_wanted
from nugetproxy.hosting.inspection import identify
from nugetproxy.hosting.packages import HostedPackage, StoredContent, find_package, key_of, knows_id
from nugetproxy.hosting.symbols_extraction import ExtractedPdb, extract, pdb_name
from nugetproxy.logs import logger
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.symbols_package import SymbolsLimits
from nugetproxy.protocol.symbol_checksums import agrees
from nugetproxy.storage.blobs.base import BlobKey, BlobStore
from nugetproxy.storage.database.base import Database, Fetch, Transaction
from nugetproxy.storage.revisions import Change, Revisions
from nugetproxy.storage.spool import Spool, SpoolFolder
from nugetproxy.storage.telling import write_and_tell

_log = logger()

FOLDER: Final = "symbols"
"""The first segment of every key here."""

_MOST_CANDIDATES: Final = 20


@dataclass(frozen=True, slots=True)
class PushedSymbols:
    """The result of a push of symbols. `warnings` are one line each."""

    identity: PackageIdentity
    files: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PdbFile:
    """A PDB being pushed: what was extracted, and its bytes."""

    pdb: ExtractedPdb
    spool: Spool


@dataclass(frozen=True, slots=True)
class _Committed:
    """Blobs that are on disk but not named by any row yet."""

    package: BlobKey
    pdbs: tuple[tuple[PdbFile, BlobKey], ...]

    @property
    def keys(self) -> tuple[BlobKey, ...]:
        return (self.package, *(key for _, key in self.pdbs))


class Symbols:
    """The symbols of one data directory, for one process. `close` waits for the running pushes."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        ownership: Ownership,
        audit: AuditLog,
        revisions: Revisions,
        spools: SpoolFolder,
        *,
        inspection: Executor = INSPECTION,
        queue: PushQueue | None = None,
        limits: SymbolsLimits = SymbolsLimits(),  # noqa: B008 - frozen
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`spools` are on the file system of `blobs`; `inspection` has threads or processes. `clock` returns
        nanoseconds since 1970.
        """
        self._database = database
        self._contents = HostedContents(blobs)
        self._ownership = ownership
        self._audit = audit
        self._revisions = revisions
        self._spools = spools
        self._limits = limits
        self._clock = clock
        self._running = RunningActs()
        self._inspection = inspection
        self._queue = queue or PushQueue()
        self._extracting = asyncio.Lock()

    async def close(self) -> None:
        """Wait for the running pushes."""
        await self._running.close()

    # --- reading ------------------------------------------------------------------------------------------------------

    async def find(self, file_name: str, key: str, checksums: str = "") -> LocalFile | GrowingContent:
        """The PDB that a debugger requests; names and keys are case-insensitive.

        `checksums` is the header SymbolChecksum, empty if absent: of several PDBs with one key the one that it
        describes is chosen, or without the header the one that was pushed first.

        Raises:
            DocumentNotFound: nothing was pushed under this name and key, or nothing that matches the checksums.
            StorageUnavailable: its file is missing.
        """
        rows = await self._database.fetch(
            "SELECT f.checksums, f.blob, f.size, f.sha512, s.pushed FROM symbol_files AS f"
            " JOIN symbol_packages AS s USING (push) WHERE f.lower_name = ? AND f.lower_key = ?"
            " ORDER BY s.pushed, f.push, f.path LIMIT ?",
            (file_name.lower(), key.lower(), _MOST_CANDIDATES),
        )
        for known, *content in rows:
            if agrees(checksums, known):
                return await self._file(content)
        why = "with these checksums" if rows else "with this key"
        raise DocumentNotFound(f"no symbol file of this name {why} was pushed here")

    async def snupkg(self, package: PackageIdentity) -> LocalFile | GrowingContent:
        """The most recently pushed symbols package of a version.

        Raises:
            PackageNotFound, VersionNotFound: there is no such version.
            PartNotFound: it has no symbols.
            StorageUnavailable: its file is missing.
        """
        rows = await self._database.fetch(
            "SELECT s.blob, s.size, s.sha512, s.pushed FROM symbol_packages AS s JOIN hosted_packages AS h USING (push)"
            " WHERE h.lower_id = ? AND h.lower_version = ?",
            (package.lower_id, package.lower_version),
        )
        if rows:
            return await self._file(rows[0])
        await self._database.look(lambda fetch: _required(fetch, package))
        raise PartNotFound(package.id.text, package.version.normalized, "symbols package")

    async def has(self, package: PackageIdentity) -> bool:
        """Whether a version has a symbols package."""
        rows = await self._database.fetch(
            "SELECT 1 FROM symbol_packages AS s JOIN hosted_packages AS h USING (push)"
            " WHERE h.lower_id = ? AND h.lower_version = ?",
            (package.lower_id, package.lower_version),
        )
        return bool(rows)

    def blobs(self, fetch: Fetch) -> frozenset[str]:
        """The blobs that symbols need, as key texts."""
        rows = fetch("SELECT blob FROM symbol_packages UNION ALL SELECT blob FROM symbol_files", ())
        return frozenset(row[0] for row in rows)

    # --- push ---------------------------------------------------------------------------------------------------------

    async def admit_push(self, actor: Actor, *, address: str) -> None:
        """Refuse, before a body is read, an actor who can push no symbols. Raises NotAuthenticated, Forbidden."""
        async with audited(self._audit, actor, "push-symbols", ANY_PACKAGE, address):
            now = self._clock() // 1000
            require(
                await self._database.look(
                    lambda fetch: may_push_anything(actor, self._ownership.reach(fetch, actor), now, new_ids=False)
                )
            )

    async def push(self, actor: Actor, spool: Spool, *, address: str) -> PushedSymbols:
        """Keep the symbols package in `spool`, which is ours from here on, replacing an earlier one of its version.

        Raises:
            InvalidPackage: it breaks a rule, or its PDBs do not belong to the assemblies of the version.
            PackageNotFound, VersionNotFound: push the package before its symbols.
            NotAuthenticated, Forbidden: this actor may not push versions of this id.
            Busy: too many pushes are waiting to be checked.
            StorageUnavailable: nothing was changed.
        """
        return await self._running.to_the_end(self._push(actor, spool, address))

    async def _push(self, actor: Actor, spool: Spool, address: str) -> PushedSymbols:
        files: list[PdbFile] = []
        try:
            path = spool.path
            assert path is not None, "a push is spooled on disk"
            with self._queue.entered():
                package = await self._inspection.run(identify, path, self._limits.archive)
                stored = await self._database.look(lambda fetch: _required(fetch, package))
                async with audited(self._audit, actor, "push-symbols", str(package), address):
                    await self._database.look(lambda fetch: self._judge(actor, package, fetch))
                whole = await self._contents.local_file(
                    StoredContent(stored.blob, stored.size, stored.sha512, stored.created),
                    lambda: self._is_still(package, stored),
                )
                async with self._extracting:  # an assembly and a PDB are held in memory
                    extracted = await self._inspection.run(
                        extract, path, whole.path, self._spools.directory, self._limits, self._clock() / 1e9
                    )
                await DISK.run(_adopt, extracted, self._spools, files)
            async with audited(self._audit, actor, "push-symbols", str(package), address):
                await self._database.look(lambda fetch: self._judge(actor, package, fetch))
                blobs = await COMMITS.run(self._commit, package, spool, files)
                try:
                    replaced = await self._enter(actor, package, stored.push, spool, blobs, address)
                except (*REFUSALS, PackageNotFound, VersionNotFound):
                    await COMMITS.run(self._discard, blobs.keys)
                    raise
        finally:
            for each in (spool, *(file.spool for file in files)):
                each.end()
        await COMMITS.run(self._discard, replaced)
        _log.info("symbols_pushed", package=str(package), files=len(files), by=actor.name)
        return PushedSymbols(stored.identity, len(files))

    async def _file(self, row: Iterable[Any]) -> LocalFile | GrowingContent:
        content = _content(row)

        async def is_needed() -> bool:
            return str(content.blob) in await self._database.read(self.blobs)

        return await self._contents.whole(content, is_needed)

    async def _is_still(self, package: PackageIdentity, stored: HostedPackage) -> bool:
        return await self._database.look(lambda fetch: find_package(fetch, package)) == stored

    def _judge(self, actor: Actor, package: PackageIdentity, fetch: Fetch) -> None:
        """Raises unless the actor may push another version of the id."""
        facts = self._ownership.facts(fetch, package.id, knows_id(fetch, package.lower_id))
        require(may_push(actor, facts, self._clock() // 1000))

    def _commit(self, package: PackageIdentity, spool: Spool, files: Iterable[PdbFile]) -> _Committed:
        """Make all bytes durable. What a failure leaves is swept later. Blocks."""
        pdbs = []
        for file in files:
            key = new_key(FOLDER, package, file.spool.sha512, ".pdb")
            self._contents.commit(key, file.spool)
            pdbs.append((file, key))
        key = new_key(FOLDER, package, spool.sha512, ".snupkg")
        self._contents.commit(key, spool)
        return _Committed(key, tuple(pdbs))

    async def _enter(
        self, actor: Actor, package: PackageIdentity, push: int, spool: Spool, blobs: _Committed, address: str
    ) -> tuple[BlobKey, ...]:
        """The one transaction of a push; returns the blobs that are no longer needed after it."""

        def enter(transaction: Transaction) -> tuple[BlobKey, ...]:
            # Checked again, now that no other process can write.
            current = actor_now(transaction.fetch, actor, self._clock() // 1000)
            self._judge(current, package, transaction.fetch)
            now = find_package(transaction.fetch, package)
            if now is None or now.push != push:
                raise absence(transaction.fetch, package)
            require_wanted(transaction.fetch, blobs.keys)
            if any(self._contents.blobs.stat(key) is None for key in blobs.keys):
                raise StorageUnavailable("a file of the symbols vanished while they were being published")
            replaced = _remove(transaction, push)
            self._insert(transaction, push, spool, blobs)
            insert_audit(transaction, done(actor, "push-symbols", now.identity, address))
            return replaced

        return await write_and_tell(self._database, enter, self._revisions, Change.of_hosting(package.lower_id))

    def _insert(self, transaction: Transaction, push: int, spool: Spool, blobs: _Committed) -> None:
        row = (push, str(blobs.package), spool.size, _base64(spool.sha512), self._clock() // 1000)
        transaction.change("INSERT INTO symbol_packages VALUES (?, ?, ?, ?, ?)", row)
        transaction.change_many(
            "INSERT INTO symbol_files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    push,
                    file.pdb.path,
                    pdb_name(file.pdb.path).lower(),
                    file.pdb.key.lower(),
                    file.pdb.checksums,
                    str(key),
                    file.spool.size,
                    _base64(file.spool.sha512),
                )
                for file, key in blobs.pdbs
            ],
        )

    def _discard(self, keys: Iterable[BlobKey]) -> None:
        for key in keys:
            self._contents.discard(key)


def _required(fetch: Fetch, package: PackageIdentity) -> HostedPackage:
    """Raises PackageNotFound or VersionNotFound."""
    found = find_package(fetch, package)
    if found is None:
        raise absence(fetch, package)
    return found


def _adopt(extracted: Iterable[ExtractedPdb], spools: SpoolFolder, files: list[PdbFile]) -> None:
    """Adopt the extracted files, one after the other: after a failure `files` has those that succeeded. Blocks."""
    files.extend(PdbFile(pdb, spools.adopt(pdb.part, pdb.sha512, pdb.md5)) for pdb in extracted)


def _remove(transaction: Transaction, push: int) -> tuple[BlobKey, ...]:
    """Remove the rows of a push's symbols; returns their blobs."""
    rows = transaction.fetch(
        "SELECT blob FROM symbol_packages WHERE push = ?1 UNION ALL SELECT blob FROM symbol_files WHERE push = ?1",
        (push,),
    )
    transaction.change("DELETE FROM symbol_packages WHERE push = ?", (push,))
    return tuple(key_of(row[0]) for row in rows)


def _content(row: Iterable[Any]) -> StoredContent:
    blob, size, sha512, pushed = row
    return StoredContent(key_of(blob), size, sha512, pushed)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
