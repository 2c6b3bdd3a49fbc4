"""How a restore compares two ranges of the same package: by their lower bounds, where a star counts as the highest.

Confirmed with NuGet 7 (SDK 10) for every pair of some forty ranges.
"""

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
    return _label_key(near_label, near.floating_part) >= _label_key(far_label, far.floating_part)


def _label_key(label: str, star: FloatingPart | None) -> str:
    """A star after a label is higher than everything that begins with it."""
    return label.upper() + ("\uffff" if star is not None else "")


def _is_any(star: FloatingPart | None) -> bool:
    """Whether it is `*`, which is higher than everything."""
    return star is not None and star.fixed == 0 and star.prefix is None


def _highest(minimum: NuGetVersion, star: FloatingPart | None) -> tuple[_Numbers, str]:
    """The numbers to compare, those that a star leaves open at their highest; and the prerelease part."""
    numbers = (minimum.major, minimum.minor, minimum.patch, minimum.revision)
    if star is None:
        return numbers, ".".join(minimum.labels)
    major, minor, patch, revision = (*numbers[: star.fixed], *[_HIGHEST] * (_ALL_FOUR - star.fixed))
    return (major, minor, patch, revision), star.prefix or ""
