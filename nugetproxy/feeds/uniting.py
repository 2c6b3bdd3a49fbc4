"""One answer out of two about the same id: what is hosted wins, what only lies below is added."""

from dataclasses import replace
from typing import Any

from nugetproxy.errors import InvalidVersion
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Registration, registration_of
from nugetproxy.protocol.v3.registration_values import newest_commit
from nugetproxy.protocol.v3.search import CompletionPage, SearchHit


def united_versions(hosted: tuple[NuGetVersion, ...], below: tuple[NuGetVersion, ...]) -> tuple[NuGetVersion, ...]:
    """Ascending; of two equal versions the hosted one, in its own spelling."""
    return tuple(sorted({version.lower: version for version in (*below, *hosted)}.values()))


def united_registration(hosted: Registration, below: Registration) -> Registration:
    """Both complete. Of two leaves of one version the hosted one."""
    leaves = (*hosted.leaves, *below.leaves)
    return replace(registration_of(hosted.package_id, leaves), raw=newest_commit(leaves))


def united_hit(hosted: SearchHit, below: SearchHit) -> SearchHit:
    """The description of whoever has the latest version, and the versions of both."""
    rows: dict[NuGetVersion, dict[str, Any]] = {}
    for hit in (hosted, below):
        for version, row in _rows(hit):
            rows.setdefault(version, row)
    latest = below if _latest(below) > _latest(hosted) else hosted
    ascending = [rows[version] for version in sorted(rows)]
    return SearchHit(latest.id, {**latest.raw, "versions": ascending})


def united_completion(hosted: CompletionPage, below: CompletionPage) -> CompletionPage:
    """Versions, ascending, each in the spelling of whoever counts; texts that are no versions are left out."""
    texts: dict[NuGetVersion, str] = {}
    for text in (*hosted.values, *below.values):
        version = _parsed(text)
        if version is not None:
            texts.setdefault(version, text)
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
