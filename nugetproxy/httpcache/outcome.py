"""How a response was produced: the vocabulary shared by cache, metrics, logs and `Cache-Status`."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What the cache did for one response."""

    HIT = "hit"
    """Stored and fresh; no upstream was asked."""
    REFRESHED = "refreshed"
    """Stored and stale; the upstream confirmed it (304) or sent a newer one while the client waited."""
    STALE = "stale"
    """Stored and stale, served anyway: the upstream is slow or broken, or is asked in the background."""
    MISS = "miss"
    """Not stored; fetched now."""
    ABSENT = "absent"
    """A definite "does not exist"."""
    FAILED = "failed"
    """The request failed."""
    REFUSED = "refused"
    """The request was invalid (4xx, except absences)."""
    OWN = "own"
    """Generated without the cache (service index, health, metrics)."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of a response.

    `age` is in seconds since the upstream last confirmed it; `fresh_for` is in seconds until it must be revalidated
    (zero or less: stale). Both are 0 for `Outcome.OWN`.
    """

    outcome: Outcome
    age: float = 0.0
    fresh_for: float = 0.0
    stored: bool = False
    """With MISS or REFRESHED: the response is stored."""
    detail: str = ""
    """A token for Cache-Status, for example why a stale copy was served; never untrusted text."""
    valid_for: float = math.inf
    """Seconds for which the response may be repeated at most, however fresh it is: then policy may change it."""

    def joined(self, other: "Provenance") -> "Provenance":
        """The provenance of a response made from two: the worse outcome, the higher age, the shorter freshness."""
        order = (
            Outcome.OWN,
            Outcome.HIT,
            Outcome.REFRESHED,
            Outcome.MISS,
            Outcome.STALE,
            Outcome.ABSENT,
            Outcome.REFUSED,
            Outcome.FAILED,
        )
        worse = max(self, other, key=lambda p: order.index(p.outcome))
        return Provenance(
            worse.outcome,
            max(self.age, other.age),
            min(self.fresh_for, other.fresh_for),
            self.stored or other.stored,
            worse.detail,
            min(self.valid_for, other.valid_for),
        )


OWN = Provenance(Outcome.OWN)
