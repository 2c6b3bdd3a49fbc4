"""Inspecting a pushed .snupkg before anything is stored, and extracting its PDBs.

Everything here blocks and runs in an executor: arguments and results can be pickled.
"""

import posixpath
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.portable_pdb import CHECKSUM_ALGORITHMS
from nugetproxy.nuget.symbols_package import SymbolsLimits, SymbolsPackage
from nugetproxy.protocol.symbol_checksums import write_symbol_checksums
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder, disk_failures

_BLOCK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ExtractedPdb:
    """An extracted PDB. `path` is its entry's name, `checksums` have the form of the header SymbolChecksum; `part` is
    the name of the spool with its bytes.
    """

    path: str
    key: str
    checksums: str = field(repr=False)
    part: str
    sha512: bytes = field(repr=False)
    md5: bytes = field(repr=False)


def extract(pushed: Path, package: Path, folder: Path, limits: SymbolsLimits, now: float) -> tuple[ExtractedPdb, ...]:
    """The PDBs of the .snupkg `pushed`, each in a spool in `folder` that the caller owns; `package` is the .nupkg whose
    assemblies they must belong to. `now` in unix seconds.

    Raises:
        InvalidPackage: it is not a symbols package, or breaks a rule; a PDB belongs to no assembly, or is damaged.
        StorageUnavailable: the disk cannot be read or written.
    """
    spools = SpoolFolder(folder, MemoryBudget(0))
    with disk_failures("read a pushed symbols package"), package.open("rb") as whole, pushed.open("rb") as file:
        symbols = SymbolsPackage(file, limits, now)
        symbols.check_contents()
        assemblies = Nupkg(whole, limits.archive)
        with ExitStack() as discarding:
            files = tuple(_extracted(symbols, assemblies, name, spools, discarding) for name in symbols.pdb_names)
            discarding.pop_all()  # either all of them belong to the caller now, or none
        return files


def pdb_name(path: str) -> str:
    """The file name by which an assembly refers to a PDB. Names of entries may be percent-encoded."""
    return posixpath.basename(unquote(path))


def _extracted(
    symbols: SymbolsPackage, assemblies: Nupkg, name: str, spools: SpoolFolder, discarding: ExitStack
) -> ExtractedPdb:
    pdb = symbols.pdb_of(assemblies, name)
    checksums = write_symbol_checksums({algorithm: pdb.checksum(algorithm) for algorithm in CHECKSUM_ALGORITHMS})
    spool = spools.create("pdb")
    discarding.callback(spool.discard)
    view = memoryview(pdb.content)
    for start in range(0, len(view), _BLOCK):
        spool.append(bytes(view[start : start + _BLOCK]))
    assert spool.path is not None, "it was just created"
    return ExtractedPdb(name, pdb.id.key, checksums, spool.path.name, spool.sha512, spool.md5)
