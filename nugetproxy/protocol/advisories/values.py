"""Advisories as values: which versions of which ids have which known vulnerabilities."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.times import text_of_microseconds
from nugetproxy.protocol.v3.vulnerabilities import VulnerabilityPage

_YEAR_10000: Final = 253_402_300_800  # in unix seconds; no text can name it

PAGE: Final = "private"
"""The name of the vulnerability page with our own advisories, in clients and in URLs."""


class Severity(IntEnum):
    """The numbers of the protocol (docs/api/vulnerability-info)."""

    LOW = 0
    MODERATE = 1
    HIGH = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Advisory:
    """One vulnerability of one id. `url` is where people read about it; `published` is in unix seconds, if stated."""

    url: str
    severity: Severity
    versions: VersionRange
    published: int | None = None


@dataclass(frozen=True, slots=True)
class Advisories:
    """All of them, by lower-case id. `updated` (ISO 8601) is when they last changed."""

    by_id: Mapping[str, tuple[Advisory, ...]] = field(default_factory=dict)
    updated: str = "1970-01-01T00:00:00Z"

    def __bool__(self) -> bool:
        return bool(self.by_id)

    @property
    def count(self) -> int:
        return sum(map(len, self.by_id.values()))

    def about(self, lower_id: str, version: NuGetVersion) -> tuple[Advisory, ...]:
        """Those that concern this version, one for each URL: with the highest severity."""
        found: dict[str, Advisory] = {}
        for advisory in self.by_id.get(lower_id, ()):
            known = found.get(advisory.url)
            if advisory.versions.satisfies(version) and (known is None or advisory.severity > known.severity):
                found[advisory.url] = advisory
        return tuple(found.values())

    def worst_severity(self, lower_id: str, version: NuGetVersion) -> Severity | None:
        """The severity of the worst known vulnerability of a version; None if none is known."""
        return max((each.severity for each in self.about(lower_id, version)), default=None)

    def page(self, *, dated: bool = False) -> VulnerabilityPage:
        """As a vulnerability page. `dated`: with the times of publication, which are no part of the protocol."""
        body = {
            lower_id: [_row(advisory, dated=dated) for advisory in advisories]
            for lower_id, advisories in self.by_id.items()
        }
        return VulnerabilityPage(PAGE, self.updated, body)


def published_at(text: object) -> int | None:
    """An ISO 8601 time with an offset, in whole unix seconds; None for anything else, and for times before 1970."""
    try:
        found = datetime.fromisoformat(text_of(text))
        seconds = int(found.timestamp()) if found.tzinfo is not None else -1
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < _YEAR_10000 else None


def merged(several: Iterable[Mapping[str, Iterable[Advisory]]], updated: str) -> Advisories:
    """All of these together; the same advisory counts once."""
    by_id: dict[str, dict[Advisory, None]] = {}
    for each in several:
        for lower_id, advisories in each.items():
            by_id.setdefault(lower_id, {}).update(dict.fromkeys(advisories))
    return Advisories({lower_id: tuple(found) for lower_id, found in by_id.items() if found}, updated)


def with_advisories(
    entry: Mapping[str, Any], advisories: Iterable[Advisory], *, numbers: bool = False
) -> dict[str, Any]:
    """A copy of a catalogEntry or a search hit whose `vulnerabilities` include these.

    `numbers`: a severity is a number, as in searches, and not a text, as in registrations.
    """
    rows = entry.get("vulnerabilities")
    known = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    urls = {row.get("advisoryUrl") for row in known}
    new = [_vulnerability(each, numbers=numbers) for each in advisories if each.url not in urls]
    return {**entry, "vulnerabilities": [*known, *new]}


def _vulnerability(advisory: Advisory, *, numbers: bool) -> dict[str, Any]:
    severity = int(advisory.severity)
    if numbers:
        return {"advisoryUrl": advisory.url, "severity": severity}
    return {"@type": "Vulnerability", "advisoryUrl": advisory.url, "severity": str(severity)}


def _row(advisory: Advisory, *, dated: bool) -> dict[str, Any]:
    row = {"url": advisory.url, "severity": int(advisory.severity), "versions": advisory.versions.normalized}
    if dated and advisory.published is not None:
        row["published"] = text_of_microseconds(advisory.published * 1_000_000)
    return row
