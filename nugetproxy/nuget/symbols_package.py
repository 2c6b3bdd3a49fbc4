"""The rules for a symbols package (.snupkg): its contents, and which assemblies its PDBs belong to.

A PDB is accepted only if the package has an assembly at the same path and that assembly names exactly this PDB: a
debugger that asks by key must never get the sources of another build.
Sources: docs/create-packages/Symbol-Packages-snupkg, docs/api/symbol-package-publish-resource.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import ArchiveLimits, Entry, shown
from nugetproxy.nuget.debug_directory import read_debug_directory
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.portable_pdb import CHECKSUM_ALGORITHMS, PortablePdb
from nugetproxy.nuget.push_rules import PushLimits, refuse
from nugetproxy.nuget.push_rules_archive import date_problems, entry_problems
from nugetproxy.nuget.push_rules_nuspec import SYMBOLS_PACKAGE
from nugetproxy.nuget.push_rules_xml import read_written_metadata

ENDINGS: Final = (".pdb", ".nuspec", ".xml", ".psmdcp", ".rels", ".p7s")
"""The allowed extensions of entries."""

_ASSEMBLY_ENDINGS: Final = (".dll", ".exe")
_MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SymbolsLimits:
    """Limits for a symbols package. `file_size` is for one PDB or assembly, in bytes: each is held in memory."""

    archive: ArchiveLimits = ArchiveLimits()  # noqa: RUF009 - frozen
    push: PushLimits = PushLimits()  # noqa: RUF009 - frozen
    # The largest portable PDBs in use are a quarter of this.
    file_size: int = 128 * _MEGABYTE


class SymbolsPackage:
    """A .snupkg whose directory and manifest follow the rules; its PDBs are read and checked one by one.

    The caller closes the file.
    """

    def __init__(self, file: BinaryIO, limits: SymbolsLimits, now: float) -> None:
        """`now` is in Unix seconds. Raises InvalidPackage, which says which rules it breaks."""
        self._archive = Nupkg(file, limits.archive)
        self._limits = limits
        self._archive.check_layout()
        entries = self._archive.entries
        refuse([*entry_problems(entries, limits.push), *date_problems(entries, now)])
        read_written_metadata(self._archive.nuspec)
        refuse(_problems(self._archive))

    @property
    def identity(self) -> PackageIdentity:
        """The package that the symbols belong to."""
        return self._archive.manifest.identity

    @property
    def pdb_names(self) -> tuple[str, ...]:
        """The paths of its PDBs, in the order of the archive."""
        return tuple(entry.name for entry in _pdbs(self._archive))

    def check_contents(self) -> None:
        """Unpack and check all entries, because the file is served as it was pushed. Raises InvalidPackage."""
        self._archive.check_contents()

    def pdb_of(self, package: Nupkg, name: str) -> PortablePdb:
        """The PDB of this name, which an assembly in `package` refers to.

        Raises InvalidPackage: not a portable PDB, or it belongs to no assembly in the package.
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
            yield f"{shown(entry.name)} is not allowed in a symbols package; only {', '.join(ENDINGS)} files are"
    if not _pdbs(package):
        yield "it has no .pdb file; pack with DebugType=portable, IncludeSymbols and SymbolPackageFormat=snupkg"
    if not any(kind.name.lower() == SYMBOLS_PACKAGE.lower() for kind in manifest.package_types):
        yield (
            f"its nuspec lacks the package type {SYMBOLS_PACKAGE}: push packages to /api/v2/package; this URL takes "
            ".snupkg files"
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
            yield f"its nuspec has the element {element}, which belongs in the package, not in its symbols"


def _pdbs(package: Nupkg) -> list[Entry]:
    return [entry for entry in package.entries if entry.name.lower().endswith(".pdb")]


def _mismatch(assembly: bytes, path: str, pdb: PortablePdb, name: str) -> str:
    """Why the PDB does not belong to this assembly; empty if it does."""
    directory = read_debug_directory(assembly, path)
    if not directory.ids:
        return f"{shown(path)} was built without a portable PDB, so {shown(name)} cannot belong to it"
    if pdb.id not in directory.ids:
        return f"{shown(name)} is from another build than {shown(path)}: their ids differ; push both from one build"
    # Older compilers wrote only the id, without a checksum.
    known = [checksum for checksum in directory.checksums if checksum.algorithm in CHECKSUM_ALGORITHMS]
    if any(pdb.checksum(checksum.algorithm) != checksum.digest for checksum in known):
        return f"{shown(name)} was changed after {shown(path)} was built: its checksum differs"
    return ""
