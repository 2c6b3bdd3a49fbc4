"""Sessions of people who signed in with a browser: random secrets, of which only a hash is stored.

They are in the main database, so that they work at every node and end everywhere at once. What a person may do is
looked up with each request: nothing about rights is stored in a session. Cookies belong to `web`.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nugetproxy.accounts.audit import AuditEntry, insert_audit
from nugetproxy.accounts.model import SECOND, Account, Actor, now_us
from nugetproxy.accounts.records import account_numbered, actor_of
from nugetproxy.storage.database.base import Database, Fetch, Transaction

SEEN_AFTER: Final = 60 * SECOND
"""How exactly the last use of a session is known: writing it with each request would cost a write per page."""

MOST: Final = 50
"""Sessions of one person. The oldest one ends when another begins."""

_LONGEST_AGENT: Final = 200
_ID_LENGTH: Final = 16
_COLUMNS: Final = "digest, account_id, created, seen, address, agent"


@dataclass(frozen=True, slots=True)
class Session:
    """A session as shown to its owner. `session_id` identifies it and opens nothing. Times in unix microseconds."""

    session_id: str
    account: Account
    created: int
    seen: int
    address: str
    agent: str


class Sessions:
    """The sessions of one database. Every method may raise StorageUnavailable."""

    def __init__(self, database: Database, *, idle: float, lifetime: float, clock: Callable[[], int] = now_us) -> None:
        """A session ends after `idle` seconds without a request, and `lifetime` seconds after its begin."""
        self._database = database
        self._idle = round(idle * SECOND)
        self._lifetime = round(lifetime * SECOND)
        self._clock = clock

    async def begin(self, user: Account, *, address: str, agent: str, instead_of: str = "") -> str:
        """The secret of a new session. `instead_of`: the secret that the browser had before, which ends."""
        secret, now = secrets.token_urlsafe(32), self._clock()

        def work(transaction: Transaction) -> None:
            change = transaction.change
            change("DELETE FROM sessions WHERE created <= ? OR seen <= ?", (now - self._lifetime, now - self._idle))
            if instead_of:
                change("DELETE FROM sessions WHERE digest = ?", (_digest(instead_of),))
            change(
                "DELETE FROM sessions WHERE account_id = ? AND digest NOT IN (SELECT digest FROM sessions "
                "WHERE account_id = ? ORDER BY seen DESC, digest LIMIT ?)",
                (user.account_id, user.account_id, MOST - 1),
            )
            change(
                f"INSERT INTO sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608  constant
                (_digest(secret), user.account_id, now, now, address, _fit(agent)),
            )
            insert_audit(transaction, AuditEntry(user.name, "session.begin", user.name, address))

        await self._database.write(work)
        return secret

    async def find(self, secret: str) -> tuple[Session, Actor] | None:
        """The session with this secret, and its person with their current rights; None if it has ended."""
        digest, now = _digest(secret), self._clock()

        def work(fetch: Fetch) -> tuple[Session, Actor] | None:
            rows = fetch(f"SELECT {_COLUMNS} FROM sessions WHERE digest = ?", (digest,))  # noqa: S608  constant
            if not rows or not self._is_live(rows[0], now):
                return None
            session = _session(fetch, rows[0])
            return None if session.account.is_disabled else (session, actor_of(fetch, session.account))

        found = await self._database.look(work)
        if found is not None and now - found[0].seen >= SEEN_AFTER and not self._database.is_read_only:
            self._database.submit(
                lambda transaction: transaction.change(
                    "UPDATE sessions SET seen = ?1 WHERE digest = ?2 AND seen < ?1", (now, digest)
                )
            )
        return found

    async def of(self, user: Account) -> tuple[Session, ...]:
        """The live sessions of a person, the most recently used first."""
        now = self._clock()

        def work(fetch: Fetch) -> tuple[Session, ...]:
            rows = fetch(
                f"SELECT {_COLUMNS} FROM sessions WHERE account_id = ? ORDER BY seen DESC, digest",  # noqa: S608  constant
                (user.account_id,),
            )
            return tuple(_session(fetch, row) for row in rows if self._is_live(row, now))

        return await self._database.look(work)

    async def end(self, secret: str) -> None:
        """End the session with this secret."""
        await self._database.write(
            lambda transaction: transaction.change("DELETE FROM sessions WHERE digest = ?", (_digest(secret),))
        )

    async def end_of(self, user: Account, session_id: str = "", *, address: str) -> int:
        """End one session of a person, or all of them; returns how many."""

        def work(transaction: Transaction) -> int:
            rows = transaction.fetch("SELECT digest FROM sessions WHERE account_id = ?", (user.account_id,))
            ending = [digest for (digest,) in rows if session_id in ("", _id_of(digest))]
            transaction.change_many("DELETE FROM sessions WHERE digest = ?", [(digest,) for digest in ending])
            if ending:
                detail = f"{len(ending)} session(s)"
                insert_audit(transaction, AuditEntry(user.name, "session.end", user.name, address, detail=detail))
            return len(ending)

        return await self._database.write(work)

    def _is_live(self, row: tuple[Any, ...], now: int) -> bool:
        _, _, created, seen, *_ = row
        return bool(now < created + self._lifetime and now < seen + self._idle)


def end_sessions(transaction: Transaction, account_id: int) -> None:
    """End all sessions of an account, in a change of that account."""
    transaction.change("DELETE FROM sessions WHERE account_id = ?", (account_id,))


def form_token(secret: str) -> str:
    """What a form of this session must contain: another site can send a form with the cookie, but cannot know this."""
    return hashlib.sha256(b"form\n" + secret.encode("utf-8", "surrogatepass")).hexdigest()


def _session(fetch: Fetch, row: tuple[Any, ...]) -> Session:
    digest, account_id, created, seen, address, agent = row
    return Session(_id_of(digest), account_numbered(fetch, account_id), created, seen, address, agent)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _id_of(digest: bytes) -> str:
    """Of the stored hash, not of the secret: a list of sessions tells nobody how to use one."""
    return hashlib.sha256(digest).hexdigest()[:_ID_LENGTH]


def _fit(agent: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in agent)[:_LONGEST_AGENT]
