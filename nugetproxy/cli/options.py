"""The options that several commands share, and what they override in the settings."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from nugetproxy.config import Config

Command = TypeVar("Command", bound=Callable[..., Any])

BAD_SETTINGS: Final = 78  # EX_CONFIG, sysexits(3)

_CONFIG: Final = (
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Settings (TOML); else the file that NUGETPROXY_CONFIG names; else the defaults.",
    ),
    click.option("--data", metavar="DIRECTORY", help="Where everything is kept.  [default: ./nugetproxy-data]"),
    click.option(
        "--upstream",
        multiple=True,
        metavar="URL",
        help="Service index (.../v3/index.json) of the feed to mirror; may be repeated.  [default: nuget.org's]",
    ),
    click.option("--offline", is_flag=True, help="Never ask an upstream: serve what is kept."),
)

_SERVER: Final = (
    click.option("--listen", metavar="ADDRESS:PORT", help="Where to listen.  [default: 127.0.0.1:8550]"),
    click.option("--public-url", metavar="URL", help="The URL that clients use, when it is not what they asked for."),
    click.option("--workers", type=int, metavar="N", help="Worker processes.  [default: 1]"),
    click.option("--tls-cert", metavar="FILE", help="Certificate chain (PEM): serve https."),
    click.option("--tls-key", metavar="FILE", help="Its private key (PEM)."),
    click.option(
        "--log-format",
        type=click.Choice(["plain", "json"]),
        help="For people, or JSON.  [default: plain]",
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
    """--config --data: for commands that ask no upstream"""
    return _with(command, _CONFIG[:2])


def config_options(command: Command) -> Command:
    """--config --data --upstream --offline"""
    return _with(command, _CONFIG)


def server_options(command: Command) -> Command:
    """`config_options`, and how clients reach us."""
    return _with(command, _CONFIG + _SERVER)


def overrides(options: Mapping[str, Any]) -> dict[str, object]:
    """What the options say about settings, by dotted key."""
    given = {key: options[name] for name, key in _OVERRIDES.items() if options.get(name) is not None}
    if options.get("upstream"):
        given["mirroring.upstream"] = list(options["upstream"])
    if options.get("offline"):
        given["mirroring.mode"] = "offline"
    return given


def load_config(options: Mapping[str, Any]) -> "Config":
    """The settings; ends the program with status 78, all problems on standard error, when they cannot be used."""
    from nugetproxy.config import load
    from nugetproxy.errors import ConfigError

    try:
        return load(options.get("config"), os.environ, overrides(options))
    except ConfigError as refused:
        complain(refused.problems)
        sys.exit(BAD_SETTINGS)


def complain(problems: list[str]) -> None:
    """What is wrong, on standard error."""
    for problem in problems:
        click.echo(f"nugetproxy: {problem}", err=True)


def _with(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
