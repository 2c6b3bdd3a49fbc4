"""The settings as frozen models, with the rules for single values.

`config.example.toml` is the reference; a test compares it with these models. Rules between values, and checks of the
machine, are in `config.checks`; `config.reading` reads the sources.
"""

import contextlib
import hashlib
import re
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from nugetproxy.config.hosts import canonical_host, parse_allowed_host
from nugetproxy.config.policy import PolicySettings
from nugetproxy.config.retention import RetentionRuleSettings
from nugetproxy.config.values import Duration, Section

_SOURCE_PATH = "/v3/index.json"
_LONGEST_NAME = 64
AUTO = "auto"
NUGET_ORG = "https://api.nuget.org/v3/index.json"
NUGET_ORG_SYMBOLS = "https://symbols.nuget.org/download/symbols"
_SMALLEST_DOCUMENTS = 10_000_000
_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_LARGEST_SIZE = 2**63 - 1
_BUDGET = 'expected "none", a size such as "200 GB" or a share of the disk such as "80%"'


def parse_size(text: object) -> int:
    """Convert a size, as text ("200 GB", "64 MiB") or a number, to bytes. Raises ValueError."""
    size: float | None = None
    if isinstance(text, int) and not isinstance(text, bool):
        size = text
    elif isinstance(text, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text, re.ASCII)):
        unit = _SIZES.get(match[2].upper())
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


def upstream_name(service_index: str) -> str:
    """The default name of an upstream: its host, usable as a folder name; "nuget.org" for api.nuget.org."""
    location = _parts_of(service_index).netloc.rpartition("@")[2].lower()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", location).strip("-._")
    return "nuget.org" if safe == "api.nuget.org" else safe or "upstream"


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


def distinct_names(service_indexes: Sequence[str]) -> list[str]:
    """Like `upstream_name`, but including the path for those that share a host.

    The result is independent of the order: feeds must not be confused when they are listed in another order.
    """
    names = [upstream_name(url) for url in service_indexes]
    return [
        _with_path(name, url) if names.count(name) > 1 else name
        for name, url in zip(names, service_indexes, strict=True)
    ]


def _parts_of(url: str) -> SplitResult:
    """Empty if it is not a valid URL: names are derived before validation."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _with_path(name: str, service_index: str) -> str:
    parts = _parts_of(service_index)
    words = re.findall(r"[a-z0-9_]+", parts.path.lower().removesuffix(_SOURCE_PATH))
    whole = "-".join((name, *words))
    if len(whole) <= _LONGEST_NAME and not parts.query:
        return whole
    # A query may contain a secret, and a name becomes a folder: a hash replaces it, and anything that is cut off.
    digest = hashlib.sha256(f"{whole}?{parts.query}".encode()).hexdigest()[:8]
    return f"{whole[: _LONGEST_NAME - 9].rstrip('-._')}-{digest}"


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
    if base.lower().endswith(_SOURCE_PATH):
        raise ValueError(f'expected the URL without {_SOURCE_PATH}: "{base[: -len(_SOURCE_PATH)]}"')
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
Network = Annotated[str, AfterValidator(_checked_network)]
Pattern = Annotated[str, AfterValidator(_checked_pattern)]
Prefix = Annotated[str, AfterValidator(_checked_prefix)]
Host = Annotated[str, AfterValidator(_checked_host)]


class ServerSettings(Section):
    listen: Annotated[str, AfterValidator(_checked_listen)] = "127.0.0.1:8550"
    public_url: Annotated[str, AfterValidator(_checked_public_url)] = ""
    workers: int = Field(default=1, ge=1, le=64)
    trusted_proxies: tuple[Network, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    lane: bool = True
    loop: Literal["auto", "asyncio", "uvloop"] = "auto"
    hot_memory: Size = 64_000_000
    hot_disk: Size = 512_000_000
    header_timeout: Duration = 10.0
    idle_timeout: Duration = 120.0
    stall_timeout: Duration = 60.0
    max_connections: int = Field(default=4096, ge=1)
    max_connections_per_address: int = Field(default=0, ge=0)
    max_body: Size = 1_000_000
    stop_timeout: Duration = 30.0


class SharedStorageSettings(Section):
    dsn_file: str = ""
    connections: int = Field(default=4, ge=1, le=100)
    bucket: Annotated[str, AfterValidator(_checked_bucket)] = ""
    endpoint: Annotated[str, AfterValidator(_checked_endpoint)] = ""
    region: str = "us-east-1"
    prefix: Annotated[str, AfterValidator(_checked_folder)] = ""
    access_key_file: str = ""
    secret_key_file: str = ""
    cache_size: Size = 10_000_000_000
    outage: Duration = 120.0


class StorageSettings(Section):
    kind: Literal["embedded", "shared"] = "embedded"
    path: str = Field(default="./nugetproxy-data", min_length=1)
    mirror_access: Literal["private", "group", "all"] = "private"
    documents_size: Annotated[Size, AfterValidator(_enough_for_documents)] = 2_000_000_000
    reserve: Annotated[int | Literal["auto"], BeforeValidator(_parsed_reserve)] = "auto"
    memory_relay: Size = 256_000_000
    shared: SharedStorageSettings = SharedStorageSettings()


class UpstreamSettings(Section):
    name: Annotated[str, AfterValidator(_checked_name)] = "nuget.org"
    service_index: Annotated[str, AfterValidator(_checked_service_index)] = NUGET_ORG
    patterns: tuple[Pattern, ...] = Field(default=("*",), min_length=1)
    symbols: Annotated[str, AfterValidator(_checked_symbols)] = AUTO
    username: str = ""
    password_file: str = ""
    header_name: Annotated[str, AfterValidator(_checked_header_name)] = ""
    header_value_file: str = ""
    proxy: Annotated[str, AfterValidator(_checked_proxy)] = ""
    ca_file: str = ""
    allowed_hosts: tuple[Host, ...] = ()
    connections: int = Field(default=32, ge=1)
    connect_timeout: Duration = 5.0
    head_timeout: Duration = 20.0
    read_timeout: Duration = 30.0
    patience: Duration = 30.0
    breaker_failures: int = Field(default=5, ge=1)
    breaker_probe: Duration = 5.0

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_host(cls, given: Any) -> Any:
        if isinstance(given, dict) and "name" not in given and isinstance(given.get("service_index"), str):
            return {"name": upstream_name(given["service_index"]), **given}
        return given

    @model_validator(mode="after")
    def _symbols_are_as_safe_as_packages(self) -> Self:
        if self.service_index.startswith("https:") and self.symbols.startswith("http:"):
            raise ValueError("symbols: expected an https URL, because service_index is one")
        return self

    @property
    def symbol_server(self) -> str:
        """The URL of its symbol server, without a slash at its end; empty if it has none."""
        if self.symbols == AUTO:
            return NUGET_ORG_SYMBOLS if self.service_index == NUGET_ORG else ""
        return "" if self.symbols == "off" else self.symbols


class FreshnessSettings(Section):
    fresh: Duration
    stale_while_revalidate: Duration = 0.0
    stale_if_error: Duration
    absent: Duration = 10.0
    patience: Duration = 1.0


def _rule(fresh: str, revalidate: str, error: str, absent: str, patience: str) -> FreshnessSettings:
    return FreshnessSettings.model_validate(
        {
            "fresh": fresh,
            "stale_while_revalidate": revalidate,
            "stale_if_error": error,
            "absent": absent,
            "patience": patience,
        }
    )


class Freshness(Section):
    """One rule per kind of upstream document, as in `httpcache.freshness.DocumentKind`."""

    service_index: FreshnessSettings = _rule("1h", "1d", "365d", "5s", "1s")
    versions: FreshnessSettings = _rule("1m", "0s", "365d", "10s", "1s")
    registration: FreshnessSettings = _rule("1m", "0s", "365d", "10s", "1s")
    registration_page: FreshnessSettings = _rule("1m", "0s", "365d", "10s", "1s")
    catalog_entry: FreshnessSettings = _rule("1d", "30d", "365d", "1m", "1s")
    part: FreshnessSettings = _rule("1d", "30d", "365d", "1m", "1s")
    search: FreshnessSettings = _rule("30s", "0s", "1h", "10s", "1s")
    vulnerabilities: FreshnessSettings = _rule("1h", "1d", "365d", "1m", "1s")
    signatures: FreshnessSettings = _rule("1h", "1d", "365d", "1m", "1s")


class MirroringSettings(Section):
    mode: Literal["online", "offline"] = "online"
    search_timeout: Duration = 5.0
    foresight: bool = True
    budget: Annotated[str, BeforeValidator(_checked_budget)] = "none"
    catalog: Literal["auto", "off"] = "auto"
    catalog_poll: Annotated[Duration, Field(ge=1.0)] = 60.0
    catalog_fresh: Duration = 172_800.0
    upstream: tuple[UpstreamSettings, ...] = Field(default=(UpstreamSettings(),), min_length=1)
    freshness: Freshness = Freshness()


class FeedSettings(Section):
    protected_prefixes: tuple[Prefix, ...] = ()
    merged_ids: tuple[Pattern, ...] = ()
    advisories: str = ""


class HostingSettings(Section):
    enabled: bool = True
    allowed_ids: tuple[Pattern, ...] = ()
    max_package_size: Size = 500_000_000
    max_symbols_size: Size = 500_000_000
    max_entries: int = Field(default=20_000, ge=1)
    max_ratio: int = Field(default=200, ge=2)
    max_unpacked_size: Size = 4_000_000_000
    retention: tuple[RetentionRuleSettings, ...] = ()


class AccountSettings(Section):
    anonymous_read: Literal["all", "mirrored", "none"] = "all"
    key_lifetime: Duration = 365 * 86_400.0
    failed_logins_per_minute: int = Field(default=30, ge=1)
    learned_credentials: Duration = 60.0


class LogSettings(Section):
    format: Literal["plain", "json"] = "plain"
    level: Literal["debug", "info", "warning", "error"] = "info"
    access: bool = True


class MetricsSettings(Section):
    enabled: bool = True


class Config(Section):
    server: ServerSettings = ServerSettings()
    storage: StorageSettings = StorageSettings()
    mirroring: MirroringSettings = MirroringSettings()
    feed: FeedSettings = FeedSettings()
    hosting: HostingSettings = HostingSettings()
    accounts: AccountSettings = AccountSettings()
    logs: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    policy: PolicySettings = PolicySettings()
