"""nugetproxy check-config: print the settings, and check whether they reach the upstreams."""

import os
import sys
from typing import TYPE_CHECKING

import click

from nugetproxy.cli.options import load_config, server_options
from nugetproxy.cli.output import BAD_SETTINGS, REFUSED, complain, note

if TYPE_CHECKING:
    from nugetproxy.config import Config
    from nugetproxy.mirroring.upstream.first_contact import FirstContact


@click.command()
@server_options
@click.option("--connect", is_flag=True, help="Fetch the service index of each upstream and print the results instead.")
def check_config(connect: bool, **options: object) -> None:
    """Check the settings and print them.

    They are what `serve` would use with the same options, environment and file; secrets are masked. If anything is
    wrong, every problem is printed on standard error and the exit code is 78.

    With --connect, it prints one line per upstream instead: whether its service index can be fetched, with the
    credentials and the outgoing proxy of the settings, and how long that took; or what is wrong and what to check. The
    exit code is 1 if an upstream cannot be used.
    """
    from nugetproxy.config import describe
    from nugetproxy.errors import ConfigError
    from nugetproxy.runtime.advisory_sources import check_advisories
    from nugetproxy.runtime.known_upstreams import with_known_upstreams
    from nugetproxy.runtime.unclaimed import moved_upstreams, unclaimed_mirrors, what_to_configure

    config = with_known_upstreams(load_config(options))
    try:
        check_advisories(config)
    except ConfigError as refused:
        complain(refused.problems, "settings", BAD_SETTINGS)
        sys.exit(BAD_SETTINGS)
    if not connect:
        click.echo(describe(config), nl=False)
    for name in unclaimed_mirrors(config):
        note(f"warning: {what_to_configure(config, name)}")
    for why in moved_upstreams(config):
        note(f"warning: {why}")
    if connect:
        _connect(config)


def _connect(config: "Config") -> None:
    """Exits with code 1 if an upstream cannot be used."""
    import asyncio

    from nugetproxy import logs
    from nugetproxy.errors import ConfigError

    if config.mirroring.mode == "offline":
        click.echo("no upstream is contacted: mirroring.mode is offline")
        return
    logs.set_up(config.logs.format, "error")  # problems are printed only once
    try:
        contacts = asyncio.run(_first_contacts(config))
    except ConfigError as refused:
        complain(refused.problems, "settings", BAD_SETTINGS)
        sys.exit(BAD_SETTINGS)
    for contact in contacts:
        click.echo(line_of(contact))
    if any(contact.why for contact in contacts):
        sys.exit(REFUSED)


async def _first_contacts(config: "Config") -> "list[FirstContact]":
    import asyncio

    from nugetproxy.mirroring.upstream.first_contact import first_contact
    from nugetproxy.runtime.assembly import USER_AGENT

    asked = (first_contact(each, user_agent=USER_AGENT, environ=os.environ) for each in config.mirroring.upstream)
    return await asyncio.gather(*asked)


def line_of(contact: "FirstContact") -> str:
    """The result of a first contact, for people."""
    through = f" through {contact.through}" if contact.through and contact.through not in contact.why else ""
    told = f"{contact.upstream}: {'failed' if contact.why else 'ok'} after {contact.seconds:.2f} s: "
    if not contact.why:
        return f"{told}{contact.service_index} is a V3 feed{through}"
    remedy = f" ({contact.remedy})" if contact.remedy else ""
    return f"{told}{contact.service_index}{through}: {contact.why}{remedy}"
