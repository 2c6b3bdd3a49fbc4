"""nugetproxy audit: who did what, when, from where, and with what result."""

import contextlib
from typing import TYPE_CHECKING, Final

import click

from nugetproxy.cli.managing import age_or_time, manage, managing_options
from nugetproxy.cli.output import iso

if TYPE_CHECKING:
    from nugetproxy.accounts.audit import AuditEntry
    from nugetproxy.cli.managed import Managed

_LOOK_EVERY: Final = 0.3
_PER_LOOK: Final = 1000
_SHOWN: Final = 100


@click.command()
@click.option("--follow", is_flag=True, help="Keep printing new lines until Ctrl-C.")
@click.option("--since", callback=age_or_time, metavar="WHEN", help='An age ("24h") or a time ("2026-01-31T08:00Z").')
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.  [default: 100; with --since, all]"
)
@managing_options
def audit(follow: bool, since: int, limit: int | None, as_json: bool, **options: object) -> None:
    """Print the audit log, oldest line first. With --json, one JSON object per line."""
    many = limit if limit is not None or since else _SHOWN

    async def work(managed: "Managed") -> None:
        import asyncio

        last = 0
        for entry in await managed.audit.latest(many, since=since):
            _print(entry, as_json)
            last = entry.number
        if follow and not last:
            last = max((entry.number for entry in await managed.audit.latest(1)), default=0)
        while follow:
            for entry in await managed.audit.entries(last, _PER_LOOK):
                _print(entry, as_json)
                last = entry.number
            await asyncio.sleep(_LOOK_EVERY)

    with contextlib.suppress(KeyboardInterrupt):
        manage(options, work, reading=True)


def _print(entry: "AuditEntry", as_json: bool) -> None:
    if as_json:
        import orjson

        line = orjson.dumps({**entry.as_dict(), "at": iso(entry.at)}).decode()
    else:
        parts = (iso(entry.at), entry.actor, entry.action, entry.subject, entry.result, entry.address, entry.detail)
        line = "  ".join(part or "-" for part in parts)
    click.echo(line)  # click flushes, so that --follow shows each line as it is written
