"""A registration leaf built from a package's own manifest, for packages kept here that no upstream describes.

The fields are those that nuget.org writes, and `packageTypes`, which search over kept packages needs. The writer adds
the URLs; a readme, icon or licence inside the package is named by a reference that the writer resolves.
"""

import re
from dataclasses import replace
from typing import Any

from nugetproxy.errors import InvalidVersionRange
from nugetproxy.nuget.manifest import DependencyGroup, PackageManifest
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.protocol.v3.readable import readable_framework
from nugetproxy.protocol.v3.registration_values import Leaf
from nugetproxy.protocol.v3.rewriting import part_reference
from nugetproxy.protocol.v3.version_fitting import LONGEST_VERSION, MOST_ROWS, fitted_leaf, unfit_leaf

# The date that means "unlisted" on nuget.org.
UNLISTED_PUBLISHED = "1900-01-01T00:00:00+00:00"
# The type of a package that declares none.
DEFAULT_PACKAGE_TYPE = "Dependency"
_ANY_VERSION = "(, )"

_NUMBERED_FRAMEWORK = re.compile(r"(netstandard|netcoreapp)(\d+\.\d+)", re.IGNORECASE | re.ASCII)
_NET_FRAMEWORK = re.compile(r"net([1-4])(\d)(\d)?", re.IGNORECASE | re.ASCII)
_LONG_NAME = {"netstandard": ".NETStandard", "netcoreapp": ".NETCoreApp"}


def leaf_from_manifest(manifest: PackageManifest, *, published: str, listed: bool = True) -> Leaf:
    """`published` is ISO 8601; an unlisted version gets the year 1900 instead, as on nuget.org.

    If it does not fit, the leaf contains no dependencies (see `version_fitting`).
    """
    has_few = sum(1 + len(group.dependencies) for group in manifest.dependency_groups) <= MOST_ROWS
    is_short = len(manifest.version.full) <= LONGEST_VERSION
    told = manifest if has_few else replace(manifest, dependency_groups=())
    entry = _catalog_entry(told, published if listed else UNLISTED_PUBLISHED, listed=listed)
    raw: dict[str, Any] = {"@type": "Package", "catalogEntry": entry}
    fitted = fitted_leaf(raw) if has_few and is_short and not manifest.is_partial else unfit_leaf(raw)
    return Leaf(manifest.version, manifest.id.text, listed, told.is_semver2, *fitted)


def _catalog_entry(manifest: PackageManifest, published: str, *, listed: bool) -> dict[str, Any]:
    lower_id, lower_version = manifest.id.lower, manifest.version.lower
    entry: dict[str, Any] = {"@type": "PackageDetails", "authors": manifest.authors}
    if manifest.dependency_groups:
        entry["dependencyGroups"] = [_dependency_group(group) for group in manifest.dependency_groups]
    entry |= {
        "description": manifest.description,
        "iconUrl": part_reference(lower_id, lower_version, "icon") if manifest.icon else manifest.icon_url,
        "id": manifest.id.text,
        "language": manifest.language,
        "licenseExpression": manifest.license_expression,
        "licenseUrl": part_reference(lower_id, lower_version, "license")
        if manifest.license_file
        else manifest.license_url,
        "listed": listed,
        "minClientVersion": manifest.min_client_version,
        "projectUrl": manifest.project_url,
        "published": published,
    }
    types = [{"name": kind.name, "version": kind.version} for kind in manifest.package_types]
    entry["packageTypes"] = types or [{"name": DEFAULT_PACKAGE_TYPE, "version": ""}]
    if manifest.readme:
        entry["readmeUrl"] = part_reference(lower_id, lower_version, "readme")
    return entry | {
        "requireLicenseAcceptance": manifest.require_license_acceptance,
        "summary": manifest.summary,
        "tags": list(manifest.tags) or [""],
        "title": manifest.title,
        "version": manifest.version.full,
    }


def _dependency_group(group: DependencyGroup) -> dict[str, Any]:
    framework = group.target_framework and readable_framework(framework_name(group.target_framework))
    fragment = "#dependencygroup" + (f"/{framework.lower()}" if framework else "")
    written: dict[str, Any] = {"@id": fragment, "@type": "PackageDependencyGroup"}
    if group.dependencies:
        written["dependencies"] = [
            {
                "@id": f"{fragment}/{dependency.id.lower()}",
                "@type": "PackageDependency",
                "id": dependency.id,
                "range": _normalized_range(dependency.range),
                # Any text will do: the writer replaces it with the link.
                "registration": "",
            }
            for dependency in group.dependencies
        ]
    if framework:
        written["targetFramework"] = framework
    return written


def framework_name(written: str) -> str:
    """The long name where nuget.org writes one (`.NETStandard2.0`), else as written (`net8.0`). Clients read both."""
    if match := _NUMBERED_FRAMEWORK.fullmatch(written):
        return _LONG_NAME[match[1].lower()] + match[2]
    if match := _NET_FRAMEWORK.fullmatch(written):
        return ".NETFramework" + ".".join(number for number in match.groups() if number)
    return written


def _normalized_range(text: str) -> str:
    """Clients of a registration fail on a malformed range, which they otherwise treat as any version."""
    try:
        return VersionRange.parse(text).normalized
    except InvalidVersionRange:
        return _ANY_VERSION
