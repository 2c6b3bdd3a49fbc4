"""The log of changes and the table of nodes, as the rest of `fleet` needs them.

The contract; `postgres_log` keeps it in PostgreSQL. Every method raises StorageUnavailable.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from nugetproxy.storage.fleet.rules import Position
from nugetproxy.storage.revisions import Change


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, as its transaction noted it."""

    position: Position
    change: Change


class Confirmation(Enum):
    """What became of one."""

    ACCEPTED = "it was the newest change"
    BEHIND = "there are other changes"
    LOST = "this node is not in the table, or a writer has given up waiting for it"


class FleetLog(Protocol):
    """Entries are numbered in the order in which their transactions are seen: whoever sees one sees all before it."""

    async def newest(self) -> Position:
        """The position of the newest change. There always is one."""

    async def oldest(self) -> int:
        """The number of the oldest change that is still in the log."""

    async def since(self, position: Position) -> list[Entry] | None:
        """The changes after `position`, in order. None: the log does not contain it."""

    async def enter(self, session: int, name: str, position: Position, instead_of: int) -> None:
        """Add this node to the table, as one that writers wait for, safe from a crash of the database.

        `name` is for people. `instead_of`: a row of this node that is to be removed; 0: none.
        """

    async def confirm(self, session: int, beat: int, position: Position) -> Confirmation:
        """All processes of the node were notified of everything up to `position`. `beat`: how often it has confirmed.

        Accepted only if that is the newest change and writers wait for the node, at one moment between call and return.
        """

    async def leave(self, session: int) -> None:
        """Remove the node: nobody waits for it any more."""

    async def lagging(self, revision: int, besides: int) -> int:
        """How many nodes that writers wait for, other than `besides`, have not confirmed this change."""

    async def give_up(self, revision: int) -> int:
        """Do not wait any more for the nodes that have not confirmed this change; returns how many these are."""

    async def tidy(self) -> None:
        """Remove old entries, except the newest, and nodes that were given up and not seen for long."""
