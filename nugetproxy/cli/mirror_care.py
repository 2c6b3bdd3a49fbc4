"""nugetproxy mirror evict, verify: what acts on kept packages through everything that a server uses."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli import mirror_reports as reports
from nugetproxy.cli.managing import duration, managing_options
from nugetproxy.cli.options import load_config
from nugetproxy.cli.output import REFUSED, complain, print_json, refuse
from nugetproxy.errors import InvalidRequest, NugetproxyError

if TYPE_CHECKING:
    from nugetproxy.cli.opened_mirror import OpenedMirror
    from nugetproxy.config import Config
    from nugetproxy.mirroring.care.eviction import Evicted
    from nugetproxy.mirroring.care.verification import Verified
    from nugetproxy.mirroring.kept.files import KeptFile, KeptFiles
    from nugetproxy.mirroring.kept.inventory import Inventory
    from nugetproxy.mirroring.kept.pins import Pins


@click.command()
@click.argument("package_id", required=False)
@click.argument("version", required=False)
@click.option("--to", "target", metavar="SIZE", help='Evict until the mirror takes this much, such as "50 GB".')
@click.option("--dry-run", is_flag=True, help="Show what would go; no upstream is asked, and nothing is changed.")
@click.option("--force", is_flag=True,
              help="Evict named packages even if the upstream no longer has them: they may be lost.")  # fmt: skip
@managing_options
def evict(
    package_id: str | None, version: str | None, target: str | None, dry_run: bool, force: bool, as_json: bool,
    **options: object,
) -> None:  # fmt: skip
    """Remove packages, or the least recently used ones.

    Without a PACKAGE_ID, packages go until the mirror is within `mirroring.budget`, or --to. Pinned packages stay, and
    so does every package that the upstream no longer has.

    Exit code: 0 if everything went that should, 1 if not.
    """
    import asyncio

    from nugetproxy.cli.opened_mirror import on_mirror

    try:
        if (target or not package_id) and force:
            raise InvalidRequest("--force needs a PACKAGE_ID")
        if target and package_id:
            raise InvalidRequest("name a package or use --to, not both")
        config = upkeep_config(options)
        if dry_run:
            evicted, enough = on_mirror(options, lambda opened: _plan(opened, config, package_id, version, target))
        else:
            evicted, enough = asyncio.run(_evict(config, package_id, version, target, force=force))
    except NugetproxyError as error:
        refuse(error)
    if as_json:
        print_json(reports.evicted(evicted, dry_run=dry_run))
    else:
        for file in evicted.files:
            click.echo(f"{file.lower_id} {file.lower_version}  {file.occupied}")
        done = "Would evict" if dry_run else "Evicted"
        click.echo(f"{done} {len(evicted.files)} packages ({evicted.bytes / 1e6:.1f} MB).")
    if not enough:
        why = f"{evicted.gone} are gone upstream, {evicted.unknown} could not be asked about, {evicted.busy} are in use"
        complain([f"not everything could go: {why}; the rest is pinned"], "not_evicted")
        raise SystemExit(REFUSED)


@click.command()
@click.option(
    "--older-than",
    metavar="AGE",
    callback=duration,
    help='Only what was not verified for this long, such as "1d": continues a run that was interrupted.',
)
@click.option("--rate", metavar="SIZE", help='Read at most this much a second, such as "50 MB".  [default: no limit]')
@click.option("--no-repair", is_flag=True, help="Do not fetch damaged packages again.")
@managing_options
def verify(older_than: float | None, rate: str | None, no_repair: bool, as_json: bool, **options: object) -> None:
    """Read every mirrored package again and compare its hashes.

    A damaged package is moved to `quarantine/`, and fetched again if its upstream has it. The server does the same once
    a month. Packages without an entry in the inventory are entered.

    Exit code: 0 if everything was right, 1 if something was not, also if it was repaired.
    """
    import asyncio

    from nugetproxy.config import parse_size

    try:
        limit = parse_size(rate) if rate else None
    except ValueError as error:
        refuse(InvalidRequest(f"--rate: {error}"))
    try:
        found = asyncio.run(_verify(upkeep_config(options), older_than or 0.0, limit, repair=not no_repair))
    except NugetproxyError as error:
        refuse(error)
    if as_json:
        print_json(reports.verified(found))
    else:
        click.echo(f"Verified {found.checked} packages ({found.bytes / 1e6:.1f} MB): {len(found.damaged)} damaged, "
                   f"{len(found.differing)} differ from their upstream.")  # fmt: skip
    if not found.is_clean:
        complain(reports.problems(found), "not_clean")
        raise SystemExit(REFUSED)


async def _verify(config: "Config", older_than: float, rate: int | None, *, repair: bool) -> "Verified":
    from nugetproxy.runtime.assembly import assemble
    from nugetproxy.storage.database.opening import can_write

    if not can_write(Path(config.storage.path)):  # nothing can be fetched or moved there
        config = config.model_copy(update={"mirroring": config.mirroring.model_copy(update={"mode": "offline"})})
    async with assemble(config, os.environ, what="mirror verify") as services:
        assert services.care is not None
        # Later than now: everything was verified before.
        before = time.time() - older_than if older_than else time.time() + 1
        return await services.care.verification.verify(before, rate=rate, repair=repair)


def upkeep_config(options: Mapping[str, Any]) -> "Config":
    """The settings, with the upstreams that filled the data directory if none are configured.

    Raises StorageUnavailable if there is no mirror. Exits if root would create files that the server could not use.
    """
    from nugetproxy import logs
    from nugetproxy.cli.opened_mirror import owner_that_root_would_shut_out, refuse_missing
    from nugetproxy.runtime.known_upstreams import with_recorded_upstreams

    config = with_recorded_upstreams(load_config(options))
    data = Path(config.storage.path)
    if owner := owner_that_root_would_shut_out(data):
        complain([f"{data} belongs to {owner}: run this as {owner}, or the server cannot use what root writes there"])
        raise SystemExit(REFUSED)
    refuse_missing(data)
    logs.set_up(config.logs.format, "warning" if config.logs.level == "info" else config.logs.level)
    return config


async def _evict(
    config: "Config", package_id: str | None, version: str | None, target: str | None, *, force: bool
) -> "tuple[Evicted, bool]":
    """What was evicted, and whether that is all that should go."""
    from nugetproxy.mirroring.care.eviction import Evicted
    from nugetproxy.runtime.assembly import assemble

    async with assemble(config, os.environ, what="mirror evict") as services:
        care = services.care
        assert care is not None
        async with care.eviction.alone():
            if package_id is not None:
                wanted = await _named(care.files, care.pins, package_id, version)
                evicted = await care.eviction.evict(wanted, ask=not force)
                return evicted, len(evicted.files) == len(wanted)
            needed = _needed(config, care.inventory, target)
            evicted = await care.eviction.free(needed) if needed > 0 else Evicted()
            return evicted, evicted.bytes >= needed


async def _plan(
    opened: "OpenedMirror", config: "Config", package_id: str | None, version: str | None, target: str | None
) -> "tuple[Evicted, bool]":
    """As `_evict`, for --dry-run."""
    from nugetproxy.mirroring.care.eviction import Evicted, plan

    if package_id is not None:
        wanted = await _named(opened.files, opened.pins, package_id, version)
        return Evicted(list(wanted), len(wanted), sum(file.occupied for file in wanted)), True
    needed = _needed(config, opened.inventory, target)
    planned = await plan(opened.files, needed, time.time(), opened.pins) if needed > 0 else Evicted()
    return planned, planned.bytes >= needed


def _needed(config: "Config", inventory: "Inventory", target: str | None) -> int:
    """Bytes to evict. Raises InvalidRequest if there is neither a target nor a budget."""
    from nugetproxy.config import parse_budget, parse_size
    from nugetproxy.mirroring.care.budget import limit_of, to_free
    from nugetproxy.mirroring.care.upkeep import disk_of
    from nugetproxy.storage.reserve import Reserve

    kept = inventory.totals().bytes
    if target is not None:
        try:
            return kept - parse_size(target)
        except ValueError as error:
            raise InvalidRequest(f"--to: {error}") from None
    data = Path(config.storage.path)
    disk = disk_of(data, Reserve(data, None if config.storage.reserve == "auto" else config.storage.reserve))
    limit = limit_of(parse_budget(config.mirroring.budget), disk)
    if limit is None:
        raise InvalidRequest("there is no mirroring.budget: give a --config that has one, --to SIZE, or a PACKAGE_ID")
    return to_free(kept, limit, disk)


async def _named(files: "KeptFiles", pins: "Pins", package_id: str, version: str | None) -> "list[KeptFile]":
    """The kept versions that are named. Raises InvalidRequest for a pinned one, VersionNotFound if there is none."""
    from nugetproxy.errors import VersionNotFound
    from nugetproxy.nuget.identity import PackageId
    from nugetproxy.nuget.version import NuGetVersion

    lower = PackageId.parse(package_id).lower
    lower_version = None if version is None else NuGetVersion.parse(version).normalized.lower()
    found = [file for file in await files.all(lower) if lower_version in (None, file.lower_version)]
    if not found:
        raise VersionNotFound(package_id, version or "*")
    if kept := [file.lower_version for file in found if await pins.of(lower, file.lower_version)]:
        raise InvalidRequest(f"{package_id} {', '.join(kept)} is pinned: see `nugetproxy mirror unpin`")
    return found
