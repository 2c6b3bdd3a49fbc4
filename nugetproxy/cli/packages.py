"""nugetproxy package: the versions of hosted packages, and taking them back.

The acts and their rules are `hosting.publish`'s, as over HTTP; whoever runs a command may do what administrators may.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import click

from nugetproxy.cli.managing import Managed, iso, manage, managing_options, print_json, print_table
from nugetproxy.cli.options import Command
from nugetproxy.errors import PackageNotFound
from nugetproxy.hosting.contents import HostedContents
from nugetproxy.hosting.packages import HostedPackage, HostedPackages
from nugetproxy.hosting.publish import Publish
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.storage.blobs.opening import open_hosted_blobs

# In the audit log an act by a command has no address, as those on accounts.
_HERE: Final = ""


@click.group()
def package() -> None:
    """Hosted packages: list, unlist, relist, delete. What is done is seen at once by a running server."""


@package.command("list")
@click.argument("package_id")
@managing_options
def list_versions(package_id: str, as_json: bool, **options: object) -> None:
    """List the versions of a package. Listed, unlisted, and deleted ones whose names are not free."""

    async def work(managed: Managed) -> list[dict[str, Any]]:
        wanted = PackageId.parse(package_id)
        packages = HostedPackages(managed.database)
        if not packages.knows(wanted.lower):
            raise PackageNotFound(wanted.text)
        rows = [(each.identity.version, _shown(each)) for each in packages.of(wanted.lower)]
        rows += [
            (version, _burnt(PackageIdentity(wanted, version), moment))
            for version, moment in packages.burnt(wanted.lower)
        ]
        return [row for _, row in sorted(rows, key=lambda each: each[0])]

    rows = manage(options, work)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("VERSION", "STATE", "PUBLISHED", "BYTES"),
        [(row["version"], _state(row), row["published"] or "-", str(row["bytes"] or "-")) for row in rows],
    )


def _one_version(command: Command) -> Command:
    """PACKAGE_ID VERSION, and what all of them take."""
    return click.argument("package_id")(click.argument("version")(managing_options(command)))


@package.command("unlist")
@_one_version
def unlist(package_id: str, version: str, as_json: bool, **options: object) -> None:
    """Hide a version from searches; who names it still gets it."""
    _list(package_id, version, as_json, options, listed=False)


@package.command("relist")
@_one_version
def relist(package_id: str, version: str, as_json: bool, **options: object) -> None:
    """Show a version again, with the date it was first published."""
    _list(package_id, version, as_json, options, listed=True)


def _list(package_id: str, version: str, as_json: bool, options: dict[str, object], *, listed: bool) -> None:
    async def work(managed: Managed) -> PackageIdentity:
        wanted = PackageIdentity.parse(package_id, version)
        async with _publishing(managed) as publish:
            act = publish.relist if listed else publish.unlist
            await act(managed.by, wanted, address=_HERE)
        return wanted

    done = manage(options, work)
    if as_json:
        print_json({**_named(done), "listed": listed})
    else:
        click.echo(f"{done} is {'listed' if listed else 'unlisted'}")


@package.command("delete")
@_one_version
@click.option("--allow-reuse", is_flag=True,
              help="Let other bytes be pushed under its name; of one that was deleted before, too.")  # fmt: skip
def delete(package_id: str, version: str, allow_reuse: bool, as_json: bool, **options: object) -> None:
    """Take a version away for good. Its bytes go, too: builds that name it break. Mostly `unlist` is meant.

    Its name stays taken, so that nobody who had it gets other bytes unawares.
    """

    async def work(managed: Managed) -> PackageIdentity:
        wanted = PackageIdentity.parse(package_id, version)
        async with _publishing(managed) as publish:
            await publish.delete(managed.by, wanted, address=_HERE, allow_reuse=allow_reuse)
        return wanted

    done = manage(options, work)
    if as_json:
        print_json({**_named(done), "deleted": True, "reusable": allow_reuse})
    else:
        click.echo(f"{done} is deleted; its name {'is free for other bytes' if allow_reuse else 'stays taken'}")


@asynccontextmanager
async def _publishing(managed: Managed) -> AsyncIterator[Publish]:
    publish = Publish(
        managed.database,
        HostedContents(open_hosted_blobs(Path(managed.config.storage.path))),
        managed.ownership,
        managed.audit,
        managed.revisions,
        index=HostedSearch(managed.database),
    )
    try:
        yield publish
    finally:
        await publish.close()


def _named(package: PackageIdentity) -> dict[str, Any]:
    return {"id": package.id.text, "version": package.version.normalized}


def _shown(package: HostedPackage) -> dict[str, Any]:
    return {
        **_named(package.identity),
        "state": "listed" if package.listed else "unlisted",
        "deprecated": package.deprecation is not None,
        "published": iso(package.published),
        "deleted": None,
        "bytes": package.size,
    }


def _burnt(package: PackageIdentity, moment: int) -> dict[str, Any]:
    return {
        **_named(package),
        "state": "deleted",
        "deprecated": False,
        "published": None,
        "deleted": iso(moment),
        "bytes": None,
    }


def _state(row: dict[str, Any]) -> str:
    if row["state"] == "deleted":
        return f"deleted {row['deleted']}"
    return f"{row['state']}, deprecated" if row["deprecated"] else str(row["state"])
