"""How an answer came about: the one vocabulary shared by the cache, the metrics, the logs and `Cache-Status`."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What the cache did for one answer."""

    HIT = "hit"
    """Kept and fresh; no upstream was asked."""
    REFRESHED = "refreshed"
    """Kept and stale; the upstream confirmed it (304) or sent a newer one while the asker waited."""
    STALE = "stale"
    """Kept and stale, served as it is: the upstream is slow, broken, or being asked behind."""
    MISS = "miss"
    """Not kept; fetched now."""
    ABSENT = "absent"
    """A definite "does not exist"."""
    FAILED = "failed"
    """No answer could be given."""
    REFUSED = "refused"
    """The request itself was wrong (4xx but not an absence)."""
    OWN = "own"
    """Made by us without any cache (service index, health, metrics)."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an answer came from.

    `age` is in seconds since the upstream last vouched for it; `fresh_for` is in seconds from now until it must be
    asked about again (zero or less: stale). Both are 0 for `Outcome.OWN`.
    """

    outcome: Outcome
    age: float = 0.0
    fresh_for: float = 0.0
    stored: bool = False
    """With MISS or REFRESHED: the answer is (being) kept."""
    detail: str = ""
    """A token for Cache-Status, e.g. why a stale copy was served; never free text of a stranger."""

    def joined(self, other: "Provenance") -> "Provenance":
        """The provenance of an answer made from two: the worse outcome, the older age, the shorter freshness."""
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
        )


OWN = Provenance(Outcome.OWN)
