"""The rows of API keys inside a write, and which of them a name refers to."""

from collections.abc import Iterable
from ipaddress import ip_network

from nugetproxy.accounts.credentials import KEY_PREFIX, MintedKey, key_id_of
from nugetproxy.accounts.model import DAY, Account, Actor, ApiKey, Scope
from nugetproxy.accounts.permissions import KEY_REFUSED, may_end_key, may_make_key, require
from nugetproxy.accounts.records import (
    KeyRow,
    account_numbered,
    actor_of,
    actor_of_key,
    key_row,
    key_rows,
    memberships_of,
)
from nugetproxy.errors import ApiKeyNotFound, Conflict, Forbidden, InvalidRequest
from nugetproxy.nuget.globs import EVERYTHING, checked_glob
from nugetproxy.storage.database.base import Fetch, Transaction

LONGEST_KEY_NAME = 64
MOST_NETWORKS = 64
LONGEST_LIFE = 3650 * DAY
"""nuget.org's keys expire after a year at the latest. Here the operator chooses, but every key expires."""


def add_key(transaction: Transaction, key: ApiKey, minted: MintedKey) -> None:
    """Write a new key. Raises Forbidden when its creator may not create it, Conflict when its name is taken."""
    fetch = transaction.fetch
    if key.creator is not None:
        require(may_make_key(actor_of(fetch, key.creator), key.owner))
    named_so = key_rows(fetch, name=key.name, owner=key.owner)
    if any(row.replaced_by is None and row.key.is_live(key.created) for row in named_so):
        raise Conflict(
            f"{key.owner.name} already has a key named '{key.name}'; rotate or revoke it, or choose another name"
        )
    insert_key(transaction, key, minted)


def insert_key(transaction: Transaction, key: ApiKey, minted: MintedKey) -> None:
    transaction.change(
        "INSERT INTO api_keys (key_id, digest, name, owner_id, creator_id, scopes, globs, created, expires, networks) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.key_id,
            minted.digest,
            key.name,
            key.owner.account_id,
            key.creator.account_id if key.creator else None,
            " ".join(sorted(key.scopes)),
            "\n".join(key.globs),
            key.created,
            key.expires,
            "\n".join(key.networks),
        ),
    )


def revoke(
    transaction: Transaction, reference: str, owner: Account | None, member: Account | None, now: int
) -> tuple[ApiKey, ...]:
    """End the key with this id, or all that have this name: a rotated key has its predecessor beside it.

    Raises Forbidden when it is done on behalf of a member who may not.
    """
    fetch = transaction.fetch
    rows = _meant(fetch, reference, owner)
    if member is not None:
        for row in rows:
            require(may_end_key(actor_of(fetch, member), row.key))
    return end_keys(transaction, rows, now)


def end_keys(transaction: Transaction, rows: Iterable[KeyRow], now: int) -> tuple[ApiKey, ...]:
    """Mark the keys as revoked, and return them."""
    ended = tuple(row.key for row in rows)
    transaction.change_many("UPDATE api_keys SET revoked = ? WHERE key_id = ?", [(now, key.key_id) for key in ended])
    return ended


def replace(transaction: Transaction, old: ApiKey, new: ApiKey, minted: MintedKey, until: int) -> None:
    """Replace `old` with `new`; `old` works until `until` at the latest. Raises Conflict."""
    row = key_row(transaction.fetch, old.key_id)
    if row is None:
        raise ApiKeyNotFound(old.key_id)
    if row.key.revoked is not None:
        raise Conflict(f"key '{old.name}' is revoked; create a new one")
    if row.replaced_by is not None:
        raise Conflict(f"key {old.key_id} has been rotated already; rotate the key that replaced it, {row.replaced_by}")
    insert_key(transaction, new, minted)
    transaction.change(
        "UPDATE api_keys SET replaced_by = ?1, expires = CASE WHEN expires < ?2 THEN expires ELSE ?2 END "
        "WHERE key_id = ?3",
        (new.key_id, until, old.key_id),
    )


def current_key(fetch: Fetch, reference: str, owner: Account | None) -> ApiKey:
    """The key with this id, or the latest of this name. Raises ApiKeyNotFound, Conflict."""
    return _meant(fetch, reference, owner)[-1].key


def checked_key(key: ApiKey) -> ApiKey:
    """Raises InvalidRequest when such a key cannot be created."""
    if not 0 < len(key.name) <= LONGEST_KEY_NAME or not key.name.isprintable() or key.name.startswith(KEY_PREFIX):
        raise InvalidRequest(f"the name of a key must have 1 to {LONGEST_KEY_NAME} printable characters")
    if not key.globs:
        raise InvalidRequest(f"a key needs at least one pattern of package ids; '{EVERYTHING}' covers all")
    for glob in key.globs:
        checked_glob(glob)
    if key.expires <= key.created:
        raise InvalidRequest("a key must expire in the future")
    if key.expires - key.created > LONGEST_LIFE:
        raise InvalidRequest(f"a key expires after {LONGEST_LIFE // DAY} days at the latest")
    return key


def checked_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Networks and single addresses in CIDR notation. Raises InvalidRequest."""
    checked = []
    for text in texts:
        try:
            checked.append(str(ip_network(text)))
        except ValueError as error:
            raise InvalidRequest(f'expected an address or network such as "10.0.0.0/8": {error}') from None
    if len(checked) > MOST_NETWORKS:
        raise InvalidRequest(f"a key can have {MOST_NETWORKS} networks at most")
    return tuple(checked)


def checked_scopes(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Raises InvalidRequest when there are none: a key without scopes is a verification key."""
    if not (checked := frozenset(scopes)):
        raise InvalidRequest(f"a key needs at least one scope: {', '.join(Scope)}")
    return checked


def told(key: ApiKey) -> str:
    """As in every line of the audit log about a key."""
    return f"{key.owner.name}/{key.name} ({key.key_id})"


def is_honoured(fetch: Fetch, key: ApiKey, now: int) -> bool:
    """Whether the key works: it is active, its owner is enabled, and its creator may still act for the owner."""
    if not key.is_live(now) or key.owner.is_disabled:
        return False
    creator = key.creator
    if creator is None or creator.account_id == key.owner.account_id:
        return True
    return not creator.is_disabled and key.owner.account_id in memberships_of(fetch, creator.account_id)


def actor_now(fetch: Fetch, actor: Actor, now: int) -> Actor:
    """The same actor with its current rights, for an act that began earlier.

    Raises Forbidden when its key, or its account, ended meanwhile: an upload can take hours.
    """
    if actor.key is not None:
        row = key_row(fetch, actor.key.key_id)
        if row is None or not is_honoured(fetch, row.key, now):
            raise Forbidden(KEY_REFUSED)
        return actor_of_key(row.key)
    if actor.account is None:
        return actor
    user = account_numbered(fetch, actor.account.account_id)
    if user.is_disabled:
        raise Forbidden(KEY_REFUSED)
    return actor_of(fetch, user)


def _meant(fetch: Fetch, reference: str, owner: Account | None) -> list[KeyRow]:
    """The keys that an id, a name, or the text of a found key refers to; not empty, oldest first."""
    if reference.startswith(KEY_PREFIX):
        key_id = key_id_of(reference)
        found = key_row(fetch, key_id) if key_id else None
        if found is None:
            raise ApiKeyNotFound(f"{KEY_PREFIX}...", "it was not created here, or is incomplete")
        return [found]
    by_id = key_row(fetch, reference)
    if by_id is not None and owner in (None, by_id.key.owner):
        return [by_id]
    named = [row for row in key_rows(fetch, name=reference, owner=owner) if row.key.revoked is None]
    if not named:
        raise ApiKeyNotFound(reference, "no key has this id, and no key that is not revoked has this name")
    owners = sorted({row.key.owner.name for row in named})
    if len(owners) > 1:
        raise Conflict(
            f"several accounts have a key named '{reference}': {', '.join(owners)}; name the owner, or use the key's id"
        )
    return named
