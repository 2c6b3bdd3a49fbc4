"""Points in time as documents and URLs write them, from integers.

We store microseconds since 1970. A catalog counts in ticks of 100 nanoseconds, because its clients compare seven
digits. No point in time is ever held in a float.
"""

import re
from calendar import timegm
from datetime import UTC, datetime

TICKS_PER_SECOND = 10_000_000

_TEXT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?(?:[Zz]|([+-])(\d\d):(\d\d))?", re.ASCII
)
_STAMP = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)\.(\d{7})", re.ASCII)


def text_of_microseconds(microseconds: int, zone: str = "Z") -> str:
    """ISO 8601 in UTC with seven digits, as nuget.org writes; `zone` is `Z` (catalog) or `+00:00` (registrations)."""
    return text_of_ticks(microseconds * 10, zone)


def text_of_ticks(ticks: int, zone: str = "Z") -> str:
    """As `text_of_microseconds`. Texts with the same zone sort chronologically."""
    seconds, rest = divmod(ticks, TICKS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:07d}{zone}"


def stamp_in_url(ticks: int) -> str:
    """The time as nuget.org writes it in catalog URLs, with the digits that make it unique."""
    seconds, rest = divmod(ticks, TICKS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y.%m.%d.%H.%M.%S}.{rest:07d}"


def ticks_of_text(text: str) -> int | None:
    """The ticks of an ISO 8601 time with up to seven digits, UTC if it names no zone; None for any other text."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    *moment, rest, sign, hours, minutes = match.groups()
    try:
        whole = datetime(*map(int, moment), tzinfo=UTC)  # type: ignore[arg-type,misc]  # six numbers
    except ValueError:
        return None
    ahead = (int(hours) * 60 + int(minutes)) * (-60 if sign == "-" else 60) if sign else 0
    return (timegm(whole.utctimetuple()) - ahead) * TICKS_PER_SECOND + int((rest or "").ljust(7, "0"))


def ticks_in_url(text: str) -> int | None:
    """The inverse of `stamp_in_url`; None for any text that it does not produce."""
    match = _STAMP.fullmatch(text)
    if match is None:
        return None
    *moment, rest = map(int, match.groups())
    try:
        return int(datetime(*moment, tzinfo=UTC).timestamp()) * TICKS_PER_SECOND + rest  # type: ignore[arg-type,misc]  # six numbers
    except ValueError:
        return None
