"""nugetproxy COMMAND: the command tree.

Each command is imported only when it is asked for: `serve` starts its first worker before it loads anything big.
"""

import importlib
from typing import Final

import click

import nugetproxy

_COMMANDS: Final = {
    "serve": ("nugetproxy.cli.serve", "serve"),
    "prewarm": ("nugetproxy.cli.mirror", "prewarm"),
    "user": ("nugetproxy.cli.accounts", "user"),
    "org": ("nugetproxy.cli.accounts", "org"),
    "key": ("nugetproxy.cli.keys", "key"),
    "owner": ("nugetproxy.cli.owners", "owner"),
    "prefix": ("nugetproxy.cli.owners", "prefix"),
    "package": ("nugetproxy.cli.packages", "package"),
    "audit": ("nugetproxy.cli.audit", "audit"),
    "check-config": ("nugetproxy.cli.deployment", "check_config"),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(nugetproxy.__version__, package_name="nugetproxy", message="nugetproxy %(version)s")
def main() -> None:
    """A caching proxy of nuget.org, or of any NuGet feed, and a private NuGet server, as one feed.

    `serve` runs it. `prewarm` fills the mirror before anybody asks. The commands from `user` to `audit` manage who may
    push what to the private feed, and what was pushed; give them the --data or --config that `serve` has.
    """
