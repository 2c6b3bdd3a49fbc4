"""Evaluate conditional and range requests of clients (RFC 9110 sections 13 and 14).

aiohttp's file response answers some of these wrongly (an If-Range with another entity tag gets 206, so a resumed
download could mix two files). Therefore all transports use this module, and aiohttp never sees these headers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Whole:
    """200 with the whole body."""


@dataclass(frozen=True, slots=True)
class NotModified:
    """304."""


@dataclass(frozen=True, slots=True)
class PreconditionFailed:
    """412."""


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """416, with `Content-Range: bytes */{size}`."""

    size: int

    @property
    def content_range(self) -> str:
        """The Content-Range of the 416 response."""
        return f"bytes */{self.size}"


@dataclass(frozen=True, slots=True)
class Partial:
    """206 with `body[start:end]`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.end - self.start

    def content_range(self, size: int) -> str:
        """The Content-Range of the 206 response; on the wire the last position is inclusive."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


Verdict = Whole | NotModified | Partial | Unsatisfiable | PreconditionFailed

_WHOLE = Whole()
_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\U0010ffff]*)"')
_TAG_LIST = re.compile(rf"[ \t,]*{_ENTITY_TAG.pattern}[ \t]*(?=,|$)")
_BYTE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE | re.ASCII)
# Larger than any size. int() refuses thousands of digits, which a header may contain.
_BEYOND = 10**18


def evaluate(
    headers: Mapping[str, str], *, etag: str, modified: int | None, size: int | None, method: str = "GET"
) -> Verdict:
    """Decide the response to a request for a representation that exists.

    `etag` is the value of our ETag field, with quotes and W/; text without quotes means a strong tag, "" means none.
    `modified` is in whole seconds since the epoch, None when unknown. `size` is in bytes, None when unknown (then no
    range can be served). `headers` have their usual or lower-case names, with the lines of a field joined.
    """
    ours = _our_tag(etag)
    failed = _precondition(headers, ours, modified, method)
    if failed is not None:
        return failed
    wanted = _field(headers, "Range")
    # Range is only defined for GET; a HEAD with one is answered as without.
    if wanted is None or method != "GET" or size is None:
        return _WHOLE
    only_if = _field(headers, "If-Range")
    if only_if is not None and not _is_same_representation(only_if, ours, modified):
        return _WHOLE
    return _range(wanted, size)


def _precondition(
    headers: Mapping[str, str], ours: "_Tag | None", modified: int | None, method: str
) -> NotModified | PreconditionFailed | None:
    """In the order of RFC 9110 section 13.2.2: a tag field takes precedence over the corresponding date field."""
    if (tags := _field(headers, "If-Match")) is not None:
        unchanged = _names(tags, ours, strongly=True)
    else:
        unchanged = not _is_later(modified, _field(headers, "If-Unmodified-Since"))
    if not unchanged:
        return PreconditionFailed()
    is_read = method in ("GET", "HEAD")
    if (tags := _field(headers, "If-None-Match")) is not None:
        if not _names(tags, ours, strongly=False):
            return None
        return NotModified() if is_read else PreconditionFailed()
    since = _field(headers, "If-Modified-Since") if is_read else None
    return NotModified() if _is_later(modified, since) is False else None


def _is_later(modified: int | None, field: str | None) -> bool | None:
    """Whether `modified` is after the date in a field; None if either date is missing or invalid."""
    date = _date(field, modified) if modified is not None else None
    return None if modified is None or date is None else modified > date


@dataclass(frozen=True, slots=True)
class _Tag:
    text: str
    is_weak: bool = False


def _our_tag(etag: str) -> _Tag | None:
    if not etag:
        return None
    match = _ENTITY_TAG.fullmatch(etag)
    return _Tag(etag) if match is None else _Tag(match[2], match[1] is not None)


def _names(field: str, ours: _Tag | None, *, strongly: bool) -> bool:
    """Whether a list of entity tags contains ours; `*` matches anything. A malformed list ends at the error."""
    if field.strip() == "*":
        return True
    at = 0
    while ours is not None and (match := _TAG_LIST.match(field, at)) is not None:
        if match[2] == ours.text and not (strongly and (match[1] or ours.is_weak)):
            return True
        at = match.end()
    return False


def _is_same_representation(field: str, ours: _Tag | None, modified: int | None) -> bool:
    """If-Range: our strong tag, or exactly our date. In doubt the client starts over, which is always correct."""
    match = _ENTITY_TAG.fullmatch(field.strip())
    if match is not None:
        return ours is not None and not match[1] and not ours.is_weak and match[2] == ours.text
    return modified is not None and _date(field, modified) == modified


def _range(field: str, size: int) -> Whole | Partial | Unsatisfiable:
    # Another unit, several ranges or invalid: a server may ignore Range, and no NuGet client sends these.
    match = _BYTE_RANGE.fullmatch(field.strip())
    if match is None or not (match[1] or match[2]):
        return _WHOLE
    if not match[1]:
        return _suffix(_number(match[2]), size)
    first = _number(match[1])
    last = _number(match[2]) if match[2] else _BEYOND
    if last < first:
        return _WHOLE
    if first >= size:
        return Unsatisfiable(size)
    return Partial(first, min(last + 1, size))


def _suffix(length: int, size: int) -> Whole | Partial | Unsatisfiable:
    if length == 0:
        return Unsatisfiable(size)
    # Formally satisfiable, but no Content-Range can describe a part of an empty body.
    return Partial(max(0, size - length), size) if size else _WHOLE


def _number(digits: str) -> int:
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= 18 else _BEYOND


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_CLOCK = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# RFC 9110 section 5.6.7: the preferred format, and two obsolete ones.
_DATES = (
    re.compile(f"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_CLOCK} GMT"),
    re.compile(f"{_DAY}[a-z]*, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK} GMT"),
    re.compile(f"{_DAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_CLOCK} (?P<year>[0-9]{{4}})"),
)


def _date(field: str | None, near: int) -> int | None:
    """Seconds since the epoch, None if not an HTTP date.

    A two-digit year is the latest that is at most fifty years after `near`. That is our own date, used instead of the
    current time that the specification means; the difference is at most the age of the file.
    """
    for form in _DATES:
        match = form.fullmatch(field.strip()) if field is not None else None
        if match is None:
            continue
        year = int(match["year"])
        if len(match["year"]) == 2:
            latest = datetime.fromtimestamp(near, UTC).year + 50
            year = latest - (latest - year) % 100
        month = _MONTHS.index(match["month"]) + 1
        clock = (int(match["hour"]), int(match["minute"]), min(int(match["second"]), 59))
        try:
            return int(datetime(year, month, int(match["day"]), *clock, tzinfo=UTC).timestamp())
        except ValueError:
            return None
    return None


def _field(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name)
    return value if value is not None else headers.get(name.lower())
