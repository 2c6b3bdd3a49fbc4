"""Compatibility: which of the frameworks that a package offers is nearest to a project's.

Only as much of NuGet's rule as the frameworks in use need: .NET (Core), .NET Standard and .NET Framework. Portable
profiles and phones are left out: this predicts what clients choose, and decides nothing.
Sources: docs/reference/target-frameworks, dotnet/standard/net-standard.
"""

from collections.abc import Iterable
from typing import Final

from nugetproxy.nuget.framework import Framework, find_framework

_CORE: Final = ".NETCoreApp"
_STANDARD: Final = ".NETStandard"
_FULL: Final = ".NETFramework"

_Version = tuple[int, int, int, int]

_ANY: Final = (0, (0, 0, 0, 0), False)
# The highest .NET Standard that a framework implements, from one of its versions on; the latest version first.
_STANDARD_OF: Final[dict[str, tuple[tuple[_Version, _Version], ...]]] = {
    _CORE: (((3, 0, 0, 0), (2, 1, 0, 0)), ((2, 0, 0, 0), (2, 0, 0, 0)), ((1, 0, 0, 0), (1, 6, 0, 0))),
    _FULL: (
        ((4, 6, 1, 0), (2, 0, 0, 0)),
        ((4, 6, 0, 0), (1, 3, 0, 0)),
        ((4, 5, 1, 0), (1, 2, 0, 0)),
        ((4, 5, 0, 0), (1, 1, 0, 0)),
    ),
}


def nearest(project: Framework, offered: Iterable[str | None]) -> str | None:
    """The offered framework, as written, that a client chooses for a project; None is one that fits every project.

    Raises LookupError when none of them fits.
    """
    fitting = [(rank, text) for text in offered if (rank := _rank(project, text)) is not None]
    if not fitting:
        raise LookupError(f"no framework that fits {project.short}")
    return max(fitting, key=lambda each: each[0])[1]


def _rank(project: Framework, text: str | None) -> tuple[int, _Version, bool] | None:
    """How near an offered framework is: higher is nearer; None if it does not fit."""
    if not text:
        return _ANY
    framework = find_framework(text)
    if framework is None:
        return None
    if framework.identifier == "Any":
        return _ANY
    if framework.identifier == project.identifier and framework.version <= project.version:
        is_same_platform = not framework.profile or project.profile.startswith(framework.profile.rstrip("0123456789."))
        return (2, framework.version, bool(framework.profile)) if is_same_platform else None
    if framework.identifier == _STANDARD and framework.version <= _standard_of(project):
        return 1, framework.version, False
    return None


def _standard_of(project: Framework) -> _Version:
    versions = _STANDARD_OF.get(project.identifier, ())
    return next((standard for since, standard in versions if project.version >= since), (0, 0, 0, 0))
