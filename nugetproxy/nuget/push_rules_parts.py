"""Push rules for licence, icon and readme: the files that the manifest names must exist and be of the right kind.

Browsers and IDEs show these to users. Source: docs/reference/nuspec.
"""

import posixpath
from collections.abc import Iterator
from typing import Final, Literal

from lxml import etree

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import shown
from nugetproxy.nuget.elements import attribute, children, text_of
from nugetproxy.nuget.licence_expression import LONGEST_EXPRESSION, parse_expression
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nupkg import Nupkg

LARGEST_PART: Final = 1024 * 1024
"""Bytes of an icon, readme or licence, as on nuget.org."""

_ENDINGS: Final = {"readme": (".md",), "icon": (".png", ".jpg", ".jpeg"), "license": ("", ".txt", ".md")}
_IMAGES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_LICENSE_VERSION: Final = "1.0.0"


def part_problems(nupkg: Nupkg, metadata: etree._Element) -> Iterator[str]:
    """Problems that make the push fail."""
    manifest = nupkg.manifest
    for element in children(metadata, "license"):
        yield from _license_problems(element)
    named: tuple[tuple[Literal["readme", "icon", "license"], str], ...] = (
        ("readme", manifest.readme),
        ("icon", manifest.icon),
        ("license", manifest.license_file),
    )
    for which, path in named:
        if path:
            yield from _file_problems(nupkg, which, path)


def part_warnings(manifest: PackageManifest) -> Iterator[str]:
    """Warnings about missing parts, in nuget.org's words."""
    if not manifest.readme:
        yield "The package does not contain a readme. Add one: https://aka.ms/nuget/authoring-best-practices/readme"
    if not (manifest.license_expression or manifest.license_file or manifest.license_url):
        yield "The package has no license. Add the license element with an SPDX expression or a file."


def _file_problems(nupkg: Nupkg, which: Literal["readme", "icon", "license"], path: str) -> Iterator[str]:
    endings = _ENDINGS[which]
    if posixpath.splitext(path.replace("\\", "/"))[1].lower() not in endings:
        allowed = ", ".join(ending or "none" for ending in endings)
        yield f"its {which} {shown(path)} has the wrong extension; allowed: {allowed}"
        return
    found = nupkg.find(path)
    if found is None:
        yield f"its nuspec names the {which} {shown(path)}, but the package has no such file"
        return
    try:
        content = nupkg.read(found, LARGEST_PART)
    except InvalidPackage as error:
        yield str(error)
        return
    if which == "icon":
        if not content.startswith(_IMAGES):
            yield f"its icon {shown(path)} is neither a PNG nor a JPEG image"
    elif not _is_text(content):
        yield f"its {which} {shown(path)} is not UTF-8 text"
    elif which == "readme" and not content.strip():
        yield f"its readme {shown(path)} is empty"


def _license_problems(element: etree._Element) -> Iterator[str]:
    kind, version, text = attribute(element, "type").lower(), attribute(element, "version"), text_of(element)
    if kind not in ("expression", "file"):
        yield f"the type of its license is {shown(kind)}; expected expression or file"
        return
    if len(element):
        yield "its license contains elements; only text is allowed"
    if version and version != _LICENSE_VERSION:
        yield f"its license uses version {shown(version)} of the syntax; only {_LICENSE_VERSION} is supported"
    if not text:
        yield "its license is empty; expected an SPDX expression or a file"
    elif len(text) > LONGEST_EXPRESSION:
        yield f"its license has {len(text)} characters; the limit is {LONGEST_EXPRESSION}"
    elif kind == "expression" and parse_expression(text) is None:
        yield f"its license {shown(text)} is not an SPDX expression such as 'MIT OR Apache-2.0'"


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in content
