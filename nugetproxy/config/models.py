"""The settings as frozen models.

`config.example.toml` is the reference; a test compares it with these models. The rules for single values are in
`config.checked_values`; rules between values, and checks of the machine, in `config.checks`; `config.reading` reads the
sources.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from nugetproxy.config.checked_values import (
    AUTO,
    NUGET_ORG_SYMBOLS,
    Bucket,
    Budget,
    DocumentsSize,
    EndpointUrl,
    Folder,
    HeaderName,
    Host,
    Listen,
    Network,
    Pattern,
    Prefix,
    ProxyUrl,
    PublicUrl,
    Reserve,
    ServiceIndexUrl,
    Size,
    SymbolServer,
    UpstreamName,
)
from nugetproxy.config.policy import PolicySettings
from nugetproxy.config.retention import RetentionRuleSettings
from nugetproxy.config.trusted_publishing import TrustedPublishingSettings
from nugetproxy.config.upstream_names import upstream_name
from nugetproxy.config.values import Duration, Section

NUGET_ORG: Final = "https://api.nuget.org/v3/index.json"


class ServerSettings(Section):
    listen: Listen = "127.0.0.1:8550"
    public_url: PublicUrl = ""
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
    bucket: Bucket = ""
    endpoint: EndpointUrl = ""
    region: str = "us-east-1"
    prefix: Folder = ""
    access_key_file: str = ""
    secret_key_file: str = ""
    ca_file: str = ""
    cache_size: Size = 10_000_000_000
    mirror_budget: Size = 0
    outage: Duration = 120.0


class StorageSettings(Section):
    kind: Literal["embedded", "shared"] = "embedded"
    path: str = Field(default="./nugetproxy-data", min_length=1)
    mirror_access: Literal["private", "group", "all"] = "private"
    documents_size: DocumentsSize = 2_000_000_000
    reserve: Reserve = "auto"
    memory_relay: Size = 256_000_000
    shared: SharedStorageSettings = SharedStorageSettings()


class UpstreamSettings(Section):
    name: UpstreamName = "nuget.org"
    service_index: ServiceIndexUrl = NUGET_ORG
    patterns: tuple[Pattern, ...] = Field(default=("*",), min_length=1)
    symbols: SymbolServer = AUTO
    username: str = ""
    password_file: str = ""
    header_name: HeaderName = ""
    header_value_file: str = ""
    proxy: ProxyUrl = ""
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
    budget: Budget = "none"
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
    session_idle: Annotated[Duration, Field(ge=60.0)] = 43_200.0
    session_lifetime: Annotated[Duration, Field(ge=60.0)] = 604_800.0


class LogSettings(Section):
    format: Literal["plain", "json"] = "plain"
    level: Literal["debug", "info", "warning", "error"] = "info"
    access: bool = True


class MetricsSettings(Section):
    enabled: bool = True


class WebUiSettings(Section):
    enabled: bool = True


class Config(Section):
    server: ServerSettings = ServerSettings()
    storage: StorageSettings = StorageSettings()
    mirroring: MirroringSettings = MirroringSettings()
    feed: FeedSettings = FeedSettings()
    hosting: HostingSettings = HostingSettings()
    accounts: AccountSettings = AccountSettings()
    trusted_publishing: TrustedPublishingSettings = TrustedPublishingSettings()
    logs: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    web_ui: WebUiSettings = WebUiSettings()
    policy: PolicySettings = PolicySettings()
