"""Push rules for the contents of a nuspec: required elements, lengths, URLs, booleans, package types, client versions.

Its XML belongs to `push_rules_xml.py`, dependencies and frameworks to `push_rules_dependencies.py`, licence, icon and
readme to `push_rules_parts.py`.
Source: docs/reference/nuspec; the lengths are nuget.org's (nuget-protocol: push validation).
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from lxml import etree

from nugetproxy.errors import InvalidVersion
from nugetproxy.nuget.archive import shown
from nugetproxy.nuget.elements import attribute, children, text_of
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.version import NuGetVersion

SYMBOLS_PACKAGE: Final = "SymbolsPackage"
"""The package type of a .snupkg."""

LONGEST_VERSION: Final = 64
LONGEST_IDENTITY: Final = 160

_LONGEST: Final = {
    "title": 256,
    "authors": 4000,
    "owners": 4000,
    "copyright": 4000,
    "summary": 4000,
    "tags": 4000,
    "description": 4000,
    "releaseNotes": 35_000,
    "language": 20,
    "projectUrl": 4000,
    "iconUrl": 4000,
    "licenseUrl": 4000,
}
_URLS: Final = ("projectUrl", "iconUrl", "licenseUrl")
_BOOLEANS: Final = ("requireLicenseAcceptance", "developmentDependency", "serviceable")
_BOOLEAN_TEXTS: Final = frozenset({"true", "false", "1", "0"})
_LONGEST_REPOSITORY_TYPE: Final = 100
# The rule for package ids applies to the names of types, too.
_TYPE_NAME = re.compile(r"\w+(?:[.-]\w+)*")
_TYPE_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}")


def symbols_problem(manifest: PackageManifest) -> Iterator[str]:
    """The problem if it is a symbols package. Nothing else is checked then: its nuspec has other rules."""
    if any(kind.name.lower() == SYMBOLS_PACKAGE.lower() for kind in manifest.package_types):
        yield "it is a symbols package (.snupkg): push it to /api/v2/symbolpackage; this URL takes the package itself"


def nuspec_problems(manifest: PackageManifest, metadata: etree._Element) -> Iterator[str]:
    """Problems that make the push fail."""
    yield from _identity_problems(manifest)
    for required in ("authors", "description"):
        if not getattr(manifest, required):
            yield f"its nuspec has no {required}; the element is required"
    for name, limit in _LONGEST.items():
        length = max((len(text_of(child)) for child in children(metadata, name)), default=0)
        if length > limit:
            yield f"its {name} has {length} characters; the limit is {limit}"
    for name in _URLS:
        for child in children(metadata, name):
            if text_of(child) and not _is_web_address(text_of(child)):
                yield f"its {name} {shown(text_of(child))} is not an absolute http or https URL"
    for name in _BOOLEANS:
        for child in children(metadata, name):
            if text_of(child).lower() not in _BOOLEAN_TEXTS:
                yield f"its {name} is {shown(text_of(child))}; expected true or false"
    yield from _type_problems(metadata)
    yield from _client_version_problems(manifest)
    if len(manifest.repository_type) > _LONGEST_REPOSITORY_TYPE:
        yield f"its repository type has more than {_LONGEST_REPOSITORY_TYPE} characters"


def nuspec_warnings(manifest: PackageManifest, metadata: etree._Element) -> Iterator[str]:
    """Warnings about deprecated elements."""
    if manifest.license_url and not (manifest.license_expression or manifest.license_file):
        yield "The licenseUrl element is deprecated. Use the license element instead."
    if manifest.icon_url and not manifest.icon:
        yield "The iconUrl element is deprecated. Use the icon element instead."


def _identity_problems(manifest: PackageManifest) -> Iterator[str]:
    package_id, version = manifest.id.text, manifest.version
    if not package_id.isascii():
        yield f"its id {shown(package_id)} has non-ASCII letters, which new packages must not have"
    if len(manifest.verbatim_version) > LONGEST_VERSION:
        yield f"its version has {len(manifest.verbatim_version)} characters; the limit is {LONGEST_VERSION}"
    elif len(package_id) + len(version.full) > LONGEST_IDENTITY:
        yield f"its id and version have more than {LONGEST_IDENTITY} characters in total"


def _type_problems(metadata: etree._Element) -> Iterator[str]:
    for kind in (kind for types in children(metadata, "packageTypes") for kind in children(types, "packageType")):
        name, version = attribute(kind, "name"), attribute(kind, "version")
        if not _TYPE_NAME.fullmatch(name) or len(name) > 100:
            yield f"its package type {shown(name)} is not a name such as Dependency or DotnetTool"
        if version and not _TYPE_VERSION.fullmatch(version):
            yield f"the version {shown(version)} of its package type {shown(name)} is not two to four numbers like 1.0"


def _client_version_problems(manifest: PackageManifest) -> Iterator[str]:
    if not manifest.min_client_version:
        return
    if len(manifest.min_client_version) > LONGEST_VERSION:
        yield f"its minClientVersion has {len(manifest.min_client_version)} characters; the limit is {LONGEST_VERSION}"
        return
    try:
        NuGetVersion.parse(manifest.min_client_version)
    except InvalidVersion as error:
        yield f"its minClientVersion cannot be read: {error}"


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
