"""Which PDBs the assemblies of kept packages name: read from the packages, and entered in the inventory.

Reading a package takes tens of milliseconds, and most mirrors never serve a debugger, so this happens when symbols are
asked for. A PDB file that is beside its package without a row (the inventory was lost) is verified and entered, too.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nugetproxy.errors import Busy, InvalidPackage, StorageUnavailable
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.keys import package_key
from nugetproxy.mirroring.kept.files import FileKey
from nugetproxy.mirroring.kept.guard import sha512_of
from nugetproxy.mirroring.kept.symbols import KeptSymbols, MirroredPdb, pdb_files
from nugetproxy.mirroring.symbols.checks import fault_of
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.package_pdbs import wanted_pdbs
from nugetproxy.nuget.portable_pdb import CHECKSUM_ALGORITHMS
from nugetproxy.protocol.symbol_checksums import write_symbol_checksums
from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.spool import disk_failures

LEASE: Final = "symbols reading"
"""Held by the process that reads packages for debuggers."""

# Seconds that a debugger waits for packages to be read. It gives up later than this.
_PATIENCE: Final = 10.0
_BATCH: Final = 200
_LONGEST_REST: Final = 0.05

_log = logger()


class SymbolsReading:
    """Reads the packages in `blobs`. To be closed."""

    def __init__(self, rows: KeptSymbols, blobs: BlobStore, leases: Leases) -> None:
        self._rows = rows
        self._blobs = blobs
        self._leases = leases
        self._running: asyncio.Task[None] | None = None

    async def of(self, package: FileKey) -> list[MirroredPdb]:
        """The PDBs of a kept package. Raises StorageUnavailable."""
        known = self._rows.of(package)
        if known is not None:
            return known
        pdbs = await UPKEEP.run(self._read, package)
        if self._rows.is_read_only:
            return pdbs
        await self._rows.enter(package, pdbs)
        known = self._rows.of(package)
        return pdbs if known is None else known

    async def catch_up(self) -> bool:
        """Read all packages that were not read; whether any was, so that looking again is worthwhile.

        Raises Busy if that takes long: it is continued in the background. StorageUnavailable.
        """
        if self._rows.is_read_only or not self._rows.has_unread():
            return False
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._read_all())
            self._running.add_done_callback(_look_at)
        try:
            await asyncio.wait_for(asyncio.shield(self._running), _PATIENCE)
        except TimeoutError:
            raise Busy("the assemblies of kept packages are being read", 30) from None
        return True

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _read_all(self) -> None:
        async with self._leases.hold(LEASE):
            while unread := await UPKEEP.run(self._rows.unread, _BATCH):
                for package in unread:
                    began = time.monotonic()
                    await self.of(package)
                    # Other work of the server comes first.
                    await asyncio.sleep(min(_LONGEST_REST, time.monotonic() - began))

    def _read(self, package: FileKey) -> list[MirroredPdb]:
        """Blocks. A package that cannot be read names none."""
        try:
            with disk_failures("read a kept package"), self._blobs.path(package_key(*package)).open("rb") as file:
                requests = wanted_pdbs(Nupkg(file))
        except (InvalidPackage, StorageUnavailable) as error:
            if not isinstance(error.__cause__, FileNotFoundError):  # evicted meanwhile
                _log.warning("kept_package_unreadable", path=str(package_key(*package)), error=str(error))
            return []
        there = {blob.key.segments[-1] for blob in pdb_files(self._blobs, package)}
        pdbs = []
        for request in requests:
            digests = {each.algorithm: each.digest for each in request.checksums}
            known: dict[str, bytes] = {name: digests[name] for name in CHECKSUM_ALGORITHMS if name in digests}
            pdb = MirroredPdb(*package, request.key, request.file, write_symbol_checksums(known))
            pdbs.append(self._adopted(pdb, known) if pdb.blob.segments[-1] in there else pdb)
        return pdbs

    def _adopted(self, pdb: MirroredPdb, known: Mapping[str, bytes]) -> MirroredPdb:
        """With its file, if that is right."""
        path, kept = self._blobs.path(pdb.blob), self._blobs.stat(pdb.blob)
        with disk_failures("read a kept PDB"):
            if kept is None or _fault_in(path, pdb.lower_key, known):
                return pdb
            return MirroredPdb(
                *pdb.package, pdb.lower_key, pdb.lower_name, pdb.checksums, kept.size, kept.modified, sha512_of(path)
            )


def _look_at(task: "asyncio.Task[None]") -> None:
    """Whoever waited for it may be gone."""
    if not task.cancelled():
        task.exception()


def _fault_in(path: Path, lower_key: str, known: Mapping[str, bytes]) -> str:
    return fault_of(path.read_bytes(), lower_key, known)
