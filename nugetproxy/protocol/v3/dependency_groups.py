"""The dependency groups of a registration leaf or a catalog entry."""

from nugetproxy.nuget.manifest import Dependency, DependencyGroup
from nugetproxy.protocol.documents import text_of


def read_dependency_groups(value: object) -> tuple[DependencyGroup, ...]:
    """The value of `dependencyGroups`. Rows that are not readable are left out."""
    groups = value if isinstance(value, list) else []
    return tuple(
        DependencyGroup(text_of(group.get("targetFramework")) or None, _dependencies(group.get("dependencies")))
        for group in groups
        if isinstance(group, dict)
    )


def _dependencies(value: object) -> tuple[Dependency, ...]:
    rows = value if isinstance(value, list) else []
    return tuple(
        Dependency(row["id"], text_of(row.get("range")))
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("id"), str)
    )
