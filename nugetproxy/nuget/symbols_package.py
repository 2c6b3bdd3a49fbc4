"""The rules of a symbols package (.snupkg): what it may hold, and which assemblies its PDBs belong to.

A PDB is taken only when the package it claims to belong to holds the assembly beside the same path and that assembly
names this very PDB: a debugger that asks by key must never be shown somebody else's sources.
Sources: docs/create-packages/Symbol-Packages-snupkg, docs/api/symbol-package-publish-resource.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import ArchiveLimits, Entry, shown
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.portable_pdb import CHECKSUM_ALGORITHMS, PortablePdb, read_debug_directory
from nugetproxy.nuget.push_rules import PushLimits, refuse
from nugetproxy.nuget.push_rules_archive import entry_problems
from nugetproxy.nuget.push_rules_nuspec import SYMBOLS_PACKAGE
from nugetproxy.nuget.push_rules_xml import read_written_metadata

ENDINGS: Final = (".pdb", ".nuspec", ".xml", ".psmdcp", ".rels", ".p7s")
"""What the names of entries may end in."""

_ASSEMBLY_ENDINGS: Final = (".dll", ".exe")
_MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SymbolsLimits:
    """What a symbols package may cost us. `file_size` is of one PDB or assembly, in bytes: each is held in memory."""

    archive: ArchiveLimits = ArchiveLimits()  # noqa: RUF009 - frozen
    push: PushLimits = PushLimits()  # noqa: RUF009 - frozen
    # The largest portable PDBs in use are a quarter of this.
    file_size: int = 128 * _MEGABYTE


class SymbolsPackage:
    """A .snupkg whose directory and manifest keep the rules; its PDBs are read and judged one by one.

    The file stays the caller's to close.
    """

    def __init__(self, file: BinaryIO, limits: SymbolsLimits, now: float) -> None:
        """`now` in unix seconds. Raises InvalidPackage, which says which rules it breaks."""
        self._archive = Nupkg(file, limits.archive)
        self._limits = limits
        self._archive.check_layout()
        refuse(entry_problems(self._archive.entries, limits.push, now))
        read_written_metadata(self._archive.nuspec)
        refuse(_problems(self._archive))

    @property
    def identity(self) -> PackageIdentity:
        """Of the package that the symbols belong to."""
        return self._archive.manifest.identity

    @property
    def pdb_names(self) -> tuple[str, ...]:
        """The paths of its PDBs, in the order of the archive."""
        return tuple(entry.name for entry in _pdbs(self._archive))

    def check_contents(self) -> None:
        """As of a package: it is given back as it was pushed. Raises InvalidPackage."""
        self._archive.check_contents()

    def pdb_of(self, package: Nupkg, name: str) -> PortablePdb:
        """The PDB of this name, which an assembly of `package` names as its own.

        Raises InvalidPackage: it is no portable PDB, or belongs to no assembly of the package.
        """
        pdb = PortablePdb.parse(self._archive.read(name, self._limits.file_size), name)
        stem = name[: -len(".pdb")]
        assemblies = [found for ending in _ASSEMBLY_ENDINGS if (found := package.find(stem + ending)) is not None]
        if not assemblies:
            raise InvalidPackage(f"{shown(name)} belongs to no assembly: the package has no {shown(stem + '.dll')}")
        problems = [_mismatch(package.read(path, self._limits.file_size), path, pdb, name) for path in assemblies]
        if all(problems):
            raise InvalidPackage(problems[0])
        return pdb


def _problems(package: Nupkg) -> Iterator[str]:
    manifest = package.manifest
    for entry in package.entries:
        if not entry.name.endswith("/") and not entry.name.lower().endswith(ENDINGS):
            yield f"{shown(entry.name)} may not be in a symbols package; only {', '.join(ENDINGS)} files may"
    if not _pdbs(package):
        yield "it has no .pdb file; pack with DebugType=portable, IncludeSymbols and SymbolPackageFormat=snupkg"
    if not any(kind.name.lower() == SYMBOLS_PACKAGE.lower() for kind in manifest.package_types):
        yield (
            f"its nuspec lacks the package type {SYMBOLS_PACKAGE}: push a package to /api/v2/package, and here its "
            ".snupkg"
        )
    forbidden = {
        "authors": manifest.authors,
        "owners": manifest.owners,
        "license": manifest.license_expression or manifest.license_file,
        "licenseUrl": manifest.license_url,
        "icon": manifest.icon,
        "requireLicenseAcceptance": manifest.require_license_acceptance,
    }
    for element, value in forbidden.items():
        if value:
            yield f"its nuspec has the element {element}, which belongs into the package and not into its symbols"


def _pdbs(package: Nupkg) -> list[Entry]:
    return [entry for entry in package.entries if entry.name.lower().endswith(".pdb")]


def _mismatch(assembly: bytes, path: str, pdb: PortablePdb, name: str) -> str:
    """Why the PDB is not this assembly's; empty when it is."""
    directory = read_debug_directory(assembly, path)
    if not directory.ids:
        return f"{shown(path)} was built without a portable PDB, so {shown(name)} cannot be its"
    if pdb.id not in directory.ids:
        return f"{shown(name)} is of another build than {shown(path)}: their ids differ; push the two of one build"
    # Compilers from before checksums wrote the id alone.
    known = [checksum for checksum in directory.checksums if checksum.algorithm in CHECKSUM_ALGORITHMS]
    if any(pdb.checksum(checksum.algorithm) != checksum.digest for checksum in known):
        return f"{shown(name)} was changed after {shown(path)} was built: its checksum is another"
    return ""
