"""The settings: frozen models, read once from defaults, a TOML file, the environment and the command line.

A component gets its own section or plain values, never the whole `Config`. Only `cli` reads `os.environ` and passes it
to `load`.
"""

from nugetproxy.config.models import (
    AccountSettings,
    Config,
    FeedSettings,
    Freshness,
    FreshnessSettings,
    HostingSettings,
    LogSettings,
    MetricsSettings,
    MirroringSettings,
    ServerSettings,
    StorageSettings,
    UpstreamSettings,
    parse_duration,
    parse_listen,
    parse_size,
)
from nugetproxy.config.reading import load
from nugetproxy.config.shown import describe

__all__ = [
    "AccountSettings",
    "Config",
    "FeedSettings",
    "Freshness",
    "FreshnessSettings",
    "HostingSettings",
    "LogSettings",
    "MetricsSettings",
    "MirroringSettings",
    "ServerSettings",
    "StorageSettings",
    "UpstreamSettings",
    "describe",
    "load",
    "parse_duration",
    "parse_listen",
    "parse_size",
]
