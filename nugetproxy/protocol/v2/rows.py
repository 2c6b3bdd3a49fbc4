"""Row: one version in a V2 feed, with its rank among the versions that the request may see.

A registration can hold thousands of versions, of which a page shows a hundred. The values needed for ordering and for
common filters are at hand; the rest of the package is built on first access.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from nugetproxy.nuget.package import Package
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.steps import Steps
from nugetproxy.protocol.v2.packages import (
    Downloads,
    package_of_hit,
    package_of_leaf,
    shortened_package,
    versions_of_hit,
)
from nugetproxy.protocol.v3.registration_values import Leaf
from nugetproxy.protocol.v3.search import SearchHit

# The versions that NuGet 2.8 can read, found by experiment. One entry that it cannot read makes its whole command fail.
_OLD_VERSION = re.compile(r"\d+(\s*\.\s*\d+){0,3}(-[a-z][0-9a-z-]*)?", re.IGNORECASE | re.ASCII)


_ROWS_OF_STEP = 200


class Row:
    """`is_latest` is the highest listed stable version of its id, `is_absolute_latest` the highest listed one."""

    __slots__ = ("_made", "_make", "is_absolute_latest", "is_latest", "listed", "package_id", "version")

    def __init__(
        self,
        package_id: str,
        version: NuGetVersion,
        make: Callable[[], Package],
        *,
        listed: bool = True,
        is_latest: bool = False,
        is_absolute_latest: bool = False,
    ) -> None:
        self.package_id = package_id
        self.version = version
        self.listed = listed
        self.is_latest = is_latest
        self.is_absolute_latest = is_absolute_latest
        self._make = make
        self._made: Package | None = None

    @property
    def package(self) -> Package:
        if self._made is None:
            self._made = self._make()
        return self._made

    def release(self) -> None:
        """Drop the package; the next access builds it again. A page of the largest packages has a million objects, and
        the garbage collector would walk through those of all requests.
        """
        self._made = None

    def shortened(self, longest: int) -> "Row":
        """A copy with texts of at most `longest` characters."""
        return Row(
            self.package_id,
            self.version,
            lambda: shortened_package(self.package, longest),
            listed=self.listed,
            is_latest=self.is_latest,
            is_absolute_latest=self.is_absolute_latest,
        )

    def __repr__(self) -> str:
        return f"<Row {self.package_id} {self.version}>"


def is_visible(version: NuGetVersion, *, is_semver2: bool, level2: bool) -> bool:
    """Whether a request of this level may see a version: clients without `semVerLevel=2.0.0` cannot read all."""
    return level2 or not (is_semver2 or _OLD_VERSION.fullmatch(version.full) is None)


def rows_of_leaves(
    leaves: Iterable[Leaf], links: Links, *, level2: bool, hit: SearchHit | None = None
) -> Steps[list[Row]]:
    """The rows of one id, ascending: with unlisted versions, without versions that do not fit. `hit` is the search hit
    that led here.
    """
    visible = []
    for number, leaf in enumerate(leaves, 1):
        if leaf.fits and is_visible(leaf.version, is_semver2=leaf.is_semver2, level2=level2):
            visible.append(leaf)
        if number % _ROWS_OF_STEP == 0:
            yield
    visible.sort(key=lambda leaf: leaf.version)
    latest, absolute = _latest([leaf.version for leaf in visible if leaf.listed])
    downloads = Downloads(hit) if hit else None
    rows = []
    for number, leaf in enumerate(visible, 1):
        # Comparing thousands of versions takes as long as everything else.
        is_latest, is_absolute_latest = leaf.version is latest, leaf.version is absolute
        row = Row(
            leaf.package_id,
            leaf.version,
            lambda leaf=leaf: package_of_leaf(leaf, links, downloads=downloads),  # type: ignore[misc]  # mypy sees no default
            listed=leaf.listed,
            is_latest=leaf.listed and is_latest,
            is_absolute_latest=leaf.listed and is_absolute_latest,
        )
        rows.append(row)
        if number % _ROWS_OF_STEP == 0:
            yield
    return rows


def rows_of_hit(hit: SearchHit, links: Links, *, level2: bool) -> list[Row]:
    """The rows of one id from a search hit, ascending: the listed versions that the search could return."""
    versions = [
        version for version in versions_of_hit(hit) if is_visible(version, is_semver2=version.is_semver2, level2=level2)
    ]
    latest, absolute = _latest(versions)
    downloads = Downloads(hit)
    return [
        Row(
            hit.id,
            version,
            lambda version=version: package_of_hit(hit, version, links, downloads),  # type: ignore[misc]  # likewise
            is_latest=version == latest,
            is_absolute_latest=version == absolute,
        )
        for version in versions
    ]


def _latest(ascending: Sequence[NuGetVersion]) -> tuple[NuGetVersion | None, NuGetVersion | None]:
    stable = next((version for version in reversed(ascending) if not version.is_prerelease), None)
    return stable, ascending[-1] if ascending else None
