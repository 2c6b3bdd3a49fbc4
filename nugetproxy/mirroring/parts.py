"""The parts of a kept package (nuspec, readme, icon, licence), read out of the package itself.

An icon's or readme's type is told from its bytes and its part, never taken from a stranger: these bodies are shown by
browsers under our own name.
"""

from collections.abc import Callable
from typing import Final, Literal

from nugetproxy.errors import InvalidPackage, UnreadableDocument
from nugetproxy.feeds.base import LocalFile, Part, SmallContent
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.nuspec import read_nuspec

_NAMES: Final[dict[Part, Literal["readme", "icon", "license"]]] = {
    Part.README: "readme",
    Part.ICON: "icon",
    Part.LICENSE: "license",
}
_IMAGES: Final = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def part_of_package(file: LocalFile, package: PackageIdentity, part: Part) -> LocalFile | SmallContent | None:
    """The part of a kept package, None when the package has no such part. Blocks: call it in a thread."""
    if part is Part.NUSPEC:
        nuspec = file.path.parent / package.nuspec_name
        try:
            body = nuspec.read_bytes()
        except OSError:
            with file.path.open("rb") as opened:
                body = Nupkg(opened).nuspec
        return SmallContent(body, content_type_of(part, body), f"{file.etag}-{part.value}")
    try:
        with file.path.open("rb") as opened:
            found = Nupkg(opened).part(_NAMES[part])
    except (InvalidPackage, OSError):
        return None
    if found is None:
        return None
    return SmallContent(found[1], content_type_of(part, found[1]), f"{file.etag}-{part.value}")


def read_nuspec_of(package: PackageIdentity) -> Callable[[bytes], None]:
    """A check for what an upstream sends as the nuspec of `package`; raises UnreadableDocument."""

    def check(body: bytes) -> None:
        try:
            identity = read_nuspec(body).identity
        except InvalidPackage as error:
            raise UnreadableDocument("nuspec", str(error)) from error
        if identity != package:
            raise UnreadableDocument("nuspec", f"it is that of {identity}")

    return check


def refuse_page(body: bytes) -> None:
    """A check for other parts: no package has a web page for one, but captive portals answer everything with theirs.

    Raises UnreadableDocument.
    """
    if body.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise UnreadableDocument("part of a package", "it is a web page")


def content_type_of(part: Part, body: bytes) -> str:
    """The Content-Type a part is served with."""
    if part is Part.NUSPEC:
        return "text/xml"
    if part is Part.README:
        return "text/markdown; charset=utf-8"
    if part is Part.LICENSE:
        return "text/plain; charset=utf-8"
    return next((kind for magic, kind in _IMAGES if body.startswith(magic)), "application/octet-stream")
