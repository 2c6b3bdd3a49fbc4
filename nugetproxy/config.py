"""The settings: frozen models, read once from defaults, a TOML file, the environment and the command line.

`config.example.toml` is the reference and is kept equal to these models by a test. A component is given its own section
or plain values, never the whole `Config`. Only `cli` reads `os.environ` and passes it to `load`.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_SIZES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(text: object) -> int:
    """A size as text ("200 GB", "64 MiB") or a number of bytes, in bytes."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text) if isinstance(text, str) else None
    if match is None or match[2].upper() not in _SIZES:
        raise ValueError('expected a size such as "200 GB" or "64 MiB"')
    return int(float(match[1]) * _SIZES[match[2].upper()])


def parse_duration(text: object) -> float:
    """A duration as text ("15m", "1.5s", "30d") or a number of seconds, in seconds."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text) if isinstance(text, str) else None
    if match is None or match[2] not in _DURATIONS:
        raise ValueError('expected a duration such as "250ms", "30s", "15m", "2h" or "7d"')
    return float(match[1]) * _DURATIONS[match[2]]


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ServerSettings(Section):
    listen: str = "127.0.0.1:8550"
    public_url: str = ""
    workers: int = Field(default=1, ge=1, le=64)
    trusted_proxies: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    lane: bool = True
    loop: Literal["asyncio", "uvloop"] = "asyncio"
    hot_memory: Size = 64_000_000
    header_timeout: Duration = 10.0
    idle_timeout: Duration = 120.0
    stall_timeout: Duration = 60.0
    max_connections: int = Field(default=4096, ge=1)
    max_connections_per_address: int = Field(default=0, ge=0)
    max_body: Size = 1_000_000
    stop_timeout: Duration = 30.0


class StorageSettings(Section):
    path: str = "./nugetproxy-data"
    documents_size: Size = 2_000_000_000
    memory_relay: Size = 256_000_000


class UpstreamSettings(Section):
    name: str = "nuget.org"
    service_index: str = "https://api.nuget.org/v3/index.json"
    patterns: tuple[str, ...] = ("*",)
    username: str = ""
    password_file: str = ""
    header_name: str = ""
    header_value_file: str = ""
    proxy: str = ""
    ca_file: str = ""
    allowed_hosts: tuple[str, ...] = ()
    connections: int = Field(default=32, ge=1)
    connect_timeout: Duration = 5.0
    head_timeout: Duration = 20.0
    read_timeout: Duration = 30.0
    patience: Duration = 30.0
    breaker_failures: int = Field(default=5, ge=1)
    breaker_probe: Duration = 5.0


class FreshnessSettings(Section):
    fresh: Duration
    stale_while_revalidate: Duration = 0.0
    stale_if_error: Duration
    absent: Duration = 10.0
    patience: Duration = 1.0


def _rule(fresh: str, revalidate: str, error: str, absent: str, patience: str) -> FreshnessSettings:
    return FreshnessSettings.model_validate(
        {"fresh": fresh, "stale_while_revalidate": revalidate, "stale_if_error": error, "absent": absent,
         "patience": patience}
    )


class Freshness(Section):
    """One rule per kind of upstream document; the kinds are those of `httpcache.freshness.DocumentKind`."""

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
    upstream: tuple[UpstreamSettings, ...] = (UpstreamSettings(),)
    freshness: Freshness = Freshness()


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
    logs: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()


def load(
    path: Path | None, environ: dict[str, str], overrides: dict[str, object] | None = None
) -> Config:
    """The settings of this start: defaults < file < NUGETPROXY_* environment < `overrides` (dotted keys).

    Raises ConfigError with every problem at once: unknown keys and variables (with the nearest known name), values that
    do not parse, files that are named and missing.
    """
    raise NotImplementedError
