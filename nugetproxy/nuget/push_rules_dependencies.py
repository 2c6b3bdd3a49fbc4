"""Push rules for dependencies and target frameworks.

An unknown framework is only a warning, because new SDKs add frameworks. A string that cannot be one is an error.
"""

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from nugetproxy.errors import InvalidPackageId, InvalidVersionRange
from nugetproxy.nuget.archive import shown
from nugetproxy.nuget.elements import attribute, children
from nugetproxy.nuget.framework import find_framework
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import Dependency, PackageManifest
from nugetproxy.nuget.version_range import VersionRange

LONGEST_RANGE: Final = 256
LONGEST_DEPENDENCIES: Final = 32_767
"""Characters of all dependencies in V2 form, `id:range:framework|…`."""

# The elements that have groups by framework.
_GROUPED: Final = ("dependencies", "frameworkReferences", "references")
_LONGEST_FRAMEWORK: Final = 256
_ANY_FRAMEWORK = re.compile(r"[A-Za-z.][\w.,=+ -]*", re.ASCII)


def dependency_problems(manifest: PackageManifest, metadata: etree._Element) -> Iterator[str]:
    """Problems that make the push fail."""
    for element in children(metadata, "dependencies"):
        for scope, dependencies in _scopes(element):
            yield from _scope_problems(scope, dependencies)
    # V2 writes an empty group as a dependency without an id.
    flattened = sum(
        len(dependency.id) + len(dependency.range) + len(group.target_framework or "") + 3
        for group in manifest.dependency_groups
        for dependency in group.dependencies or (Dependency(""),)
    )
    if flattened > LONGEST_DEPENDENCIES:
        yield f"its dependencies have {flattened} characters in total; the limit is {LONGEST_DEPENDENCIES}"
    for framework in _frameworks(metadata):
        if find_framework(framework) is None and not _may_be_framework(framework):
            yield f"{shown(framework)} is not a target framework such as net8.0 or .NETStandard2.0"


def framework_warnings(metadata: etree._Element) -> Iterator[str]:
    """Warnings about what clients may interpret differently than intended."""
    for framework in _frameworks(metadata):
        if find_framework(framework) is None and _may_be_framework(framework):
            yield f"The target framework {shown(framework)} is unknown. Clients that do not know it ignore it."
    for element in children(metadata, "dependencies"):
        if children(element, "group") and children(element, "dependency"):
            yield "Dependencies outside groups are ignored when there are groups."


def _scopes(element: etree._Element) -> Iterator[tuple[str, list[etree._Element]]]:
    for group in children(element, "group"):
        framework = attribute(group, "targetFramework")
        yield (f" for {shown(framework)}" if framework else ""), children(group, "dependency")
    yield "", children(element, "dependency")


def _scope_problems(scope: str, dependencies: list[etree._Element]) -> Iterator[str]:
    seen: set[str] = set()
    for dependency in dependencies:
        name, wanted = attribute(dependency, "id"), attribute(dependency, "version")
        try:
            lower_id = PackageId.parse(name).lower
        except InvalidPackageId as error:
            yield f"it has a dependency{scope} without a valid id: {error}"
            continue
        if lower_id in seen:
            yield f"it depends{scope} on {name} twice; list each package once per group"
        seen.add(lower_id)
        if problem := _range_problem(wanted):
            yield f"its dependency {name}{scope} {problem}"


def _range_problem(wanted: str) -> str:
    if len(wanted) > LONGEST_RANGE:
        return f"has a version range of more than {LONGEST_RANGE} characters"
    if "*" in wanted:
        return f"has the floating version {shown(wanted)}; specify the lowest version that works"
    try:
        interval = VersionRange.parse(wanted)
    except InvalidVersionRange as error:
        return f"has no valid version range: {error}"
    if any(bound is not None and bound.metadata for bound in (interval.minimum, interval.maximum)):
        return f"has build metadata in {shown(wanted)}; remove the '+' and what follows"
    return ""


def _frameworks(metadata: etree._Element) -> list[str]:
    """All frameworks in the nuspec, without duplicates."""
    found = [
        attribute(group, "targetFramework")
        for name in _GROUPED
        for element in children(metadata, name)
        for group in children(element, "group")
    ]
    for element in children(metadata, "frameworkAssemblies"):
        for assembly in children(element, "frameworkAssembly"):
            found += _listed(attribute(assembly, "targetFramework"))
    return [framework for framework in dict.fromkeys(found) if framework]


def _may_be_framework(text: str) -> bool:
    return len(text) <= _LONGEST_FRAMEWORK and _ANY_FRAMEWORK.fullmatch(text) is not None


def _listed(text: str) -> list[str]:
    """Frameworks separated by commas; the long form `Name,Version=v4.0` contains a comma itself."""
    if "=" in text:
        return [text]
    return [framework.strip() for framework in text.split(",")]
