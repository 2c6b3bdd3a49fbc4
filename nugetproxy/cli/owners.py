"""nugetproxy owner: who may push new versions of a package id."""

from typing import TYPE_CHECKING

import click

from nugetproxy.accounts.model import Account
from nugetproxy.cli.account_rows import state
from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.output import print_json, print_table

if TYPE_CHECKING:
    from nugetproxy.cli.managed import Managed


@click.group()
def owner() -> None:
    """Owners of package ids. All owners of an id have the same rights."""


@owner.command("add")
@click.argument("package_id")
@click.argument("name")
@managing_options
def add_owner(package_id: str, name: str, as_json: bool, **options: object) -> None:
    """Make a user or an organisation an owner of an id. The id need not exist yet."""

    async def work(managed: "Managed") -> tuple[Account, tuple[Account, ...]]:
        account, lower = await managed.directory.account(name), _lower(package_id)
        await managed.ownership.add_owner(lower, account, by=managed.by)
        return account, await managed.ownership.owners(lower)

    account, owners = manage(options, work)
    _print_change(package_id, owners, as_json, f"{account.name} is now an owner of {package_id}.")


@owner.command("remove")
@click.argument("package_id")
@click.argument("name")
@click.option("--force", is_flag=True, help="Remove even the last owner; then nobody can push the id.")
@managing_options
def remove_owner(package_id: str, name: str, force: bool, as_json: bool, **options: object) -> None:
    """Remove an owner of an id."""

    async def work(managed: "Managed") -> tuple[Account, tuple[Account, ...]]:
        account, lower = await managed.directory.account(name), _lower(package_id)
        await managed.ownership.remove_owner(lower, account, force=force, by=managed.by)
        return account, await managed.ownership.owners(lower)

    account, owners = manage(options, work)
    _print_change(package_id, owners, as_json, f"Removed {account.name} from the owners of {package_id}.")


@owner.command("list")
@click.argument("package_id")
@managing_options
def list_owners(package_id: str, as_json: bool, **options: object) -> None:
    """List the owners of an id."""

    async def work(managed: "Managed") -> tuple[Account, ...]:
        return await managed.ownership.owners(_lower(package_id))

    _print(package_id, manage(options, work, reading=True), as_json)


def _lower(package_id: str) -> str:
    from nugetproxy.nuget.identity import PackageId

    return PackageId.parse(package_id).lower


def _print_change(package_id: str, owners: tuple[Account, ...], as_json: bool, sentence: str) -> None:
    if not as_json:
        click.echo(sentence)
    _print(package_id, owners, as_json)


def _print(package_id: str, owners: tuple[Account, ...], as_json: bool) -> None:
    if as_json:
        print_json({"package_id": package_id, "owners": [each.name for each in owners]})
        return
    rows = [(each.name, each.kind.value, state(each)) for each in owners]
    print_table(("NAME", "KIND", "STATE"), rows, f"{package_id} has no owners.")
