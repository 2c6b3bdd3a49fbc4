"""Which texts may be passed on as web links.

Nuspecs and upstreams may give any text as a link: `javascript:`, `file:` and the like are dangerous when clicked, and a
text that .NET cannot parse as a URI makes the client refuse the whole document.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from itertools import product
from typing import Final

_ADDRESS: Final = re.compile(
    r"[Hh][Tt][Tt][Pp][Ss]?://(?:(?P<name>[\w-]+(?:\.[\w-]+)*\.?)|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{0,5}))?"
    r"(?:[/?#][^\x00-\x1f\x7f]*)?"
)
_HIGHEST_PORT: Final = 65_535
_LONGEST_NAME: Final = 254  # of the DNS, with a final dot
_REMEMBERED: Final = 4_096
_LONGEST_REMEMBERED: Final = 512

_LINK_ENDINGS: Final = frozenset(
    "".join(letters) for word in ("url", "uri") for letters in product(*((c, c.upper()) for c in word))
)


def is_link_field(name: str) -> bool:
    """Whether a field, judging by its name, holds a link for people: `projectUrl`, `advisoryUrl`, `url`."""
    return name[-3:] in _LINK_ENDINGS


def web_address(text: str) -> str:
    """`text` if it is an http or https address that clients can read, without surrounding spaces; else ""."""
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _read(text)


def _read(text: str) -> str:
    match = _ADDRESS.fullmatch(text := text.strip(" \t\r\n"))
    if match is None or int(match["port"] or "0") > _HIGHEST_PORT or len(match["name"] or "") > _LONGEST_NAME:
        return ""
    try:
        if match["ipv6"] is not None:
            IPv6Address(match["ipv6"])
        elif not match["name"].isascii():
            match["name"].encode("idna")
    except ValueError:
        return ""
    return text


_remembered = lru_cache(maxsize=_REMEMBERED)(_read)
