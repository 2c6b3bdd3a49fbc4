"""Commands for whoever sets nugetproxy up."""

import click

from nugetproxy.cli.options import complain, load_config, server_options


@click.command()
@server_options
def check_config(**options: object) -> None:
    """Print the settings as they are understood.

    They are those of `serve` with the same options, environment and file; secrets are masked. When they are wrong, all
    problems are told on standard error, and the exit code is 78.
    """
    from nugetproxy.config import describe
    from nugetproxy.runtime.unclaimed import unclaimed_mirrors, what_to_configure

    config = load_config(options)
    click.echo(describe(config), nl=False)
    complain([f"warning: {what_to_configure(config, name)}" for name in unclaimed_mirrors(config)])
