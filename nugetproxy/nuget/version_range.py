"""VersionRange: interval notation, floating versions, and which version a range selects.

How a restore compares two ranges of a graph is in `closure/ranges.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from nugetproxy.errors import InvalidVersion, InvalidVersionRange
from nugetproxy.nuget.version import WHITE_SPACE_CHARACTERS, NuGetVersion

_REMEMBERED_RANGES = 8_192
_LONGEST_REMEMBERED = 128
_ALL_FOUR_NUMBERS = 4


@dataclass(frozen=True, slots=True)
class FloatingPart:
    """The star of a floating range: the first `fixed` numbers are fixed, the rest may be higher.

    `prefix` is the required start of the prerelease part, None if only stable versions match.
    """

    floor: NuGetVersion
    fixed: int
    prefix: str | None

    def matches(self, version: NuGetVersion) -> bool:
        if _numbers(version)[: self.fixed] != _numbers(self.floor)[: self.fixed]:
            return False
        if not version.is_prerelease:
            return True
        return self.prefix is not None and ".".join(version.labels).lower().startswith(self.prefix.lower())

    def __str__(self) -> str:
        numbers = _numbers(self.floor)
        if self.fixed == _ALL_FOUR_NUMBERS:
            stable = NuGetVersion(*numbers).normalized
        else:
            stable = ".".join([*map(str, numbers[: self.fixed]), "*"])
        return stable if self.prefix is None else f"{stable}-{self.prefix}*"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """An interval of versions. None means no bound, which is never inclusive."""

    minimum: NuGetVersion | None = None
    includes_minimum: bool = False
    maximum: NuGetVersion | None = None
    includes_maximum: bool = False
    floating_part: FloatingPart | None = None

    @staticmethod
    def parse(text: str, *, floating: bool = False) -> "VersionRange":
        """Parse a range; an empty string means any version. Source: docs/concepts/Package-Versioning.

        `floating` allows stars, which are valid in project files but not in nuspecs.

        Raises:
            InvalidVersionRange: also for contradictory bounds such as `(1.0]` and `[2.0,1.0]`.
        """
        return (_remembered if len(text) <= _LONGEST_REMEMBERED else _parse)(text, floating)

    @property
    def normalized(self) -> str:
        """`[1.0.0, 2.0.0)`: full versions, a space after the comma, as in registrations."""
        opening = "[" if self.includes_minimum else "("
        closing = "]" if self.includes_maximum else ")"
        lower = self.floating_part or self.minimum or ""
        return f"{opening}{lower}, {self.maximum or ''}{closing}"

    @property
    def is_semver2(self) -> bool:
        """Whether a bound is a version that clients without SemVer 2 cannot read."""
        return any(bound is not None and bound.is_semver2 for bound in (self.minimum, self.maximum))

    def satisfies(self, version: NuGetVersion) -> bool:
        """Whether `version` is in the interval. A star is ignored: it is a preference, not a bound."""
        if self.minimum is not None and not (
            version >= self.minimum if self.includes_minimum else version > self.minimum
        ):
            return False
        return self.maximum is None or (version <= self.maximum if self.includes_maximum else version < self.maximum)

    def best_match(self, versions: Iterable[NuGetVersion]) -> NuGetVersion | None:
        """The version that a client selects: the lowest in the interval, or the highest that matches the star.

        Prereleases only count if the range allows them: otherwise restore fails with NU1103 when there is nothing else.
        """
        inside = [version for version in versions if self.satisfies(version)]
        if not self.allows_prereleases:
            inside = [version for version in inside if not version.is_prerelease]
        if self.floating_part is not None and (matching := [v for v in inside if self.floating_part.matches(v)]):
            return max(matching)
        return min(inside, default=None)

    @property
    def allows_prereleases(self) -> bool:
        """Whether a bound or the star has a prerelease part."""
        if self.floating_part is not None and self.floating_part.prefix is not None:
            return True
        return any(bound is not None and bound.is_prerelease for bound in (self.minimum, self.maximum))

    def __str__(self) -> str:
        return self.normalized


ANY_VERSION = VersionRange()


def _parse(text: str, floating: bool) -> VersionRange:
    trimmed = text.strip(WHITE_SPACE_CHARACTERS)
    if not trimmed:
        return ANY_VERSION
    if trimmed[0] not in "([":
        return _interval(text, trimmed, "", "[", ")", floating)
    if len(trimmed) == 1 or trimmed[-1] not in ")]":
        raise InvalidVersionRange(text, "the closing bracket is missing")
    opening, closing = trimmed[0], trimmed[-1]
    bounds = trimmed[1:-1].split(",")
    if len(bounds) > 2:
        raise InvalidVersionRange(text, "it has more than two bounds")
    if not any(bounds):
        # The official parser requires at least a space: "(, )" is any version, and "(,)" is invalid.
        raise InvalidVersionRange(text, "it has no bounds; any version is written '(, )'")
    if len(bounds) == 1 and (opening, closing) != ("[", "]"):
        raise InvalidVersionRange(text, "a single version needs square brackets")
    return _interval(text, bounds[0], bounds[-1], opening, closing, floating)


_remembered = lru_cache(maxsize=_REMEMBERED_RANGES)(_parse)


def _interval(text: str, lower: str, upper: str, opening: str, closing: str, floating: bool) -> VersionRange:
    try:
        floating_part = _floating_part(text, lower) if floating and "*" in lower else None
        minimum = floating_part.floor if floating_part else _bound(lower)
        maximum = _bound(upper)
    except InvalidVersion as error:
        raise InvalidVersionRange(text, f"a bound is not a version: {error.why}") from error
    interval = VersionRange(
        minimum,
        minimum is not None and opening == "[",
        maximum,
        maximum is not None and closing == "]",
        floating_part,
    )
    if minimum is not None and maximum is not None:
        if minimum > maximum:
            raise InvalidVersionRange(text, "the lower bound is higher than the upper bound")
        # "(1.0, 1.0)" is accepted, as by the official parser: a range that nothing satisfies.
        if minimum == maximum and interval.includes_minimum != interval.includes_maximum:
            raise InvalidVersionRange(text, "it includes and excludes the same version")
    return interval


def _bound(text: str) -> NuGetVersion | None:
    return NuGetVersion.parse(text) if text.strip(WHITE_SPACE_CHARACTERS) else None


def _floating_part(text: str, lower: str) -> FloatingPart:
    stable, dash, release = lower.partition("-")
    if "+" in lower or (dash and not release.endswith("*")):
        raise InvalidVersionRange(text, "a star may only end the numbers or the prerelease part")
    fixed = _ALL_FOUR_NUMBERS
    if stable.endswith("*"):
        fixed = stable.count(".")
        if not stable.endswith(".*") and stable.strip(WHITE_SPACE_CHARACTERS) != "*":
            raise InvalidVersionRange(text, "a star must stand for a whole number")
        stable = stable[:-1] + "0"
    elif not dash:
        raise InvalidVersionRange(text, "a star may only end the numbers or the prerelease part")
    if not dash:
        return FloatingPart(NuGetVersion.parse(stable), fixed, None)
    prefix = release[:-1]
    # 0 is the lowest label, and an empty one is not allowed.
    lowest = prefix + "0" if not prefix or prefix.endswith(".") else prefix
    return FloatingPart(NuGetVersion.parse(f"{stable}-{lowest}"), fixed, prefix)


def _numbers(version: NuGetVersion) -> tuple[int, int, int, int]:
    return (version.major, version.minor, version.patch, version.revision)
