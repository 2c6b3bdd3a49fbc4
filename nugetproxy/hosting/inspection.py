"""Looking at a pushed file before anything is kept of it: what it is, and whether we accept it."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field

from nugetproxy.nuget.archive import ArchiveLimits, read_end_record, read_entries
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.signature import check_content
from nugetproxy.protocol.v3.catalog import PackageEntry
from nugetproxy.storage.spool import Spool

Rules = Callable[[Nupkg], tuple[str, ...]]
"""What a feed asks of a package beyond being one: gives warnings, raises InvalidPackage."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a file turned out to be. Hashes are base64, `size` is in bytes."""

    manifest: PackageManifest
    size: int
    sha512: str
    content_hash: str
    warnings: tuple[str, ...]
    entries: tuple[PackageEntry, ...] = field(repr=False)

    @property
    def identity(self) -> PackageIdentity:
        return self.manifest.identity


def inspect(spool: Spool, limits: ArchiveLimits, rules: Rules) -> Inspected:
    """Read a pushed package. Blocks: its bytes are unpacked and hashed once, a second for 100 MB of assemblies.

    Raises:
        InvalidPackage: no package, damaged, not what its signature says, or against a rule.
        StorageUnavailable: the spool cannot be read.
    """
    with spool.binary() as file:
        package = Nupkg(file, limits)
        manifest = package.manifest
        warnings = rules(package)
        checked = check_content(file)
        entries = tuple(
            PackageEntry(entry.name, entry.size, entry.compressed_size)
            for entry in read_entries(file, read_end_record(file), limits)
        )
    sha512 = base64.b64encode(spool.sha512).decode()
    return Inspected(manifest, spool.size, sha512, checked.content_hash, warnings, entries)


def no_rules(_: Nupkg) -> tuple[str, ...]:
    """Accepts every package."""
    return ()
