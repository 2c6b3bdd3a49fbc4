"""Hosts in settings and URLs: one canonical spelling for each, and the entries of `allowed_hosts`.

Pure; resolving hosts, and deciding who may be sent to them, is in `mirroring.upstream`.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_LONGEST_NAME: Final = 253
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_NO_HOST: Final = "its host is neither an ASCII name (xn--...) nor an address"
_WILDCARD: Final = '"*" can only replace the whole first label of a domain, as in "*.blob.example.net"'


@lru_cache(maxsize=1024)  # called for every request
def canonical_host(host: str) -> str:
    """The canonical spelling of a host: lower case, no trailing dot, addresses as `ipaddress` writes them.

    "127.1", "0x7f000001" and "017700000001" are addresses, as they are for resolvers. IPv6 is without brackets; a zone
    ("fe80::1%eth0") is kept.

    Raises:
        ValueError: neither an ASCII host name nor an address.
    """
    host = host.lower()
    if ":" in host:
        return _canonical_v6(host)
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(_NO_HOST)
    # No top-level domain is a number: resolvers treat it as an address or reject it.
    return _canonical_v4(labels) if _NUMBER.fullmatch(labels[-1]) else host


def parse_allowed_host(text: str) -> tuple[str, int | None]:
    """Parse an entry of `allowed_hosts`, HOST or HOST:PORT, into canonical host and port; None means the default port.

    The host may begin with "*.", which matches exactly one label. Raises ValueError.
    """
    match = re.fullmatch(r"(?:([^\[\]:/@?#\s]+)|\[([^\[\]/@?#\s]+)\])(?::(\d{1,5}))?", text.strip(), re.ASCII)
    if match is None or (match[3] and not 0 < int(match[3]) < 65536):
        raise ValueError(
            'expected a host such as "globalcdn.nuget.org", "cdn.example.com:8443" or "[fd00::1]", '
            "without a scheme or path"
        )
    port = int(match[3]) if match[3] else None
    if match[1] is None or "*" not in match[1]:
        return canonical_host(match[1] or match[2]), port
    if not match[1].startswith("*.") or "*" in match[1][1:]:
        raise ValueError(_WILDCARD)
    domain = canonical_host(match[1][2:])
    if "." not in domain or _NUMBER.fullmatch(domain.rpartition(".")[2]):
        raise ValueError(f"{_WILDCARD}; the domain must have at least two labels")
    return f"*.{domain}", port


def _canonical_v6(host: str) -> str:
    text, percent, zone = host.partition("%")
    zone = zone.removeprefix("25")  # the percent sign is encoded in URLs
    try:
        address = IPv6Address(text)
    except ValueError as error:
        raise ValueError(_NO_HOST) from error
    if percent and not _LABEL.fullmatch(zone):
        raise ValueError(_NO_HOST)
    return f"{address}{percent}{zone}"


def _canonical_v4(labels: list[str]) -> str:
    """One to four decimal, octal or hexadecimal numbers, of which the last fills the rest, as in inet_aton(3)."""
    try:
        *leading, last = [_number(label) for label in labels]
    except ValueError as error:
        raise ValueError(_NO_HOST) from error
    if len(labels) > 4 or any(number > 255 for number in leading) or last >= 256 ** (5 - len(labels)):
        raise ValueError(_NO_HOST)
    return str(IPv4Address(sum(number << 24 - 8 * index for index, number in enumerate(leading)) + last))


def _number(label: str) -> int:
    """Raises ValueError."""
    if not _NUMBER.fullmatch(label):
        raise ValueError(label)  # `int` would accept underscores
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8 if label.startswith("0") else 10)
