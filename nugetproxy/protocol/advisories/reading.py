"""Reading a file of advisories: an OSV record, an array of those, or NuGet's own vulnerability page."""

from typing import Any, Final

import orjson

from nugetproxy.errors import InvalidPackageId, InvalidVersionRange, UnreadableDocument
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.protocol.advisories.osv import is_osv, read_osv
from nugetproxy.protocol.advisories.values import Advisory, Severity, published_at
from nugetproxy.protocol.documents import read_array, read_object, text_of
from nugetproxy.protocol.v3.vulnerabilities import MOST_ADVISORIES
from nugetproxy.protocol.web_addresses import web_address

_PAGE: Final = "vulnerability page"
_SEVERITIES: Final = {str(int(each)): each for each in Severity} | {each.name.lower(): each for each in Severity}


def read_advisories(body: bytes) -> dict[str, list[Advisory]]:
    """The advisories in a file, by lower-case id.

    Raises:
        UnreadableDocument: it is neither form, or a part of it cannot be read. Nothing is left out.
    """
    if body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
        records = read_array(body, "array of OSV advisories")
        if not all(map(is_osv, records)):
            raise UnreadableDocument("array of OSV advisories", 'an element is not an OSV record, which has an "id"')
        found: dict[str, list[Advisory]] = {}
        for record in records:
            _add(found, _read_record(record))
    else:
        document = read_object(body, "file of advisories")
        found = _read_record(document) if is_osv(document) else _read_page(document)
    if sum(map(len, found.values())) > MOST_ADVISORIES:
        raise UnreadableDocument("file of advisories", f"more than {MOST_ADVISORIES} advisories")
    return found


def written_page(by_id: dict[str, list[dict[str, Any]]]) -> bytes:
    """A vulnerability page as a file that can be read again."""
    return orjson.dumps(by_id)


def _read_record(record: dict[str, Any]) -> dict[str, list[Advisory]]:
    try:
        return read_osv(record)
    except UnreadableDocument as error:
        raise UnreadableDocument(f"{error.what} {text_of(record.get('id'))[:100]!r}", error.why) from error


def _read_page(document: dict[str, Any]) -> dict[str, list[Advisory]]:
    found: dict[str, list[Advisory]] = {}
    for name, rows in document.items():
        try:
            lower_id = PackageId.parse(name).lower
        except InvalidPackageId as error:
            raise UnreadableDocument(_PAGE, str(error)) from error
        if not isinstance(rows, list):
            raise UnreadableDocument(_PAGE, f"{name}: expected an array of advisories")
        _add(found, {lower_id: [_advisory(name, row) for row in rows]})
    return found


def _advisory(name: str, row: object) -> Advisory:
    given = row if isinstance(row, dict) else {}
    url, severity = web_address(text_of(given.get("url"))), _SEVERITIES.get(str(given.get("severity")).lower())
    if not url:
        raise UnreadableDocument(_PAGE, f'{name}: expected "url" to be an http or https address')
    if severity is None:
        raise UnreadableDocument(_PAGE, f'{name}: expected "severity" to be 0 (low), 1, 2 or 3 (critical)')
    versions = given.get("versions")
    if not isinstance(versions, str) or not versions.strip():
        raise UnreadableDocument(_PAGE, f'{name}: expected "versions" to be a range such as "(, 2.0.0)"')
    try:
        return Advisory(url, severity, VersionRange.parse(versions), published_at(given.get("published")))
    except InvalidVersionRange as error:
        raise UnreadableDocument(_PAGE, f"{name}: {error}") from error


def _add(found: dict[str, list[Advisory]], more: dict[str, list[Advisory]]) -> None:
    for lower_id, advisories in more.items():
        found.setdefault(lower_id, []).extend(advisories)
