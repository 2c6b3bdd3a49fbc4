"""Holds: while one is in force, a main database takes no changes and says why. Reads go on.

The engines look at it at the beginning of every write, except for the commands that move a feed (`always_writes`).
Also which copy of which other storage this one is, as long as the copy is not finished.
"""

from dataclasses import dataclass
from typing import Final

from nugetproxy.errors import TakesNoChanges
from nugetproxy.storage.database.base import Dialect, Fetch, Transaction

FOREVER: Final = 200 * 365 * 86400.0
"""Seconds. Such a hold ends by a command only."""

_SECOND: Final = 1_000_000
# Microseconds since 1970, by the clock of the engine: the nodes of a fleet may have others.
_NOW: Final[dict[Dialect, str]] = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    "postgres": "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
}
SQLITE_HOLD: Final = f"SELECT held_because FROM storage_state WHERE held_until > {_NOW['sqlite']}"  # noqa: S608  constant


@dataclass(frozen=True, slots=True)
class StorageState:
    """`name` is random, empty until a copy needs it. `copy_of` is the name of the storage of which this is an
    unfinished copy, empty for all others. `held_because` is the reason of the hold, empty without one.
    """

    name: str
    copy_of: str
    held_because: str


def storage_state(fetch: Fetch, dialect: Dialect) -> StorageState:
    """Raises StorageUnavailable."""
    [(name, copy_of, because, is_held)] = fetch(
        f"SELECT name, copy_of, held_because, coalesce(held_until, 0) > {_NOW[dialect]} FROM storage_state",  # noqa: S608
        (),
    )
    return StorageState(name or "", copy_of or "", because if is_held else "")


def require_no_hold(fetch: Fetch, dialect: Dialect) -> None:
    """Before work that a write would refuse in the end. Raises TakesNoChanges."""
    if because := storage_state(fetch, dialect).held_because:
        raise TakesNoChanges(because)


def give_name(transaction: Transaction, name: str) -> None:
    """Unless it has one."""
    transaction.change("UPDATE storage_state SET name = coalesce(name, ?)", (name,))


def begin_copy(transaction: Transaction, source: str, because: str) -> None:
    """Say that this is an unfinished copy of the storage with this name; it is held until `finish_copy`."""
    transaction.change("UPDATE storage_state SET copy_of = ?", (source,))
    hold(transaction, FOREVER, because)


def finish_copy(transaction: Transaction) -> None:
    """It has all that its source has."""
    transaction.change("UPDATE storage_state SET copy_of = NULL")
    release(transaction)


def hold(transaction: Transaction, seconds: float, because: str) -> None:
    """Take no changes for this time, instead of any hold before. Once this is committed, every earlier write is, too.

    `because` is a sentence without a full stop, which clients see.
    """
    if transaction.dialect == "postgres":
        # Waits for the writes that began before. Later ones wait for this one, and see the hold.
        transaction.change("LOCK TABLE write_turns IN EXCLUSIVE MODE")
    transaction.change(
        f"UPDATE storage_state SET held_until = {_NOW[transaction.dialect]} + ?, held_because = ?",  # noqa: S608
        (int(seconds * _SECOND), because),
    )


def prolong(transaction: Transaction, seconds: float, because: str) -> bool:
    """As `hold`, if the hold has not ended since; otherwise False, and changes may have been made meanwhile."""
    if not storage_state(transaction.fetch, transaction.dialect).held_because:
        return False
    hold(transaction, seconds, because)
    return True


def release(transaction: Transaction) -> None:
    """End the hold."""
    transaction.change("UPDATE storage_state SET held_until = NULL, held_because = NULL")
