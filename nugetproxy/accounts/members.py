"""The rows of accounts and memberships inside a write."""

from typing import Final

from nugetproxy.accounts.keys import end_keys
from nugetproxy.accounts.model import Account, AccountKind, ApiKey, Role
from nugetproxy.accounts.records import (
    account_named,
    account_numbered,
    all_accounts,
    find_account,
    key_rows,
    members_of,
)
from nugetproxy.accounts.sessions import end_sessions
from nugetproxy.errors import Conflict, InvalidRequest
from nugetproxy.storage.database.base import Transaction

_A: Final = {AccountKind.USER: "a user", AccountKind.ORGANIZATION: "an organisation"}


def insert_account(
    transaction: Transaction, name: str, kind: AccountKind, now: int, hashed: str | None, administrator: bool
) -> Account:
    """Raises Conflict when a user or an organisation has the name, in any case."""
    taken = find_account(transaction.fetch, name)
    if taken is not None:
        raise Conflict(f"{_A[taken.kind]} named {taken.name} already exists")
    transaction.change(
        "INSERT INTO accounts (name, lower_name, kind, password_hash, is_administrator, created) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (name, name.lower(), kind.value, hashed, administrator, now),
    )
    return account_named(transaction.fetch, name)


def set_administrator(transaction: Transaction, name: str, is_administrator: bool) -> None:
    """Raises AccountNotFound, and Conflict when no active administrator would be left."""
    user = account_named(transaction.fetch, name, AccountKind.USER)
    if not is_administrator:
        _keep_a_server_administrator(transaction, user)
    transaction.change(
        "UPDATE accounts SET is_administrator = ? WHERE account_id = ?", (is_administrator, user.account_id)
    )


def set_disabled(transaction: Transaction, name: str, at: int | None) -> None:
    """`at`: the time of disabling, None to enable. Raises AccountNotFound, and Conflict for the last administrator of
    this server or of an organisation: nobody could manage it.
    """
    account = account_named(transaction.fetch, name)
    if at is not None and account.kind is AccountKind.USER and not account.is_disabled:
        _keep_a_server_administrator(transaction, account)
        for organization in all_accounts(transaction.fetch):
            if organization.kind is AccountKind.ORGANIZATION:
                _keep_an_administrator(transaction, organization, account)
    transaction.change("UPDATE accounts SET disabled = ? WHERE account_id = ?", (at, account.account_id))
    if at is not None:
        end_sessions(transaction, account.account_id)


def set_member(transaction: Transaction, organization: Account, user: Account, role: Role, now: int) -> None:
    """Raises Conflict when no active administrator would be left."""
    if role is not Role.ADMINISTRATOR:
        _keep_an_administrator(transaction, organization, user)
    transaction.change(
        "INSERT INTO members (organization_id, user_id, role, added) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (organization_id, user_id) DO UPDATE SET role = excluded.role",
        (organization.account_id, user.account_id, role.value, now),
    )


def remove_member(transaction: Transaction, organization: Account, user: Account, now: int) -> tuple[ApiKey, ...]:
    """Ends the member's keys for the organisation permanently, and returns them: a user added again needs new ones.

    Raises Conflict for the last administrator, and for a user who is not a member.
    """
    _keep_an_administrator(transaction, organization, user)
    gone = transaction.change(
        "DELETE FROM members WHERE organization_id = ? AND user_id = ?", (organization.account_id, user.account_id)
    )
    if not gone:
        raise Conflict(f"{user.name} is not a member of {organization.name}")
    theirs = [
        row
        for row in key_rows(transaction.fetch, owner=organization)
        if row.key.creator is not None and row.key.creator.account_id == user.account_id and row.key.revoked is None
    ]
    return end_keys(transaction, theirs, now)


def check_enabled(transaction: Transaction, user: Account) -> None:
    """Raises Conflict when the user is disabled: the organisation would have no active administrator."""
    if account_numbered(transaction.fetch, user.account_id).is_disabled:
        raise Conflict(f"{user.name} is disabled; enable it first: nugetproxy user enable {user.name}")


def check_kinds(organization: Account | None, user: Account) -> None:
    """Raises InvalidRequest when one is not an organisation, or the other not a user."""
    if organization is not None and organization.kind is not AccountKind.ORGANIZATION:
        raise InvalidRequest(f"{organization.name} is a user, not an organisation")
    if user.kind is not AccountKind.USER:
        raise InvalidRequest(f"{user.name} is an organisation; members are users")


def _keep_a_server_administrator(transaction: Transaction, leaving: Account) -> None:
    others = (each for each in all_accounts(transaction.fetch) if each.account_id != leaving.account_id)
    if leaving.is_administrator and not any(each.is_administrator and not each.is_disabled for each in others):
        raise Conflict(
            f"{leaving.name} is the last active administrator; promote another user first: nugetproxy user promote NAME"
        )


def _keep_an_administrator(transaction: Transaction, organization: Account, leaving: Account) -> None:
    administrators = [
        member for member, role in members_of(transaction.fetch, organization.account_id) if role is Role.ADMINISTRATOR
    ]
    others = (each for each in administrators if each.account_id != leaving.account_id)
    if leaving in administrators and all(each.is_disabled for each in others):
        raise Conflict(
            f"{leaving.name} is the last active administrator of {organization.name}; add another first: "
            f"nugetproxy org member add {organization.name} NAME --role administrator"
        )
