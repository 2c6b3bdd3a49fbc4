"""The log of changes and the table of nodes in PostgreSQL: the statements behind `log.FleetLog`."""

import secrets
from collections.abc import Callable
from typing import Final

from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.fleet.log import Confirmation, Entry, FleetLog
from nugetproxy.storage.fleet.rules import Position, unseen
from nugetproxy.storage.revisions import ANYTHING, Change

CHANNEL: Final = "fleet_changes"
"""Where hints of changes are sent."""

_OLD_CHANGES: Final = """
DELETE FROM fleet_changes
WHERE at < statement_timestamp() - interval '1 hour' AND revision < (SELECT max(revision) FROM fleet_changes)
"""
_OLD_NODES: Final = """
DELETE FROM fleet_nodes WHERE is_waited_for = 0 AND seen < statement_timestamp() - interval '1 day'
"""

# Confirmations need not be safe from a crash: one that is lost only makes writers wait.
_CONFIRM: Final = """
WITH accepted AS (
    UPDATE fleet_nodes SET beat = beat + 1, confirmed = $3, seen = statement_timestamp()
    WHERE session = $1 AND beat = $2 AND is_waited_for = 1
        AND EXISTS (SELECT 1 FROM fleet_changes WHERE revision = $3 AND nonce = $4)
        AND NOT EXISTS (SELECT 1 FROM fleet_changes WHERE revision > $3)
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM accepted),
    (SELECT count(*) FROM fleet_nodes WHERE session = $1 AND beat = $2 AND is_waited_for = 1),
    set_config('synchronous_commit', 'off', true)
"""


def note(transaction: Transaction, change: Change) -> int:
    """Add an entry as the last statement of a transaction; returns its revision.

    The function takes a lock that is held until the commit is visible. So revisions have the order in which others see
    the changes.
    """
    [(revision,)] = transaction.fetch(
        "SELECT fleet_note(?, ?, ?)", (secrets.randbits(62) + 1, text_of(change), CHANNEL)
    )
    return int(revision)


def text_of(change: Change) -> str:
    """As it is stored, and read by other versions: words, and numbers of groups."""
    words = (("rights", change.rights), ("hosting", change.hosting), ("everything", change.everything))
    return " ".join((*(word for word, holds in words if holds), *map(str, sorted(change.groups))))


def change_of(text: str) -> Change:
    """The reverse. A word that this version does not know outdates everything."""
    words = text.split()
    groups = frozenset(int(word) for word in words if word.isdecimal())
    names = {word for word in words if not word.isdecimal()}
    if not names <= {"rights", "hosting", "everything"}:
        return ANYTHING
    return Change("rights" in names, "hosting" in names, "everything" in names, groups)


class PostgresFleetLog(FleetLog):
    """See `FleetLog`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def listen(self, hint: Callable[[], None]) -> None:
        """Call `hint` when there may be a change. Before anything is asked."""
        self._line.listen(CHANNEL, lambda _: hint())

    async def newest(self) -> Position:
        [(revision, nonce)] = await self._line.ask(
            "SELECT revision, nonce FROM fleet_changes ORDER BY revision DESC LIMIT 1"
        )
        return Position(revision, nonce)

    async def oldest(self) -> int:
        [(revision,)] = await self._line.ask("SELECT min(revision) FROM fleet_changes")
        return int(revision)

    async def since(self, position: Position) -> list[Entry] | None:
        rows = await self._line.ask(
            "SELECT revision, nonce, change FROM fleet_changes WHERE revision >= $1 ORDER BY revision",
            position.revision,
        )
        found = [Entry(Position(revision, nonce), change_of(change)) for revision, nonce, change in rows]
        return None if unseen(position, [entry.position for entry in found]) is None else found[1:]

    async def enter(self, session: int, name: str, position: Position, instead_of: int) -> None:
        await self._line.ask(
            "WITH gone AS (DELETE FROM fleet_nodes WHERE session = $4)"
            " INSERT INTO fleet_nodes (session, name, confirmed) VALUES ($1, $2, $3)",
            session,
            name,
            position.revision,
            instead_of,
        )

    async def confirm(self, session: int, beat: int, position: Position) -> Confirmation:
        [(accepted, there, _)] = await self._line.ask(_CONFIRM, session, beat, position.revision, position.nonce)
        if accepted:
            return Confirmation.ACCEPTED
        return Confirmation.BEHIND if there else Confirmation.LOST

    async def leave(self, session: int) -> None:
        await self._line.ask("DELETE FROM fleet_nodes WHERE session = $1", session)

    async def lagging(self, revision: int, besides: int) -> int:
        [(count,)] = await self._line.ask(
            "SELECT count(*) FROM fleet_nodes WHERE is_waited_for = 1 AND confirmed < $1 AND session <> $2",
            revision,
            besides,
        )
        return int(count)

    async def give_up(self, revision: int) -> int:
        rows = await self._line.ask(
            "UPDATE fleet_nodes SET is_waited_for = 0 WHERE is_waited_for = 1 AND confirmed < $1 RETURNING session",
            revision,
        )
        return len(rows)

    async def tidy(self) -> None:
        await self._line.ask(_OLD_CHANGES)
        await self._line.ask(_OLD_NODES)
