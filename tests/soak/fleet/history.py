"""What clients of a fleet did and saw, for the checker.

A register is one version of a package, or one key. It is empty, or holds a content that is listed or not. A key holds
something from when it is created until it is revoked.
"""

from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import NamedTuple


class Held(NamedTuple):
    """What a register holds."""

    content: str
    is_listed: bool = True


State = Held | None
"""Of a register; None: it is empty."""


class Act(Enum):
    """What a step does to a register."""

    PUSH = "push"
    UNLIST = "unlist"
    RELIST = "relist"
    DELETE = "delete"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer says about a register. None: nothing about that."""

    is_there: bool | None = None
    is_listed: bool | None = None
    """False: it is not there, or not listed."""
    content: str | None = None

    def fits(self, state: State) -> bool:
        """Whether a register with this state can be seen so."""
        return (
            (self.is_there is None or self.is_there == (state is not None))
            and (self.is_listed is None or self.is_listed == (state is not None and state.is_listed))
            and (self.content is None or (state is not None and state.content == self.content))
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One request, as far as it concerns one register. Times are seconds on one clock.

    A change that was refused is a read of why.
    """

    act: Act
    begun: float
    ended: float = inf
    """When the answer had arrived; never for a change whose outcome is unknown."""
    content: str = ""
    """What a push brings."""
    seen: Seen | None = None
    """What a read saw."""
    is_exact: bool = False
    """Whether the database was asked: such an answer never comes from a node's memory."""
    outdated: float = 0.0
    """For how many seconds before `begun` the node may have been cut off, with the right to answer from memory."""
    node: str = ""
    note: str = ""

    def __str__(self) -> str:
        what = f"{self.act.value} {self.content}" if self.seen is None else f"read {_said(self.seen)}"
        until = "unknown" if self.ended == inf else f"{self.ended:.3f}"
        outdated = f" (may lack the last {self.outdated:g} s)" if self.outdated else ""
        return f"{self.begun:9.3f} to {until:>9} {self.node:6} {what} {self.note}{outdated}".rstrip()


def after(step: Step, state: State) -> State:
    """What a register holds after a change. Raises ValueError if the change is refused in this state."""
    if (step.act is Act.PUSH) != (state is None):
        raise ValueError(f"{step.act.value} is refused while it holds {state}")
    if step.act is Act.PUSH:
        return Held(step.content)
    assert state is not None, "as checked"
    return None if step.act is Act.DELETE else Held(state.content, step.act is Act.RELIST)


def _said(seen: Seen) -> str:
    words = []
    if seen.content is not None:
        words.append(f"content {seen.content}")
    elif seen.is_there is not None:
        words.append("there" if seen.is_there else "absent")
    if seen.is_listed is not None:
        words.append("listed" if seen.is_listed else "not listed")
    return ", ".join(words)
