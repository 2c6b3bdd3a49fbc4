"""What all managing commands share: --json, and running one function on the data directory."""

from collections.abc import Awaitable, Callable, Mapping
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
