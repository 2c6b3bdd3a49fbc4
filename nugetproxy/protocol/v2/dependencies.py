"""The `Dependencies` text of a V2 entry: `id:range:framework`, joined by `|`.

Source: the official clients' readers of V2 feeds.
"""

from collections.abc import Sequence

from nugetproxy.errors import DocumentTooLarge, InvalidPackageId, InvalidVersionRange
from nugetproxy.nuget.framework import short_framework_name
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import Dependency, DependencyGroup
from nugetproxy.nuget.version_range import ANY_VERSION, VersionRange
from nugetproxy.protocol.bounds import LARGEST_VERSION


def dependencies_text(groups: Sequence[DependencyGroup]) -> str:
    """Empty if there are no dependencies. A group without any becomes `::net45`: that framework is supported too.

    Raises:
        DocumentTooLarge: longer than the limit for a whole version. Each dependency repeats its framework.
    """
    parts: list[str] = []
    length = 0
    for group in groups:
        framework = _plain(short_framework_name(group.target_framework)) if group.target_framework else ""
        length += (len(framework) + len("::|")) * (len(group.dependencies) or 1)
        if length > LARGEST_VERSION:
            raise DocumentTooLarge("the list of its dependencies", LARGEST_VERSION)
        parts += _parts(group, framework, is_alone=len(groups) == 1)
    return "|".join(parts)


def _parts(group: DependencyGroup, framework: str, *, is_alone: bool) -> list[str]:
    parts = [
        f"{dependency.id}:{_range(dependency)}:{framework}" for dependency in group.dependencies if _is_sane(dependency)
    ]
    if parts or (is_alone and not framework):
        return parts
    return [f"::{framework}"]


def _range(dependency: Dependency) -> str:
    """The empty string means any version; clients of every age read it that way."""
    try:
        parsed = VersionRange.parse(dependency.range)
    except InvalidVersionRange:
        return ""
    return "" if parsed == ANY_VERSION else parsed.normalized


def _is_sane(dependency: Dependency) -> bool:
    try:
        PackageId.parse(dependency.id)
    except InvalidPackageId:
        return False
    return True


def _plain(text: str) -> str:
    return text.replace(":", "").replace("|", "")
