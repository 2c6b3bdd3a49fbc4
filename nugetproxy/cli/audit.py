"""nugetproxy audit: who did what, when, from where, and how it ended."""

import contextlib
import time
from datetime import UTC, datetime
from typing import Final

import click
import orjson

from nugetproxy.accounts.audit import AuditEntry
from nugetproxy.accounts.model import SECOND, now_us
from nugetproxy.cli.managing import iso, managing_options, opened, refuse
from nugetproxy.cli.options import load_config
from nugetproxy.config.models import parse_duration
from nugetproxy.errors import NugetproxyError

_LOOK_EVERY: Final = 0.3
_AT_ONCE: Final = 1000
_SHOWN: Final = 100


def _since(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int:
    """ "24h" ago, or a date or time (UTC unless it says otherwise), in unix microseconds."""
    if text is None:
        return 0
    with contextlib.suppress(ValueError):
        if not text.strip().isdecimal():  # 20260131 is a date, and whoever types 90 may mean days
            return now_us() - round(parse_duration(text) * SECOND)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter('expected how long ago, such as "24h", or a time, such as "2026-01-31"') from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * SECOND)


@click.command()
@click.option("--follow", is_flag=True, help="Go on as lines are written, until Ctrl-C.")
@click.option("--since", callback=_since, metavar="WHEN", help='How long ago ("24h"), or a time ("2026-01-31T08:00Z").')
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help="The last N lines.  [default: 100; with --since all]"
)
@managing_options
def audit(follow: bool, since: int, limit: int | None, as_json: bool, **options: object) -> None:
    """Print the audit log. Oldest line first; with --json one JSON object a line."""
    many = limit if limit is not None else -1 if since else _SHOWN
    try:
        with opened(load_config(options)) as managed:
            last = 0
            for entry in managed.audit.latest(many, since=since):
                _print(entry, as_json)
                last = entry.number
            if follow and not last:
                last = max((entry.number for entry in managed.audit.latest(1)), default=0)
            while follow:
                for entry in managed.audit.entries(last, _AT_ONCE):
                    _print(entry, as_json)
                    last = entry.number
                time.sleep(_LOOK_EVERY)
    except KeyboardInterrupt:
        pass
    except NugetproxyError as error:
        refuse(error)


def _print(entry: AuditEntry, as_json: bool) -> None:
    if as_json:
        line = orjson.dumps({**entry.as_dict(), "at": iso(entry.at)}).decode()
    else:
        parts = (iso(entry.at), entry.actor, entry.action, entry.subject, entry.result, entry.address, entry.detail)
        line = "  ".join(part or "-" for part in parts)
    click.echo(line)  # click flushes: whoever follows sees each line at once
