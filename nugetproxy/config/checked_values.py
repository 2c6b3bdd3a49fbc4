"""The types of single values, each with the rule that checks it and the sentence that says what would be right.

The sections of settings that are made of them are in `config.models`.
"""

import contextlib
import re
from ipaddress import ip_network
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from nugetproxy.config.hosts import canonical_host, parse_allowed_host
from nugetproxy.config.upstream_names import SOURCE_PATH

AUTO: Final = "auto"
NUGET_ORG_SYMBOLS: Final = "https://symbols.nuget.org/download/symbols"
_SMALLEST_DOCUMENTS: Final = 10_000_000
_UNITS: Final = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
_LARGEST_SIZE: Final = 2**63 - 1
_BUDGET: Final = 'expected "none", a size such as "200 GB" or a share of the disk such as "80%"'


def parse_size(text: object) -> int:
    """Convert a size, as text ("200 GB", "64 MiB") or a number, to bytes. Raises ValueError."""
    size: float | None = None
    if isinstance(text, int) and not isinstance(text, bool):
        size = text
    elif isinstance(text, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text, re.ASCII)):
        unit = _UNITS.get(match[2].upper())
        size = float(match[1]) * unit if unit is not None else None
    if size is None or size > _LARGEST_SIZE:
        raise ValueError('expected a size such as "200 GB" or "64 MiB"')
    return int(size)


def parse_budget(text: str) -> int | float | None:
    """Convert `mirroring.budget`: a size to bytes, "80%" to 0.8, "none" to None. Raises ValueError."""
    if text == "none":
        return None
    if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text, re.ASCII):
        share = float(match[1]) / 100
        if 0 < share <= 1:
            return share
    else:
        with contextlib.suppress(ValueError):
            if size := parse_size(text):
                return size
    raise ValueError(_BUDGET)


def parse_listen(text: str) -> tuple[str, int]:
    """Split "127.0.0.1:8550" or "[::1]:8550"; an empty host means all addresses. Raises ValueError."""
    if text.startswith(("unix:", "/", "@")):
        raise ValueError('Unix sockets are not supported: expected ADDRESS:PORT such as "127.0.0.1:8550"')
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:/\s]*)):(\d{1,5})", text, re.ASCII)
    if match is None or int(match[3]) > 65535:
        raise ValueError('expected ADDRESS:PORT such as "127.0.0.1:8550" or "[::1]:8550", or ":8550" for all addresses')
    return match[1] or match[2] or "", int(match[3])


def _parsed_reserve(given: object) -> object:
    if given == "auto":
        return given
    try:
        size = parse_size(given)
    except ValueError:
        size = -1
    if size < 0:
        raise ValueError('expected "auto" or a size such as "5 GB"')
    return size


def _checked_budget(given: object) -> object:
    text = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if not isinstance(text, str):
        raise ValueError(_BUDGET)  # noqa: TRY004 - pydantic reports only this one
    parse_budget(text)
    return text


def _http_url(text: str, example: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f]", text):
        raise ValueError(f'expected an http or https URL such as "{example}"')
    return text


def _checked_listen(text: str) -> str:
    parse_listen(text)
    return text


def _checked_public_url(text: str) -> str:
    if not text:
        return text
    parts = urlsplit(_http_url(text, "https://nuget.example.com"))
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("a public URL must not have a query or fragment: clients append paths to it")
    if parts.username is not None:
        raise ValueError("a public URL must not contain a user name or password: all clients would see it")
    base = text.rstrip("/")
    if base.lower().endswith(SOURCE_PATH):
        raise ValueError(f'expected the URL without {SOURCE_PATH}: "{base[: -len(SOURCE_PATH)]}"')
    return base


def _checked_service_index(text: str) -> str:
    parts = urlsplit(_http_url(text, "https://api.nuget.org/v3/index.json"))
    if parts.username is not None:
        raise ValueError("the URL contains a user name; use username and password_file instead")
    if parts.fragment:
        raise ValueError("a service index URL must not have a fragment")
    canonical_host(parts.hostname or "")
    return text


def _checked_symbols(text: str) -> str:
    if text in (AUTO, "off"):
        return text
    parts = urlsplit(_http_url(text, NUGET_ORG_SYMBOLS))
    if parts.username is not None or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("the URL of a symbol server must have no user name, query or fragment")
    canonical_host(parts.hostname or "")
    return text.rstrip("/")


def _checked_endpoint(text: str) -> str:
    return _http_url(text, "https://s3.example.com") if text else text


def _checked_bucket(text: str) -> str:
    if text and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text, re.ASCII):
        raise ValueError("expected the name of a bucket: 3 to 63 of a-z 0-9 . - without a scheme or a path")
    return text


def _checked_folder(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", text, re.ASCII):
        raise ValueError("expected folder names of A-Z a-z 0-9 . _ - separated by /, without one at either end")
    return text


def _checked_proxy(text: str) -> str:
    return _http_url(text, "http://proxy.example.com:3128") if text else text


def _checked_name(text: str) -> str:
    # The name becomes a folder of the data directory and a metric label.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text, re.ASCII):
        raise ValueError("expected 1 to 64 of A-Z a-z 0-9 . _ - starting with a letter or digit")
    return text


def _checked_pattern(text: str) -> str:
    # As in NuGet's package source mapping: an id, a prefix followed by *, or * alone.
    if not re.fullmatch(r"(?:[\w.-]{1,100}|[\w.-]{0,100}\*)", text):
        raise ValueError('expected "*", a prefix such as "Contoso.*", or a package id')
    return text


def _checked_prefix(text: str) -> str:
    # "Contoso." and "Contoso.*" mean the same; "*" alone would block all upstreams.
    if not re.fullmatch(r"[\w.-]{1,100}\*?", text):
        raise ValueError('expected a prefix such as "Contoso." or "Contoso.*"')
    return text.removesuffix("*")


def _checked_network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as wrong:
        raise ValueError(f'expected an address or network such as "10.0.0.0/8": {wrong}') from None
    return text


def _checked_host(text: str) -> str:
    parse_allowed_host(text)
    return text.strip().lower()


def _checked_header_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]*", text, re.ASCII):
        raise ValueError('expected a header name such as "X-Api-Key"')
    if text.lower() in ("host", "content-length", "transfer-encoding", "connection", "range", "accept-encoding"):
        raise ValueError("the server sets this header itself")
    return text


def _enough_for_documents(size: int) -> int:
    if size < _SMALLEST_DOCUMENTS:
        raise ValueError('expected at least "10 MB", enough for one restore (without a unit: bytes)')
    return size


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
DocumentsSize = Annotated[Size, AfterValidator(_enough_for_documents)]
Reserve = Annotated[int | Literal["auto"], BeforeValidator(_parsed_reserve)]
Budget = Annotated[str, BeforeValidator(_checked_budget)]
Listen = Annotated[str, AfterValidator(_checked_listen)]
PublicUrl = Annotated[str, AfterValidator(_checked_public_url)]
ServiceIndexUrl = Annotated[str, AfterValidator(_checked_service_index)]
SymbolServer = Annotated[str, AfterValidator(_checked_symbols)]
EndpointUrl = Annotated[str, AfterValidator(_checked_endpoint)]
ProxyUrl = Annotated[str, AfterValidator(_checked_proxy)]
Bucket = Annotated[str, AfterValidator(_checked_bucket)]
Folder = Annotated[str, AfterValidator(_checked_folder)]
UpstreamName = Annotated[str, AfterValidator(_checked_name)]
HeaderName = Annotated[str, AfterValidator(_checked_header_name)]
Network = Annotated[str, AfterValidator(_checked_network)]
Pattern = Annotated[str, AfterValidator(_checked_pattern)]
Prefix = Annotated[str, AfterValidator(_checked_prefix)]
Host = Annotated[str, AfterValidator(_checked_host)]
