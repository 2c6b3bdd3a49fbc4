"""Which ids a catalog named lately, and from where the catalog must be read again. Pure.

The documents of an upstream follow its catalog after minutes, on a bad day after hours: a copy that was fetched right
after an event may still be the old one. So the documents of an id are expired again and again until the event has
settled, each time after an eighth of the time waited: what appears late is seen late by an eighth at most.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nugetproxy.protocol.times import TICKS_PER_SECOND
from nugetproxy.protocol.v3.catalog_reader import Change, Commit

SETTLES: Final = 3_600.0
"""Seconds after which an event is taken to have reached every document of the upstream."""
OLD: Final = 86_400
"""Seconds after which an event has settled before it is read here, by the upstream's clock, which may be hours off.
"""
LATEST: Final = 86_400.0
"""Seconds after which an event has settled even if no document shows it."""
_AGAIN: Final = 8
MOST_IDS: Final = 50_000
"""Ids with unsettled events. nuget.org has about a thousand an hour."""


@dataclass(slots=True)
class _Unsettled:
    change: Change
    read: float
    until: float
    latest: float
    again: float


class Backlog:
    """What was read of one catalog. Times of events in ticks; `now` in seconds of which only differences matter."""

    def __init__(self, since: int, seen: int, anchor: Commit | None) -> None:
        self.since = since
        """Where reading began: every event between this and `seen` was read."""
        self.seen = seen
        """Every event up to here was read."""
        self.anchor = anchor
        """A commit that the catalog must still contain, unless it was replaced; None if none is known."""
        self._unsettled: dict[str, _Unsettled] = {}

    def ids(self, now: float) -> list[str]:
        """The lower-case ids whose documents must be expired now."""
        return [lower_id for lower_id, each in self._unsettled.items() if each.again <= now]

    @property
    def is_full(self) -> bool:
        return len(self._unsettled) > MOST_IDS

    def note(self, changes: Iterable[Change], newest: int, now: float) -> None:
        """Enter events, which are expired at least once. `newest` is the time of the newest one of the catalog."""
        for change in changes:
            is_old = newest - change.commit.stamp > OLD * TICKS_PER_SECOND
            until, latest = (now, now) if is_old else (now + SETTLES, now + LATEST)
            known = self._unsettled.get(change.package_id.lower)
            if known is None:
                self._unsettled[change.package_id.lower] = _Unsettled(change, now, until, latest, now)
            else:
                known.change = max(known.change, change, key=lambda each: each.commit.stamp)
                known.until, known.latest = max(known.until, until), max(known.latest, latest)
                known.read = known.again = now

    def expired(self, lower_ids: Iterable[str], now: float) -> list[tuple[Change, bool]]:
        """Note that the documents of these ids were expired at this time.

        Returns the newest event of each id that may have settled, and whether it has, whatever the documents show.
        """
        due = []
        for lower_id in lower_ids:
            each = self._unsettled[lower_id]
            each.again = now + (now - each.read) / _AGAIN
            if each.until <= now:
                due.append((each.change, each.latest <= now))
        return due

    def settle(self, change: Change) -> None:
        """The documents show this event: its id need not be expired again."""
        self._unsettled.pop(change.package_id.lower, None)

    def cursor(self) -> int:
        """From where another process has to read on: the events after it that have not settled are entered again."""
        oldest = min((each.change.commit.stamp for each in self._unsettled.values()), default=self.seen + 1)
        return min(self.seen, oldest - 1)
