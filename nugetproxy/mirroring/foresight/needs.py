"""Which packages a client asks for next: the dependencies of a package, as a restore resolves them.

Pure. A restore takes the dependency group that is nearest to the framework of the project, and of each dependency the
lowest version that fits. Requests do not name the framework: it is guessed from the client's version, and corrected by
what the client asks for.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from nugetproxy.errors import InvalidPackageId, InvalidVersion, InvalidVersionRange
from nugetproxy.nuget.compatibility import nearest
from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.manifest import DependencyGroup
from nugetproxy.nuget.version_range import VersionRange

MOST_DEPENDENCIES: Final = 500
"""Dependencies of one package, in all groups; a package with more is not looked into."""

# The newest framework of the SDK that contains a version of the client, from that version on; the latest first.
_NEWEST: Final = (((7, 0), "net10.0"), ((6, 12), "net9.0"), ((6, 8), "net8.0"), ((6, 4), "net7.0"), ((6, 0), "net6.0"),
                  ((5, 8), "net5.0"), ((0, 0), "netcoreapp3.1"))  # fmt: skip
_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})", re.ASCII)

# What a project may target whose restore asks for other dependencies than the newest framework has.
_CANDIDATES: Final = (
    "net8.0", "net6.0", "netcoreapp3.1", "netcoreapp2.1", "netstandard2.1", "netstandard2.0", "netstandard1.6",
    "net481", "net472", "net462", "net46", "net45", "net40", "net10.0-windows7.0", "net8.0-windows7.0",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Need:
    """A dependency that a client resolves next."""

    id: PackageId
    range: VersionRange

    @property
    def exact(self) -> PackageIdentity | None:
        """The version that a client takes if it exists; None when only the list of versions tells."""
        minimum = self.range.minimum
        if minimum is None or not self.range.includes_minimum:
            return None
        try:
            return PackageIdentity.parse(self.id.text, minimum.normalized)
        except InvalidVersion:
            return None


def newest_framework(client_version: str) -> Framework:
    """The framework that most projects of this client have (`7.9.0` is the SDK of net10.0)."""
    match = _VERSION.match(client_version)
    version = (int(match[1]), int(match[2])) if match else _NEWEST[0][0]
    return _framework(next(name for since, name in _NEWEST if version >= since))


def needs(groups: Sequence[DependencyGroup], frameworks: Iterable[Framework]) -> list[Need]:
    """The dependencies that restores for these frameworks resolve, each id and range once."""
    found: dict[tuple[str, str], Need] = {}
    for framework in frameworks:
        for group in _chosen(groups, framework):
            for dependency in group.dependencies:
                try:
                    need = Need(PackageId.parse(dependency.id), VersionRange.parse(dependency.range))
                except (InvalidPackageId, InvalidVersionRange):
                    continue
                found.setdefault((need.id.lower, dependency.range), need)
    return list(found.values())


def framework_that_needs(
    groups: Sequence[DependencyGroup], lower_id: str, known: Sequence[Framework]
) -> Framework | None:
    """A framework that explains why a client asks for a dependency; None if a known one does, or none does."""
    if lower_id not in {dependency.id.lower() for group in groups for dependency in group.dependencies}:
        return None
    if any(_names(_chosen(groups, framework), lower_id) for framework in known):
        return None
    candidates = map(_framework, _CANDIDATES)
    return next((each for each in candidates if each not in known and _names(_chosen(groups, each), lower_id)), None)


def _chosen(groups: Sequence[DependencyGroup], framework: Framework) -> list[DependencyGroup]:
    try:
        name = nearest(framework, (group.target_framework for group in groups))
    except LookupError:
        return []
    return [group for group in groups if group.target_framework == name]


def _names(groups: Iterable[DependencyGroup], lower_id: str) -> bool:
    return any(dependency.id.lower() == lower_id for group in groups for dependency in group.dependencies)


@lru_cache(maxsize=64)
def _framework(name: str) -> Framework:
    framework = find_framework(name)
    assert framework is not None, name
    return framework
