"""nugetproxy package: the hosted packages, and the acts on them.

The acts and their rules are those of `hosting.publish`, as over HTTP; the command line has an administrator's rights.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from nugetproxy.cli import package_reports as reports
from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.options import Command
from nugetproxy.cli.output import print_fields, print_json, print_table, report
from nugetproxy.errors import InvalidRequest, PackageNotFound

if TYPE_CHECKING:
    from nugetproxy.cli.managed import Managed
    from nugetproxy.hosting.publish import Publish
    from nugetproxy.nuget.identity import PackageIdentity
    from nugetproxy.protocol.v3.deprecation import Deprecation

# In the audit log, acts by a command have no address, like those on accounts.
_HERE: Final = ""

_REASONS: Final = {"legacy": "Legacy", "critical-bugs": "CriticalBugs", "other": "Other"}


@click.group()
def package() -> None:
    """Hosted packages: list, deprecate, unlist, delete. Changes apply to a running server immediately."""


@package.command("list")
@click.argument("package_id", required=False)
@managing_options
def list_packages(package_id: str | None, as_json: bool, **options: object) -> None:
    """List all packages, or the versions of one.

    Versions include those that were deleted and cannot be pushed again.
    """

    async def all_packages(managed: "Managed") -> list[dict[str, Any]]:
        from nugetproxy.hosting.summaries import summaries

        return list(map(reports.summary, await managed.database.read(summaries)))

    async def all_versions(managed: "Managed") -> list[dict[str, Any]]:
        return await _versions(managed, package_id or "")

    rows = manage(options, all_packages if package_id is None else all_versions, reading=True)
    if as_json:
        print_json(rows)
    elif package_id is None:
        print_table(reports.SUMMARY_HEADS, list(map(reports.summary_cells, rows)), "No packages are hosted.")
    else:
        print_table(reports.VERSION_HEADS, list(map(reports.version_cells, rows)), f"{package_id} has no versions.")


@package.command("info")
@click.argument("package_id")
@click.argument("version", required=False)
@managing_options
def info(package_id: str, version: str | None, as_json: bool, **options: object) -> None:
    """Show a package, or one version of it.

    Owners and counts of a package; for a version also the contents of its nuspec, and its deprecation.
    """

    async def work(managed: "Managed") -> dict[str, Any]:
        if version is None:
            return await _package(managed, package_id)
        return await _version(managed, package_id, version)

    row = manage(options, work, reading=True)
    if as_json:
        print_json(row)
    else:
        print_fields(reports.fields(row))


def _one_version(command: Command) -> Command:
    """PACKAGE_ID VERSION, and the options of all managing commands."""
    return click.argument("package_id")(click.argument("version")(managing_options(command)))


@package.command("unlist")
@_one_version
def unlist(package_id: str, version: str, as_json: bool, **options: object) -> None:
    """Hide a version from searches. Builds that name it still get it."""
    _list(package_id, version, as_json, options, listed=False)


@package.command("relist")
@_one_version
def relist(package_id: str, version: str, as_json: bool, **options: object) -> None:
    """Show an unlisted version again. It keeps the date it was first published."""
    _list(package_id, version, as_json, options, listed=True)


def _list(package_id: str, version: str, as_json: bool, options: dict[str, object], *, listed: bool) -> None:
    async def work(managed: "Managed") -> "PackageIdentity":
        wanted = _identity(package_id, version)
        async with _publishing(managed) as publish:
            act = publish.relist if listed else publish.unlist
            await act(managed.by, wanted, address=_HERE)
        return wanted

    done = manage(options, work)
    report(as_json, {**reports.named(done), "listed": listed}, f"{'Listed' if listed else 'Unlisted'} {done}.")


@package.command("deprecate")
@click.argument("package_id")
@click.argument("versions", metavar="[VERSION]...", nargs=-1)
@click.option("--all", "all_versions", is_flag=True, help="All existing versions.")
@click.option("--reason", "reasons", multiple=True, type=click.Choice(list(_REASONS)),
              help="Why it should not be used. Repeatable.  [default: legacy]")  # fmt: skip
@click.option("--alternate", metavar="ID", help="The package to use instead.")
@click.option("--alternate-version", metavar="VERSION", help="The lowest version of it to use.  [default: any]")
@click.option("--message", default="", metavar="TEXT", help="Additional information for users.")
@click.option("--undo", is_flag=True, help="Remove the deprecation.")
@managing_options
def deprecate(
    package_id: str, versions: tuple[str, ...], all_versions: bool, reasons: tuple[str, ...], alternate: str | None,
    alternate_version: str | None, message: str, undo: bool, as_json: bool, **options: object,
) -> None:  # fmt: skip
    """Mark versions as deprecated.

    `dotnet list package --deprecated` and Visual Studio show it. Nothing is hidden: see `unlist`.
    """

    async def work(managed: "Managed") -> "tuple[PackageIdentity, ...]":
        from nugetproxy.hosting.packages import HostedPackages

        if bool(versions) == all_versions:
            raise InvalidRequest("name the versions to deprecate, or use --all")
        if undo and (reasons or alternate or alternate_version or message):
            raise InvalidRequest("--undo takes no --reason, --alternate, --alternate-version or --message")
        deprecation = None if undo else _deprecation(reasons, alternate, alternate_version, message)
        wanted = tuple(_identity(package_id, each) for each in versions)
        if all_versions:
            known = await HostedPackages(managed.database).of(await _id(managed, package_id))
            wanted = tuple(each.identity for each in known)
            if not wanted:
                raise PackageNotFound(package_id, "all its versions were deleted")
        async with _publishing(managed) as publish:
            await publish.deprecate(
                managed.by, wanted[0].id, [each.version for each in wanted], deprecation, address=_HERE
            )
        return wanted

    done = manage(options, work)
    names = ", ".join(each.version.normalized for each in done)
    told = f"{done[0].id} {names} {'is' if len(done) == 1 else 'are'} {'no longer' if undo else 'now'} deprecated."
    report(as_json, {"id": done[0].id.text, "versions": [each.version.normalized for each in done],
                     "deprecated": not undo}, told)  # fmt: skip


@package.command("delete")
@_one_version
@click.option("--allow-reuse", is_flag=True,
              help="Allow other content to be pushed as this version. Works for a deleted one too.")  # fmt: skip
def delete(package_id: str, version: str, allow_reuse: bool, as_json: bool, **options: object) -> None:
    """Delete a version permanently. Builds that name it break: in most cases `unlist` is the better choice.

    The version cannot be pushed again, so that a client that has it never gets other content under its name.
    """

    async def work(managed: "Managed") -> "PackageIdentity":
        wanted = _identity(package_id, version)
        async with _publishing(managed) as publish:
            await publish.delete(managed.by, wanted, address=_HERE, allow_reuse=allow_reuse)
        return wanted

    done = manage(options, work)
    again = "may be pushed again" if allow_reuse else "cannot be pushed again"
    report(
        as_json,
        {**reports.named(done), "deleted": True, "reusable": allow_reuse},
        f"Deleted {done}. This version {again}.",
    )


@package.command("retain")
@click.option("--dry-run", is_flag=True, help="Only list what would be retired.")
@managing_options
def retain(dry_run: bool, as_json: bool, **options: object) -> None:
    """Retire versions as the rules of hosting.retention say.

    A server does so every day; this does it now. The rules come from the settings: name the --config of the server.
    """

    async def work(managed: "Managed") -> list[dict[str, Any]]:
        from nugetproxy.cli.output import note
        from nugetproxy.hosting.retiring import Retiring
        from nugetproxy.runtime.retention_rules import rules_at

        rules = rules_at(managed.config.hosting.retention, time.time())
        if not rules:
            note("the settings have no rules: see hosting.retention in the example of the settings")
        retiring = Retiring(managed.database, lambda: rules)
        if dry_run:
            return [reports.retired(each) async for each in retiring.due()]
        async with _publishing(managed) as publish:
            return [reports.retired(each) async for each in retiring.retire(publish, managed.by)]

    rows = manage(options, work, reading=dry_run)
    if as_json:
        print_json(rows)
        return
    print_table(reports.RETIRED_HEADS, list(map(reports.retired_cells, rows)), "Nothing is due.")
    counts = Counter(str(row["action"]) for row in rows)
    if rows and dry_run:
        click.echo(f"Would unlist {counts['unlist']} and delete {counts['delete']} versions. Nothing was changed.")
    elif rows:
        click.echo(f"Unlisted {counts['unlist']} and deleted {counts['delete']} versions.")


@asynccontextmanager
async def _publishing(managed: "Managed") -> "AsyncIterator[Publish]":
    from nugetproxy.hosting.contents import HostedContents
    from nugetproxy.hosting.publish import Publish
    from nugetproxy.hosting.search import HostedSearch

    publish = Publish(
        managed.database,
        HostedContents(managed.stores.hosted),
        managed.ownership,
        managed.audit,
        managed.revisions,
        index=HostedSearch(managed.database),
    )
    try:
        yield publish
    finally:
        await publish.close()


async def _package(managed: "Managed", package_id: str) -> dict[str, Any]:
    """The output of `info` for an id. Raises PackageNotFound."""
    from nugetproxy.hosting.summaries import summaries

    lower = await _id(managed, package_id)
    [found] = await managed.database.look(lambda fetch: summaries(fetch, lower))
    return {
        **reports.summary(found),
        "protected": (await managed.ownership.protected()).covers(lower),
        "verified": bool(await managed.ownership.verified_among([lower])),
    }


async def _version(managed: "Managed", package_id: str, version: str) -> dict[str, Any]:
    """The output of `info` for a version. Raises PackageNotFound, VersionNotFound."""
    from nugetproxy.hosting.acts import absence
    from nugetproxy.hosting.packages import HostedPackages
    from nugetproxy.hosting.statistics import Statistics

    wanted = _identity(package_id, version)
    found = await HostedPackages(managed.database).find(wanted)
    if found is None:
        raise await managed.database.look(lambda fetch: absence(fetch, wanted))
    downloads = await Statistics(managed.database).downloads_of(wanted.lower_id)
    return reports.details(found, downloads.get(wanted.lower_version, 0))


async def _versions(managed: "Managed", package_id: str) -> list[dict[str, Any]]:
    """The versions of an id, ascending. Raises PackageNotFound."""
    from nugetproxy.hosting.packages import HostedPackages
    from nugetproxy.hosting.statistics import Statistics
    from nugetproxy.nuget.identity import PackageId, PackageIdentity

    lower, spelled = await _id(managed, package_id), PackageId.parse(package_id)
    packages, downloads = HostedPackages(managed.database), await Statistics(managed.database).downloads_of(lower)
    rows = [
        (each.identity.version, reports.version(each, downloads.get(each.identity.lower_version, 0)))
        for each in await packages.of(lower)
    ]
    for version, moment in await packages.burnt(lower):
        gone = PackageIdentity(spelled, version)
        rows.append((version, reports.deleted_version(gone, moment, downloads.get(gone.lower_version, 0))))
    return [row for _, row in sorted(rows, key=lambda each: each[0])]


async def _id(managed: "Managed", package_id: str) -> str:
    """The lower id of a hosted package. Raises PackageNotFound."""
    from nugetproxy.hosting.packages import HostedPackages
    from nugetproxy.nuget.identity import PackageId

    wanted = PackageId.parse(package_id)
    if not await HostedPackages(managed.database).knows(wanted.lower):
        raise PackageNotFound(wanted.text)
    return wanted.lower


def _identity(package_id: str, version: str) -> "PackageIdentity":
    from nugetproxy.nuget.identity import PackageIdentity

    return PackageIdentity.parse(package_id, version)


def _deprecation(
    reasons: tuple[str, ...], alternate: str | None, alternate_version: str | None, message: str
) -> "Deprecation":
    from nugetproxy.nuget.identity import PackageId
    from nugetproxy.nuget.version import NuGetVersion
    from nugetproxy.protocol.v3.deprecation import ANY_VERSION, Deprecation, at_least

    if alternate_version and not alternate:
        raise InvalidRequest("--alternate-version needs --alternate ID")
    return Deprecation(
        tuple(_REASONS[each] for each in dict.fromkeys(reasons or ("legacy",))),
        message,
        PackageId.parse(alternate).text if alternate else "",
        at_least(NuGetVersion.parse(alternate_version)) if alternate_version else ANY_VERSION,
    )
