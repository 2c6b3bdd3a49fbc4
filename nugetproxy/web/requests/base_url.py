"""The base of the URLs in our responses, and the real client address.

`server.public_url` decides if it is set. Otherwise it is the request's own scheme and host; what a reverse proxy says
about them (X-Forwarded-*, Forwarded of RFC 7239) counts only if the connection comes from a trusted proxy.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web

from nugetproxy.errors import InvalidRequest

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_ADDRESS = re.compile(r"[A-Za-z0-9._:%-]{1,64}")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")
_FORWARDED_PAIR = re.compile(r'\s*([A-Za-z0-9!#$%&\'*+.^_`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*))\s*')

_PORT = re.compile(r"[0-9]{1,5}")
_PORT_AT_END = re.compile(r":[0-9]{1,5}\Z")
_DEFAULT_PORTS = {"http": "80", "https": "443"}

FORWARDING_HEADERS = (
    "Forwarded",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-For",
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from and which URL it used for this server.

    `base` has no trailing slash. `host_key` is None when the base is the same for every client (public_url); otherwise
    it names what the base depends on, so that a cached response is never sent to a client that uses another host name.
    """

    base: str
    scheme: str
    remote: str
    host_key: str | None
    is_forwarded: bool = False


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one reverse proxy says about the request it received."""

    scheme: str = ""
    host: str = ""
    client: str = ""
    port: str = ""


class BaseUrls:
    """Determines the Origin of requests for one set of settings."""

    def __init__(self, public_url: str, trusted_proxies: Sequence[str]) -> None:
        """`trusted_proxies` are addresses or networks in CIDR notation; raises ValueError for anything else."""
        self._public = public_url.rstrip("/")
        self._trusted: tuple[Network, ...] = tuple(ipaddress.ip_network(text, strict=False) for text in trusted_proxies)

    @property
    def path_prefix(self) -> str:
        """The path of public_url, without a trailing slash; "" for none."""
        return urlsplit(self._public).path if self._public else ""

    def origin(self, request: web.BaseRequest) -> Origin:
        """Raises InvalidRequest when the Host header, or what a trusted proxy says in its place, is not a host."""
        peer = request.remote or ""
        is_forwarded = self._is_trusted(peer) and any(name in request.headers for name in FORWARDING_HEADERS)
        hop = self._forwarded(request) if is_forwarded else _Hop()
        remote = hop.client or peer
        if self._public:
            scheme = urlsplit(self._public).scheme
            return Origin(self._public, scheme, remote, None, is_forwarded)
        scheme = hop.scheme or ("https" if request.secure else "http")
        host = hop.host or request.headers.get("Host", _connected_to(request))
        if hop.port and not (hop.host and _PORT_AT_END.search(hop.host)):
            # A port in the forwarded host is as the client wrote it. That of `Host` may be ours, behind the proxy.
            bare = _PORT_AT_END.sub("", host)
            host = bare if hop.port == _DEFAULT_PORTS[scheme] else f"{bare}:{hop.port}"
        if not _HOST.fullmatch(host):
            name = "the forwarded host" if hop.host else "the Host header is missing or"
            raise InvalidRequest(f"{name} is not a host name with an optional port")
        prefix = _last(request, "X-Forwarded-Prefix") if is_forwarded else ""
        if not _PREFIX.fullmatch(prefix):
            raise InvalidRequest("X-Forwarded-Prefix is not a plain path")
        base = f"{scheme}://{host}{prefix.rstrip('/')}"
        return Origin(base, scheme, remote, base, is_forwarded)

    def _is_trusted(self, address: str) -> bool:
        return bool(self._trusted) and _is_within(address, self._trusted)

    def _forwarded(self, request: web.BaseRequest) -> _Hop:
        """What the outermost trusted proxy says about the request it received.

        A proxy writes one of the two kinds of headers and passes on the other as the client sent it, and we cannot know
        which kind it writes. So neither is trusted over the other. Raises InvalidRequest.
        """
        one = self._outermost(_read_forwarded(request))
        other = self._outermost(_read_x_forwarded(request))
        pairs = ((one.scheme, other.scheme), (_name(one.host), _name(other.host)), (one.client, other.client))
        if any(first and second and first != second for first, second in pairs):
            raise InvalidRequest(
                "the Forwarded and X-Forwarded-* headers contradict each other: the reverse proxy must send one kind "
                "and remove the other"
            )
        return _Hop(
            one.scheme or other.scheme,
            one.host or other.host,
            one.client or other.client,
            "" if one.host else other.port,
        )

    def _outermost(self, hops: list[_Hop]) -> _Hop:
        """Lists grow to the right, so we read from the right, and only as far as each entry was written by a trusted
        proxy: entries further left may be forged by the client.
        """
        chosen = _Hop()
        for hop in reversed(hops):
            chosen = _Hop(
                hop.scheme or chosen.scheme,
                hop.host or chosen.host,
                hop.client or chosen.client,
                hop.port or chosen.port,
            )
            if not self._is_trusted(hop.client):
                break
        return chosen


def _name(host: str) -> str:
    """The host without its port, which one of two headers may omit."""
    return _PORT_AT_END.sub("", host).lower()


def _connected_to(request: web.BaseRequest) -> str:
    """Our address that the connection came to, for HTTP/1.0; later versions must send a Host.

    Load balancers check our health with HTTP/1.0 and no Host header.
    """
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    if request.version >= HttpVersion11 or not isinstance(name, tuple):
        return ""
    address, port = name[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _read_forwarded(request: web.BaseRequest) -> list[_Hop]:
    hops = []
    for line in request.headers.getall("Forwarded", ()):
        for element in _split_outside_quotes(line, ","):
            pairs: dict[str, str] = {}
            for pair in _split_outside_quotes(element, ";"):
                if (match := _FORWARDED_PAIR.fullmatch(pair)) is None:
                    raise InvalidRequest("the Forwarded header cannot be read (RFC 7239)")
                quoted, plain = match[2], match[3]
                pairs[match[1].lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            hops.append(_Hop(_scheme(pairs.get("proto", "")), pairs.get("host", ""), _address(pairs.get("for", ""))))
    return hops


def _read_x_forwarded(request: web.BaseRequest) -> list[_Hop]:
    names = ("Proto", "Host", "For", "Port")
    schemes, hosts, clients, ports = lists = [_listed(request, f"X-Forwarded-{name}") for name in names]
    # A single value was set by one proxy for all behind it; several values correspond to the proxies, from the right.
    return [
        _Hop(_scheme(_at(schemes, back)), _at(hosts, back), _address(_at(clients, back)), _port(_at(ports, back)))
        for back in range(max(map(len, lists)), 0, -1)
    ]


def _at(values: list[str], back: int) -> str:
    return values[-back] if back <= len(values) else ""


def _listed(request: web.BaseRequest, name: str) -> list[str]:
    lines = request.headers.getall(name, ())
    return [value for line in lines for text in line.split(",") if (value := text.strip())]


def _last(request: web.BaseRequest, name: str) -> str:
    values = _listed(request, name)
    return values[-1] if values else ""


def _split_outside_quotes(text: str, separator: str) -> list[str]:
    parts, start, is_quoted = [], 0, False
    for at, char in enumerate(text):
        if char == '"' and text[at - 1 : at] != "\\":
            is_quoted = not is_quoted
        elif char == separator and not is_quoted:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part for part in parts if part.strip()]


def _scheme(text: str) -> str:
    scheme = text.lower()
    if scheme not in ("", "http", "https"):
        raise InvalidRequest("the forwarded scheme is neither http nor https")
    return scheme


def _port(text: str) -> str:
    if text and (not _PORT.fullmatch(text) or not 0 < int(text) < 65536):
        raise InvalidRequest("X-Forwarded-Port is not a port number")
    return text.lstrip("0")


def _address(text: str) -> str:
    """The address of a `for` value without its port; an obfuscated name ("_hidden", "unknown") as it is.

    It goes into the log: only the characters of addresses and such names are allowed.
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return text if _ADDRESS.fullmatch(text) else ""


@lru_cache(maxsize=4096)
def _is_within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed.version == network.version and parsed in network for network in networks)
