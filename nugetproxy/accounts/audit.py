"""The audit log: who did what to what, when, from where, and how it ended. Append-only, and never with a secret.

The database refuses to change or delete a line. An act and its line share one transaction: `insert_audit` is called
inside the act's own write, so neither exists without the other.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from nugetproxy.accounts.model import now_us
from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import mask_text
from nugetproxy.storage.database.base import Database, Fetch, Transaction

DONE: Final = "done"
REFUSED: Final = "refused"

REFUSALS_A_MINUTE: Final = 30
"""Lines about refusals of one actor. Any key can be refused any number of times, and lines are never deleted."""

_LONGEST: Final = 500
_COLUMNS: Final = "number, at, actor, action, subject, address, result, detail"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line.

    `actor` is `Actor.name`; `action` is "thing.verb" ("key.add", "package.push"); `subject` is its object;
    `address` the client's, empty for the command line; `result` is DONE or REFUSED, `detail` a sentence or a few words.
    `at` in unix microseconds; `number` increases with every line and is 0 for one that is not written yet.
    """

    actor: str
    action: str
    subject: str
    address: str = ""
    result: str = DONE
    detail: str = ""
    at: int = field(default_factory=now_us)
    number: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def insert_audit(transaction: Transaction, entry: AuditEntry) -> None:
    """Write the line in the caller's transaction."""
    texts = (entry.actor, entry.action, entry.subject, entry.address, entry.result, entry.detail)
    transaction.change_later(
        "INSERT INTO audit_log (at, actor, action, subject, address, result, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (entry.at, *map(_fit, texts)),
    )


@dataclass(slots=True)
class _Refused:
    """The refusals of one actor in a minute that began at `since`, on the monotonic clock."""

    since: float
    written: int = 0
    left_out: int = 0


def newest_entry(fetch: Fetch) -> int:
    """The number of the newest line; 0 if there is none, and if the database is closed or cannot be read."""
    try:
        [(number,)] = fetch("SELECT max(number) FROM audit_log", ())
    except StorageUnavailable:
        return 0
    return number or 0


class AuditLog:
    """The audit lines of one database."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._refused: dict[str, _Refused] = {}

    async def record_refusal(self, entry: AuditEntry) -> None:
        """Write a line about a refusal, which belongs to no other write. Raises StorageUnavailable.

        If one actor exceeds `REFUSALS_A_MINUTE`, the next line after that minute says how many were left out.
        """
        now = self._clock()
        known = self._refused.get(entry.actor)
        if known is None or now - known.since >= 60:
            left_out = known.left_out if known is not None else 0
            known = self._refused[entry.actor] = _Refused(now)
            if left_out:
                entry = replace(entry, detail=f"{entry.detail} (and {left_out} more refusals that were not recorded)")
        if known.written >= REFUSALS_A_MINUTE:
            known.left_out += 1
            return
        known.written += 1
        await self._database.write(lambda transaction: insert_audit(transaction, entry))

    async def entries(
        self, after: int = 0, limit: int = 100, *, since: int = 0, actor: str = "", action: str = "", subject: str = ""
    ) -> tuple[AuditEntry, ...]:
        """At most `limit` lines numbered above `after`, oldest first; filtered by equality with the given texts.

        Raises StorageUnavailable.
        """
        return await self._read("ASC", after, limit, since=since, actor=actor, action=action, subject=subject)

    async def latest(
        self, limit: int | None = 100, *, since: int = 0, actor: str = "", action: str = "", subject: str = ""
    ) -> tuple[AuditEntry, ...]:
        """As `entries`, but the last `limit` lines (None: all); also oldest first."""
        return (await self._read("DESC", 0, limit, since=since, actor=actor, action=action, subject=subject))[::-1]

    async def _read(
        self, order: str, after: int, limit: int | None, *, since: int, **equal: str
    ) -> tuple[AuditEntry, ...]:
        conditions, values = ["number > ?", "at >= ?"], list[object]((after, since))
        for column, text in equal.items():
            if text:
                conditions.append(f"{column} = ?")
                values.append(text)
        many = "" if limit is None else "LIMIT ?"
        rows = await self._database.fetch(
            f"SELECT {_COLUMNS} FROM audit_log WHERE {' AND '.join(conditions)} ORDER BY number {order} {many}",  # noqa: S608  names are ours
            values if limit is None else [*values, limit],
        )
        return tuple(
            AuditEntry(number=n, at=at, actor=a, action=act, subject=s, address=where, result=r, detail=d)
            for n, at, a, act, s, where, r, d in rows
        )


def _fit(text: str) -> str:
    """One printable line of bounded length, with anything like a secret masked: clients choose part of the text."""
    line = "".join(c if c.isprintable() else "?" for c in mask_text(text))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
