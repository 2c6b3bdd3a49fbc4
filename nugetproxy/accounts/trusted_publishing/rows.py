"""The rows of trusted publishing: policies, and the tokens that were used."""

import hashlib
from typing import Any, Final

import orjson

from nugetproxy.accounts.model import Account
from nugetproxy.accounts.records import account_numbered, key_row
from nugetproxy.accounts.trusted_publishing.policy import Platform, PublishingPolicy, Source
from nugetproxy.errors import Conflict, InvalidRequest
from nugetproxy.storage.database.base import Fetch, Transaction

_COLUMNS: Final = (
    "policy_id, name, owner_id, creator_id, platform, issuer, conditions, pinned, globs, created, last_used"
)
_POLICIES: Final = f"SELECT {_COLUMNS} FROM publishing_policies"  # noqa: S608  constant


def all_policies(fetch: Fetch) -> tuple[PublishingPolicy, ...]:
    """Oldest first."""
    return tuple(_policy(fetch, row) for row in fetch(f"{_POLICIES} ORDER BY policy_id", ()))


def policies_of(fetch: Fetch, user: Account) -> tuple[PublishingPolicy, ...]:
    """Those that this user has created, or that were created for it on the command line; oldest first."""
    rows = fetch(f"{_POLICIES} WHERE coalesce(creator_id, owner_id) = ? ORDER BY policy_id", (user.account_id,))
    return tuple(_policy(fetch, row) for row in rows)


def policy_named(fetch: Fetch, name: str) -> PublishingPolicy:
    """Raises InvalidRequest."""
    rows = fetch(f"{_POLICIES} WHERE lower_name = ?", (name.lower(),))
    if not rows:
        raise InvalidRequest(f"there is no trusted publishing policy '{name}'; see nugetproxy trusted-publishing list")
    return _policy(fetch, rows[0])


def insert_policy(transaction: Transaction, policy: PublishingPolicy) -> None:
    """Its `policy_id` is chosen here. Raises Conflict."""
    done = transaction.change(
        "INSERT INTO publishing_policies (name, lower_name, owner_id, creator_id, platform, issuer, conditions, "
        "pinned, globs, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (lower_name) DO NOTHING",
        (
            policy.name,
            policy.name.lower(),
            policy.owner.account_id,
            policy.creator.account_id if policy.creator else None,
            policy.source.platform.value,
            policy.source.issuer,
            orjson.dumps(dict(policy.source.conditions)).decode(),
            orjson.dumps(dict(policy.pinned)).decode(),
            "\n".join(policy.globs),
            policy.created,
        ),
    )
    if not done:
        raise Conflict(f"there is already a trusted publishing policy named '{policy.name}'")


def delete_policy(transaction: Transaction, policy: PublishingPolicy) -> None:
    transaction.change("DELETE FROM publishing_policies WHERE policy_id = ?", (policy.policy_id,))


def note_use(transaction: Transaction, policy: PublishingPolicy, pins: dict[str, str], now: int) -> None:
    transaction.change(
        "UPDATE publishing_policies SET last_used = ?, pinned = ? WHERE policy_id = ?",
        (now, orjson.dumps(pins).decode(), policy.policy_id),
    )


def use_token(
    transaction: Transaction, issuer: str, identifier: str, policy: PublishingPolicy, key_id: str, until: int
) -> bool:
    """Note that a token was used for a key; False if it was used before. `until`: when both have ended."""
    digest = hashlib.sha256(f"{issuer}\n{identifier}".encode("utf-8", "surrogatepass")).digest()
    done = transaction.change(
        "INSERT INTO publishing_tokens (digest, policy_id, key_id, until) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (digest) DO NOTHING",
        (digest, policy.policy_id, key_id, until),
    )
    return bool(done)


def forget_tokens(transaction: Transaction, now: int) -> None:
    """Tokens that have ended are refused without a row."""
    transaction.change("DELETE FROM publishing_tokens WHERE until < ?", (now,))


def live_keys(fetch: Fetch, policy: PublishingPolicy, now: int) -> list[Any]:
    """The rows of the keys that were created under the policy and still work."""
    rows = fetch("SELECT key_id FROM publishing_tokens WHERE policy_id = ?", (policy.policy_id,))
    found = (key_row(fetch, key_id) for (key_id,) in rows)
    return [row for row in found if row is not None and row.key.is_live(now)]


def _policy(fetch: Fetch, row: tuple[Any, ...]) -> PublishingPolicy:
    policy_id, name, owner, creator, platform, issuer, conditions, pinned, globs, created, last_used = row
    return PublishingPolicy(
        policy_id=policy_id,
        name=name,
        owner=account_numbered(fetch, owner),
        creator=None if creator is None else account_numbered(fetch, creator),
        source=Source(Platform(platform), issuer, orjson.loads(conditions)),
        pinned=orjson.loads(pinned),
        globs=tuple(globs.split("\n")),
        created=created,
        last_used=last_used,
    )
