"""The PDBs of a bundle on the side of its receiver: verified, staged, and put beside the packages that name them.

A PDB is needed by no restore. One that no package here names is left out; one that is damaged makes the bundle invalid,
like any other file in it.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from nugetproxy.errors import InvalidBundle
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.logs import logger
from nugetproxy.mirroring.bundle.manifest import SymbolsFacts
from nugetproxy.mirroring.bundle.reading import BundledFile
from nugetproxy.mirroring.bundle.staging import StagedSymbols, Staging, create
from nugetproxy.mirroring.downloads.keys import lease_of, package_key
from nugetproxy.mirroring.kept.files import FileKey
from nugetproxy.mirroring.kept.symbols import KeptSymbols, MirroredPdb
from nugetproxy.mirroring.symbols.checks import LARGEST_PDB, fault_of
from nugetproxy.mirroring.symbols.reading import SymbolsReading
from nugetproxy.protocol.symbol_checksums import read_symbol_checksums
from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.spool import disk_failures

_log = logger()


def is_lacking(rows: KeptSymbols, blobs: BlobStore, facts: SymbolsFacts, upstreams: Collection[str]) -> bool:
    """Whether the PDB is new here: kept beside none of its packages, or not beside one that is kept here.

    `upstreams` are those of the receiver. Raises StorageUnavailable.
    """
    kept = {pdb.package for pdb in rows.find(facts.file, facts.key) if pdb.is_kept}
    others = [place for place in _places(facts.packages, upstreams) if place not in kept]
    return not kept or any(blobs.stat(package_key(*place)) is not None for place in others)


def stage_symbols(
    number: int, file: BundledFile, facts: SymbolsFacts, upstreams: Collection[str], where: str, staging: Staging
) -> StagedSymbols:
    """Blocks; raises InvalidBundle, StorageUnavailable."""
    if file.entry.size > LARGEST_PDB:
        raise InvalidBundle(where, f"{file.entry.path} is larger than {LARGEST_PDB} bytes")
    content = file.read()
    fault = fault_of(content, facts.key, read_symbol_checksums(facts.checksums))
    if fault:
        raise InvalidBundle(where, f"{file.entry.path} is not the PDB that it is said to be: {fault}")
    path = staging.path(number)
    with disk_failures("write to the staging area of an import"):
        with create(path) as out:
            out.write(content)
        modified = path.stat().st_mtime_ns
    return StagedSymbols(
        number, list(upstreams), list(facts.packages), facts.file, facts.key, facts.checksums, len(content), modified,
        file.entry.sha512,
    )  # fmt: skip


class SymbolsCommitting:
    """Puts staged PDBs beside their packages. Every step can be done again."""

    def __init__(self, rows: KeptSymbols, blobs: FilesystemBlobs, leases: Leases) -> None:
        self._rows = rows
        self._blobs = blobs
        self._leases = leases
        self._reading = SymbolsReading(rows, blobs, leases)

    async def commit(self, staging: Staging, records: Sequence[StagedSymbols]) -> int:
        """How many of these are new here. Raises StorageUnavailable.

        All at the same time: their rows share transactions, each of which waits for the disk.
        """
        ended = await asyncio.gather(*(self._commit(staging, each) for each in records), return_exceptions=True)
        # All have ended: nothing goes on in the background after an error.
        for each in ended:
            if isinstance(each, BaseException):
                raise each
        return sum(each is True for each in ended)

    async def _commit(self, staging: Staging, record: StagedSymbols) -> bool:
        """Whether it is new here."""
        is_new = False
        for place in _places(record.packages, record.upstreams):
            if self._blobs.stat(package_key(*place)) is None:
                continue
            pdb = next((each for each in await self._reading.of(place) if each.lower_key == record.lower_key), None)
            if pdb is None or pdb.checksums != record.checksums:
                _log.warning("symbols_left_out", package=f"{place[1]} {place[2]}", pdb=record.lower_name,
                             why="no assembly of the package names this PDB")  # fmt: skip
            elif not (pdb.is_kept and self._blobs.stat(pdb.blob) is not None):
                async with self._leases.hold(lease_of(package_key(*place))):
                    is_new |= await self._put(staging, record, pdb)
        return is_new

    async def _put(self, staging: Staging, record: StagedSymbols, pdb: MirroredPdb) -> bool:
        await UPKEEP.run(self._link, staging, record, pdb)
        found = self._blobs.stat(pdb.blob)
        # What was there before without a row, and is another file, is removed by the next request for it.
        if found is None or (found.size, found.modified) != (record.size, record.modified):
            return False
        await self._rows.keep(replace(pdb, size=record.size, modified=record.modified, sha512=record.sha512))
        return True

    def _link(self, staging: Staging, record: StagedSymbols, pdb: MirroredPdb) -> None:
        path = staging.path(record.number)
        with disk_failures("link a file"):
            linked = path.with_name(f"{path.name}.link")
            linked.unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # removed by the process that was killed after it had put it in place
                linked.hardlink_to(path)
                self._blobs.adopt(pdb.blob, linked)


def _places(packages: Collection[str], upstreams: Collection[str]) -> Iterator[FileKey]:
    for package in packages:
        lower_id, _, lower_version = package.partition("/")
        for upstream in dict.fromkeys(upstreams):
            yield upstream, lower_id, lower_version
