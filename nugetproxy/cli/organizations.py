"""nugetproxy org: organisations and their members."""

from typing import TYPE_CHECKING, Any

import click

from nugetproxy.accounts.model import Account, AccountKind, Role
from nugetproxy.cli.account_rows import shown, state
from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.output import iso, print_json, print_table, report

if TYPE_CHECKING:
    from nugetproxy.cli.managed import Managed


@click.group()
def org() -> None:
    """Organisations and their members. An organisation owns packages, and its members act for it."""


@org.command("add")
@click.argument("name")
@click.option("--admin", required=True, metavar="USER", help="Its first administrator.")
@managing_options
def add_org(name: str, admin: str, as_json: bool, **options: object) -> None:
    """Create an organisation."""

    async def work(managed: "Managed") -> tuple[Account, Account]:
        first = await managed.directory.account(admin, AccountKind.USER)
        return await managed.directory.add_organization(name, first, by=managed.by), first

    made, first = manage(options, work)
    report(as_json, shown(made), f"Created organisation {made.name} (administrator: {first.name}).")


@org.command("list")
@managing_options
def list_orgs(as_json: bool, **options: object) -> None:
    """List all organisations."""

    async def work(managed: "Managed") -> tuple[tuple[Account, int], ...]:
        return await managed.directory.organizations()

    organizations = manage(options, work, reading=True)
    if as_json:
        print_json([{**shown(each), "members": members} for each, members in organizations])
        return
    rows = [(each.name, str(members), state(each), iso(each.created) or "-") for each, members in organizations]
    print_table(("NAME", "MEMBERS", "STATE", "CREATED"), rows, "There are no organisations.")


@org.group("member")
def member() -> None:
    """Members of an organisation. All of them act for it; administrators may also revoke each other's keys."""


@member.command("add")
@click.argument("organization", metavar="ORG")
@click.argument("name", metavar="USER")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.COLLABORATOR.value,
              show_default=True)  # fmt: skip
@managing_options
def add_member(organization: str, name: str, role: str, as_json: bool, **options: object) -> None:
    """Add a user to an organisation, or change a member's role."""

    async def work(managed: "Managed") -> tuple[Account, Account]:
        whole, one = await _both(managed, organization, name)
        await managed.directory.set_member(whole, one, Role(role), by=managed.by)
        return whole, one

    whole, one = manage(options, work)
    report(as_json, _shown_member(whole, one, Role(role)), f"{one.name} is now {_A[role]} of {whole.name}.")


@member.command("remove")
@click.argument("organization", metavar="ORG")
@click.argument("name", metavar="USER")
@managing_options
def remove_member(organization: str, name: str, as_json: bool, **options: object) -> None:
    """Remove a member. The member's keys for the organisation (`key add --by`) are revoked."""

    async def work(managed: "Managed") -> tuple[Account, Account]:
        whole, one = await _both(managed, organization, name)
        await managed.directory.remove_member(whole, one, by=managed.by)
        return whole, one

    whole, one = manage(options, work)
    report(as_json, _shown_member(whole, one, None), f"Removed {one.name} from {whole.name}.")


@member.command("list")
@click.argument("organization", metavar="ORG")
@managing_options
def list_members(organization: str, as_json: bool, **options: object) -> None:
    """List the members of an organisation."""

    async def work(managed: "Managed") -> tuple[Account, tuple[tuple[Account, Role], ...]]:
        whole = await managed.directory.account(organization, AccountKind.ORGANIZATION)
        return whole, await managed.directory.members(whole)

    whole, members = manage(options, work, reading=True)
    if as_json:
        print_json([_shown_member(whole, one, role) for one, role in members])
        return
    rows = [(one.name, role.value, state(one)) for one, role in members]
    print_table(("NAME", "ROLE", "STATE"), rows, f"{whole.name} has no members.")


_A = {Role.ADMINISTRATOR.value: "an administrator", Role.COLLABORATOR.value: "a collaborator"}


async def _both(managed: "Managed", organization: str, name: str) -> tuple[Account, Account]:
    return (
        await managed.directory.account(organization, AccountKind.ORGANIZATION),
        await managed.directory.account(name, AccountKind.USER),
    )


def _shown_member(organization: Account, user: Account, role: Role | None) -> dict[str, Any]:
    return {"organization": organization.name, "user": user.name, "role": role.value if role else None}
