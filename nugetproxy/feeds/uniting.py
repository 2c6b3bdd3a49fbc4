"""One answer out of two about the same id: what is hosted wins, what only lies below is added.

`owned` are the versions that lie below in vain: hosted ones, whether they are shown or not, and deleted ones.
"""

from dataclasses import replace
from typing import Any

from nugetproxy.errors import InvalidVersion
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Registration, registration_of
from nugetproxy.protocol.v3.registration_values import newest_commit
from nugetproxy.protocol.v3.search import CompletionPage, SearchHit

Owned = frozenset[NuGetVersion]


def united_versions(
    hosted: tuple[NuGetVersion, ...] | None, below: tuple[NuGetVersion, ...], owned: Owned
) -> tuple[NuGetVersion, ...] | None:
    """Ascending; None when there is none."""
    return tuple(sorted({*(hosted or ()), *(version for version in below if version not in owned)})) or None


def united_registration(hosted: Registration | None, below: Registration, owned: Owned) -> Registration | None:
    """Both complete. None when there is no version."""
    leaves = (*(hosted.leaves if hosted else ()), *(leaf for leaf in below.leaves if leaf.version not in owned))
    if not leaves:
        return None
    return replace(registration_of((hosted or below).package_id, leaves), raw=newest_commit(leaves))


def united_hit(hosted: SearchHit | None, below: SearchHit, owned: Owned) -> SearchHit | None:
    """The description of whoever has the latest version, and the versions of both. None when there is none."""
    rows = {version: row for version, row in _rows(below) if version not in owned}
    latest = max(rows, default=None)
    if hosted is not None:
        rows.update(_rows(hosted))
    if not rows:
        return None
    ascending = [rows[version] for version in sorted(rows)]
    if hosted is not None and (latest is None or latest <= _latest(hosted)):
        return SearchHit(hosted.id, {**hosted.raw, "versions": ascending})
    described = {**below.raw, "versions": ascending}
    if _latest(below) in owned:
        described["version"] = rows[max(rows)]["version"]
    return SearchHit(below.id, described)


def united_completion(hosted: CompletionPage, below: CompletionPage, owned: Owned) -> CompletionPage:
    """Versions, ascending; texts that are no versions are left out."""
    theirs = {version: text for text in below.values if (version := _parsed(text)) is not None}
    texts = {version: text for version, text in theirs.items() if version not in owned}
    texts.update({version: text for text in hosted.values if (version := _parsed(text)) is not None})
    return CompletionPage(None, tuple(texts[version] for version in sorted(texts)))


def _rows(hit: SearchHit) -> list[tuple[NuGetVersion, dict[str, Any]]]:
    """The rows of `versions`; a hit that has none shows its own version."""
    given = hit.raw.get("versions")
    rows = given if isinstance(given, list) and given else [{"version": hit.raw.get("version"), "downloads": 0}]
    return [
        (version, row) for row in rows if isinstance(row, dict) and (version := _parsed(row.get("version"))) is not None
    ]


def _latest(hit: SearchHit) -> NuGetVersion:
    return _parsed(hit.raw.get("version")) or NuGetVersion.parse("0.0.0-0")


def _parsed(text: object) -> NuGetVersion | None:
    try:
        return NuGetVersion.parse(text) if isinstance(text, str) else None
    except InvalidVersion:
        return None
