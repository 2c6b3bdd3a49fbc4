"""Whether the history of a register keeps the promise of a fleet (docs/decisions/0032-a-fleet-confirms-changes.md).

It does if its steps can be put into one order in which each read sees what the changes before it have left, and where

- a change comes after whatever had ended when it began;
- a read comes after all changes that were acknowledged when it began;
- a read comes after each read that had ended `lag` before, or, if it asked the database, that had ended at all: so what
  was seen of a change with an unknown outcome stays seen. Until then one node may have seen a change that is not
  acknowledged yet, and another one not;
- a change with an unknown outcome comes anywhere after its begin, or never.

For a node that may have been cut off (`Step.outdated`), a read began that much earlier.

The search for such an order is that of Wing and Gong, which keeps what it has tried (Lowe). Reads change nothing, so a
read that fits is taken; only the order of concurrent changes is tried.
"""

from bisect import bisect_left
from collections.abc import Sequence
from math import inf

from tests.soak.fleet.history import Act, State, Step, after


def explain(steps: Sequence[Step], lag: float) -> str | None:
    """None if the history of one register, which begins empty, is right. Otherwise what is wrong, for people."""
    return _Search(sorted(steps, key=lambda step: (step.ended, step.begun)), lag).explain()


class _Search:
    def __init__(self, steps: list[Step], lag: float) -> None:
        self._steps = steps
        self._reads = [number for number, step in enumerate(steps) if step.act is Act.READ]
        self._changes = [number for number, step in enumerate(steps) if step.act is not Act.READ]
        # What must have been done is a set of bits, like what was done.
        self._needs = [self._before(step, lag) for step in steps]
        self._required = sum(1 << number for number, step in enumerate(steps) if step.ended < inf)
        self._tried: set[tuple[int, State]] = set()
        self._best: tuple[int, State] = (0, None)

    def explain(self) -> str | None:
        if self._goes_on(0, None):
            return None
        done, state = self._best
        missing = [number for number in range(len(self._steps)) if self._required & ~done & 1 << number]
        lines = [
            f"{'  ' if done & 1 << number else '? ' if number not in missing[:1] else '! '}{step}"
            for number, step in sorted(enumerate(self._steps), key=lambda each: each[1].begun)
        ]
        return f"no order explains the step marked !, with {state} before it:\n" + "\n".join(lines)

    def _before(self, step: Step, lag: float) -> int:
        if step.act is not Act.READ:
            changed = seen = step.begun
        else:
            changed = step.begun - step.outdated
            seen = step.begun if step.is_exact else changed - lag
        return self._ended_before(self._changes, changed) | self._ended_before(self._reads, seen)

    def _ended_before(self, some: list[int], moment: float) -> int:
        found = bisect_left(some, moment, key=lambda number: self._steps[number].ended)
        return sum(1 << number for number in some[:found])

    def _goes_on(self, done: int, state: State) -> bool:
        """Whether the rest can be put into an order, from this state on."""
        waiting = [(done, state)]
        while waiting:
            done, state = waiting.pop()
            done = self._with_reads(done, state)
            if done & self._required == self._required:
                return True
            if (done, state) in self._tried:
                continue
            self._tried.add((done, state))
            if done.bit_count() > self._best[0].bit_count():
                self._best = done, state
            waiting += self._next(done, state)
        return False

    def _next(self, done: int, state: State) -> list[tuple[int, State]]:
        """What may be after one more change. The likeliest is last."""
        following: list[tuple[int, State]] = []
        unknown = set[tuple[Act, str]]()
        for number in reversed(self._changes):
            step = self._steps[number]
            if done & 1 << number or self._needs[number] & ~done:
                continue
            try:
                changed = after(step, state)
            except ValueError:
                continue
            if step.ended == inf:
                # Those that change nothing, or do the same as another one, lead nowhere else.
                if changed == state or (step.act, step.content) in unknown:
                    continue
                unknown.add((step.act, step.content))
            following.append((done | 1 << number, changed))
        return following

    def _with_reads(self, done: int, state: State) -> int:
        """With all reads that may come now and fit."""
        before = -1
        while before != done:
            before = done
            for number in self._reads:
                seen = self._steps[number].seen
                if not done & 1 << number and not self._needs[number] & ~done and seen is not None and seen.fits(state):
                    done |= 1 << number
        return done
