"""Whether the lane may answer a request head, and what the head contains. Pure.

The lane only takes heads that it understands completely: in any doubt the request belongs to aiohttp from its first
byte. So nothing here repairs, guesses or refuses.
"""

import re
from dataclasses import dataclass

from nugetproxy.web.http.aiohttp_connection import MAX_FIELDS
from nugetproxy.web.http.compression import Codings, accepted
from nugetproxy.web.requests.authentication import says_nothing

MAX_BLOCK = 4096
"""Bytes of header lines that the lane looks at. NuGet's clients send about 250."""

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e]*)")
# Hosts that every reading of the grammar accepts; web.requests.base_url accepts these and a few more.
_HOST = re.compile(rb"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

_LEFT_TO_AIOHTTP = frozenset(
    (
        b"range",  # as long as it is in the block: see `split`
        b"transfer-encoding",
        b"te",
        b"trailer",
        b"expect",
        b"upgrade",
        b"http2-settings",
        b"cookie",
        b"cache-control",
        b"pragma",
        b"x-nuget-apikey",
    )
)
_PREFIXES_LEFT_TO_AIOHTTP = (b"if-", b"content-", b"proxy-", b"sec-websocket-")
_FORWARDING = (b"forwarded", b"x-forwarded-")


# Headers that change from one request of a client to the next, in the two spellings that clients use.
_VARYING = ("If-None-Match", "If-Modified-Since", "If-Range", "Range")
_NAMES = {spelled.encode(): name for name in _VARYING for spelled in (name, name.lower())}
_STARTS = frozenset(name[:3] for name in _NAMES)
_VISIBLE = re.compile(rb"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The content of a plain request's header lines."""

    host: bytes
    """`scheme://` and the Host value, as the hot table keys it."""
    codings: Codings
    agent: str
    request_id: str | None
    """The X-Request-Id that the client sent."""
    authorization: str | None
    """Its credentials; None if there are none, or only the empty ones of a client without any (`says_nothing`)."""


def split(block: bytes) -> tuple[bytes, dict[str, str]]:
    """The header lines without those about conditions and ranges, and these by name.

    The remaining block is what a client repeats word for word. Odd lines stay in the block, and `read_head` leaves it
    to aiohttp.
    """
    conditions: dict[str, str] = {}
    lines = block.split(b"\r\n")
    if len(block) > MAX_BLOCK or len(lines) > MAX_FIELDS:
        return block, conditions
    for at in range(len(lines) - 1, -1, -1):
        if lines[at][:3] in _STARTS:
            name, colon, value = lines[at].partition(b":")
            known = _NAMES.get(name)
            if not colon or known is None or known in conditions or not _VISIBLE.fullmatch(value):
                return block, {}
            conditions[known] = value.strip(b" \t").decode("ascii")
            del lines[at]
    return (b"\r\n".join(lines), conditions) if conditions else (block, conditions)


def read_head(block: bytes, scheme: bytes, *, is_behind_proxy: bool) -> RequestHead | None:
    """The header lines in `block`, which starts after the request line and ends with the empty line.

    None: leave it to aiohttp. `is_behind_proxy`: trusted proxies are configured, so forwarding headers may be
    significant; who may send them is not decided here.
    """
    if len(block) > MAX_BLOCK or not block.endswith(b"\r\n\r\n"):
        return None
    lines = block[:-4].split(b"\r\n")
    if len(lines) > MAX_FIELDS:  # aiohttp refuses them
        return None
    found: dict[bytes, bytes] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        name = match[1].lower()
        if (
            name in found
            or name in _LEFT_TO_AIOHTTP
            or name.startswith(_PREFIXES_LEFT_TO_AIOHTTP)
            or (is_behind_proxy and name.startswith(_FORWARDING))
        ):
            return None
        found[name] = match[2].rstrip(b" \t")
    host = found.get(b"host")
    if host is None or not _HOST.fullmatch(host) or found.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    coding, offered = found.get(b"accept-encoding"), found.get(b"x-request-id")
    who = found.get(b"authorization", b"").decode("ascii")
    return RequestHead(
        host=scheme + b"://" + host,
        codings=accepted(coding.decode("ascii") if coding is not None else None),
        agent=found.get(b"user-agent", b"").decode("ascii"),
        request_id=offered.decode("ascii") if offered is not None else None,
        authorization=None if says_nothing(who) else who,
    )
