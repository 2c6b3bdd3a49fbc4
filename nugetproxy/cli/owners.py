"""nugetproxy owner, nugetproxy prefix: which ids belong to whom."""

from typing import Any

import click

from nugetproxy.accounts.model import Account
from nugetproxy.accounts.reservations import Reservation
from nugetproxy.cli.managing import Managed, manage, managing_options, print_json, print_table
from nugetproxy.nuget.identity import PackageId


@click.group()
def owner() -> None:
    """Owners of packages; all owners of an id are equal."""


@owner.command("add")
@click.argument("package_id")
@click.argument("name")
@managing_options
def add_owner(package_id: str, name: str, as_json: bool, **options: object) -> None:
    """Make an account an owner of an id. A user or an organisation; of an id that does not exist yet, too."""

    async def work(managed: Managed) -> tuple[Account, ...]:
        lower = PackageId.parse(package_id).lower
        await managed.ownership.add_owner(lower, managed.directory.account(name), by=managed.by)
        return managed.ownership.owners(lower)

    _print_owners(package_id, manage(options, work), as_json)


@owner.command("remove")
@click.argument("package_id")
@click.argument("name")
@click.option("--force", is_flag=True, help="Even the last owner; then nobody can push the id.")
@managing_options
def remove_owner(package_id: str, name: str, force: bool, as_json: bool, **options: object) -> None:
    """Take an owner away."""

    async def work(managed: Managed) -> tuple[Account, ...]:
        lower = PackageId.parse(package_id).lower
        await managed.ownership.remove_owner(lower, managed.directory.account(name), force=force, by=managed.by)
        return managed.ownership.owners(lower)

    _print_owners(package_id, manage(options, work), as_json)


@owner.command("list")
@click.argument("package_id")
@managing_options
def list_owners(package_id: str, as_json: bool, **options: object) -> None:
    """List the owners of an id."""

    async def work(managed: Managed) -> tuple[Account, ...]:
        return managed.ownership.owners(PackageId.parse(package_id).lower)

    _print_owners(package_id, manage(options, work), as_json)


@click.group()
def prefix() -> None:
    """Reserved prefixes of ids. Who may push new ids below them, and which ids no upstream is ever asked about."""


@prefix.command("reserve")
@click.argument("pattern")
@click.option("--owner", "name", required=True, metavar="NAME", help="Whose it is; one more owner when it is reserved.")
@click.option("--shared/--not-shared", default=None,
              help="Shared: everybody may push below it, and the owners alone get the check mark.  [default: as it is; "
              "a new one is not shared]")  # fmt: skip
@click.option("--wide", is_flag=True, help="Take a prefix that ends inside a word: 'Contoso*' is ContosoX as well.")
@managing_options
def reserve(pattern: str, name: str, shared: bool | None, wide: bool, as_json: bool, **options: object) -> None:
    """Reserve a prefix such as 'Contoso.*', or one id. Unless it is shared, no upstream is asked about such ids."""

    async def work(managed: Managed) -> tuple[dict[str, Any], bool]:
        account = managed.directory.account(name)
        made = await managed.ownership.reserve(pattern, account, shared, wide=wide, by=managed.by)
        return _shown(managed, made), managed.ownership.protected().covers(made.stem)

    made, is_protected = manage(options, work)
    if as_json:
        print_json({**made, "protected": is_protected})
        return
    click.echo(
        f"{made['pattern']} is reserved for {', '.join(made['owners'])}" + (", shared" if made["shared"] else "")
    )
    if not is_protected:
        click.echo(
            "A shared prefix is not protected: upstreams are asked about ids below it, and what they have there is "
            "shown. feed.protected_prefixes in the settings protects it as well.",
            err=True,
        )


@prefix.command("release")
@click.argument("pattern")
@click.option("--owner", "name", metavar="NAME", help="Take this one owner off it; the others keep it.")
@managing_options
def release(pattern: str, name: str | None, as_json: bool, **options: object) -> None:
    """End a reservation, or take an owner off it. Packages keep their owners."""

    async def work(managed: Managed) -> None:
        account = managed.directory.account(name) if name else None
        await managed.ownership.release(pattern, account, by=managed.by)

    manage(options, work)
    if as_json:
        print_json({"pattern": pattern, "released": True, "owner": name})
    else:
        click.echo(f"{pattern} is released" + (f" by {name}" if name else ""))


@prefix.command("list")
@managing_options
def list_prefixes(as_json: bool, **options: object) -> None:
    """List the prefixes. Those that the settings protect, too."""

    async def work(managed: Managed) -> list[dict[str, Any]]:
        reserved = [_shown(managed, each) for each in managed.ownership.reservations()]
        return reserved + [
            {"pattern": f"{each}*", "owners": [], "shared": False, "from": "settings"}
            for each in managed.config.feed.protected_prefixes
        ]

    rows = manage(options, work)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("PATTERN", "OWNERS", "SHARED", "FROM"),
        [(row["pattern"], " ".join(row["owners"]), "yes" if row["shared"] else "no", row["from"]) for row in rows],
    )


def _shown(managed: Managed, reservation: Reservation) -> dict[str, Any]:
    owners = sorted(managed.directory.account_numbered(number).name for number in reservation.owners)
    return {"pattern": reservation.pattern, "owners": owners, "shared": reservation.shared, "from": "reservation"}


def _print_owners(package_id: str, owners: tuple[Account, ...], as_json: bool) -> None:
    if as_json:
        print_json({"package_id": package_id, "owners": [each.name for each in owners]})
    elif owners:
        print_table(("OWNER", "KIND"), [(each.name, each.kind.value) for each in owners])
    else:
        click.echo(f"nobody owns {package_id}")
