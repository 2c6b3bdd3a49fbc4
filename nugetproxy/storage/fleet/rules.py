"""Who may answer from memory, and when a writer may go on: the rules of a fleet of nodes, without I/O.

All times are seconds on a machine's own clock that only grows (`Standing.now`). No rule compares clocks of two
machines, and none uses the time of day. See docs/decisions/0032-a-fleet-confirms-changes.md for the proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in seconds."""

    beat: float = 1.0
    """Between two confirmations of a node, at most."""
    attempt: float = 1.0
    """How long a node waits for an answer of the database until it counts as unreachable."""
    right: float = 4.0
    """How long a confirmation lets its node answer from memory, from before it was sent."""
    wait: float = 5.0
    """How long a writer waits for nodes that do not confirm. Longer than `right`, as clocks run at different rates."""
    outage: float = 120.0
    """How long a node that cannot reach the database answers from memory, from its last confirmation."""

    def __post_init__(self) -> None:
        if self.wait < 1.2 * self.right:
            raise ValueError("`wait` must exceed `right` by a fifth: clocks may differ in their rates by up to a tenth")
        if self.right < self.beat + self.attempt:
            raise ValueError("`right` must last until the next confirmation")

    @property
    def retry(self) -> float:
        """Between two attempts of a node that cannot reach the database."""
        return self.beat / 2

    @property
    def excuse(self) -> float:
        """How long a failed attempt shows that the database cannot be reached: until the end of the next one."""
        return self.retry + self.attempt + self.beat / 2


def memory_until(sent: float, timing: Timing) -> float:
    """Until when a node may answer from memory whose confirmation, sent at `sent`, was accepted.

    A change that the confirmation does not include was committed after the database looked, so after `sent`; whoever
    makes it waits for longer than this, from after the commit.
    """
    return sent + timing.right


def memory_without_database(
    until: float, confirmed: float | None, asked: float, failed: float, timing: Timing
) -> float:
    """The same after an attempt, begun at `asked`, failed at `failed`; `until` is the previous result, `confirmed` when
    the last accepted confirmation was sent, None if what the node knows is known to be outdated.

    It could not have learned of a change: so it goes on with what it knows, but not for longer than `outage`. An
    attempt that took longer than it may proves nothing: the node was stopped meanwhile, and may have been answered.
    """
    if confirmed is None or failed - asked > timing.attempt + timing.beat:
        return until
    return max(until, min(confirmed + timing.outage, failed + timing.excuse))


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log of changes. `nonce` is random: after the loss of the last changes, numbers are used again."""

    revision: int
    nonce: int


def unseen(known: Position, found: Sequence[Position]) -> Sequence[Position] | None:
    """Of the entries `found`, from `known.revision` on, those after `known`. None: the log does not contain `known`.

    Then it is not known what changed: the last commits were lost, or the entry was removed long ago.
    """
    if not found or found[0] != known:
        return None
    return found[1:]


def pause_between_looks(waited: float) -> float:
    """Seconds until a writer that has waited for `waited` looks again at who has confirmed."""
    return min(0.1, max(0.002, waited / 4))
