"""nugetproxy user, nugetproxy org: who there is."""

import sys
from typing import Any, BinaryIO

import click

from nugetproxy.accounts.credentials import checked_password
from nugetproxy.accounts.model import Account, AccountKind, Role, checked_account_name
from nugetproxy.cli.managing import Managed, iso, manage, managing_options, print_json, print_table, refuse
from nugetproxy.cli.program import program
from nugetproxy.errors import InvalidRequest

_PASSWORD_FILE = click.option(
    "--password-file",
    type=click.File("rb"),
    metavar="FILE",
    help="Read the password from a file of one line (UTF-8), - is standard input; else it is asked for on a terminal.",
)


@click.group()
def user() -> None:
    """Users: add, list, set passwords, disable, promote. They may be managed while the server runs."""


@user.command("add")
@click.argument("name")
@click.option("--admin", is_flag=True, help="May manage this server and delete packages for good.")
@_PASSWORD_FILE
@managing_options
def add_user(name: str, admin: bool, password_file: BinaryIO | None, as_json: bool, **options: object) -> None:
    """Make a user. Without a password (no terminal and no --password-file) a user can use API keys only."""
    try:
        # Before a data directory is made for it: one that was mistyped should not be found there later.
        checked_account_name(name)
        password = _password(password_file)
        if password is not None:
            checked_password(password)
    except InvalidRequest as error:
        refuse(error)
    made = manage(
        options,
        lambda managed: managed.directory.add_user(name, password=password, administrator=admin, by=managed.by),
        may_create=True,
    )
    if as_json:
        print_json({**_shown(made), "password": password is not None})
        return
    click.echo(f"user {made.name} is made" + (", an administrator" if admin else ""))
    if password is None:
        click.echo(f"It has no password: `{program()} user passwd {made.name}` sets one; API keys work without.")


@user.command("list")
@managing_options
def list_users(as_json: bool, **options: object) -> None:
    """List all users."""
    _print_accounts(_accounts(options, AccountKind.USER), as_json)


@user.command("passwd")
@click.argument("name")
@_PASSWORD_FILE
@managing_options
def passwd(name: str, password_file: BinaryIO | None, as_json: bool, **options: object) -> None:
    """Set a user's password. The old one ends at once, in every process of a running server."""

    async def work(managed: Managed) -> Account:
        found = managed.directory.account(name, AccountKind.USER)
        password = _password(password_file)
        if password is None:
            raise InvalidRequest("there is no terminal to ask for a password: give --password-file FILE (- is stdin)")
        await managed.directory.set_password(name, password, by=managed.by)
        return found

    changed = manage(options, work)
    _say(as_json, _shown(changed), f"the password of {changed.name} is set")


@user.command("disable")
@click.argument("name")
@managing_options
def disable(name: str, as_json: bool, **options: object) -> None:
    """End the password and keys of a user at once. Takes organisations, too; what one owns stays its own."""
    changed = manage(options, lambda managed: managed.directory.disable(name, by=managed.by))
    _say(as_json, _shown(changed), f"{changed.name} is disabled")


@user.command("enable")
@click.argument("name")
@managing_options
def enable(name: str, as_json: bool, **options: object) -> None:
    """Let a disabled user or organisation work again. Password and keys are the same."""
    changed = manage(options, lambda managed: managed.directory.enable(name, by=managed.by))
    _say(as_json, _shown(changed), f"{changed.name} is enabled")


@user.command("promote")
@click.argument("name")
@managing_options
def promote(name: str, as_json: bool, **options: object) -> None:
    """Make a user an administrator. Administrators may unlist and delete any package."""
    _set_administrator(options, name, as_json, is_administrator=True)


@user.command("demote")
@click.argument("name")
@managing_options
def demote(name: str, as_json: bool, **options: object) -> None:
    """Make an administrator an ordinary user. The last one stays."""
    _set_administrator(options, name, as_json, is_administrator=False)


def _set_administrator(options: dict[str, object], name: str, as_json: bool, *, is_administrator: bool) -> None:
    changed = manage(
        options, lambda managed: managed.directory.set_administrator(name, is_administrator, by=managed.by)
    )
    _say(as_json, _shown(changed), f"{changed.name} is {'an' if is_administrator else 'no'} administrator")


@click.group()
def org() -> None:
    """Organisations and their members. They own packages, and their members act for them."""


@org.command("add")
@click.argument("name")
@click.option("--admin", required=True, metavar="USER", help="Its first administrator.")
@managing_options
def add_org(name: str, admin: str, as_json: bool, **options: object) -> None:
    """Make an organisation."""

    async def work(managed: Managed) -> Account:
        first = managed.directory.account(admin, AccountKind.USER)
        return await managed.directory.add_organization(name, first, by=managed.by)

    made = manage(options, work)
    _say(as_json, _shown(made), f"organisation {made.name} is made")


@org.command("list")
@managing_options
def list_orgs(as_json: bool, **options: object) -> None:
    """List all organisations."""
    _print_accounts(_accounts(options, AccountKind.ORGANIZATION), as_json)


@org.group("member")
def member() -> None:
    """Members of an organisation. All act for it; administrators may end the keys of the others."""


@member.command("add")
@click.argument("organization", metavar="ORG")
@click.argument("name", metavar="USER")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.COLLABORATOR.value,
              show_default=True)  # fmt: skip
@managing_options
def add_member(organization: str, name: str, role: str, as_json: bool, **options: object) -> None:
    """Take a user in, or give a member another role."""

    async def work(managed: Managed) -> tuple[Account, Account]:
        whole, one = _both(managed, organization, name)
        await managed.directory.set_member(whole, one, Role(role), by=managed.by)
        return whole, one

    whole, one = manage(options, work)
    _say(as_json, _shown_member(whole, one, Role(role)), f"{one.name} is {role} of {whole.name}")


@member.command("remove")
@click.argument("organization", metavar="ORG")
@click.argument("name", metavar="USER")
@managing_options
def remove_member(organization: str, name: str, as_json: bool, **options: object) -> None:
    """Let a member go. The member's keys for the organisation (`key add --by`) end too."""

    async def work(managed: Managed) -> tuple[Account, Account]:
        whole, one = _both(managed, organization, name)
        await managed.directory.remove_member(whole, one, by=managed.by)
        return whole, one

    whole, one = manage(options, work)
    _say(as_json, _shown_member(whole, one, None), f"{one.name} is no member of {whole.name} any more")


@member.command("list")
@click.argument("organization", metavar="ORG")
@managing_options
def list_members(organization: str, as_json: bool, **options: object) -> None:
    """List the members of an organisation."""

    async def work(managed: Managed) -> tuple[Account, tuple[tuple[Account, Role], ...]]:
        whole = managed.directory.account(organization, AccountKind.ORGANIZATION)
        return whole, managed.directory.members(whole)

    whole, members = manage(options, work)
    if as_json:
        print_json([_shown_member(whole, one, role) for one, role in members])
    else:
        print_table(("USER", "ROLE"), [(one.name, role.value) for one, role in members])


def _accounts(options: dict[str, object], kind: AccountKind) -> list[Account]:
    async def work(managed: Managed) -> list[Account]:
        return [each for each in managed.directory.accounts() if each.kind is kind]

    return manage(options, work)


def _both(managed: Managed, organization: str, name: str) -> tuple[Account, Account]:
    return (
        managed.directory.account(organization, AccountKind.ORGANIZATION),
        managed.directory.account(name, AccountKind.USER),
    )


def _password(file: BinaryIO | None) -> str | None:
    """What the file holds without its last line break, or what is typed, twice the same; None without a terminal.

    Raises InvalidRequest when the file is no single line of UTF-8.
    """
    if file is not None:
        try:
            # Some editors begin a file of UTF-8 with a byte order mark, which nobody will type.
            text = file.read().decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise InvalidRequest("the password file is not UTF-8 text: save it as UTF-8") from None
        if "\n" in text or "\r" in text:
            raise InvalidRequest("the password file has several lines: a password is one line")
        return text
    if not sys.stdin.isatty():
        return None
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _shown(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "kind": account.kind.value,
        "administrator": account.is_administrator,
        "disabled": account.is_disabled,
        "created": iso(account.created),
    }


def _shown_member(organization: Account, user: Account, role: Role | None) -> dict[str, Any]:
    return {"organization": organization.name, "user": user.name, "role": role.value if role else None}


def _print_accounts(accounts: list[Account], as_json: bool) -> None:
    if as_json:
        print_json([_shown(each) for each in accounts])
        return
    rows = []
    for each in accounts:
        notes = (("administrator", each.is_administrator), ("disabled", each.is_disabled))
        rows.append((each.name, iso(each.created) or "", ", ".join(note for note, said in notes if said)))
    print_table(("NAME", "CREATED", ""), rows)


def _say(as_json: bool, value: dict[str, Any], sentence: str) -> None:
    if as_json:
        print_json(value)
    else:
        click.echo(sentence)
