"""nugetproxy repair: find files of pushes whose rows were lost, and publish them again."""

import sys
from typing import TYPE_CHECKING

import click

from nugetproxy.cli.importing import print_import, pushing_actors, shown_progress
from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.output import REFUSED, iso, note, print_json, print_table, refuse
from nugetproxy.errors import InvalidRequest

if TYPE_CHECKING:
    from nugetproxy.cli.managed import Managed
    from nugetproxy.feeds.offers import Offer
    from nugetproxy.hosting.moving_in.report import Report
    from nugetproxy.hosting.moving_in.unclaimed import UnclaimedFiles


@click.command()
@click.option("--owner", default="", metavar="NAME", help="Publish the files again, as pushes of this account.")
@click.option("--include", multiple=True, metavar="GLOB", help="Only these ids. Repeatable.  [default: all]")
@click.option("--dry-run", is_flag=True, help="With --owner: only report what would be published, and what refused.")
@managing_options
def repair(owner: str, include: tuple[str, ...], dry_run: bool, as_json: bool, **options: object) -> None:
    """List, or publish again, files that lost their rows.

    These are packages and symbols whose files are here but whose rows in the database are not.

    Rows are lost when a database loses its last commits: in a failover to a replica that was behind, or with an older
    backup. Files that no row needs are kept for a week. Most of them are of pushes that failed, so look at the list
    first.

    With --owner each is pushed again, with the time at which it was stored: all rules for pushes apply, and a version
    that was deleted is refused. Without it, nothing is changed.

    Exit code: 1 if a file was refused, with the reason.
    """
    from nugetproxy.hosting.moving_in.selection import OwnerNames, selection_of

    try:
        if dry_run and not owner:
            raise InvalidRequest("--dry-run needs --owner; without it nothing is changed")
        selection = selection_of(include, (), None)
    except InvalidRequest as error:
        refuse(error)

    async def look(managed: "Managed") -> "list[Offer]":
        from nugetproxy.feeds.offers import Offer

        found = [each async for each in _files(managed).offers() if isinstance(each, Offer)]
        return [each for each in found if each.identity is not None and selection.covers(each.identity.lower_id)]

    async def publish(managed: "Managed") -> "Report":
        from nugetproxy import logs
        from nugetproxy.hosting.moving_in.run import MovingIn
        from nugetproxy.runtime.moving_in_parts import receiver

        logs.set_up("plain", "error")  # the report says everything
        actor_for = await pushing_actors(managed, OwnerNames({}, owner))
        parts = receiver(managed.config, managed.path, managed.stores, managed.ownership, managed.audit, parallel=4)
        async with parts as to:
            with shown_progress() as (planned, advanced):
                run = MovingIn(
                    _files(managed), to, actor_for, selection=selection, dry_run=dry_run, planned=planned,
                    advanced=advanced,
                )  # fmt: skip
                return await run.run()

    if owner:
        report = manage(options, publish)
        print_import(report, as_json)
        sys.exit(REFUSED if report.refused else 0)
    _print(manage(options, look, reading=True), as_json)


def _files(managed: "Managed") -> "UnclaimedFiles":
    from nugetproxy.hosting.moving_in.unclaimed import UnclaimedFiles

    return UnclaimedFiles(managed.database, managed.stores.hosted)


def _print(offers: "list[Offer]", as_json: bool) -> None:
    found = [
        {
            "id": offer.identity.lower_id,
            "version": offer.identity.lower_version,
            "file": offer.kind.value,
            "bytes": offer.size,
            "stored": iso(offer.history.published),
            "place": offer.place,
        }
        for offer in sorted(offers, key=lambda offer: offer.place)
        if offer.identity is not None
    ]
    if as_json:
        print_json(found)
        return
    columns = ("id", "version", "file", "bytes", "stored")
    rows = [[str(each[column]) for column in columns] for each in found]
    print_table([column.upper() for column in columns], rows, "No files are without rows.")
    if found:
        note("to publish them again: nugetproxy repair --owner NAME")
