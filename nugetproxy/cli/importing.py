"""What the commands share that push files by themselves: for whom, how far they are, and what became of each file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from nugetproxy.cli.output import complain, is_json, note, print_json, printable
from nugetproxy.errors import InvalidRequest

if TYPE_CHECKING:
    from nugetproxy.accounts.model import Actor
    from nugetproxy.cli.managed import Managed
    from nugetproxy.hosting.moving_in.report import Report, Row
    from nugetproxy.hosting.moving_in.selection import OwnerNames
    from nugetproxy.nuget.identity import PackageId

_MOST_TOLD: Final = 40


async def pushing_actors(managed: "Managed", names: "OwnerNames") -> "Callable[[PackageId], Actor | None]":
    """Who pushes an id. Raises AccountNotFound, InvalidRequest: an owner does not exist here, or is disabled."""
    from dataclasses import replace

    actors: dict[str, Actor] = {}
    for name in names.names:
        account = await managed.directory.account(name)
        if account.is_disabled:
            raise InvalidRequest(
                f"{account.name} is disabled and cannot own new packages: nugetproxy user enable {name}"
            )
        actor = await managed.directory.actor_of(account)
        actors[name] = replace(actor, name=f"{managed.by.name} for {account.name}", is_administrator=False)

    def actor_for(package_id: "PackageId") -> "Actor | None":
        name = names.find(package_id.lower)
        return None if name is None else actors[name]

    return actor_for


@contextmanager
def shown_progress() -> "Iterator[tuple[Callable[[int], None], Callable[[Row], None]]]":
    """What to call with the number of files, and after each."""
    from nugetproxy.cli.display import display_for

    with display_for(silent=is_json()) as display:
        done = total = 0

        def planned(files: int) -> None:
            nonlocal total
            total = done + files

        def advanced(_: "Row") -> None:
            nonlocal done
            done += 1
            display.show(lambda: f"Importing: {done:,} of {total:,} files" if total else "Reading", done, total)

        display.show(lambda: "Reading", 0, 0)
        yield planned, advanced


def print_import(report: "Report", as_json: bool) -> None:
    from nugetproxy.hosting.moving_in.report import Outcome

    if as_json:
        print_json(report.as_dict())
        return
    for row in report.rows:
        if row.outcome is Outcome.IMPORTED:
            for remark in row.notes:
                click.echo(printable(f"{row.package}: {remark}"))
    told = _refusals(report)
    if told:
        complain([printable(f"refused {each}") for each in told[:_MOST_TOLD]], "refused")
    if len(told) > _MOST_TOLD:
        note(f"and {len(told) - _MOST_TOLD} more reasons; --report FILE lists every file")
    counts = report.counts
    verb = "Would import" if report.dry_run else "Imported"
    click.echo(
        f"{verb} {counts[Outcome.IMPORTED]} files ({report.bytes_imported / 1e6:.1f} MB). "
        f"Here already: {counts[Outcome.KEPT]}. Left out: {counts[Outcome.LEFT_OUT]}. "
        f"Refused: {counts[Outcome.REFUSED]}."
    )


def _refusals(report: "Report") -> list[str]:
    """One line for each file, or for all files of an id that have the same reason."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in report.refused:
        alike.setdefault((row.package.lower_id if row.package else row.offer.place, row.why), []).append(row)
    told = []
    for (_, why), rows in alike.items():
        first = rows[0]
        name = f"{first.package} " if first.package else ""
        if len(rows) > 1 and first.package is not None:
            told.append(f"{first.package.id} ({len(rows)} files, the first is {first.offer.place}): {why}")
        else:
            told.append(f"{name}({first.offer.place}): {why}")
    return told
