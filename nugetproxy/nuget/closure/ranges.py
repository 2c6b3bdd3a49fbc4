"""How a restore compares two ranges of the same package, and which version of a list it takes for one.

Both differ from plain intervals: a star counts as its highest number, and the lower bounds alone decide which of two
requests is higher.
"""

from collections.abc import Iterable
from typing import Final

from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import FloatingPart, VersionRange

_HIGHEST: Final = 2**31 - 1
_ALL_FOUR: Final = 4

_Numbers = tuple[int, int, int, int]


def reaches(near: VersionRange, far: VersionRange) -> bool:
    """Whether `near` asks for a version that is at least the one that `far` asks for."""
    if near.minimum is None:
        return True
    if far.minimum is None:
        return False
    if near.floating_part is None and far.floating_part is None:
        return near.minimum >= far.minimum
    if _is_any(near.floating_part) or _is_any(far.floating_part):
        return _is_any(near.floating_part)
    near_numbers, near_label = _highest(near.minimum, near.floating_part)
    far_numbers, far_label = _highest(far.minimum, far.floating_part)
    if near_numbers != far_numbers:
        return near_numbers > far_numbers
    if not near_label or not far_label:
        return not near_label
    shorter = min(len(near_label), len(far_label))
    return near_label[:shorter].upper() >= far_label[:shorter].upper()


def selected(range_: VersionRange, versions: Iterable[NuGetVersion]) -> NuGetVersion | None:
    """The version that a restore takes: with a star the highest that matches it, otherwise the lowest in the interval.

    Prereleases only count if a bound or the star has a prerelease part.
    """
    inside = [version for version in versions if range_.satisfies(version)]
    if not allows_prereleases(range_):
        inside = [version for version in inside if not version.is_prerelease]
    star = range_.floating_part
    if star is not None and (matching := [version for version in inside if star.matches(version)]):
        return max(matching)
    return min(inside, default=None)


def allows_prereleases(range_: VersionRange) -> bool:
    """Whether a prerelease satisfies the range for a restore."""
    if range_.floating_part is not None and range_.floating_part.prefix is not None:
        return True
    return any(bound is not None and bound.is_prerelease for bound in (range_.minimum, range_.maximum))


def _is_any(star: FloatingPart | None) -> bool:
    """Whether it is `*`, which is higher than everything."""
    return star is not None and star.fixed == 0 and star.prefix is None


def _highest(minimum: NuGetVersion, star: FloatingPart | None) -> tuple[_Numbers, str]:
    """The numbers to compare, those that a star leaves open at their highest; and the prerelease part."""
    numbers = (minimum.major, minimum.minor, minimum.patch, minimum.revision)
    if star is None:
        return numbers, ".".join(minimum.labels)
    if star.prefix is not None:
        return numbers, star.prefix
    major, minor, patch, revision = (*numbers[: star.fixed], *[_HIGHEST] * (_ALL_FOUR - star.fixed))
    return (major, minor, patch, revision), ""
