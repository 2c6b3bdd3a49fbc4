"""What happens to the rows of accounts and memberships, inside a write."""

import sqlite3
from typing import Final

from nugetproxy.accounts.model import Account, AccountKind, Role
from nugetproxy.accounts.records import account_named, all_accounts, find_account, inside, members_of
from nugetproxy.errors import Conflict, InvalidRequest

_A: Final = {AccountKind.USER: "a user", AccountKind.ORGANIZATION: "an organisation"}


def insert_account(
    connection: sqlite3.Connection, name: str, kind: AccountKind, now: int, hashed: str | None, administrator: bool
) -> Account:
    """Raises Conflict when the name is taken, in whatever case, by whatever kind."""
    taken = find_account(inside(connection), name)
    if taken is not None:
        raise Conflict(f"there is {_A[taken.kind]} named {taken.name} already")
    connection.execute(
        "INSERT INTO accounts (name, lower_name, kind, password_hash, is_administrator, created) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (name, name.lower(), kind.value, hashed, administrator, now),
    )
    return account_named(inside(connection), name)


def set_administrator(connection: sqlite3.Connection, name: str, is_administrator: bool) -> None:
    """Raises AccountNotFound, and Conflict when nobody who works would be an administrator any more."""
    user = account_named(inside(connection), name, AccountKind.USER)
    administrators = {
        each.account_id for each in all_accounts(inside(connection)) if each.is_administrator and not each.is_disabled
    }
    if not is_administrator and administrators == {user.account_id}:
        raise Conflict(f"{user.name} is the last administrator; promote another first")
    connection.execute(
        "UPDATE accounts SET is_administrator = ? WHERE account_id = ?", (is_administrator, user.account_id)
    )


def set_member(connection: sqlite3.Connection, organization: Account, user: Account, role: Role, now: int) -> None:
    """Raises Conflict when the last administrator would be none any more."""
    if role is not Role.ADMINISTRATOR:
        _keep_an_administrator(connection, organization, user)
    connection.execute(
        "INSERT INTO members (organization_id, user_id, role, added) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (organization_id, user_id) DO UPDATE SET role = excluded.role",
        (organization.account_id, user.account_id, role.value, now),
    )


def remove_member(connection: sqlite3.Connection, organization: Account, user: Account) -> None:
    """Raises Conflict for the last administrator, and for somebody who is no member."""
    _keep_an_administrator(connection, organization, user)
    gone = connection.execute(
        "DELETE FROM members WHERE organization_id = ? AND user_id = ?", (organization.account_id, user.account_id)
    )
    if not gone.rowcount:
        raise Conflict(f"{user.name} is no member of {organization.name}")


def check_kinds(organization: Account | None, user: Account) -> None:
    """Raises InvalidRequest when one is taken for the other."""
    if organization is not None and organization.kind is not AccountKind.ORGANIZATION:
        raise InvalidRequest(f"{organization.name} is a user, not an organisation")
    if user.kind is not AccountKind.USER:
        raise InvalidRequest(f"{user.name} is an organisation; members are users")


def _keep_an_administrator(connection: sqlite3.Connection, organization: Account, leaving: Account) -> None:
    members = members_of(inside(connection), organization.account_id)
    administrators = {member.account_id for member, role in members if role is Role.ADMINISTRATOR}
    if administrators == {leaving.account_id}:
        raise Conflict(f"{leaving.name} is the last administrator of {organization.name}; name another first")
