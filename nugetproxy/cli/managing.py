"""What all managing commands share: --json, and running one function on the data directory."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nugetproxy.cli.options import Command, Settings, data_options
from nugetproxy.cli.output import refuse
from nugetproxy.errors import NugetproxyError

if TYPE_CHECKING:
    from nugetproxy.cli.managed import Managed

T = TypeVar("T")


def managing_options(command: Command) -> Command:
    """--config --data --json"""
    return data_options(click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command))


def manage(
    options: Mapping[str, Any],
    work: "Callable[[Managed], Awaitable[T]]",
    *,
    may_create: bool = False,
    reading: bool = False,
) -> T:
    """Run `work` on the data directory that the options name. Exits with an error if it is refused.

    `may_create`: create the directory if it is missing. For all other commands, a missing one is a wrong `--data`.
    `reading`: the work changes nothing, so nothing is created either.
    """
    import asyncio

    from nugetproxy.cli.managed import opened

    async def run() -> T:
        with opened(Settings(options), may_create=may_create, reading=reading) as managed:
            return await work(managed)

    try:
        return asyncio.run(run())
    except NugetproxyError as error:
        refuse(error)


def duration(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """A click callback: "365d", "24h" in seconds. A number without a unit is refused: 90 may be meant as days."""
    if text is None:
        return None
    from nugetproxy.config import parse_duration

    if text.strip().isdecimal() and int(text):
        raise click.BadParameter(
            f'{text} has no unit: write "{text}d" for days, "{text}h" for hours, "{text}m" for minutes'
        )
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def age_or_time(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int:
    """A click callback: "24h" ago, or a date or time (UTC without an offset), in unix microseconds. 0 for None."""
    if text is None:
        return 0
    from nugetproxy.accounts.model import SECOND, now_us
    from nugetproxy.config import parse_duration

    with contextlib.suppress(ValueError):
        if not text.strip().isdecimal():  # 20260131 is a date, and 90 may be meant as days
            return now_us() - round(parse_duration(text) * SECOND)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter('expected an age such as "24h", or a time such as "2026-01-31"') from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * SECOND)
