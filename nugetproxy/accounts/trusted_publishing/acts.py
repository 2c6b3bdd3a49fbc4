"""Trusted publishing: a build exchanges the signed identity that its platform gives it for a key of one hour.

Policies are made by administrators, on the command line. A token is used once, in whatever process and on whatever
node: that, the pinned ids, the key and the audit lines are one transaction.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from nugetproxy.accounts.audit import REFUSED, AuditEntry, AuditLog, insert_audit
from nugetproxy.accounts.credentials import MintedKey, mint_key
from nugetproxy.accounts.keys import add_key, end_keys, told
from nugetproxy.accounts.model import SECOND, Account, Actor, ApiKey, Scope, now_us
from nugetproxy.accounts.permissions import may_make_key, require
from nugetproxy.accounts.records import actor_of, find_account
from nugetproxy.accounts.trusted_publishing import rows
from nugetproxy.accounts.trusted_publishing.claims import Claims, Fits, fit, origin_of, shown
from nugetproxy.accounts.trusted_publishing.policy import (
    PublishingPolicy,
    Source,
    check_creator,
    checked_globs,
    checked_policy_name,
)
from nugetproxy.accounts.trusted_publishing.tokens import Jwk, ends_at, read_token, verified
from nugetproxy.errors import Forbidden, StorageUnavailable, TokenRefused
from nugetproxy.logs import logger
from nugetproxy.storage.database.base import Database, Fetch, Transaction
from nugetproxy.storage.revisions import Change, Revisions
from nugetproxy.storage.telling import write_and_tell

KEY_LIFE: Final = 3600 * SECOND
"""As on nuget.org."""

_SCOPES: Final = frozenset({Scope.PUSH})
_ADD, _REMOVE, _PIN, _REFUSE = (f"trusted-publishing.{verb}" for verb in ("add", "remove", "pin", "exchange"))

_log = logger()


class PublishedKeys(Protocol):
    """The public keys of issuers."""

    async def keys(self, issuer: str, key_id: str) -> Sequence[Jwk]:
        """The keys that an issuer publishes; read again if they lack `key_id`, but not too often.

        Raises UpstreamError.
        """


class Policies:
    """Policies as administrators see them. `by` is for the audit log; permissions are checked by the caller."""

    def __init__(self, database: Database, revisions: Revisions, *, clock: Callable[[], int] = now_us) -> None:
        self._database = database
        self._revisions = revisions
        self._clock = clock

    async def all(self) -> tuple[PublishingPolicy, ...]:
        """Oldest first. Raises StorageUnavailable."""
        return await self._database.look(rows.all_policies)

    async def add(
        self, name: str, source: Source, owner: Account, creator: Account | None, globs: tuple[str, ...], *, by: Actor
    ) -> PublishingPolicy:
        """Raises InvalidRequest, Conflict when the name is taken, Forbidden when the creator may not act for it."""
        checked_policy_name(name)
        checked_globs(globs)
        check_creator(creator)
        policy = PublishingPolicy(0, name, owner, creator, source, {}, globs, self._clock(), None)

        def work(transaction: Transaction) -> PublishingPolicy:
            if creator is not None:
                require(may_make_key(actor_of(transaction.fetch, creator), owner))
            rows.insert_policy(transaction, policy)
            detail = f"{source}; keys for {owner.name}; {' '.join(globs)}"
            insert_audit(transaction, AuditEntry(by.name, _ADD, name, detail=detail))
            return rows.policy_named(transaction.fetch, name)

        return await self._database.write(work)

    async def remove(self, name: str, *, by: Actor) -> tuple[ApiKey, ...]:
        """Remove a policy, and end the keys that were created under it, which are returned. Raises InvalidRequest."""

        def work(transaction: Transaction) -> tuple[ApiKey, ...]:
            policy, now = rows.policy_named(transaction.fetch, name), self._clock()
            ended = end_keys(transaction, rows.live_keys(transaction.fetch, policy, now), now)
            rows.delete_policy(transaction, policy)
            insert_audit(transaction, AuditEntry(by.name, _REMOVE, policy.name))
            for key in ended:
                detail = f"trusted publishing policy {policy.name} was removed"
                insert_audit(transaction, AuditEntry(by.name, "key.revoke", told(key), detail=detail))
            return ended

        return await write_and_tell(self._database, work, self._revisions, Change.of_accounts())


class TokenExchange:
    """Tokens for keys, in one process."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        keys: PublishedKeys,
        audiences: Sequence[str],
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        """`audiences`: what tokens must be meant for."""
        self._database = database
        self._audit = audit
        self._keys = keys
        self._audiences = tuple(audiences)
        self._clock = clock

    async def exchange(self, username: str, token_text: str, address: str) -> tuple[ApiKey, str]:
        """A key for the build that sends this token, and the key's text. `username`: who created the policy.

        Raises TokenRefused; UpstreamError when the issuer's keys cannot be fetched; StorageUnavailable.
        """
        token = read_token(token_text)
        policies = await self._database.look(lambda fetch: _policies_of(fetch, username))
        if not policies:
            raise TokenRefused(_no_match(username))
        # Before anything is fetched: only issuers that an administrator named are ever asked.
        if all(policy.source.issuer != token.issuer for policy in policies):
            raise TokenRefused(f"{_no_match(username)} The token's issuer is {shown(token.issuer)}.")
        published = await self._keys.keys(token.issuer, token.key_id)
        claims = verified(token, published, self._audiences, self._clock())
        minted = mint_key()
        try:
            key = await self._database.write(
                lambda transaction: self._use(transaction, username, token.issuer, claims, minted, address)
            )
        except TokenRefused as error:
            await self._record(username, claims, address, error)
            raise
        return key, minted.text

    def _use(
        self, transaction: Transaction, username: str, issuer: str, claims: Claims, minted: MintedKey, address: str
    ) -> ApiKey:
        now, fetch = self._clock(), transaction.fetch
        policy, fits = _fitting(_policies_of(fetch, username), username, issuer, claims, now)
        if policy.owner.is_disabled:
            raise TokenRefused(f"policy '{policy.name}' cannot be used: {policy.owner.name} is disabled")
        rows.forget_tokens(transaction, now)
        until = max(ends_at(claims), now + KEY_LIFE)
        if not rows.use_token(transaction, issuer, claims["jti"], policy, minted.key_id, until):
            raise TokenRefused("the token was used before: request a new one for each key")
        key = ApiKey(
            key_id=minted.key_id,
            name=f"{policy.name}-{minted.key_id}",
            owner=policy.owner,
            creator=policy.creator,
            scopes=_SCOPES,
            globs=policy.globs,
            created=now,
            expires=now + KEY_LIFE,
            last_used=None,
            revoked=None,
        )
        try:
            add_key(transaction, key, minted)
        except Forbidden as error:
            raise TokenRefused(f"policy '{policy.name}' cannot be used: {error}") from error
        actor = f"{username}/trusted publishing {policy.name}"
        if fits.pins and not policy.pinned:
            pinned = ", ".join(f"{name} {value}" for name, value in fits.pins.items())
            insert_audit(transaction, AuditEntry(actor, _PIN, policy.name, address, detail=pinned))
        rows.note_use(transaction, policy, dict(fits.pins), now)
        insert_audit(transaction, AuditEntry(actor, "key.add", told(key), address, detail=origin_of(claims)))
        return key

    async def _record(self, username: str, claims: Claims, address: str, error: TokenRefused) -> None:
        """Only of tokens that an issuer signed: others cost nothing to make."""
        actor = f"{username}/trusted publishing"
        entry = AuditEntry(actor, _REFUSE, username, address, REFUSED, f"{error} ({origin_of(claims)})")
        try:
            await self._audit.record_refusal(entry)
        except StorageUnavailable as failure:
            _log.warning("audit_not_written", error=str(failure))


def _policies_of(fetch: Fetch, username: str) -> tuple[PublishingPolicy, ...]:
    user = find_account(fetch, username)
    return () if user is None or user.is_disabled else rows.policies_of(fetch, user)


def _fitting(
    policies: Sequence[PublishingPolicy], username: str, issuer: str, claims: Claims, now: int
) -> tuple[PublishingPolicy, Fits]:
    """The oldest policy that the token fits. Raises TokenRefused, with the reason of the nearest one."""
    near = ""
    for policy in policies:
        if policy.source.issuer != issuer:
            continue
        answer = fit(policy, claims, now)
        if isinstance(answer, Fits):
            return policy, answer
        near = near or answer.why
    # What others expect is not told to those who do not own it: only what this token says.
    raise TokenRefused(near or f"{_no_match(username)} The token is from {origin_of(claims)}.")


def _no_match(username: str) -> str:
    return f"No matching trust policy owned by user {shown(username)} was found."
