"""Read a .nuspec, of any schema version, into a PackageManifest.

`nuspec_parser.py` parses it safely and within bounds. Missing and malformed elements are interpreted as by the official
client; only what makes a package unusable is an error.
"""

import re
from typing import Final

from lxml import etree

from nugetproxy.errors import InvalidPackage, InvalidPackageId, InvalidVersion
from nugetproxy.nuget.elements import children, first_by_name, text_of
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import Dependency, DependencyGroup, PackageManifest, PackageType
from nugetproxy.nuget.nuspec_parser import MIRRORED, PUSHED, NuspecParser

# nuget.org allows 35,000 characters of release notes and 32,767 of dependencies; real ones stay below 200 KB.
LARGEST_NUSPEC = 4 * 1024 * 1024
"""Bytes: the limit for a pushed nuspec, and how much of a mirrored one is read."""

# Authors separate tags with any of these, and nuget.org accepts them all.
_TAG_SEPARATORS = re.compile(r"[\s,;|]+")
_TRUE = frozenset({"true", "1"})

_TEXT_ELEMENTS: Final = {
    "authors": "authors",
    "description": "description",
    "title": "title",
    "summary": "summary",
    "owners": "owners",
    "releaseNotes": "release_notes",
    "copyright": "copyright",
    "language": "language",
    "projectUrl": "project_url",
    "iconUrl": "icon_url",
    "licenseUrl": "license_url",
    "icon": "icon",
    "readme": "readme",
}


def read_nuspec(data: bytes, *, is_cut: bool = False) -> PackageManifest:
    """Read a nuspec, within the bounds for mirrored packages. Source: docs/reference/nuspec.

    At most the first `LARGEST_NUSPEC` bytes are read; `is_cut` means that `data` is only the beginning of the file.

    Raises:
        InvalidPackage: not readable as XML, or no valid id and version in the part that is read.
    """
    is_cut = is_cut or len(data) > LARGEST_NUSPEC
    parser = NuspecParser(MIRRORED)
    metadata = _metadata(parser.parse(data[:LARGEST_NUSPEC], is_cut=is_cut))
    identity, elements = _identity(metadata), first_by_name(metadata)
    repository = _attributes(elements.get("repository"))
    license_kind, license_text = _license(elements.get("license"))
    return PackageManifest(
        id=identity.id,
        version=identity.version,
        verbatim_version=text_of(elements["version"]),
        license_expression=license_text if license_kind == "expression" else "",
        license_file=license_text if license_kind == "file" else "",
        min_client_version=_attributes(metadata).get("minClientVersion", ""),
        repository_type=repository.get("type", ""),
        repository_url=repository.get("url", ""),
        is_partial=not parser.is_whole,
        repository_branch=repository.get("branch", ""),
        repository_commit=repository.get("commit", ""),
        tags=tuple(filter(None, _TAG_SEPARATORS.split(text_of(elements.get("tags"))))),
        require_license_acceptance=text_of(elements.get("requireLicenseAcceptance")).lower() in _TRUE,
        development_dependency=text_of(elements.get("developmentDependency")).lower() in _TRUE,
        package_types=_package_types(elements.get("packageTypes")),
        dependency_groups=_dependency_groups(elements.get("dependencies")),
        **{field: text_of(elements.get(name)) for name, field in _TEXT_ELEMENTS.items()},
    )


def read_identity(data: bytes, *, is_cut: bool = False) -> PackageIdentity:
    """Read only the id and the version. Parsing stops when both are known; what follows is not checked.

    `is_cut` means that `data` is only the beginning of the nuspec.

    Raises:
        InvalidPackage: not readable as XML up to there, or no valid id and version.
    """
    return _identity(_metadata(NuspecParser(MIRRORED, only_identity=True).parse(data, is_cut=is_cut)))


def metadata_element(data: bytes) -> etree._Element:
    """The metadata element as written, without comments, for the push rules.

    Raises:
        InvalidPackage: not readable as XML, not a nuspec, or over a bound for pushed ones.
    """
    if len(data) > LARGEST_NUSPEC:
        raise InvalidPackage(f"its nuspec is larger than the limit of {LARGEST_NUSPEC} bytes")
    return _metadata(NuspecParser(PUSHED).parse(data))


def _metadata(root: etree._Element) -> etree._Element:
    found = children(root, "metadata")
    if not found:
        raise InvalidPackage("its nuspec has no metadata element")
    return found[0]


def _identity(metadata: etree._Element) -> PackageIdentity:
    elements = first_by_name(metadata)
    try:
        return PackageIdentity.parse(text_of(elements.get("id")), text_of(elements.get("version")))
    except (InvalidPackageId, InvalidVersion) as error:
        raise InvalidPackage(f"its nuspec has no valid id and version: {error}") from error


def _license(element: etree._Element | None) -> tuple[str, str]:
    return _attributes(element).get("type", "").lower(), text_of(element)


def _package_types(element: etree._Element | None) -> tuple[PackageType, ...]:
    attributes = (_attributes(kind) for kind in _children(element, "packageType"))
    return tuple(PackageType(a["name"], a.get("version", "")) for a in attributes if a.get("name"))


def _dependency_groups(element: etree._Element | None) -> tuple[DependencyGroup, ...]:
    groups = tuple(
        DependencyGroup(_attributes(group).get("targetFramework") or None, _dependencies(group))
        for group in _children(element, "group")
    )
    if groups:
        return groups  # the official client, too, ignores flat entries next to groups
    flat = _dependencies(element)
    return (DependencyGroup(None, flat),) if flat else ()


def _dependencies(element: etree._Element | None) -> tuple[Dependency, ...]:
    attributes = (_attributes(dependency) for dependency in _children(element, "dependency"))
    return tuple(Dependency(a["id"], a.get("version", "")) for a in attributes if a.get("id"))


def _attributes(element: etree._Element | None) -> dict[str, str]:
    return {} if element is None else {str(name): str(value).strip() for name, value in element.attrib.items()}


def _children(element: etree._Element | None, name: str) -> list[etree._Element]:
    return [] if element is None else children(element, name)
