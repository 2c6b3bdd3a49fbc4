"""Sign-in from a command line (RFC 8628): a program shows a code, a person who is signed in allows it, and the program
gets a key that reads.

What is waited for is in the main database, so the program and the person may use different nodes. The program's secret
is stored as a hash; the code is short, lives ten minutes, and only people who are signed in can try one.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nugetproxy.accounts.audit import AuditEntry, insert_audit
from nugetproxy.accounts.credentials import mint_key
from nugetproxy.accounts.keys import add_key, told
from nugetproxy.accounts.model import DAY, SECOND, Account, ApiKey, Scope, now_us
from nugetproxy.accounts.records import account_numbered
from nugetproxy.errors import Busy
from nugetproxy.nuget.globs import EVERYTHING
from nugetproxy.storage.database.base import Database, Fetch, Transaction

LIFE: Final = 600 * SECOND
INTERVAL: Final = 5
"""Seconds between two questions of the program."""
KEY_LIFE: Final = 30 * DAY

_MOST: Final = 1000
"""Programs that wait at the same time: anybody can begin."""
# Without vowels, so that no code is a word, and without what looks alike (RFC 8628 section 6.1).
_ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH: Final = 8
_LONGEST_LABEL: Final = 40


@dataclass(frozen=True, slots=True)
class Grant:
    """What a program asks for. `label` is what it calls its machine, `address` where it asked from."""

    user_code: str
    label: str
    address: str
    created: int


@dataclass(frozen=True, slots=True)
class Begun:
    """`secret` is for the program alone, `user_code` for the person."""

    secret: str
    user_code: str


class Waiting(Exception):
    """Nobody has decided yet."""


class DeviceGrants:
    """The programs that wait, in one database. Every method may raise StorageUnavailable."""

    def __init__(self, database: Database, *, clock: Callable[[], int] = now_us) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, label: str, address: str) -> Begun:
        """Raises Busy when too many wait."""
        begun = Begun(secrets.token_urlsafe(32), "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)))
        now = self._clock()

        def work(transaction: Transaction) -> None:
            transaction.change("DELETE FROM device_grants WHERE created <= ?", (now - LIFE,))
            [(waiting,)] = transaction.fetch("SELECT count(*) FROM device_grants")
            if waiting >= _MOST:
                raise Busy("sign-ins from a command line", retry_after=60)
            # Two of a thousand codes among 25 billion are never the same; if they are, the later one cannot be used.
            transaction.change(
                "INSERT INTO device_grants (digest, user_code, label, address, created) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (user_code) DO NOTHING",
                (_digest(begun.secret), begun.user_code, _fit(label), address, now),
            )

        await self._database.write(work)
        return begun

    async def find(self, user_code: str) -> Grant | None:
        """What waits under this code, however it was typed; None if nothing does, or somebody has decided."""
        code, now = typed(user_code), self._clock()

        def work(fetch: Fetch) -> Grant | None:
            rows = fetch(
                "SELECT user_code, label, address, created FROM device_grants "
                "WHERE user_code = ? AND created > ? AND account_id IS NULL",
                (code, now - LIFE),
            )
            return Grant(*rows[0]) if rows else None

        return await self._database.look(work)

    async def allow(self, user_code: str, user: Account, *, address: str) -> bool:
        """The program gets a key of this user at its next question. False if nothing waits under the code."""
        code, now = typed(user_code), self._clock()

        def work(transaction: Transaction) -> bool:
            done = transaction.change(
                "UPDATE device_grants SET account_id = ? WHERE user_code = ? AND created > ? AND account_id IS NULL",
                (user.account_id, code, now - LIFE),
            )
            if done:
                insert_audit(transaction, AuditEntry(user.name, "device.allow", user.name, address))
            return bool(done)

        return await self._database.write(work)

    async def take(self, secret: str, *, address: str) -> tuple[ApiKey, str] | None:
        """The key of the program with this secret, once; None if it asked too late, or never began.

        Raises Waiting; Forbidden when the person was disabled meanwhile.
        """
        digest, now, minted = _digest(secret), self._clock(), mint_key()

        def work(transaction: Transaction) -> ApiKey | None:
            rows = transaction.fetch(
                "SELECT account_id, label FROM device_grants WHERE digest = ? AND created > ?", (digest, now - LIFE)
            )
            if not rows:
                return None
            [(account_id, label)] = rows
            if account_id is None:
                raise Waiting
            transaction.change("DELETE FROM device_grants WHERE digest = ?", (digest,))
            user = account_numbered(transaction.fetch, account_id)
            key = ApiKey(
                key_id=minted.key_id,
                name=f"{label} {minted.key_id}",
                owner=user,
                creator=user,
                scopes=frozenset({Scope.READ}),
                globs=(EVERYTHING,),
                created=now,
                expires=now + KEY_LIFE,
                last_used=None,
                revoked=None,
            )
            add_key(transaction, key, minted)
            insert_audit(transaction, AuditEntry(user.name, "key.add", told(key), address, detail="device"))
            return key

        key = await self._database.write(work)
        return None if key is None else (key, minted.text)


def typed(user_code: str) -> str:
    """A code as it is stored, however a person has typed it."""
    return "".join(c for c in user_code.upper() if c in _ALPHABET)[: _LENGTH + 1]


def shown(user_code: str) -> str:
    """A code in two halves, as people read it."""
    return f"{user_code[: _LENGTH // 2]}-{user_code[_LENGTH // 2 :]}"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _fit(label: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in label.strip())[:_LONGEST_LABEL] or "command line"
