"""The parts of a kept package (nuspec, readme, icon, licence), and checks for parts that an upstream sends."""

from collections.abc import Callable
from pathlib import Path

from nugetproxy.errors import InvalidPackage, UnreadableDocument
from nugetproxy.feeds.base import LocalFile, Part, SmallContent
from nugetproxy.feeds.parts import content_type_of, part_content, read_part
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.nuspec import LARGEST_NUSPEC, read_nuspec

__all__ = ["content_type_of", "is_original", "kept_manifest", "part_of_package", "read_nuspec_of", "refuse_page"]


def part_of_package(file: LocalFile, package: PackageIdentity, part: Part) -> SmallContent | None:
    """The part of a kept package, None if the package has no such part. Blocks: call it in a thread."""
    if part is Part.NUSPEC:
        nuspec = file.path.parent / package.nuspec_name
        try:
            if is_original(nuspec, file.path):
                return part_content(file, part, nuspec.read_bytes())
        except OSError:
            pass  # added by hand without its nuspec, or the nuspec is too large
    try:
        return read_part(file, part)
    except OSError:
        return None


def kept_manifest(package: Path, nuspec: Path) -> PackageManifest:
    """The manifest of a kept package, from `nuspec` next to it or from the package itself.

    Raises:
        OSError: neither can be opened.
        InvalidPackage: the manifest is not readable.
    """
    try:
        if is_original(nuspec, package):
            with nuspec.open("rb") as file:
                return read_nuspec(file.read(LARGEST_NUSPEC + 1))
    except FileNotFoundError:
        pass
    with package.open("rb") as file:
        return Nupkg(file).manifest


def is_original(nuspec: Path, package: Path) -> bool:
    """Whether a nuspec has the time of its package, which it gets when both are stored. Any other may have been changed
    since, and the one inside the package is read instead. Raises OSError.
    """
    return nuspec.stat().st_mtime_ns == package.stat().st_mtime_ns


def read_nuspec_of(package: PackageIdentity) -> Callable[[bytes], None]:
    """A check for the nuspec of `package` sent by an upstream; raises UnreadableDocument."""

    def check(body: bytes) -> None:
        try:
            identity = read_nuspec(body).identity
        except InvalidPackage as error:
            raise UnreadableDocument("nuspec", str(error)) from error
        if identity != package:
            raise UnreadableDocument("nuspec", f"it is that of {identity}")

    return check


def refuse_page(body: bytes) -> None:
    """A check for other parts: none of them is a web page, but captive portals answer every request with one.

    Raises UnreadableDocument.
    """
    if body.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise UnreadableDocument("part of a package", "it is a web page")
