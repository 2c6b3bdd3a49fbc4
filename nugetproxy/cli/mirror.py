"""nugetproxy mirror: the packages kept from upstreams, what keeps them, and their care."""

import time
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli import mirror_reports as reports
from nugetproxy.cli.managing import managing_options
from nugetproxy.cli.mirror_care import evict, verify
from nugetproxy.cli.output import REFUSED, complain, print_fields, print_json, print_table, report
from nugetproxy.errors import InvalidRequest

if TYPE_CHECKING:
    from nugetproxy.cli.opened_mirror import OpenedMirror

_STATES = ("kept", "gone", "pinned", "quarantined")


@click.group()
def mirror() -> None:
    """Mirrored packages: list, pin, evict, verify. Works beside a running server, and without one."""


mirror.add_command(evict)
mirror.add_command(verify)


@mirror.command("list")
@click.argument("package_id", required=False)
@click.option("--state", type=click.Choice(_STATES), help="Only these. `gone`: the upstream no longer has them.")
@managing_options
def list_kept(package_id: str | None, state: str | None, as_json: bool, **options: object) -> None:
    """List the kept packages, or the kept versions of one."""
    from nugetproxy.cli.opened_mirror import on_mirror

    async def work(opened: "OpenedMirror") -> list[dict[str, Any]]:
        lower = None if package_id is None else _lower(package_id)
        pins: dict[str, list[Any]] = {}
        for pin in await opened.pins.all():
            pins.setdefault(pin.lower_id, []).append(pin)
        if state == "quarantined":
            found = await opened.files.quarantined()
            return [reports.quarantined(file) for file in found if lower in (None, file.key[1])]
        rows = []
        for file in await opened.files.all(lower):
            over = [each for each in pins.get(file.lower_id, ()) if each.lower_version in ("", file.lower_version)]
            row = reports.kept(file, over)
            if state in (None, row["state"]) or (state == "pinned" and over):
                rows.append(row)
        return rows

    rows = on_mirror(options, work)
    if as_json:
        print_json(rows)
    else:
        print_table(reports.KEPT_HEADS, list(map(reports.kept_cells, rows)), "No such package is kept.")


@mirror.command("show")
@click.argument("package_id")
@click.argument("version")
@managing_options
def show(package_id: str, version: str, as_json: bool, **options: object) -> None:
    """Show the files and pins of a version."""
    from nugetproxy.cli.opened_mirror import on_mirror

    async def work(opened: "OpenedMirror") -> dict[str, Any]:
        lower_id, lower_version = _lower_identity(package_id, version)
        pins = await opened.pins.of(lower_id, lower_version)
        files = [file for file in await opened.files.all(lower_id) if file.lower_version == lower_version]
        bad = [each for each in await opened.files.quarantined() if each.key[1:] == (lower_id, lower_version)]
        return {
            "id": lower_id,
            "version": lower_version,
            "files": [reports.kept(file, pins) for file in files],
            "pins": list(map(reports.pin, pins)),
            "quarantined": list(map(reports.quarantined, bad)),
        }

    row = on_mirror(options, work)
    if not (row["files"] or row["pins"] or row["quarantined"]):
        complain([f"{package_id} {version} is not kept"], "version_not_found")
        raise SystemExit(REFUSED)
    if as_json:
        print_json(row)
        return
    for file in row["files"]:
        print_fields([(name, "-" if value is None else str(value)) for name, value in file.items()])
    for each in row["pins"]:
        click.echo(f"Pinned by {each['name']} since {each['since']}: {each['because'] or '-'}")
    for each in row["quarantined"]:
        click.echo(f"Quarantined {each['found']}: {each['why']}")


@mirror.command("pin")
@click.argument("package_id")
@click.argument("version", required=False)
@click.option("--name", default="command line", show_default=True, help="What the pin belongs to, such as a release.")
@click.option("--because", default="", metavar="TEXT", help="Why the package must stay.")
@managing_options
def pin(package_id: str, version: str | None, name: str, because: str, as_json: bool, **options: object) -> None:
    """Keep a version, or all of an id, whatever the budget.

    It need not be kept yet. Pins with different names are independent: a package stays until the last one is removed.
    """
    from nugetproxy.cli.opened_mirror import on_mirror
    from nugetproxy.mirroring.kept.pins import Pin

    lower_id, lower_version = _lower_identity(package_id, version)
    made = Pin(lower_id, lower_version, name, because, int(time.time()))

    async def work(opened: "OpenedMirror") -> None:
        await opened.pins.add(made)

    on_mirror(options, work, writing=True)
    report(as_json, reports.pin(made), f"Pinned {_spelled(package_id, version)} ({name}).")


@mirror.command("unpin")
@click.argument("package_id", required=False)
@click.argument("version", required=False)
@click.option("--name", help="Only the pin of this name; without a PACKAGE_ID, all pins of this name.")
@managing_options
def unpin(package_id: str | None, version: str | None, name: str | None, as_json: bool, **options: object) -> None:
    """Remove pins of a version, of an id, or of a name.

    Exit code 1 if there are none.
    """
    from nugetproxy.cli.opened_mirror import on_mirror
    from nugetproxy.cli.output import refuse

    if package_id is None:
        if not name:
            refuse(InvalidRequest("give a PACKAGE_ID or --name"))
        _unpin_all(name, as_json=as_json, options=options)
        return
    lower_id, lower_version = _lower_identity(package_id, version)

    async def work(opened: "OpenedMirror") -> int:
        return await opened.pins.remove(lower_id, lower_version, name)

    removed = on_mirror(options, work, writing=True)
    if not removed:
        complain([f"{_spelled(package_id, version)} is not pinned"], "pin_not_found")
        raise SystemExit(REFUSED)
    report(as_json, {"id": lower_id, "version": lower_version or None, "unpinned": removed},
           f"Unpinned {_spelled(package_id, version)}.")  # fmt: skip


def _unpin_all(name: str, *, as_json: bool, options: dict[str, object]) -> None:
    from nugetproxy.cli.opened_mirror import on_mirror

    async def work(opened: "OpenedMirror") -> int:
        return await opened.pins.remove_all(name)

    removed = on_mirror(options, work, writing=True)
    if not removed:
        complain([f"no package is pinned under the name {name}"], "pin_not_found")
        raise SystemExit(REFUSED)
    report(as_json, {"name": name, "unpinned": removed}, f"Unpinned {removed} packages ({name}).")


@mirror.command("statistics")
@managing_options
def statistics(as_json: bool, **options: object) -> None:
    """Show the size of the mirror, and when the disk is full."""
    from nugetproxy.cli.opened_mirror import on_mirror

    row = on_mirror(options, _statistics)
    if as_json:
        print_json(row)
    else:
        print_fields(reports.statistics_fields(row))


async def _statistics(opened: "OpenedMirror") -> dict[str, Any]:
    from nugetproxy.config import parse_budget
    from nugetproxy.mirroring.care.budget import days_until_full, limit_of
    from nugetproxy.mirroring.care.upkeep import disk_of
    from nugetproxy.storage.reserve import Reserve

    config = opened.settings.config
    reserve = Reserve(opened.data, None if config.storage.reserve == "auto" else config.storage.reserve)
    disk = disk_of(opened.data, reserve)
    totals, counts = opened.inventory.totals(), await opened.files.counts()
    limit = limit_of(parse_budget(config.mirroring.budget), disk)
    per_day = await opened.files.committed_since(time.time() - 7 * 86400) / 7
    return {
        "packages": totals.packages,
        "bytes": totals.bytes,
        "budget": limit,
        "upstreams": {name: {"packages": packages, "bytes": size} for name, packages, size in counts.upstreams},
        "pinned": counts.pinned,
        "gone": counts.gone,
        "quarantined": len(await opened.files.quarantined()),
        "never_verified": counts.never_verified,
        "least_recently_used": reports.moment(counts.oldest_use),
        "bytes_per_day": round(per_day),
        "disk_free": disk.free,
        "disk_reserve": disk.reserve,
        "days_until_full": reports.days(days_until_full(totals.bytes, limit, disk, per_day)),
    }


def _lower(package_id: str) -> str:
    from nugetproxy.nuget.identity import PackageId

    return PackageId.parse(package_id).lower


def _lower_identity(package_id: str, version: str | None) -> tuple[str, str]:
    """The version is empty if none is named. Exits for what is not an id or a version."""
    from nugetproxy.cli.output import refuse
    from nugetproxy.nuget.version import NuGetVersion

    try:
        return _lower(package_id), "" if version is None else NuGetVersion.parse(version).normalized.lower()
    except InvalidRequest as error:
        refuse(error)


def _spelled(package_id: str, version: str | None) -> str:
    return f"all versions of {package_id}" if version is None else f"{package_id} {version}"
