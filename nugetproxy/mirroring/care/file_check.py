"""All checks of one kept file against everything that is known of it. Pure checks of complete files; they block."""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from nugetproxy.errors import InvalidPackage
from nugetproxy.mirroring.kept.files import ExpectedFile, FileKey
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.signature import check_content


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """The result. `fault` says what is wrong, empty if nothing; `size` in bytes, `modified` in nanoseconds, hashes in
    base64. The manifest is None if the file is not readable as a package."""

    fault: str
    size: int
    modified: int
    sha512: str
    content_hash: str = ""
    manifest: PackageManifest | None = None


def check_file(path: Path, nuspec: Path, key: FileKey, expected: ExpectedFile | None) -> CheckedFile:
    """Read the file once for its hash and once for its signature. `expected` is None for a file without a row.

    A nuspec beside it that is not the package's is removed; the package's own is used from then on. Raises OSError.
    """
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        sha512 = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
        if expected is not None and found.st_size != expected.size:
            fault = f"it has {found.st_size} bytes instead of {expected.size}"
            return CheckedFile(fault, found.st_size, found.st_mtime_ns, sha512)
        if expected is not None and expected.sha512 not in ("", sha512):
            fault = "its SHA-512 differs from that of the inventory"
            return CheckedFile(fault, found.st_size, found.st_mtime_ns, sha512)
        try:
            # Also detects a changed byte that was in the file before its row was written.
            content_hash = check_content(file).content_hash
            package = Nupkg(file)
            manifest, inside = package.manifest, None if package.has_large_nuspec else package.nuspec
        except InvalidPackage as error:
            return CheckedFile(str(error), found.st_size, found.st_mtime_ns, sha512)
    fault = ""
    if (manifest.identity.lower_id, manifest.identity.lower_version) != key[1:]:
        fault = f"it is {manifest.identity}"
    elif expected is not None and expected.content_hash and expected.content_hash != content_hash:
        fault = "its content hash differs from that of the inventory"
    elif not fault:
        _put_right(nuspec, inside, found.st_mtime_ns)
    return CheckedFile(fault, found.st_size, found.st_mtime_ns, sha512, content_hash, manifest)


def _put_right(nuspec: Path, inside: bytes | None, modified: int) -> None:
    """Remove a nuspec that is not that of the package; give one that is the package's time (`kept.parts`)."""
    try:
        if nuspec.read_bytes() != inside:
            nuspec.unlink()
        elif nuspec.stat().st_mtime_ns != modified:
            os.utime(nuspec, ns=(modified, modified))
    except (FileNotFoundError, PermissionError):
        pass  # there is none; or on read-only media, where it does not count either
