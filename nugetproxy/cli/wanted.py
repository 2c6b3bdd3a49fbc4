"""nugetproxy wanted: what clients requested and did not get, as a list for `prewarm` across an air gap."""

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.managing import age_or_time, managing_options
from nugetproxy.cli.mirror_reports import moment
from nugetproxy.cli.output import note, print_json

if TYPE_CHECKING:
    from nugetproxy.cli.opened_mirror import OpenedMirror
    from nugetproxy.mirroring.kept.unmet import UnmetRequest

_SECOND = 1_000_000


@click.command()
@click.option("--since", callback=age_or_time, metavar="WHEN",
              help='Only what was requested since: an age ("7d") or a time ("2026-01-31").')  # fmt: skip
@click.option("--include-protected", is_flag=True,
              help="Also ids that are protected or hosted here: they may be private.")  # fmt: skip
@click.option("--clear", is_flag=True, help="Forget all requests once they are printed.")
@managing_options
def wanted(since: int, include_protected: bool, clear: bool, as_json: bool, **options: object) -> None:
    """Print what clients requested and did not get.

    These packages are not kept and could not be fetched, because the server is offline or the upstream is down.
    The output is a list for `nugetproxy prewarm` on a machine with internet access: "Id Version", or "Id" if only the
    list of versions was requested; most frequent first. A package that was fetched or imported since is left out.

    A client that finds an id but not the version that it needs does not request that version: use `nugetproxy prove`
    for what a given project lacks.
    """
    from nugetproxy.cli.opened_mirror import on_mirror

    async def work(opened: "OpenedMirror") -> list[tuple["UnmetRequest", bool]]:
        began = int(time.time())
        stored = opened.unmet.stored(since // _SECOND)
        ours = await _ours_among(options, {each.key[0] for each in stored})
        found = [(each, each.key[0] in ours) for each in stored]
        if clear:
            await opened.unmet.clear(began)
        return found

    found = on_mirror(options, work, writing=clear)
    shown = [(each, ours) for each, ours in found if include_protected or not ours]
    if as_json:
        print_json([_row(each, ours) for each, ours in shown])
    else:
        for each, ours in shown:
            name = f"{each.package_id} {each.version}".strip()
            times = "once" if each.times == 1 else f"{each.times} times"
            click.echo(f"{name}  # {times}, last {moment(each.last)}{', protected' if ours else ''}")
        if not shown:
            note("there are no unmet requests")
    if len(shown) < len(found):
        note(f"left out: {len(found) - len(shown)} with ids that are protected or hosted here; see --include-protected")


def _row(each: "UnmetRequest", ours: bool) -> dict[str, Any]:
    return {
        "id": each.package_id,
        "version": each.version or None,
        "times": each.times,
        "first": moment(each.first),
        "last": moment(each.last),
        "protected": ours,
    }


async def _ours_among(options: Mapping[str, Any], lower_ids: Collection[str]) -> frozenset[str]:
    """Those that are protected or hosted. Protected ids were never noted, but prefixes may be newer."""
    from nugetproxy.cli.managed import opened
    from nugetproxy.cli.options import Settings
    from nugetproxy.hosting.packages import HostedPackages

    with opened(Settings(options), reading=True) as managed:
        protected = await managed.ownership.protected()
        hosted = await HostedPackages(managed.database).known_among(lower_ids)
        return hosted | set(filter(protected.resembles, lower_ids))
