"""Which ids a catalog named lately, and from where the catalog must be read again. Pure.

The documents of an upstream follow its catalog after minutes: a copy that was fetched right after an event may still be
the old one. So the documents of an id are expired again with every poll until the event has settled.
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
MOST_IDS: Final = 50_000
"""Ids with unsettled events. nuget.org has about a thousand an hour."""


@dataclass(slots=True)
class _Unsettled:
    stamp: int
    until: float


class Backlog:
    """What was read of one catalog. Times of events in ticks; `now` in seconds of which only differences matter."""

    def __init__(self, seen: int, anchor: Commit | None) -> None:
        self.seen = seen
        """Every event up to here was read."""
        self.anchor = anchor
        """A commit that the catalog must still contain, unless it was replaced; None if none is known."""
        self._unsettled: dict[str, _Unsettled] = {}

    @property
    def ids(self) -> list[str]:
        """The lower-case ids whose documents must be expired now."""
        return list(self._unsettled)

    @property
    def is_full(self) -> bool:
        return len(self._unsettled) > MOST_IDS

    def note(self, changes: Iterable[Change], newest: int, now: float) -> None:
        """Enter events, which are expired at least once. `newest` is the time of the newest one of the catalog."""
        for change in changes:
            is_old = newest - change.commit.stamp > OLD * TICKS_PER_SECOND
            until = now if is_old else now + SETTLES
            known = self._unsettled.get(change.package_id.lower)
            if known is None:
                self._unsettled[change.package_id.lower] = _Unsettled(change.commit.stamp, until)
            else:
                known.stamp, known.until = max(known.stamp, change.commit.stamp), max(known.until, until)

    def settle(self, expired: float) -> None:
        """The documents of all `ids` were expired after this time: forget those whose events have settled."""
        for lower_id in [lower_id for lower_id, each in self._unsettled.items() if each.until <= expired]:
            del self._unsettled[lower_id]

    def cursor(self) -> int:
        """From where another process has to read on: the events after it that have not settled are entered again."""
        oldest = min((each.stamp for each in self._unsettled.values()), default=self.seen + 1)
        return min(self.seen, oldest - 1)
