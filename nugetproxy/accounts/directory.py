"""Users, organisations and API keys: all acts on them, each in one transaction with its audit line.

Changes of one process are visible to every process in its next query; caches elsewhere are invalidated by the
revisions. Owners of packages belong to `ownership`.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace as changed
from typing import Final, TypeVar

from nugetproxy.accounts import keys, members, records
from nugetproxy.accounts.audit import AuditEntry, insert_audit
from nugetproxy.accounts.credentials import Passwords, digest_of, is_same, key_id_of, mint_key
from nugetproxy.accounts.key_uses import KeyUses
from nugetproxy.accounts.model import (
    COMMAND_LINE,
    SECOND,
    Account,
    AccountKind,
    Actor,
    ApiKey,
    Role,
    Scope,
    checked_account_name,
    now_us,
)
from nugetproxy.accounts.sessions import end_sessions
from nugetproxy.nuget.globs import EVERYTHING
from nugetproxy.storage.database.base import Database, Fetch, Transaction
from nugetproxy.storage.revisions import Change, Revisions
from nugetproxy.storage.telling import write_and_tell

T = TypeVar("T")

DEFAULT_SCOPES: Final = frozenset({Scope.PUSH, Scope.UNLIST})


class Directory:
    """The accounts of one database. `by` is the actor, for the audit log; permissions are checked by the caller.

    Every method may raise StorageUnavailable; those that take names raise AccountNotFound.
    """

    def __init__(
        self,
        database: Database,
        revisions: Revisions,
        *,
        passwords: Passwords | None = None,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._database = database
        self._revisions = revisions
        self._passwords = passwords or Passwords()
        self._clock = clock
        self._uses = KeyUses(database)

    def close(self) -> None:
        """Hand pending notes to the database, which must be closed after this."""
        self._uses.close()

    # --- users and organisations ---

    async def account(self, name: str, kind: AccountKind | None = None) -> Account:
        """Raises AccountNotFound, naming the most similar name."""
        return await self._database.look(lambda fetch: records.account_named(fetch, name, kind))

    async def find_account(self, name: str) -> Account | None:
        return await self._database.look(lambda fetch: records.find_account(fetch, name))

    async def accounts(self) -> tuple[Account, ...]:
        """Users and organisations, by name."""
        return await self._database.look(records.all_accounts)

    async def add_user(
        self, name: str, *, password: str | None = None, administrator: bool = False, by: Actor = COMMAND_LINE
    ) -> Account:
        """Without a password a user has keys only. Raises InvalidRequest, Conflict when the name is taken."""
        checked_account_name(name)
        hashed = await self._passwords.hash(password) if password is not None else None
        detail = ", ".join(
            word for word, said in (("administrator", administrator), ("with password", hashed is not None)) if said
        )
        return await self._change(
            lambda transaction: members.insert_account(
                transaction, name, AccountKind.USER, self._clock(), hashed, administrator
            ),
            AuditEntry(by.name, "user.add", name, detail=detail),
        )

    async def set_password(self, name: str, password: str, *, by: Actor = COMMAND_LINE) -> None:
        """The user's browsers are signed out. Raises InvalidRequest when it is too short."""
        user = await self.account(name, AccountKind.USER)
        hashed = await self._passwords.hash(password)

        def work(transaction: Transaction) -> None:
            transaction.change("UPDATE accounts SET password_hash = ? WHERE account_id = ?", (hashed, user.account_id))
            end_sessions(transaction, user.account_id)

        await self._change(work, AuditEntry(by.name, "user.passwd", user.name))

    async def sign_out(self, name: str, *, by: Actor = COMMAND_LINE) -> Account:
        """End all of a user's sessions in browsers. Password and keys stay as they are."""
        user = await self.account(name, AccountKind.USER)
        await self._change(
            lambda transaction: end_sessions(transaction, user.account_id),
            AuditEntry(by.name, "user.sign-out", user.name),
        )
        return user

    async def disable(self, name: str, *, by: Actor = COMMAND_LINE) -> Account:
        """From now on neither its password nor its keys work; it keeps what it owns. Raises Conflict for the last
        administrator of this server or of an organisation.
        """
        return await self._set_disabled(name, self._clock(), by)

    async def enable(self, name: str, *, by: Actor = COMMAND_LINE) -> Account:
        return await self._set_disabled(name, None, by)

    async def set_administrator(self, name: str, is_administrator: bool, *, by: Actor = COMMAND_LINE) -> Account:
        """Make a user an administrator, or not; this includes its existing keys. Raises Conflict for the last one."""
        user = await self.account(name, AccountKind.USER)
        await self._change(
            lambda transaction: members.set_administrator(transaction, name, is_administrator),
            AuditEntry(by.name, "user.promote" if is_administrator else "user.demote", user.name),
        )
        return await self.account(name)

    async def add_organization(self, name: str, administrator: Account, *, by: Actor = COMMAND_LINE) -> Account:
        """Raises InvalidRequest, Conflict when the name is taken or the administrator is disabled."""
        checked_account_name(name)
        members.check_kinds(None, administrator)

        def work(transaction: Transaction) -> Account:
            members.check_enabled(transaction, administrator)
            made = members.insert_account(transaction, name, AccountKind.ORGANIZATION, self._clock(), None, False)
            members.set_member(transaction, made, administrator, Role.ADMINISTRATOR, self._clock())
            return made

        return await self._change(work, AuditEntry(by.name, "org.add", name, detail=f"admin {administrator.name}"))

    async def members(self, organization: Account) -> tuple[tuple[Account, Role], ...]:
        """By name."""
        return await self._database.look(lambda fetch: records.members_of(fetch, organization.account_id))

    async def organizations(self) -> tuple[tuple[Account, int], ...]:
        """All organisations, by name, each with its number of members."""
        return await self._database.look(records.organizations)

    async def actor_of(self, user: Account) -> Actor:
        """The actor for a user who was identified by more than a key."""
        return await self._database.look(lambda fetch: records.actor_of(fetch, user))

    async def set_member(self, organization: Account, user: Account, role: Role, *, by: Actor = COMMAND_LINE) -> None:
        """Add a member, or change a member's role. Raises Conflict for the last administrator."""
        members.check_kinds(organization, user)
        await self._change(
            lambda transaction: members.set_member(transaction, organization, user, role, self._clock()),
            AuditEntry(by.name, "org.member.add", organization.name, detail=f"{role} {user.name}"),
        )

    async def remove_member(self, organization: Account, user: Account, *, by: Actor = COMMAND_LINE) -> None:
        """The member's keys for the organisation end with the membership. Raises Conflict for the last administrator
        and when the user is not a member.
        """
        members.check_kinds(organization, user)

        def work(transaction: Transaction) -> None:
            ended = members.remove_member(transaction, organization, user, self._clock())
            insert_audit(transaction, AuditEntry(by.name, "org.member.remove", organization.name, detail=user.name))
            _audit_ended(transaction, ended, f"{user.name} left {organization.name}", by)

        await self._change(work)

    # --- keys ---

    async def add_key(
        self,
        owner: Account,
        creator: Account | None,
        *,
        name: str,
        scopes: Iterable[Scope] = DEFAULT_SCOPES,
        globs: Iterable[str] = (EVERYTHING,),
        networks: Iterable[str] = (),
        expires: int,
        by: Actor = COMMAND_LINE,
    ) -> tuple[ApiKey, str]:
        """The key, and its text, which cannot be shown again. `expires` in unix microseconds; `creator` and `networks`:
        see `ApiKey`.

        Raises InvalidRequest, Conflict when the owner has an active key of that name, Forbidden when the creator is
        neither the owner nor a member of it.
        """
        checked = keys.checked_scopes(scopes)
        return await self._add_key(owner, creator, name, checked, globs, networks, expires, by)

    async def add_verification_key(
        self, owner: Account, creator: Account | None, package_id: str, *, name: str, expires: int, by: Actor
    ) -> tuple[ApiKey, str]:
        """As `add_key`, but the key can do nothing by itself: `ApiKey.is_verification`."""
        # A symbol server uses it, whose address is another than that of the build: no networks.
        return await self._add_key(owner, creator, name, frozenset(), (package_id,), (), expires, by)

    async def keys(self, owner: Account | None = None) -> tuple[ApiKey, ...]:
        """All keys ever created, oldest first."""
        rows = await self._database.look(lambda fetch: records.key_rows(fetch, owner=owner))
        return tuple(row.key for row in rows)

    async def key(self, reference: str, owner: Account | None = None) -> ApiKey:
        """The key with this id, the latest with this name, or the one with this text.

        Raises ApiKeyNotFound, Conflict when several accounts have a key of that name and no owner is given.
        """
        return await self._database.look(lambda fetch: keys.current_key(fetch, reference, owner))

    async def revoke_key(
        self,
        reference: str,
        owner: Account | None = None,
        *,
        member: Account | None = None,
        by: Actor = COMMAND_LINE,
    ) -> tuple[ApiKey, ...]:
        """End a key, found as in `key`; by name also predecessors that still overlap. Returns the keys that ended.

        `member`: the user on whose behalf it is done; raises Forbidden if that user may not.
        """
        detail = f"by {member.name}" if member else ""

        def work(transaction: Transaction) -> tuple[ApiKey, ...]:
            ended = keys.revoke(transaction, reference, owner, member, self._clock())
            _audit_ended(transaction, ended, detail, by)
            return ended

        return await self._change(work)

    async def rotate_key(self, key: ApiKey, overlap: float, *, by: Actor = COMMAND_LINE) -> tuple[ApiKey, str]:
        """A new key that replaces `key`, with the same rights and lifetime; the old one works for `overlap` seconds
        more. Raises Conflict when it is revoked or was already rotated.
        """
        now = self._clock()
        minted = mint_key()
        new = changed(
            key,
            key_id=minted.key_id,
            created=now,
            expires=now + key.expires - key.created,
            last_used=None,
        )
        until = now + round(max(0.0, overlap) * SECOND)
        await self._change(
            lambda transaction: keys.replace(transaction, key, new, minted, until),
            AuditEntry(
                by.name, "key.rotate", keys.told(new), detail=f"instead of {key.key_id}, which works {overlap:g} s more"
            ),
        )
        return new, minted.text

    # --- identification ---

    async def find_key(self, text: str, now: int) -> ApiKey | None:
        """The key with this text, if it works at `now`. A text that was never generated costs no query."""
        if (key_id := key_id_of(text)) is None:
            return None

        def work(fetch: Fetch) -> ApiKey | None:
            row = records.key_row(fetch, key_id)
            if row is None or not is_same(digest_of(text), row.digest):
                return None
            return row.key if keys.is_honoured(fetch, row.key, now) else None

        return await self._database.look(work)

    async def actor_by_key(self, text: str, now: int) -> Actor | None:
        """The actor of this key; None when it does not work. Its use is not recorded: see `note_used`."""
        key = await self.find_key(text, now)
        return None if key is None else records.actor_of_key(key)

    async def actor_by_password(self, name: str, password: str) -> Actor | None:
        """The user, if the password is right. Takes about 50 ms in a thread, also for a name that does not exist."""
        rows = await self._database.fetch("SELECT password_hash FROM accounts WHERE lower_name = ?", (name.lower(),))
        right = await self._passwords.matches(password, rows[0][0] if rows else None)
        if not right:
            return None

        def work(fetch: Fetch) -> Actor | None:
            user = records.find_account(fetch, name)
            return None if user is None or user.is_disabled else records.actor_of(fetch, user)

        # Read after the hash was checked: a user who was disabled meanwhile is rejected.
        return await self._database.look(work)

    def note_used(self, key_id: str, now: int) -> None:
        """Note in memory that a key was used; written together with others some time later."""
        self._uses.note(key_id, now)

    # --- writing ---

    async def _add_key(
        self,
        owner: Account,
        creator: Account | None,
        name: str,
        scopes: frozenset[Scope],
        globs: Iterable[str],
        networks: Iterable[str],
        expires: int,
        by: Actor,
    ) -> tuple[ApiKey, str]:
        minted, places, now = mint_key(), keys.checked_networks(networks), self._clock()
        key = keys.checked_key(
            ApiKey(minted.key_id, name, owner, creator, scopes, tuple(globs), now, expires, None, None, places)
        )
        rights = f"{' '.join(sorted(scopes)) or 'verification'}; {' '.join(key.globs)}"
        if places:
            rights += f"; from {' '.join(places)}"
        whose = f"; by {creator.name}" if creator is not None and creator != owner else ""
        await self._change(
            lambda transaction: keys.add_key(transaction, key, minted),
            AuditEntry(by.name, "key.add", keys.told(key), detail=rights + whose),
        )
        return key, minted.text

    async def _change(self, work: Callable[[Transaction], T], *entries: AuditEntry) -> T:
        """`work` and its audit lines in one transaction. `work` writes the lines that depend on its result."""

        def whole(transaction: Transaction) -> T:
            answer = work(transaction)
            for entry in entries:
                insert_audit(transaction, entry)
            return answer

        answer: T = await write_and_tell(self._database, whole, self._revisions, Change.of_accounts())
        return answer

    async def _set_disabled(self, name: str, at: int | None, by: Actor) -> Account:
        account = await self.account(name)
        await self._change(
            lambda transaction: members.set_disabled(transaction, name, at),
            AuditEntry(by.name, f"{_word(account)}.{'enable' if at is None else 'disable'}", account.name),
        )
        return await self.account(name)


def _word(account: Account) -> str:
    return "user" if account.kind is AccountKind.USER else "org"


def _audit_ended(transaction: Transaction, ended: Iterable[ApiKey], detail: str, by: Actor) -> None:
    """One line per key: a search for a leaked key's id must find when it ended."""
    for key in ended:
        insert_audit(transaction, AuditEntry(by.name, "key.revoke", keys.told(key), detail=detail))
