"""Looking at a pushed .snupkg before anything is kept of it, and taking its PDBs out. Everything here blocks."""

import posixpath
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.portable_pdb import CHECKSUM_ALGORITHMS
from nugetproxy.nuget.symbols_package import SymbolsLimits, SymbolsPackage
from nugetproxy.protocol.symbol_checksums import write_symbol_checksums
from nugetproxy.storage.spool import Spool, SpoolFolder, disk_failures

_BLOCK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PdbFile:
    """A PDB on its way. `path` is its entry's name, `checksums` are as in the header SymbolChecksum."""

    path: str
    key: str
    checksums: str = field(repr=False)
    spool: Spool = field(repr=False)


def identify(spool: Spool, limits: SymbolsLimits, now: float) -> PackageIdentity:
    """The version that a symbols package belongs to. `now` in unix seconds.

    Raises:
        InvalidPackage: it is no symbols package, or against a rule.
        StorageUnavailable: the spool cannot be read.
    """
    with disk_failures("read a pushed symbols package"), spool.binary() as file:
        return SymbolsPackage(file, limits, now).identity


def extract(spool: Spool, package: Path, spools: SpoolFolder, limits: SymbolsLimits, now: float) -> tuple[PdbFile, ...]:
    """The PDBs, each in a spool that is the caller's; `package` is the .nupkg whose assemblies they must belong to.

    Raises:
        InvalidPackage: one of them does not, or is damaged.
        StorageUnavailable: the disk cannot be read or take them.
    """
    with disk_failures("read a hosted package"), package.open("rb") as whole, spool.binary() as file:
        symbols = SymbolsPackage(file, limits, now)
        symbols.check_contents()
        assemblies = Nupkg(whole, limits.archive)
        with ExitStack() as discarding:
            files = tuple(_extracted(symbols, assemblies, name, spools, discarding) for name in symbols.pdb_names)
            discarding.pop_all()  # all of them are the caller's now, or none
        return files


def pdb_name(path: str) -> str:
    """The file name that an assembly knows a PDB by. Names of entries may be percent-encoded."""
    return posixpath.basename(unquote(path))


def _extracted(
    symbols: SymbolsPackage, assemblies: Nupkg, name: str, spools: SpoolFolder, discarding: ExitStack
) -> PdbFile:
    pdb = symbols.pdb_of(assemblies, name)
    checksums = write_symbol_checksums({algorithm: pdb.checksum(algorithm) for algorithm in CHECKSUM_ALGORITHMS})
    spool = spools.create("pdb")
    discarding.callback(spool.discard)
    view = memoryview(pdb.content)
    for start in range(0, len(view), _BLOCK):
        spool.append(bytes(view[start : start + _BLOCK]))
    return PdbFile(name, pdb.id.key, checksums, spool)
