"""How much of a request head a connection holds while the rest is still to come. Pure.

A complete head is read in `web.lane.request_head`, or by aiohttp.
"""

from typing import Final

from nugetproxy.web.http.aiohttp_connection import MAX_LINE, line_too_long

MAX_HEAD: Final = MAX_LINE + 16 * 1024
"""Bytes of a request line and its headers. Most heads of NuGet clients are below 1 KiB."""

_EMPTY_LINE: Final = b"\r\n\r\n"


def refusal_of_length(data: bytes) -> tuple[int, str] | None:
    """Status and sentence if the head at the start of `data` is longer than we accept."""
    if len(data) > MAX_LINE and b"\n" not in data[: MAX_LINE + 2]:
        return line_too_long()
    end = data.find(_EMPTY_LINE)
    if (len(data) if end < 0 else end) > MAX_HEAD:
        return 431, f"the request head is longer than {MAX_HEAD // 1024} KiB"
    return None


def is_unfinished(data: bytes) -> bool:
    """Whether more must come before aiohttp can read the head. False for data that is not HTTP: aiohttp refuses it."""
    return data[:1].isupper() and _EMPTY_LINE not in data and b"\n\n" not in data and b"\n\r\n" not in data
