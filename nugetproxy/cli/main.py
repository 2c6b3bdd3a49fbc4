"""nugetproxy COMMAND: the command tree.

Each command is imported only when it is used: `serve` starts its first worker before it loads anything big, and no
command, nor shell completion, waits for modules that it does not use.
"""

from typing import Final

import click

import nugetproxy
from nugetproxy.cli.tree import CommandTree

_COMMANDS: Final = {
    "serve": ("nugetproxy.cli.serve", "serve"),
    "health": ("nugetproxy.cli.health", "health"),
    "doctor": ("nugetproxy.cli.doctor", "doctor"),
    "prewarm": ("nugetproxy.cli.prewarm", "prewarm"),
    "prove": ("nugetproxy.cli.prove", "prove"),
    "wanted": ("nugetproxy.cli.wanted", "wanted"),
    "import-packages": ("nugetproxy.cli.import_packages", "import_packages"),
    "import": ("nugetproxy.cli.bundle_import", "bundle_import"),
    "mirror": ("nugetproxy.cli.mirror", "mirror"),
    "export": ("nugetproxy.cli.export", "export"),
    "bundle": ("nugetproxy.cli.bundle", "bundle"),
    "bundle-key": ("nugetproxy.cli.bundle_key", "bundle_key"),
    "explain": ("nugetproxy.cli.explain", "explain"),
    "policy": ("nugetproxy.cli.policy", "policy"),
    "user": ("nugetproxy.cli.users", "user"),
    "org": ("nugetproxy.cli.organizations", "org"),
    "login": ("nugetproxy.cli.login", "login"),
    "key": ("nugetproxy.cli.keys", "key"),
    "trusted-publishing": ("nugetproxy.cli.trusted_publishing", "trusted_publishing"),
    "owner": ("nugetproxy.cli.owners", "owner"),
    "prefix": ("nugetproxy.cli.prefixes", "prefix"),
    "package": ("nugetproxy.cli.packages", "package"),
    "audit": ("nugetproxy.cli.audit", "audit"),
    "backup": ("nugetproxy.cli.backup", "backup"),
    "restore": ("nugetproxy.cli.backup", "restore"),
    "repair": ("nugetproxy.cli.repair", "repair"),
    "migrate": ("nugetproxy.cli.migrate", "migrate"),
    "storage": ("nugetproxy.cli.storage", "storage"),
    "check-config": ("nugetproxy.cli.deployment", "check_config"),
}


@click.group(
    cls=CommandTree,
    places=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(nugetproxy.__version__, package_name="nugetproxy", message="nugetproxy %(version)s")
def main() -> None:
    """A caching proxy for nuget.org, or any NuGet feed, and a private NuGet server, as one feed.

    `serve` runs it, `health` checks it, `doctor` finds out what is wrong. `prewarm` fills the mirror ahead of time,
    `mirror` takes care of it. The commands from `user` to `audit` manage the private feed: give them the same --data or
    --config as `serve`.
    """
