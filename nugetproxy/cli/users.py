"""nugetproxy user: people who may log in, and the machine accounts that only have keys."""

import sys
from typing import TYPE_CHECKING, BinaryIO

import click

from nugetproxy.accounts.model import Account, AccountKind, checked_account_name
from nugetproxy.cli.account_rows import shown, state
from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.output import iso, note, print_json, print_table, refuse, report
from nugetproxy.cli.user_import import import_users
from nugetproxy.errors import InvalidRequest

if TYPE_CHECKING:
    from nugetproxy.cli.managed import Managed

_PASSWORD_FILE = click.option(
    "--password-file",
    type=click.File("rb"),
    metavar="FILE",
    help="Read the password from this file: one line of UTF-8; - is standard input.  [default: ask on the terminal]",
)


@click.group()
def user() -> None:
    """Users: add, import, list, disable, promote. Changes apply to a running server immediately."""


@user.command("add")
@click.argument("name")
@click.option("--admin", is_flag=True, help="An administrator may manage the server and delete packages permanently.")
@_PASSWORD_FILE
@managing_options
def add_user(name: str, admin: bool, password_file: BinaryIO | None, as_json: bool, **options: object) -> None:
    """Create a user.

    Without a password (no terminal and no --password-file) the user can use API keys only.
    """
    from nugetproxy.accounts.credentials import checked_password
    from nugetproxy.cli.program import program

    try:
        # Before a data directory is created for it: a mistyped command should not leave one behind.
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
    report(
        as_json,
        {**shown(made), "password": password is not None},
        f"Created user {made.name}{' (administrator)' if admin else ''}.",
    )
    if password is None and not as_json:
        note(f"{made.name} has no password and can use API keys only. To set one: {program()} user passwd {made.name}")


@user.command("list")
@managing_options
def list_users(as_json: bool, **options: object) -> None:
    """List all users."""

    async def work(managed: "Managed") -> list[Account]:
        return [each for each in await managed.directory.accounts() if each.kind is AccountKind.USER]

    users = manage(options, work, reading=True)
    if as_json:
        print_json([shown(each) for each in users])
        return
    rows = [
        (each.name, "administrator" if each.is_administrator else "user", state(each), iso(each.created) or "-")
        for each in users
    ]
    print_table(("NAME", "ROLE", "STATE", "CREATED"), rows, "There are no users.")


@user.command("passwd")
@click.argument("name")
@_PASSWORD_FILE
@managing_options
def passwd(name: str, password_file: BinaryIO | None, as_json: bool, **options: object) -> None:
    """Set a user's password. The old one stops working immediately."""

    async def work(managed: "Managed") -> Account:
        found = await managed.directory.account(name, AccountKind.USER)
        password = _password(password_file)
        if password is None:
            raise InvalidRequest("no terminal to ask for a password: use --password-file FILE (- is standard input)")
        await managed.directory.set_password(name, password, by=managed.by)
        return found

    changed = manage(options, work)
    report(as_json, shown(changed), f"Changed the password of {changed.name}.")


@user.command("sign-out")
@click.argument("name")
@managing_options
def sign_out(name: str, as_json: bool, **options: object) -> None:
    """Sign a user out of all browsers. Password and keys keep working: see `passwd` and `disable`."""
    signed_out = manage(options, lambda managed: managed.directory.sign_out(name, by=managed.by))
    report(as_json, shown(signed_out), f"Signed {signed_out.name} out of all browsers.")


@user.command("disable")
@click.argument("name")
@managing_options
def disable(name: str, as_json: bool, **options: object) -> None:
    """Disable a user or an organisation. Password and keys stop working immediately; packages keep their owners."""
    changed = manage(options, lambda managed: managed.directory.disable(name, by=managed.by))
    report(as_json, shown(changed), f"Disabled {changed.name}.")


@user.command("enable")
@click.argument("name")
@managing_options
def enable(name: str, as_json: bool, **options: object) -> None:
    """Enable a disabled user or organisation. Password and keys are the same as before."""
    changed = manage(options, lambda managed: managed.directory.enable(name, by=managed.by))
    report(as_json, shown(changed), f"Enabled {changed.name}.")


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
    """Make an administrator an ordinary user. The last administrator cannot be demoted."""
    _set_administrator(options, name, as_json, is_administrator=False)


user.add_command(import_users)


def _set_administrator(options: dict[str, object], name: str, as_json: bool, *, is_administrator: bool) -> None:
    changed = manage(
        options, lambda managed: managed.directory.set_administrator(name, is_administrator, by=managed.by)
    )
    done = (
        f"{changed.name} is now an administrator." if is_administrator else f"{changed.name} is now an ordinary user."
    )
    report(as_json, shown(changed), done)


def _password(file: BinaryIO | None) -> str | None:
    """The file's content without its final line break, or what is typed, twice; None without a terminal.

    Raises InvalidRequest when the file is not a single line of UTF-8.
    """
    if file is not None:
        try:
            # Some editors start a UTF-8 file with a byte order mark, which nobody will type.
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
