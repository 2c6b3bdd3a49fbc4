"""Inspecting a pushed file before anything is stored: what it is, and whether we accept it.

Everything here blocks and runs in an executor: arguments and results can be pickled.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nugetproxy.hosting.events import packed
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.push_rules import refuse
from nugetproxy.nuget.push_rules_nuspec import symbols_problem
from nugetproxy.nuget.signature import check_content
from nugetproxy.protocol.v3.catalog import PackageEntry
from nugetproxy.storage.spool import disk_failures

Rules = Callable[[Nupkg], tuple[str, ...]]
"""Additional rules of a feed for packages: returns warnings, raises InvalidPackage."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """The result for a file. `content_hash` is base64, `entries` are `packed`."""

    manifest: PackageManifest
    content_hash: str
    warnings: tuple[str, ...]
    entries: bytes = field(repr=False)

    @property
    def identity(self) -> PackageIdentity:
        return self.manifest.identity


def identify(path: Path, limits: ArchiveLimits) -> PackageIdentity:
    """Which package a file claims to be: reads its directory and the beginning of its nuspec, without judging them.

    Raises:
        InvalidPackage: it is not a package, or its id or version cannot be read.
        StorageUnavailable: it cannot be read.
    """
    with disk_failures("read a pushed package"), path.open("rb") as file:
        return Nupkg(file, limits).identity


def refuse_symbols(path: Path, limits: ArchiveLimits) -> None:
    """Raises InvalidPackage when a file that was pushed as a package is a symbols package. Parses its nuspec."""
    with disk_failures("read a pushed package"), path.open("rb") as file:
        refuse(symbols_problem(Nupkg(file, limits).manifest))


def inspect(path: Path, limits: ArchiveLimits, rules: Rules) -> Inspected:
    """Read a pushed package. Its bytes are unpacked and hashed once, which takes a second for 100 MB of assemblies.

    Raises:
        InvalidPackage: not a package, damaged, different from what its signature says, or against a rule.
        StorageUnavailable: it cannot be read.
    """
    with disk_failures("read a pushed package"), path.open("rb") as file:
        package = Nupkg(file, limits)
        # The rules come first: cheap ones refuse before the nuspec is parsed.
        warnings = rules(package)
        manifest = package.manifest
        checked = check_content(file)
        entries = tuple(PackageEntry(entry.name, entry.size, entry.compressed_size) for entry in package.entries)
        return Inspected(manifest, checked.content_hash, warnings, packed(entries))


def no_rules(_: Nupkg) -> tuple[str, ...]:
    """Accepts every package."""
    return ()
