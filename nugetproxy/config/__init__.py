"""The settings: frozen models, read once from defaults, a TOML file, the environment and the command line.

A component gets its own section or plain values, never the whole `Config`. Only `cli` reads `os.environ` and passes it
to `load`.
"""

from nugetproxy.config.checked_values import NUGET_ORG_SYMBOLS, parse_budget, parse_listen, parse_size
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
    WebUiSettings,
)
from nugetproxy.config.policy import PolicyRuleSettings, PolicySettings, parse_until
from nugetproxy.config.reading import load
from nugetproxy.config.retention import RetentionRuleSettings
from nugetproxy.config.shown import describe
from nugetproxy.config.trusted_publishing import TrustedPublishingSettings
from nugetproxy.config.upstream_names import upstream_name
from nugetproxy.config.values import parse_duration

__all__ = [
    "NUGET_ORG_SYMBOLS",
    "AccountSettings",
    "Config",
    "FeedSettings",
    "Freshness",
    "FreshnessSettings",
    "HostingSettings",
    "LogSettings",
    "MetricsSettings",
    "MirroringSettings",
    "PolicyRuleSettings",
    "PolicySettings",
    "RetentionRuleSettings",
    "ServerSettings",
    "StorageSettings",
    "TrustedPublishingSettings",
    "UpstreamSettings",
    "WebUiSettings",
    "describe",
    "load",
    "parse_budget",
    "parse_duration",
    "parse_listen",
    "parse_size",
    "parse_until",
    "upstream_name",
]
