"""Commands for whoever sets nugetproxy up."""

import click

from nugetproxy.cli.options import load_config, server_options


@click.command()
@server_options
def check_config(**options: object) -> None:
    """Print the settings as they were understood, secrets masked; end with 78 and all problems when they are wrong."""
    from nugetproxy.config import describe

    click.echo(describe(load_config(options)), nl=False)
