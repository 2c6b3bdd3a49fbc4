"""Advisories in the OSV format. Source: https://ossf.github.io/osv-schema/

Only what affects packages of the ecosystem NuGet is read. Withdrawn records affect nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from nugetproxy.errors import InvalidPackageId, InvalidVersion, UnreadableDocument
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.protocol.advisories.cvss import base_score
from nugetproxy.protocol.advisories.values import Advisory, Severity, published_at
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.web_addresses import web_address

WHAT: Final = "OSV advisory"

_ECOSYSTEM: Final = "nuget"
_WORDS: Final = {
    "low": Severity.LOW,
    "moderate": Severity.MODERATE,
    "medium": Severity.MODERATE,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
# Where a record states no severity that can be read: it is there to be noticed.
_UNSTATED: Final = Severity.HIGH
# Malicious packages, which have no score: https://github.com/ossf/malicious-packages
_MALICIOUS: Final = "MAL-"
_PAGES: Final = {
    "GHSA-": "https://github.com/advisories/",
    "CVE-": "https://nvd.nist.gov/vuln/detail/",
    "MAL-": "https://osv.dev/vulnerability/",
}
_LONGEST_SHOWN: Final = 100
# At one version: what ends before it, what begins with it, what ends with it.
_ORDER: Final = {"fixed": 0, "introduced": 1, "last_affected": 2}


def is_osv(document: object) -> bool:
    """Whether a JSON value is an OSV record: in NuGet's form, all values are arrays."""
    return isinstance(document, dict) and isinstance(document.get("id"), str)


def read_osv(record: dict[str, Any]) -> dict[str, list[Advisory]]:
    """The advisories of a record by lower-case id.

    Raises:
        UnreadableDocument: something that decides what is affected cannot be read.
    """
    if record.get("withdrawn"):
        return {}
    found: dict[str, list[Advisory]] = {}
    for affected in _objects(record.get("affected"), "affected"):
        package = affected.get("package")
        if not isinstance(package, dict) or text_of(package.get("ecosystem")).lower() != _ECOSYSTEM:
            continue
        try:
            package_id = PackageId.parse(text_of(package.get("name")))
        except InvalidPackageId as error:
            raise UnreadableDocument(WHAT, str(error)) from error
        about = (url_of(record), severity_of(record, affected))
        published = published_at(record.get("published"))
        rows = [Advisory(*about, interval, published) for interval in intervals_of(affected)]
        found.setdefault(package_id.lower, []).extend(rows)
    return found


def intervals_of(affected: dict[str, Any]) -> tuple[VersionRange, ...]:
    """The affected versions: those of its `ranges`, and those of its `versions` that are not in one.

    Raises:
        UnreadableDocument: it names none, or an event or a version cannot be read.
    """
    intervals: list[VersionRange] = []
    for row in _objects(affected.get("ranges"), "ranges"):
        kind = row.get("type")
        if kind == "GIT":
            continue
        if kind not in ("SEMVER", "ECOSYSTEM"):
            why = f'the range type {_shown(kind)} is unknown; expected "SEMVER" or "ECOSYSTEM"'
            raise UnreadableDocument(WHAT, why)
        intervals.extend(_intervals(_objects(row.get("events"), "events")))
    stated = affected.get("versions") or []
    if not isinstance(stated, list):
        raise UnreadableDocument(WHAT, "versions is not an array")
    for text in stated:
        version = _version(text)
        if not any(interval.satisfies(version) for interval in intervals):
            intervals.append(VersionRange(version, True, version, True))
    if not intervals:
        raise UnreadableDocument(WHAT, "an affected package has neither a range with events nor versions")
    return tuple(intervals)


def severity_of(record: dict[str, Any], affected: dict[str, Any]) -> Severity:
    """In words, as GitHub states it, else from a CVSS 3 vector; of the package itself before that of the record."""
    for stated in (
        affected.get("database_specific"),
        affected.get("ecosystem_specific"),
        record.get("database_specific"),
    ):
        word = text_of(stated.get("severity")).strip().lower() if isinstance(stated, dict) else ""
        if word in _WORDS:
            return _WORDS[word]
    for holder in (affected, record):
        rows = holder.get("severity")
        scores = [
            score
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict) and (score := base_score(text_of(row.get("score")))) is not None
        ]
        if scores:
            return _severity_of_score(max(scores))
    return Severity.CRITICAL if text_of(record.get("id")).startswith(_MALICIOUS) else _UNSTATED


def url_of(record: dict[str, Any]) -> str:
    """Its first reference of type ADVISORY, else the first of all, else the page of a well-known id.

    Raises:
        UnreadableDocument: there is none. Clients print it, and fail without one.
    """
    references = [
        row for row in _objects(record.get("references"), "references") if web_address(text_of(row.get("url")))
    ]
    references.sort(key=lambda row: row.get("type") != "ADVISORY")
    if references:
        return web_address(references[0]["url"])
    name = text_of(record.get("id"))
    for prefix, page in _PAGES.items():
        if name.startswith(prefix) and (address := web_address(page + name)):
            return address
    raise UnreadableDocument(WHAT, 'no link: add "references": [{"type": "ADVISORY", "url": "https://..."}]')


def _intervals(events: Iterable[dict[str, Any]]) -> Iterator[VersionRange]:
    """The intervals between events, in the order of their versions."""
    points = sorted(_points(events), key=lambda point: (point[0] is not None, point[0] or 0, _ORDER[point[1]]))
    if not points or points[0][1] != "introduced":
        raise UnreadableDocument(WHAT, 'a range must begin with an event "introduced" ("0" for all versions)')
    is_open, start = False, None
    for version, event in points:
        if event == "introduced":
            is_open, start = True, start if is_open else version
        elif is_open:
            yield VersionRange(start, start is not None, version, event == "last_affected")
            is_open = False
    if is_open:
        yield VersionRange(start, start is not None)


def _points(events: Iterable[dict[str, Any]]) -> Iterator[tuple[NuGetVersion | None, str]]:
    """Versions with what happens there; None is before all versions."""
    for event in events:
        for name, text in event.items():
            if name == "limit" and text == "*":
                continue
            if name not in _ORDER:
                expected = "introduced, fixed or last_affected"
                raise UnreadableDocument(WHAT, f"the event {_shown(name)} is not supported; expected {expected}")
            yield (None if name == "introduced" and text == "0" else _version(text)), name


def _version(text: object) -> NuGetVersion:
    try:
        return NuGetVersion.parse(text_of(text))
    except InvalidVersion as error:
        raise UnreadableDocument(WHAT, str(error)) from error


def _shown(value: object) -> str:
    return repr(value)[:_LONGEST_SHOWN]


def _severity_of_score(score: float) -> Severity:
    """Source: the CVSS v3.1 specification, section 5. A score of 0 ("none") is the lowest that there is here."""
    if score >= 9.0:
        return Severity.CRITICAL
    if score >= 7.0:
        return Severity.HIGH
    return Severity.MODERATE if score >= 4.0 else Severity.LOW


def _objects(value: object, name: str) -> list[dict[str, Any]]:
    """An optional array of objects. Raises UnreadableDocument for anything else."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UnreadableDocument(WHAT, f"{name} is not an array of objects")
    return value
