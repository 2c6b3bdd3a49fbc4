"""Read facts from a registration leaf and from advisories. Pure; documents come from an upstream and may say anything.

Times are in seconds since the epoch.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from nugetproxy.errors import InvalidVersionRange
from nugetproxy.feeds.policy.facts import Advisory, Severity
from nugetproxy.nuget.licences import StatedLicence, stated_licence
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.v3.registration import Leaf

# Feeds write the beginning of time for "unknown", and nuget.org 1900 for "unlisted".
_FIRST_YEAR: Final = 2005
_STAMP: Final = re.compile(r"/data/(\d{4})\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)(?:\.\d+)?/")
_MOST_ADVISORIES: Final = 256


def moment_of(value: object) -> float | None:
    """An ISO 8601 time, in UTC unless it has an offset; None for anything else, and for times before NuGet."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
    except ValueError:
        return None
    if moment is None or moment.year < _FIRST_YEAR:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def published_of(leaf: Leaf) -> float | None:
    """The stated time of publication; None for unlisted versions of nuget.org, where it was overwritten."""
    return moment_of(leaf.entry.get("published"))


def published_before(leaf: Leaf) -> float | None:
    """A time by which the version existed: that of its newest catalog entry, which is part of the entry's address."""
    stamp = _STAMP.search(text_of(leaf.entry.get("@id")) or text_of(leaf.raw.get("@id")))
    if stamp is None:
        return None
    try:
        moment = datetime(*map(int, stamp.groups()), tzinfo=UTC)  # type: ignore[arg-type,misc]  # six numbers
    except ValueError:
        return None
    return moment.timestamp() if moment.year >= _FIRST_YEAR else None


def licence_of(leaf: Leaf) -> StatedLicence:
    entry = leaf.entry
    return stated_licence(text_of(entry.get("licenseExpression")), "", text_of(entry.get("licenseUrl")))


def advisories_of(leaf: Leaf, known: Iterable[Mapping[str, Any]]) -> tuple[Advisory, ...] | None:
    """The advisories about a version: those that its leaf states, and those of `known` whose range contains it.

    `known` are the rows of VulnerabilityInfo about the id. None if one cannot be read: it may be about this version.
    """
    stated = leaf.entry.get("vulnerabilities", [])
    if not isinstance(stated, Sequence) or isinstance(stated, str):
        return None
    found: dict[str, Advisory] = {}
    for row in stated[:_MOST_ADVISORIES]:
        advisory = _advisory(row, "advisoryUrl")
        if advisory is None:
            return None
        found[advisory.url] = advisory
    for row in known:
        applies = _applies(row, leaf.version)
        advisory = _advisory(row, "url")
        if applies is None or (applies and advisory is None):
            return None
        if applies and advisory is not None:
            found.setdefault(advisory.url, advisory)
    return tuple(found.values())


def owners_of(hit: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The owners that a search hit names; None if it names none."""
    owners = hit.get("owners")
    if isinstance(owners, str):
        owners = owners.split(",")
    if not isinstance(owners, list):
        return None
    return tuple(name.strip() for name in owners if isinstance(name, str) and name.strip()) or None


def _applies(row: Mapping[str, Any], version: NuGetVersion) -> bool | None:
    try:
        return VersionRange.parse(text_of(row.get("versions"))).satisfies(version)
    except InvalidVersionRange:
        return None


def _advisory(row: object, url_key: str) -> Advisory | None:
    if not isinstance(row, Mapping):
        return None
    try:
        severity = Severity(int(row.get("severity", "")))
    except (ValueError, TypeError):
        return None
    return Advisory(severity, text_of(row.get(url_key))[:300], moment_of(row.get("published")))
