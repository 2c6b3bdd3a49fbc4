"""Which of an upstream's JSON values NuGet's own client can read: the others are repaired or left out on arrival.

The official client reads registrations and search responses into typed objects. One value that it cannot convert makes
the whole id unusable for `package add`, `package search` and `list --outdated`, and often the other sources of the same
command as well. It also matches field names case-insensitively, and the last one wins: an `Id` after the `id` would
name a package other than the one that was checked. docs/protocol/unreadable-values.md lists what was measured.

URLs are checked where they are written (`rewriting.py`), because nuspecs contain them as well.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from nugetproxy.errors import InvalidVersion, InvalidVersionRange
from nugetproxy.nuget.framework import find_framework
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange

Node = dict[str, Any]

_LEFT_OUT: Final = object()
_INT64 = range(-(2**63), 2**63)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,16})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_FURTHEST_ZONE = timedelta(hours=14)
_SEVERITIES = {"low": "0", "moderate": "1", "high": "2", "critical": "3", "0": "0", "1": "1", "2": "2", "3": "3"}
_UNSUPPORTED = "unsupported"
"""A framework name that clients parse, and that matches no project."""


# In nearly every object, and ignored by clients in objects whose `Fields` do not list them.
_NEVER_READ = ("@id", "@type", "commitId", "commitTimeStamp")
_REMEMBERED_RANGES = 8_192
_LONGEST_REMEMBERED = 128


class Fields:
    """The fields that clients look for in one kind of object, and how each value is repaired."""

    def __init__(self, rules: Mapping[str, Callable[[Any], Any]]) -> None:
        self._rules = dict(rules)
        self._by_folded_name = {name.lower(): name for name in rules}
        self._as_spelt = frozenset((*rules, *_NEVER_READ))

    @classmethod
    def named(cls, *names: str) -> "Fields":
        """Fields whose values are checked elsewhere: only their names matter here."""
        return cls(dict.fromkeys(names, _as_it_is))

    def repair(self, node: Node) -> Node:
        """Make `node` readable, in place. Of two names that differ only in case, the protocol's own spelling wins."""
        if not node.keys() <= self._as_spelt:
            for key in [key for key in node if key not in self._rules and self._known(key)]:
                node.setdefault(self._known(key), node.pop(key))
        repaired = [
            (key, readable)
            for key, value in node.items()
            if (rule := self._rules.get(key)) is not None and (readable := rule(value)) is not value
        ]
        for key, readable in repaired:
            if readable is _LEFT_OUT:
                del node[key]
            else:
                node[key] = readable
        return node

    def _known(self, key: str) -> str:
        # At least as wide as the client's comparison, which upper-cases each character separately.
        return self._by_folded_name.get(key.lower() if key.isascii() else key.upper().lower(), "")


# --- plain values -----------------------------------------------------------------------------------------------------


def _as_it_is(value: Any) -> Any:
    return value


def _text(value: Any) -> Any:
    """Clients accept a number as its text."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else _LEFT_OUT


def _words(value: Any) -> Any:
    """A text, or a list of texts."""
    if isinstance(value, list):
        return [text for each in value if (text := _text(each)) is not _LEFT_OUT]
    return _text(value)


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), _LEFT_OUT)
    return bool(value) if isinstance(value, int | float) else _LEFT_OUT


def _number(value: Any) -> Any:
    """A count. Clients use 64 bits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value in _INT64 else _LEFT_OUT


def _date(value: Any) -> Any:
    return value if is_readable_date(value) else _LEFT_OUT


def is_readable_date(value: object) -> bool:
    """ISO 8601. The client also reads a dozen other notations; the only loss is that such a date is not shown."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        zone = datetime.fromisoformat(value).utcoffset()
    except ValueError:
        return False
    return zone is None or abs(zone) <= _FURTHEST_ZONE


def readable_range(value: object) -> str:
    """A version range as nuget.org writes it; for a malformed one the empty text, which means any version.

    Of a floating range only the interval is kept: a star has no meaning in a package's dependencies.
    """
    text = _text(value)
    if text is _LEFT_OUT or not text.strip():
        return ""
    return _remembered_range(text) if len(text) <= _LONGEST_REMEMBERED else _written_range(text)


def _written_range(text: str) -> str:
    try:
        interval = VersionRange.parse(text, floating=True)
    except InvalidVersionRange:
        return ""
    opening, closing = "[" if interval.includes_minimum else "(", "]" if interval.includes_maximum else ")"
    lower, upper = (bound.full if bound is not None else "" for bound in (interval.minimum, interval.maximum))
    return f"{opening}{lower}, {upper}{closing}"


_remembered_range = lru_cache(maxsize=_REMEMBERED_RANGES)(_written_range)


def _version(value: Any) -> Any:
    """Normalized: the client of 2020 cannot read a version with a single number. Readers drop invalid versions."""
    text = _text(value)
    try:
        return NuGetVersion.parse(text).full if text is not _LEFT_OUT else _LEFT_OUT
    except InvalidVersion:
        return text


def _framework(value: Any) -> Any:
    if value is None:
        return _LEFT_OUT
    text = _text(value)
    return _UNSUPPORTED if text is _LEFT_OUT else readable_framework(text)


def readable_framework(text: str) -> str:
    """The name of a framework. Clients treat an unknown one as unsupported, and fail on two notations."""
    is_broken = ("," in text and find_framework(text) is None) or ("portable" in text.lower() and text.count("-") > 1)
    return _UNSUPPORTED if is_broken else text


def _severity(value: Any) -> Any:
    """As registrations write it; GitHub's advisories use words."""
    text = _text(value)
    return _LEFT_OUT if text is _LEFT_OUT else _SEVERITIES.get(text.strip().lower(), _LEFT_OUT)


# --- nested objects ---------------------------------------------------------------------------------------------------


def _several(fields: Fields, *required: str) -> Callable[[Any], Any]:
    """A list of objects that have the `required` fields. JSON-LD allows the object itself in place of a list of one."""

    def rule(value: Any) -> Any:
        rows = [value] if isinstance(value, dict) else value
        if not isinstance(rows, list):
            return _LEFT_OUT
        repaired = [fields.repair(row) for row in rows if isinstance(row, dict)]
        return [row for row in repaired if all(row.get(name) for name in required)]

    return rule


def _one(fields: Fields, *required: str) -> Callable[[Any], Any]:
    def rule(value: Any) -> Any:
        if not isinstance(value, dict):
            return _LEFT_OUT
        repaired = fields.repair(value)
        return repaired if all(repaired.get(name) for name in required) else _LEFT_OUT

    return rule


def _reasons(value: Any) -> Any:
    words = _words(value)
    return [words] if isinstance(words, str) else words


def _alternate_range(value: Any) -> Any:
    """`*` means any version here."""
    return "*" if value == "*" else readable_range(value) or "*"


_DEPENDENCY = Fields({"id": _text, "range": readable_range, "registration": _text})
_GROUP = Fields({"targetFramework": _framework, "dependencies": _several(_DEPENDENCY, "id")})
_ALTERNATE = Fields({"id": _text, "range": _alternate_range})
_DEPRECATION = Fields({"reasons": _reasons, "message": _text, "alternatePackage": _one(_ALTERNATE, "id")})
_VULNERABILITY = Fields({"advisoryUrl": _text, "severity": _severity})
_VERSION = Fields({"@id": _text, "version": _version, "downloads": _number})
_PACKAGE_TYPE = Fields({"name": _text, "version": _text})

PACKAGE: Final = Fields(
    {
        "@id": _text,
        "authors": _words,
        "dependencyGroups": _several(_GROUP),
        "deprecation": _one(_DEPRECATION),
        "description": _text,
        "iconUrl": _text,
        "id": _text,
        "language": _text,
        "licenseExpression": _text,
        "licenseExpressionVersion": _text,
        "licenseUrl": _text,
        "listed": _flag,
        "minClientVersion": _text,
        "owners": _words,
        "packageContent": _text,
        "packageTypes": _several(_PACKAGE_TYPE, "name"),
        "projectUrl": _text,
        "published": _date,
        "readmeUrl": _text,
        "registration": _text,
        "requireLicenseAcceptance": _flag,
        "summary": _text,
        "tags": _words,
        "title": _text,
        "totalDownloads": _number,
        "verified": _flag,
        "version": _version,
        "versions": _several(_VERSION, "version"),
        "vulnerabilities": _several(_VULNERABILITY),
    }
)
"""A catalogEntry, a catalog's document and a search hit: clients use the same field names for all three."""

ADVISORY: Final = Fields.named("url", "severity", "versions")
CERTIFICATE: Final = Fields.named("contentUrl", "fingerprints", "issuer", "notAfter", "notBefore", "subject")
INDEX: Final = Fields.named("@id", "@type", "@context", "commitId", "commitTimeStamp", "count", "items")
PAGE: Final = Fields.named(
    "@id", "@type", "@context", "commitId", "commitTimeStamp", "count", "items", "lower", "parent", "upper"
)
LEAF: Final = Fields.named(
    "@id", "@type", "catalogEntry", "commitId", "commitTimeStamp", "packageContent", "registration"
)
