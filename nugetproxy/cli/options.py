"""Options shared by several commands, and the settings that they override."""

import os
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from nugetproxy.cli.output import BAD_SETTINGS, complain

if TYPE_CHECKING:
    from nugetproxy.config import Config

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_DATA: Final = "./nugetproxy-data"
"""The default of `storage.path`, available here without loading the settings."""

_CONFIG: Final = (
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Settings file (TOML).  [default: the file that NUGETPROXY_CONFIG names, if any]",
    ),
    click.option("--data", metavar="DIRECTORY", help=f"Data directory.  [default: {DEFAULT_DATA}]"),
    click.option(
        "--upstream",
        multiple=True,
        metavar="URL",
        help="Service index (.../v3/index.json) of a feed to mirror. Repeatable.  [default: nuget.org]",
    ),
    click.option("--offline", is_flag=True, help="Never contact an upstream; serve only what is kept."),
)

_SERVER: Final = (
    click.option(
        "--listen",
        metavar="ADDRESS:PORT",
        help="Address to listen on; :PORT is every address.  [default: 127.0.0.1:8550]",
    ),
    click.option(
        "--public-url", metavar="URL", help="The URL that clients use, if it differs from the one they request."
    ),
    click.option("--workers", type=int, metavar="N", help="Worker processes.  [default: 1]"),
    click.option("--tls-cert", metavar="FILE", help="Certificate chain (PEM); enables https."),
    click.option("--tls-key", metavar="FILE", help="Private key of the certificate (PEM)."),
    click.option(
        "--log-format",
        type=click.Choice(["plain", "json"]),
        help="Log lines for people, or JSON.  [default: plain]",
    ),
)

_OVERRIDES: Final = {
    "data": "storage.path",
    "listen": "server.listen",
    "public_url": "server.public_url",
    "workers": "server.workers",
    "tls_cert": "server.tls_cert",
    "tls_key": "server.tls_key",
    "log_format": "logs.format",
}


def data_options(command: Command) -> Command:
    """--config --data: for commands that need no upstream"""
    return _with(command, _CONFIG[:2])


def config_options(command: Command) -> Command:
    """--config --data --upstream --offline"""
    return _with(command, _CONFIG)


def server_options(command: Command) -> Command:
    """`config_options`, and how clients reach the server."""
    return _with(command, _CONFIG + _SERVER)


def overrides(options: Mapping[str, Any]) -> dict[str, object]:
    """The settings that the options give, by dotted key."""
    given = {key: options[name] for name, key in _OVERRIDES.items() if options.get(name) is not None}
    if options.get("upstream"):
        given["mirroring.upstream"] = list(options["upstream"])
    if options.get("offline"):
        given["mirroring.mode"] = "offline"
    return given


def load_config(options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> "Config":
    """The settings. Exits with status 78 and all problems on standard error if they are unusable."""
    from nugetproxy.config import load
    from nugetproxy.errors import ConfigError

    try:
        return load(options.get("config"), environ, overrides(options))
    except ConfigError as refused:
        complain(refused.problems, "settings", BAD_SETTINGS)
        sys.exit(BAD_SETTINGS)


_DATA_VARIABLE: Final = "NUGETPROXY_STORAGE__PATH"
_CONFIG_VARIABLE = "NUGETPROXY_CONFIG"
_KIND_VARIABLE = "NUGETPROXY_STORAGE__KIND"


class Settings:
    """The settings that the options name, loaded only when needed: that takes longer than most commands."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    @cached_property
    def config(self) -> "Config":
        """All settings. Exits as `load_config` does."""
        return load_config(self._options)

    @property
    def shared(self) -> "Config | None":
        """The settings, if they name the storage of a fleet. Loaded only when a file or a variable may do so."""
        file = self._options.get("config") or os.environ.get(_CONFIG_VARIABLE)
        may_be = _KIND_VARIABLE in os.environ or (file and _mentions(Path(file), b"shared"))
        return self.config if may_be and self.config.storage.kind == "shared" else None

    @property
    def data(self) -> Path:
        """The data directory. The settings are loaded only when a file or another variable may name it."""
        given = self._options.get("data")
        if given is None:
            given = os.environ.get(_DATA_VARIABLE)
        if given:
            return Path(given)
        elsewhere = self._options.get("config") or any(name.startswith("NUGETPROXY_") for name in os.environ)
        return Path(self.config.storage.path) if elsewhere or given == "" else Path(DEFAULT_DATA)


def _mentions(file: Path, word: bytes) -> bool:
    """True also when the file cannot be read: who loads it reports that."""
    try:
        return word in file.read_bytes()
    except OSError:
        return True


def _with(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
