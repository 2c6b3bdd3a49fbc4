"""Merge two answers about the same id: hosted versions win, versions that exist only below are added.

`owned` are the versions that are never taken from below: hosted ones, visible or not, and deleted ones.
"""

from dataclasses import replace
from operator import attrgetter
from typing import Any, Final

from nugetproxy.errors import InvalidVersion
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Registration, registration_of
from nugetproxy.protocol.v3.registration_values import newest_commit
from nugetproxy.protocol.v3.search import CompletionPage, SearchHit

Owned = frozenset[NuGetVersion]

# Search hit fields that describe one version, the latest (nuget-protocol: search response). Those in the first set are
# never assumed to hold for another version.
_SINGLE_VERSION: Final = frozenset({"deprecation", "vulnerabilities"})
_ONE_VERSION: Final = _SINGLE_VERSION | {
    "title", "description", "summary", "iconUrl", "licenseUrl", "projectUrl", "tags", "authors",
}  # fmt: skip


def united_versions(
    hosted: tuple[NuGetVersion, ...] | None, below: tuple[NuGetVersion, ...], owned: Owned
) -> tuple[NuGetVersion, ...] | None:
    """Ascending; None if there are none."""
    versions = {*(hosted or ()), *(version for version in below if version not in owned)}
    return tuple(sorted(versions, key=attrgetter("sort_key"))) or None


def united_registration(hosted: Registration | None, below: Registration, owned: Owned) -> Registration | None:
    """Both must be complete. None if there are no versions."""
    leaves = (*(hosted.leaves if hosted else ()), *(leaf for leaf in below.leaves if leaf.version not in owned))
    if not leaves:
        return None
    return replace(registration_of((hosted or below).package_id, leaves), raw=newest_commit(leaves))


def untold_version(hosted: SearchHit | None, below: SearchHit, owned: Owned) -> NuGetVersion | None:
    """The version that the united hit is about if neither hit describes it: the feed below serves it, but describes a
    later one that we own.
    """
    newest = max(_free_rows(below, owned), default=None)
    if newest is None or _latest(below) not in owned or (hosted is not None and newest <= _latest(hosted)):
        return None
    return newest


def united_hit(
    hosted: SearchHit | None, below: SearchHit, owned: Owned, told: SearchHit | None = None
) -> SearchHit | None:
    """The description from the feed with the latest version; versions and downloads of both. None if there are none.

    `told` describes the `untold_version`. Without it, fields that apply to single versions are left out.
    """
    rows = _free_rows(below, owned)
    newest = max(rows, default=None)
    if hosted is not None:
        rows.update(_rows(hosted))
    if not rows:
        return None
    joined = {"versions": [rows[version] for version in sorted(rows)], **_joined_downloads(hosted, below)}
    if hosted is not None and (newest is None or newest <= _latest(hosted)):
        return SearchHit(hosted.id, {**hosted.raw, **joined})
    if _latest(below) not in owned:
        return SearchHit(below.id, {**below.raw, **joined})
    replaced = _SINGLE_VERSION if told is None else _ONE_VERSION
    described = {name: value for name, value in below.raw.items() if name not in replaced}
    if told is not None:
        described |= {name: value for name, value in told.raw.items() if name in replaced}
    return SearchHit(below.id, {**described, **joined, "version": rows[max(rows)]["version"]})


def united_completion(hosted: CompletionPage, below: CompletionPage, owned: Owned) -> CompletionPage:
    """Versions, ascending; texts that are not versions are left out."""
    theirs = {version: text for text in below.values if (version := _parsed(text)) is not None}
    texts = {version: text for version, text in theirs.items() if version not in owned}
    texts.update({version: text for text in hosted.values if (version := _parsed(text)) is not None})
    return CompletionPage(None, tuple(texts[version] for version in sorted(texts)))


def _rows(hit: SearchHit) -> list[tuple[NuGetVersion, dict[str, Any]]]:
    """The rows of `versions`; for a hit without any, its own version."""
    given = hit.raw.get("versions")
    rows = given if isinstance(given, list) and given else [{"version": hit.raw.get("version"), "downloads": 0}]
    return [
        (version, row) for row in rows if isinstance(row, dict) and (version := _parsed(row.get("version"))) is not None
    ]


def _free_rows(below: SearchHit, owned: Owned) -> dict[NuGetVersion, dict[str, Any]]:
    return {version: row for version, row in _rows(below) if version not in owned}


def _joined_downloads(hosted: SearchHit | None, below: SearchHit) -> dict[str, int]:
    """The sum of both; empty if neither states it."""
    told = [hit.raw.get("totalDownloads") for hit in (hosted, below) if hit is not None]
    counts = [count for count in told if isinstance(count, int)]
    return {"totalDownloads": sum(counts)} if counts else {}


def _latest(hit: SearchHit) -> NuGetVersion:
    return _parsed(hit.raw.get("version")) or NuGetVersion.parse("0.0.0-0")


def _parsed(text: object) -> NuGetVersion | None:
    try:
        return NuGetVersion.parse(text) if isinstance(text, str) else None
    except InvalidVersion:
        return None
