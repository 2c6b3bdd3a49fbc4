"""Reading kept PDBs again: one that is missing or was changed is forgotten, and fetched again when it is requested.

Part of the verification of their package, under the same pace.
"""

from dataclasses import replace
from pathlib import Path

from nugetproxy.executors.threads import UPKEEP
from nugetproxy.logs import logger
from nugetproxy.mirroring.kept.files import FileKey
from nugetproxy.mirroring.kept.guard import sha512_of
from nugetproxy.mirroring.kept.symbols import KeptSymbols, MirroredPdb
from nugetproxy.storage.blobs.base import BlobStore

_log = logger()


class SymbolsVerification:
    """Verifies the PDBs in `blobs`."""

    def __init__(self, rows: KeptSymbols, blobs: BlobStore) -> None:
        self._rows = rows
        self._blobs = blobs

    async def verify(self, package: FileKey) -> tuple[int, list[str]]:
        """The bytes of the PDBs of a package, and the names of those that were damaged. Raises StorageUnavailable."""
        size, damaged = 0, []
        for pdb in self._rows.of(package) or ():
            if not pdb.is_kept:
                continue
            size += pdb.size
            if await UPKEEP.run(_is_right, self._blobs.path(pdb.blob), pdb):
                continue
            if not self._rows.is_read_only:
                await forget(self._rows, self._blobs, pdb)
            damaged.append(pdb.lower_name)
        return size, damaged


async def forget(rows: KeptSymbols, blobs: BlobStore, pdb: MirroredPdb) -> None:
    """Delete a PDB that is wrong. Raises StorageUnavailable."""
    _log.error("kept_symbols_damaged", package=f"{pdb.lower_id} {pdb.lower_version}", pdb=pdb.lower_name)
    await UPKEEP.run(blobs.delete, pdb.blob)
    await rows.keep(replace(pdb, size=0, modified=0, sha512=""))


def _is_right(path: Path, pdb: MirroredPdb) -> bool:
    """False also for a file that cannot be read. Blocks."""
    try:
        return sha512_of(path) == pdb.sha512
    except OSError:
        return False
