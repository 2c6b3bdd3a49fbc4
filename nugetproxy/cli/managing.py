"""What the commands share that manage accounts and packages: opening the data directory beside a running server, and
telling how it ended. Exit codes: 0 done, 1 refused (unknown, taken, the disk failed; the sentence tells), 2 cannot be
meant so.
"""

import asyncio
import os
import pwd
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
import orjson

from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import Actor, command_line
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.cli.options import Command, complain, data_options, load_config
from nugetproxy.config import Config
from nugetproxy.config.models import parse_duration
from nugetproxy.errors import InvalidRequest, NugetproxyError, StorageUnavailable
from nugetproxy.storage.database.opening import open_main_database
from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.revisions import Revisions

T = TypeVar("T")

REFUSED: Final = 1
MEANT_OTHERWISE: Final = 2


@dataclass(frozen=True)
class Managed:
    """One data directory, for a command. `by` is who runs it, for the audit log."""

    config: Config
    database: SqliteDatabase
    revisions: Revisions
    directory: Directory
    ownership: Ownership
    audit: AuditLog
    by: Actor


def managing_options(command: Command) -> Command:
    """--config --data --json"""
    return data_options(click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command))


def manage(options: Mapping[str, Any], work: Callable[[Managed], Awaitable[T]], *, may_create: bool = False) -> T:
    """Run `work` on the data directory that the options name; ends the program when it is refused.

    `may_create`: make the directory when it is missing. For all else a missing one is a wrong `--data`.
    """
    config = load_config(options)

    async def run() -> T:
        with opened(config, may_create=may_create) as managed:
            return await work(managed)

    try:
        return asyncio.run(run())
    except NugetproxyError as error:
        refuse(error)


@contextmanager
def opened(config: Config, *, may_create: bool = False) -> Iterator[Managed]:
    """Raises StorageUnavailable."""
    path = Path(config.storage.path)
    _prepare(path, may_create)
    database = open_main_database(path)
    try:
        revisions = Revisions(path)
        try:
            directory = Directory(database, revisions)
            ownership = Ownership(
                database,
                revisions,
                protected=config.feed.protected_prefixes,
                allowed_ids=config.hosting.allowed_ids,
            )
            by = command_line(_unix_user())
            yield Managed(config, database, revisions, directory, ownership, AuditLog(database), by)
        finally:
            revisions.close()
    finally:
        database.close()


def refuse(error: NugetproxyError) -> NoReturn:
    """Say why on standard error, and end."""
    complain([str(error)])
    sys.exit(MEANT_OTHERWISE if isinstance(error, InvalidRequest) else REFUSED)


def duration(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """A click callback: "365d", "24h" in seconds. A bare number is refused: who types 90 may mean days."""
    if text is None:
        return None
    if text.strip().isdecimal() and int(text):
        raise click.BadParameter(f'say the unit of {text}: "{text}d" are days, "{text}h" hours, "{text}m" minutes')
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def print_json(value: object) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as they must be; nothing when there are no rows."""
    lines = [heads, *rows]
    if len(lines) == 1:
        return
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def iso(microseconds: int | None) -> str | None:
    """A time as scripts read it: UTC, whole seconds."""
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _prepare(path: Path, may_create: bool) -> None:
    if path.is_dir():
        return
    if not may_create:
        raise StorageUnavailable(f"there is no data directory {path}: --data or --config says where it is")
    try:
        path.mkdir(0o700, parents=True)
    except OSError as error:
        raise StorageUnavailable(f"the data directory {path} cannot be made: {error.strerror}") from error
    complain([f"made the data directory {path.absolute()}; a server uses it that has the same --data or --config"])


def _unix_user() -> str:
    # Not what the environment says: the audit log is to be believed.
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
