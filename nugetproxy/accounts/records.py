"""Rows of the accounts' tables as values: queries shared by reading and writing.

Each takes `fetch`, which is the database's reader or a transaction (`inside`), so a rule is checked with the same query
inside the write that it guards.
"""

import difflib
from collections.abc import Iterable
from typing import Any, Final

from nugetproxy.accounts.model import Account, AccountKind, Actor, ApiKey, Role, Scope
from nugetproxy.errors import AccountNotFound
from nugetproxy.storage.database.base import Fetch, Query
from nugetproxy.storage.database.lists import listed, padded

_ACCOUNT: Final = "{0}.account_id, {0}.name, {0}.kind, {0}.is_administrator, {0}.disabled, {0}.created"
_ACCOUNT_WIDTH: Final = 6
_ACCOUNTS: Final = f"SELECT {_ACCOUNT.format('a')} FROM accounts a"  # noqa: S608  all constant
_KEYS: Final = (
    "SELECT k.key_id, k.name, k.scopes, k.globs, k.created, k.expires, k.last_used, k.revoked, "  # noqa: S608  all constant
    f"{_ACCOUNT.format('o')}, {_ACCOUNT.format('c')}, k.networks, k.digest, k.replaced_by "
    "FROM api_keys k JOIN accounts o ON o.account_id = k.owner_id LEFT JOIN accounts c ON c.account_id = k.creator_id"
)


def find_account(fetch: Fetch, name: str) -> Account | None:
    rows = fetch(f"{_ACCOUNTS} WHERE a.lower_name = ?", (name.lower(),))
    return _account(rows[0]) if rows else None


def account_named(fetch: Fetch, name: str, kind: AccountKind | None = None) -> Account:
    """Raises AccountNotFound, naming the most similar name of the wanted kind."""
    found = find_account(fetch, name)
    if found is not None and kind in (None, found.kind):
        return found
    names = {each.name.lower(): each.name for each in all_accounts(fetch) if kind in (None, each.kind)}
    near = difflib.get_close_matches(name.lower(), names, n=1)
    what = {None: "user or organisation", AccountKind.USER: "user", AccountKind.ORGANIZATION: "organisation"}[kind]
    raise AccountNotFound(name, names[near[0]] if near else "", what)


def account_numbered(fetch: Fetch, account_id: int) -> Account:
    return _account(fetch(f"{_ACCOUNTS} WHERE a.account_id = ?", (account_id,))[0])


def all_accounts(fetch: Fetch) -> tuple[Account, ...]:
    """By name."""
    return tuple(map(_account, fetch(f"{_ACCOUNTS} ORDER BY a.lower_name", ())))


def organizations(fetch: Fetch) -> tuple[tuple[Account, int], ...]:
    """All organisations, by name, each with its number of members."""
    rows = fetch(
        "SELECT (SELECT count(*) FROM members m WHERE m.organization_id = a.account_id), "  # noqa: S608  constant
        f"{_ACCOUNT.format('a')} FROM accounts a WHERE a.kind = ? ORDER BY a.lower_name",
        (AccountKind.ORGANIZATION.value,),
    )
    return tuple((_account(row[1:]), row[0]) for row in rows)


def owners_of(fetch: Fetch, lower_id: str) -> tuple[Account, ...]:
    """The owners of a package id, by name."""
    return tuple(
        map(
            _account,
            fetch(
                f"{_ACCOUNTS} JOIN package_owners p USING (account_id) WHERE p.lower_id = ? ORDER BY a.lower_name",
                (lower_id,),
            ),
        )
    )


def owned_by(fetch: Fetch, account_ids: Iterable[int]) -> tuple[str, ...]:
    """The lower ids that any of these accounts owns, unordered."""
    wanted = padded(account_ids)
    rows = fetch(f"SELECT DISTINCT lower_id FROM package_owners WHERE account_id IN {listed(wanted)}", wanted)  # noqa: S608  parameters
    return tuple(row[0] for row in rows)


def members_of(fetch: Fetch, organization_id: int) -> tuple[tuple[Account, Role], ...]:
    """The members of an organisation, by name."""
    rows = fetch(
        f"SELECT m.role, {_ACCOUNT.format('a')} FROM members m JOIN accounts a ON a.account_id = m.user_id "  # noqa: S608  constant
        "WHERE m.organization_id = ? ORDER BY a.lower_name",
        (organization_id,),
    )
    return tuple((_account(row[1:]), Role(row[0])) for row in rows)


def memberships_of(fetch: Fetch, user_id: int) -> dict[int, Role]:
    """The organisations a user is a member of, by account id; disabled ones are left out."""
    rows = fetch(
        "SELECT m.organization_id, m.role FROM members m JOIN accounts a ON a.account_id = m.organization_id "
        "WHERE m.user_id = ? AND a.disabled IS NULL",
        (user_id,),
    )
    return {number: Role(role) for number, role in rows}


def actor_of(fetch: Fetch, user: Account) -> Actor:
    """The actor for a user who was identified by more than a key."""
    return Actor(user.name, user, None, user.is_administrator, memberships_of(fetch, user.account_id))


def actor_of_key(key: ApiKey) -> Actor:
    """The actor for a key: its owner, not its creator."""
    return Actor(f"{key.owner.name}/key {key.name}", key.owner, key, key.owner.is_administrator)


class KeyRow:
    """A key with the fields that only this package may see: its digest, and the id of the key that replaced it."""

    __slots__ = ("digest", "key", "replaced_by")

    def __init__(self, row: tuple[Any, ...]) -> None:
        key_id, name, scopes, globs, created, expires, last_used, revoked = row[:8]
        owner, creator = row[8 : 8 + _ACCOUNT_WIDTH], row[8 + _ACCOUNT_WIDTH : 8 + 2 * _ACCOUNT_WIDTH]
        self.digest: bytes = row[-2]
        self.replaced_by: str | None = row[-1]
        self.key = ApiKey(
            key_id=key_id,
            name=name,
            owner=_account(owner),
            creator=None if creator[0] is None else _account(creator),
            scopes=frozenset(map(Scope, scopes.split())),
            globs=tuple(globs.split("\n")),
            created=created,
            expires=expires,
            last_used=last_used,
            revoked=revoked,
            networks=tuple(row[-3].split()),
        )


def key_row(fetch: Fetch, key_id: str) -> KeyRow | None:
    rows = fetch(*query_of_key(key_id))
    return KeyRow(rows[0]) if rows else None


def query_of_key(key_id: str) -> Query:
    """What `key_row` asks."""
    return f"{_KEYS} WHERE k.key_id = ?", (key_id,)


def key_rows(fetch: Fetch, *, name: str | None = None, owner: Account | None = None) -> list[KeyRow]:
    """Keys by name (in any case) and owner, where given; oldest first."""
    conditions, parameters = ["1 = 1"], list[object]()
    if name is not None:
        conditions.append("lower(k.name) = lower(?)")
        parameters.append(name)
    if owner is not None:
        conditions.append("k.owner_id = ?")
        parameters.append(owner.account_id)
    rows = fetch(f"{_KEYS} WHERE {' AND '.join(conditions)} ORDER BY k.created, k.key_id", parameters)
    return list(map(KeyRow, rows))


def _account(row: tuple[Any, ...]) -> Account:
    account_id, name, kind, is_administrator, disabled, created = row
    return Account(account_id, name, AccountKind(kind), bool(is_administrator), disabled is not None, created)
