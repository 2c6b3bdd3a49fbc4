"""Pins: packages that stay in the mirror whatever its budget, each with a name, a reason and a time.

A pin may be made before its package is kept. It is not part of what can be rebuilt from the files: it is lost with the
inventory, and then its packages are evicted like others, if the upstream still has them. The nodes of a fleet share the
pins in their database: they hold for the bucket and for the disk of each node.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nugetproxy.storage.database.base import Database

ALL_VERSIONS: Final = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """`lower_version` is empty for all versions of the id; `since` is in unix seconds."""

    lower_id: str
    lower_version: str
    name: str
    reason: str
    since: int


class Pins:
    """The pins, in the inventory's database or in that of a fleet. All methods raise StorageUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, *pins: Pin) -> None:
        """A pin of the same package with the same name is replaced."""
        rows = [(pin.lower_id, pin.lower_version, pin.name, pin.reason, pin.since) for pin in pins]
        await self._database.write(
            lambda transaction: transaction.change_many(
                "INSERT INTO mirrored_pins (lower_id, lower_version, name, reason, since) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (lower_id, lower_version, name) DO UPDATE SET reason = excluded.reason,"
                " since = excluded.since",
                rows,
            )
        )

    async def remove(self, lower_id: str, lower_version: str, name: str | None = None) -> int:
        """Remove the pin of this name, or all pins, of exactly this package; returns how many there were."""
        condition, parameters = ("", ()) if name is None else (" AND name = ?", (name,))
        return await self._database.write(
            lambda transaction: transaction.change(
                f"DELETE FROM mirrored_pins WHERE lower_id = ? AND lower_version = ?{condition}",  # noqa: S608 - ours
                (lower_id, lower_version, *parameters),
            )
        )

    async def remove_all(self, name: str) -> int:
        """Remove all pins of this name; returns how many there were."""
        return await self._database.write(
            lambda transaction: transaction.change("DELETE FROM mirrored_pins WHERE name = ?", (name,))
        )

    async def all(self) -> list[Pin]:
        """By id and version."""
        rows = await self._database.fetch(
            "SELECT lower_id, lower_version, name, reason, since FROM mirrored_pins"
            " ORDER BY lower_id, lower_version, name"
        )
        return [Pin(*row) for row in rows]

    async def held(self) -> Callable[[str, str], bool]:
        """Whether a version (lower id, lower version) is pinned now."""
        rows = await self._database.read(lambda fetch: fetch("SELECT lower_id, lower_version FROM mirrored_pins", ()))
        pinned = {(lower_id, lower_version) for lower_id, lower_version in rows}
        return lambda lower_id, version: bool(pinned) and not pinned.isdisjoint(((lower_id, ""), (lower_id, version)))

    async def of(self, lower_id: str, lower_version: str) -> list[Pin]:
        """The pins that keep this version."""
        rows = await self._database.fetch(
            "SELECT lower_id, lower_version, name, reason, since FROM mirrored_pins"
            " WHERE lower_id = ? AND lower_version IN ('', ?) ORDER BY name",
            (lower_id, lower_version),
        )
        return [Pin(*row) for row in rows]
