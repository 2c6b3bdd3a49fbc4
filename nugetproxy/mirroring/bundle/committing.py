"""Committing a sealed import: verified files become part of the mirror, and everybody sees them.

Every step can be done again, in any state of the disk: a process that is killed here leaves a sealed area, and the next
import or start of the server finishes it. So one sync is enough, before the area is removed. Packages come first,
documents last, so that nothing names a package that is not in place. Each package is moved under its lease: while a
download, an eviction or the quarantine has it, this waits.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from nugetproxy.errors import StorageUnavailable
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.logs import logger
from nugetproxy.mirroring.bundle.head import Head
from nugetproxy.mirroring.bundle.imported import ImportedBundle, note_imported
from nugetproxy.mirroring.bundle.staging import (
    Seal,
    Staged,
    StagedDocument,
    StagedPackage,
    StagedSymbols,
    Staging,
    areas,
)
from nugetproxy.mirroring.bundle.symbols_arriving import SymbolsCommitting
from nugetproxy.mirroring.downloads.keys import lease_of, package_key
from nugetproxy.mirroring.kept.inventory import RECONCILING, Inventory
from nugetproxy.mirroring.kept.pins import Pin, Pins
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.data_directory import MIRROR
from nugetproxy.storage.documents.base import DocumentStore
from nugetproxy.storage.leases import Lease, Leases
from nugetproxy.storage.revisions import Revisions
from nugetproxy.storage.spool import disk_failures

LEASE: Final = "bundle import"
"""Held by the process that imports a bundle or finishes an import."""

# Packages whose files are moved and whose rows are written together.
_BATCH: Final = 200
_PDBS_AT_ONCE: Final = 64

_log = logger()
T = TypeVar("T")

_Placed: TypeAlias = tuple[StagedPackage, str]
"""A package, and the name of an upstream where it is kept."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit changed: `packages`, `symbols` (PDBs) and `documents` that are new; `older_documents` were not
    newer than ours."""

    packages: int
    symbols: int
    documents: int
    older_documents: int


class Committing:
    """Commits imports into the data directory `data`. `remember` records the service indexes of upstreams,
    by name."""

    def __init__(
        self,
        data: Path,
        *,
        blobs: FilesystemBlobs,
        inventory: Inventory,
        symbols: SymbolsCommitting,
        pins: Pins,
        documents: DocumentStore,
        leases: Leases,
        revisions: Revisions,
        remember: Callable[[Mapping[str, str]], None],
    ) -> None:
        self._data = data
        self._blobs = blobs
        self._inventory = inventory
        self._symbols = symbols
        self._pins = pins
        self._documents = documents
        self._leases = leases
        self._revisions = revisions
        self._remember = remember

    def try_alone(self) -> Lease | None:
        """The right to import, or None while another process has it."""
        return self._leases.try_hold(LEASE)

    async def finish_interrupted(self) -> int:
        """Commit what a killed process had sealed; returns the number of bundles. The caller has the right to import.

        Raises StorageUnavailable.
        """
        sealed = [each for each in areas(self._data) if each.is_sealed]
        for each in sealed:
            _log.warning("bundle_import_resumed", bundle=_head(each.read_seal()).bundle)
            await self.commit(each)
        return len(sealed)

    async def commit(self, staging: Staging, placed: Callable[[int], None] = lambda _: None) -> Committed:
        """Commit one sealed area. `placed` is called with each number of packages that were put in place together.

        Raises StorageUnavailable: then the area stays, to be committed again.
        """
        seal = staging.read_seal()
        # A mirror without an inventory has it rebuilt from its files first, so that these are not read once more.
        async with self._leases.hold(RECONCILING):
            await self._inventory.reconcile(self._data / MIRROR)
        packages = await self._commit_packages(staging, seal, placed)
        symbols = 0
        records = staging.records()
        while pdbs := await UPKEEP.run(_next, records, StagedSymbols, _PDBS_AT_ONCE):
            symbols += await self._symbols.commit(staging, pdbs)
        documents = older = 0
        for record in staging.records():
            if isinstance(record, StagedDocument):
                if await self._commit_document(staging, record):
                    documents += 1
                else:
                    older += 1
        # Last: servers that notice a new upstream look whether anything of it is here.
        self._remember(seal.upstreams)
        head = _head(seal)
        now = int(time.time())
        note_imported(
            self._data,
            ImportedBundle(head.bundle, head.source, head.sequence, seal.key, head.created, now, head.manifest_sha512,
                           packages, documents),
        )  # fmt: skip
        # Documents about no package in particular may have changed, too: vulnerabilities, the service index.
        self._revisions.bump_all()
        await UPKEEP.run(staging.committed)
        _log.info("bundle_imported", bundle=head.bundle, source=head.source, sequence=head.sequence, packages=packages,
                  symbols=symbols, documents=documents)  # fmt: skip
        return Committed(packages, symbols, documents, older)

    # --- packages -----------------------------------------------------------------------------------------------------

    async def _commit_packages(self, staging: Staging, seal: Seal, placed: Callable[[int], None]) -> int:
        """Files are moved while the rows of those before them are written."""
        packages = 0
        batch: list[StagedPackage] = []
        ours: list[_Placed] = []
        records = staging.records()
        while True:
            following = await UPKEEP.run(_next, records, StagedPackage, _BATCH)
            entered, moved = await asyncio.gather(
                self._enter(seal, batch, ours), self._place(staging, following), return_exceptions=True
            )
            # Both have ended: nothing goes on in the background after an error.
            if isinstance(entered, BaseException):
                raise entered
            if isinstance(moved, BaseException):
                raise moved
            packages += entered
            if batch:
                placed(len(batch))
            if not following:
                return packages
            batch, ours = following, moved

    async def _place(self, staging: Staging, batch: list[StagedPackage]) -> list[_Placed]:
        """Move the files; returns those that are in place."""
        waiting = await UPKEEP.run(self._move_free, staging, batch)
        for record, place in waiting:
            async with self._leases.hold(lease_of(_key(record, place))):
                await UPKEEP.run(self._move, staging, record, place)
        return await UPKEEP.run(self._ours, batch)

    async def _enter(self, seal: Seal, batch: list[StagedPackage], ours: list[_Placed]) -> int:
        """Write the rows of what is in place; returns the number of packages."""
        if ours:
            await self._inventory.add_rows(
                ((place, *record.row[1:]), (place, *record.file_row[1:])) for record, place in ours
            )
        now, why = int(time.time()), f"imported from {_head(seal).bundle}"
        if seal.pins and batch:
            await self._pins.add(
                *(Pin(each.lower_id, each.lower_version, name, why, now) for each in batch for name in seal.pins)
            )
        return len({(record.lower_id, record.lower_version) for record, _ in ours})

    def _move_free(self, staging: Staging, batch: list[StagedPackage]) -> list[_Placed]:
        """Move those that nobody else has at the moment; returns the others.

        One after the other: more threads would spend their time on the interpreter's lock.
        """
        waiting = []
        lease: Lease | None = None
        try:
            for record, place in ((each, place) for each in batch for place in each.upstreams):
                lease = self._leases.try_next(lease, lease_of(_key(record, place)))
                if lease is None:
                    waiting.append((record, place))
                else:
                    self._move(staging, record, place)
        finally:
            if lease is not None:
                lease.release()
        return waiting

    def _move(self, staging: Staging, record: StagedPackage, place: str) -> None:
        """The nuspec first, so that a package that is found always has it next to it. Does nothing if it was moved."""
        key, path = _key(record, place), staging.path(record.number)
        if not path.exists() or self._blobs.stat(key) is not None:
            return
        nuspec = staging.nuspec_path(record.number)
        if record.has_nuspec and nuspec.exists():
            beside = BlobKey.of(*key.segments[:-1], f"{record.lower_id}.nuspec")
            with disk_failures("remove a nuspec"):
                self._blobs.path(beside).unlink(missing_ok=True)  # a leftover, of a package that is gone
            self._take(nuspec, beside, record, place)
        self._take(path, key, record, place)

    def _take(self, path: Path, key: BlobKey, record: StagedPackage, place: str) -> None:
        if place == record.upstreams[-1]:
            self._blobs.adopt(key, path)
            return
        with disk_failures("link a file"):
            linked = path.with_name(f"{path.name}.link")
            linked.unlink(missing_ok=True)
            linked.hardlink_to(path)
        self._blobs.adopt(key, linked)

    def _ours(self, batch: list[StagedPackage]) -> list[_Placed]:
        """Those that are in place: not evicted, nor kept from elsewhere, since the area was sealed."""
        found = []
        for record in batch:
            for place in record.upstreams:
                kept = self._blobs.stat(_key(record, place))
                if kept is not None and (kept.size, kept.modified) == (record.size, record.modified):
                    found.append((record, place))
        return found

    # --- documents ----------------------------------------------------------------------------------------------------

    async def _commit_document(self, staging: Staging, record: StagedDocument) -> bool:
        """Whether it was newer than ours."""
        try:
            content = await UPKEEP.run(staging.path(record.number).read_bytes)
            new = StoredResponse.from_bytes(content)
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as error:
            raise StorageUnavailable(f"{staging.path(record.number)} cannot be read: {error}") from error
        old = self._documents.get(new.url, skip_hot=True)
        if old is not None and old.confirmed >= new.confirmed:
            return False
        await self._documents.put(new)
        return True


def _next(records: Iterator[Staged], kind: type[T], count: int) -> list[T]:
    return list(islice((each for each in records if isinstance(each, kind)), count))


def _key(record: StagedPackage, place: str) -> BlobKey:
    return package_key(place, record.lower_id, record.lower_version)


def _head(seal: Seal) -> Head:
    return Head.from_bytes(seal.head.encode())
