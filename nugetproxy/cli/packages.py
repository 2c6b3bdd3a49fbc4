"""nugetproxy package: what is hosted, and the acts on it.

The acts and their rules are those of `hosting.publish`, as over HTTP; the command line may do what administrators may.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.options import Command
from nugetproxy.cli.output import iso, print_json, print_table, report

if TYPE_CHECKING:
    from nugetproxy.cli.managed import Managed
    from nugetproxy.hosting.packages import HostedPackage
    from nugetproxy.hosting.publish import Publish
    from nugetproxy.nuget.identity import PackageIdentity

# In the audit log an act by a command has no address, like those on accounts.
_HERE: Final = ""


@click.group()
def package() -> None:
    """Hosted packages: list, unlist, relist, delete. Changes apply to a running server immediately."""


@package.command("list")
@click.argument("package_id")
@managing_options
def list_versions(package_id: str, as_json: bool, **options: object) -> None:
    """List the versions of a package. Includes unlisted ones, and deleted ones that cannot be pushed again."""

    async def work(managed: "Managed") -> list[dict[str, Any]]:
        from nugetproxy.errors import PackageNotFound
        from nugetproxy.hosting.packages import HostedPackages
        from nugetproxy.nuget.identity import PackageId, PackageIdentity

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
        f"{package_id} has no versions.",
    )


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
    report(as_json, {**_named(done), "listed": listed}, f"{'Listed' if listed else 'Unlisted'} {done}.")


@package.command("delete")
@_one_version
@click.option("--allow-reuse", is_flag=True,
              help="Allow other content to be pushed as this version. Works for a deleted one too.")  # fmt: skip
def delete(package_id: str, version: str, allow_reuse: bool, as_json: bool, **options: object) -> None:
    """Delete a version permanently. Builds that name it break: in most cases `unlist` is the better choice.

    The version cannot be pushed again, so that nobody who has it gets other content by surprise.
    """

    async def work(managed: "Managed") -> "PackageIdentity":
        wanted = _identity(package_id, version)
        async with _publishing(managed) as publish:
            await publish.delete(managed.by, wanted, address=_HERE, allow_reuse=allow_reuse)
        return wanted

    done = manage(options, work)
    again = "may be pushed again" if allow_reuse else "cannot be pushed again"
    report(
        as_json, {**_named(done), "deleted": True, "reusable": allow_reuse}, f"Deleted {done}. This version {again}."
    )


@asynccontextmanager
async def _publishing(managed: "Managed") -> "AsyncIterator[Publish]":
    from nugetproxy.hosting.contents import HostedContents
    from nugetproxy.hosting.publish import Publish
    from nugetproxy.hosting.search import HostedSearch
    from nugetproxy.storage.blobs.opening import open_hosted_blobs

    publish = Publish(
        managed.database,
        HostedContents(open_hosted_blobs(managed.path)),
        managed.ownership,
        managed.audit,
        managed.revisions,
        index=HostedSearch(managed.database),
    )
    try:
        yield publish
    finally:
        await publish.close()


def _identity(package_id: str, version: str) -> "PackageIdentity":
    from nugetproxy.nuget.identity import PackageIdentity

    return PackageIdentity.parse(package_id, version)


def _named(package: "PackageIdentity") -> dict[str, Any]:
    return {"id": package.id.text, "version": package.version.normalized}


def _shown(package: "HostedPackage") -> dict[str, Any]:
    return {
        **_named(package.identity),
        "state": "listed" if package.listed else "unlisted",
        "deprecated": package.deprecation is not None,
        "published": iso(package.published),
        "deleted": None,
        "bytes": package.size,
    }


def _burnt(package: "PackageIdentity", moment: int) -> dict[str, Any]:
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
