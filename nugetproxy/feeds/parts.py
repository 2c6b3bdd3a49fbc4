"""Read the parts of a package (nuspec, readme, icon, licence) from its file.

The content type of an icon or readme follows from its bytes and its part, never from untrusted declarations: browsers
display these bodies under our own host name.
"""

from typing import BinaryIO, Final, Literal

from nugetproxy.errors import InvalidPackage
from nugetproxy.feeds.base import LocalFile, Part, SmallContent
from nugetproxy.nuget.nupkg import Nupkg

_NAMES: Final[dict[Part, Literal["readme", "icon", "license"]]] = {
    Part.README: "readme",
    Part.ICON: "icon",
    Part.LICENSE: "license",
}
_IMAGES: Final = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def read_part(file: LocalFile, part: Part) -> SmallContent | None:
    """A part of a package on our disk, None if it has no such part. Blocking: call it in a thread.

    Raises OSError if the file cannot be opened.
    """
    with file.path.open("rb") as opened:
        return part_of(opened, file, part)


def part_of(opened: BinaryIO, file: LocalFile, part: Part) -> SmallContent | None:
    """As `read_part`, of a package that is open already. `file` describes it."""
    try:
        package = Nupkg(opened)
        found = package.nuspec if part is Part.NUSPEC else _found(package, part)
    except InvalidPackage:
        return None
    return None if found is None else part_content(file, part, found)


def part_content(file: LocalFile, part: Part, body: bytes) -> SmallContent:
    """A part's bytes as they are served; its entity tag is the package's with the part's name."""
    return SmallContent(body, content_type_of(part, body), f"{file.etag}-{part.value}")


def content_type_of(part: Part, body: bytes) -> str:
    """The Content-Type with which a part is served."""
    if part is Part.NUSPEC:
        return "text/xml"
    if part is Part.README:
        return "text/markdown; charset=utf-8"
    if part is Part.LICENSE:
        return "text/plain; charset=utf-8"
    return next((kind for magic, kind in _IMAGES if body.startswith(magic)), "application/octet-stream")


def _found(package: Nupkg, part: Part) -> bytes | None:
    found = package.part(_NAMES[part])
    return None if found is None else found[1]
