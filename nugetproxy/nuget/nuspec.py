"""Read a .nuspec, of any schema year, into a PackageManifest.

It is a stranger's XML: no document type, no entities, no network, and no more bytes than a limit. What a missing or odd
element means is decided as the official client does; only what makes a package unusable is refused.
"""

import re
from typing import Final

from lxml import etree

from nugetproxy.errors import InvalidPackage, InvalidPackageId, InvalidVersion
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import Dependency, DependencyGroup, PackageManifest, PackageType

# nuget.org allows 35,000 characters of release notes and 32,767 of dependencies; real ones stay below 200 KB.
LARGEST_NUSPEC = 4 * 1024 * 1024

# Authors part tags by any of these, and nuget.org's own metadata takes them all.
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


def read_nuspec(data: bytes) -> PackageManifest:
    """What the author wrote. Source: docs/reference/nuspec.

    Raises:
        InvalidPackage: not readable as XML, or without a valid id and version.
    """
    metadata = metadata_element(data)
    elements = _first_by_name(metadata)
    id_text, version_text = _text(elements.get("id")), _text(elements.get("version"))
    try:
        identity = PackageIdentity.parse(id_text, version_text)
    except (InvalidPackageId, InvalidVersion) as error:
        raise InvalidPackage(f"its nuspec does not name it: {error}") from error
    repository = _attributes(elements.get("repository"))
    license_kind, license_text = _license(elements.get("license"))
    return PackageManifest(
        id=identity.id,
        version=identity.version,
        verbatim_version=version_text,
        license_expression=license_text if license_kind == "expression" else "",
        license_file=license_text if license_kind == "file" else "",
        min_client_version=_attributes(metadata).get("minClientVersion", ""),
        repository_type=repository.get("type", ""),
        repository_url=repository.get("url", ""),
        repository_branch=repository.get("branch", ""),
        repository_commit=repository.get("commit", ""),
        tags=tuple(filter(None, _TAG_SEPARATORS.split(_text(elements.get("tags"))))),
        require_license_acceptance=_text(elements.get("requireLicenseAcceptance")).lower() in _TRUE,
        development_dependency=_text(elements.get("developmentDependency")).lower() in _TRUE,
        package_types=_package_types(elements.get("packageTypes")),
        dependency_groups=_dependency_groups(elements.get("dependencies")),
        **{field: _text(elements.get(name)) for name, field in _TEXT_ELEMENTS.items()},
    )


def metadata_element(data: bytes) -> etree._Element:
    """The metadata as it is written, for rules about how to write it. Comments are gone.

    Raises:
        InvalidPackage: not readable as XML, or no nuspec.
    """
    metadata = _child(_root(data), "metadata")
    if metadata is None:
        raise InvalidPackage("its nuspec has no metadata element")
    return metadata


def _root(data: bytes) -> etree._Element:
    if len(data) > LARGEST_NUSPEC:
        raise InvalidPackage(f"its nuspec is larger than the limit of {LARGEST_NUSPEC} bytes")
    # A parser keeps state and is not for two threads at once; a new one costs a few microseconds.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(_with_byte_order_mark(data), parser)
    except (etree.LxmlError, ValueError) as error:
        raise InvalidPackage(f"its nuspec is not XML: {_first_line(error)}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise InvalidPackage("its nuspec has a document type, which is not allowed")
    return root


def _with_byte_order_mark(data: bytes) -> bytes:
    # libxml2 finds out UTF-16 by itself only where the XML declaration or the mark is there.
    if data.startswith(b"<\0"):
        return b"\xff\xfe" + data
    if data.startswith(b"\0<"):
        return b"\xfe\xff" + data
    return data


def _first_line(error: Exception) -> str:
    # SyntaxError's own text ends in a file name, and here there is no file.
    lines = str(error.msg if isinstance(error, etree.XMLSyntaxError) else error).splitlines()
    return lines[0] if lines else type(error).__name__


def _license(element: etree._Element | None) -> tuple[str, str]:
    return _attributes(element).get("type", "").lower(), _text(element)


def _package_types(element: etree._Element | None) -> tuple[PackageType, ...]:
    attributes = (_attributes(kind) for kind in _children(element, "packageType"))
    return tuple(PackageType(a["name"], a.get("version", "")) for a in attributes if a.get("name"))


def _dependency_groups(element: etree._Element | None) -> tuple[DependencyGroup, ...]:
    groups = tuple(
        DependencyGroup(_attributes(group).get("targetFramework") or None, _dependencies(group))
        for group in _children(element, "group")
    )
    if groups:
        return groups  # flat entries beside groups are ignored by the official client too
    flat = _dependencies(element)
    return (DependencyGroup(None, flat),) if flat else ()


def _dependencies(element: etree._Element | None) -> tuple[Dependency, ...]:
    attributes = (_attributes(dependency) for dependency in _children(element, "dependency"))
    return tuple(Dependency(a["id"], a.get("version", "")) for a in attributes if a.get("id"))


def _children(element: etree._Element | None, name: str) -> list[etree._Element]:
    return [] if element is None else [child for child in element if _local_name(child) == name]


def _child(element: etree._Element, name: str) -> etree._Element | None:
    return next(iter(_children(element, name)), None)


def _first_by_name(element: etree._Element) -> dict[str, etree._Element]:
    found: dict[str, etree._Element] = {}
    for child in element:
        found.setdefault(_local_name(child), child)
    return found


def _local_name(element: etree._Element) -> str:
    # The namespace tells the year of the schema, and some packages have none or the wrong one.
    return str(element.tag).rpartition("}")[2]


def _attributes(element: etree._Element | None) -> dict[str, str]:
    return {} if element is None else {str(name): str(value).strip() for name, value in element.attrib.items()}


def _text(element: etree._Element | None) -> str:
    return "" if element is None else "".join(map(str, element.itertext())).strip()
