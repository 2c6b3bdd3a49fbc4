"""Summaries of hosted packages for administrators: one row per package id, from the database alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.database.base import Fetch


@dataclass(frozen=True, slots=True)
class PackageSummary:
    """An id that was pushed. `package_id` is spelled as in its latest push, or in lower case once all versions are
    deleted.

    `owners` by name; `listed` versions ascending; `deleted` counts versions that cannot be pushed again. `size` is the
    total bytes of all versions, `downloads` the total of all time.
    """

    package_id: str
    owners: tuple[str, ...]
    listed: tuple[NuGetVersion, ...]
    unlisted: int
    deprecated: int
    deleted: int
    size: int
    downloads: int

    @property
    def latest(self) -> NuGetVersion | None:
        """The highest stable version that is listed, or the highest if none is stable."""
        stable = [version for version in self.listed if not version.is_prerelease]
        return (stable or self.listed or (None,))[-1]


def summaries(fetch: Fetch, lower_id: str | None = None) -> tuple[PackageSummary, ...]:
    """All ids, or one (empty if it is unknown), by lower id. Raises StorageUnavailable."""
    of_one, parameters = ("WHERE lower_id = ?", (lower_id,)) if lower_id is not None else ("", ())
    versions = _grouped(
        fetch(
            "SELECT lower_id, package_id, version, size, listed, deprecation IS NOT NULL FROM hosted_packages"  # noqa: S608  constant
            f" JOIN hosted_pushes USING (push, lower_id) {of_one} ORDER BY lower_id, push",
            parameters,
        )
    )
    counting = f"SELECT lower_id, {{}} FROM {{}} {of_one} GROUP BY lower_id"  # noqa: S608  constant
    deleted: dict[str, int] = dict(fetch(counting.format("count(*)", "burnt_versions"), parameters))
    downloads: dict[str, int] = dict(fetch(counting.format("sum(downloads)", "hosted_downloads"), parameters))
    owners = _grouped(
        fetch(
            f"SELECT lower_id, name FROM package_owners JOIN accounts USING (account_id) {of_one} ORDER BY lower_name",  # noqa: S608
            parameters,
        )
    )
    return tuple(
        PackageSummary(
            package_id=rows[-1][0] if (rows := versions.get(each, [])) else each,
            owners=tuple(row[0] for row in owners.get(each, [])),
            listed=tuple(sorted(NuGetVersion.parse(row[1]) for row in rows if row[3])),
            unlisted=sum(not row[3] for row in rows),
            deprecated=sum(row[4] for row in rows),
            deleted=deleted.get(each, 0),
            size=sum(row[2] for row in rows),
            downloads=downloads.get(each, 0),
        )
        for each in sorted(versions.keys() | deleted.keys())
    )


def _grouped(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    """The remaining columns of each row, by its first column."""
    groups: dict[str, list[tuple[Any, ...]]] = {}
    for first, *rest in rows:
        groups.setdefault(str(first), []).append(tuple(rest))
    return groups
