"""nugetproxy check-config: what the settings are."""

import click

from nugetproxy.cli.options import load_config, server_options
from nugetproxy.cli.output import note


@click.command()
@server_options
def check_config(**options: object) -> None:
    """Check the settings and print them.

    They are what `serve` would use with the same options, environment and file; secrets are masked. If anything is
    wrong, every problem is printed on standard error and the exit code is 78.
    """
    from nugetproxy.config import describe
    from nugetproxy.runtime.unclaimed import unclaimed_mirrors, what_to_configure

    config = load_config(options)
    click.echo(describe(config), nl=False)
    for name in unclaimed_mirrors(config):
        note(f"warning: {what_to_configure(config, name)}")
