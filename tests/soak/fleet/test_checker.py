"""The checker on histories made by hand: it accepts what a fleet may do, and finds what it promises not to do."""

from math import inf

import pytest

from tests.soak.fleet.checker import explain
from tests.soak.fleet.history import Act, Seen, Step

LAG = 1.0
ABSENT, THERE = Seen(is_there=False), Seen(is_there=True)
LISTED, UNLISTED = Seen(is_there=True, is_listed=True), Seen(is_there=True, is_listed=False)


def push(begun: float, ended: float = inf, content: str = "a") -> Step:
    return Step(Act.PUSH, begun, ended, content)


def unlist(begun: float, ended: float = inf) -> Step:
    return Step(Act.UNLIST, begun, ended)


def relist(begun: float, ended: float = inf) -> Step:
    return Step(Act.RELIST, begun, ended)


def delete(begun: float, ended: float = inf) -> Step:
    return Step(Act.DELETE, begun, ended)


def read(begun: float, ended: float, seen: Seen, *, outdated: float = 0.0) -> Step:
    return Step(Act.READ, begun, ended, seen=seen, outdated=outdated)


def asked(begun: float, ended: float, seen: Seen) -> Step:
    return Step(Act.READ, begun, ended, seen=seen, is_exact=True)


def content(text: str) -> Seen:
    return Seen(is_there=True, content=text)


RIGHT = {
    "nothing": [],
    "absent, pushed, there": [read(0, 1, ABSENT), push(2, 3), read(4, 5, LISTED)],
    "a read during a push sees either": [push(0, 9), read(1, 2, ABSENT), read(1, 2, LISTED)],
    "another node is behind until the answer": [push(0, 9), read(1, 2, THERE), read(2.5, 2.9, ABSENT)],
    "a read that began before the answer": [push(0, 3), read(2.9, 5, ABSENT)],
    "all acts": [
        push(0, 1), read(1, 2, LISTED), unlist(2, 3), read(3, 4, UNLISTED), relist(4, 5), read(5, 6, LISTED),
        delete(6, 7), read(7, 8, ABSENT), push(8, 9, "b"), read(9, 10, content("b")),
    ],
    "an unknown push that never was": [push(0), read(5, 6, ABSENT), read(50, 51, ABSENT)],
    "an unknown push that came late": [push(0), read(5, 6, ABSENT), read(50, 51, THERE)],
    "an unknown push, another one that succeeded": [push(0), push(1, 2, "b"), read(3, 4, content("b"))],
    "an unknown push made another one fail": [push(0), asked(1, 2, THERE), read(4, 5, content("a"))],
    "once seen, then deleted by somebody": [push(0), read(1, 2, THERE), delete(3, 4), read(5, 6, ABSENT)],
    "once seen, then perhaps deleted": [push(0), read(1, 2, THERE), delete(3), read(5, 6, ABSENT), read(9, 10, ABSENT)],
    "two pushes at the same time": [push(0, 5), asked(0, 5, THERE), read(6, 7, content("a"))],
    "changes at the same time, in either order": [push(0, 1), unlist(2, 5), relist(2, 5), read(6, 7, UNLISTED)],
    "and the other": [push(0, 1), unlist(2, 5), relist(2, 5), read(6, 7, LISTED)],
    "an unknown unlisting between": [push(0, 1), unlist(2), read(3, 4, LISTED), read(3, 4, UNLISTED)],
    "deleted, pushed again": [push(0, 1), delete(2, 5), push(2, 6, "b"), read(7, 8, content("b"))],
    "a node that is cut off": [push(0, 1), delete(2, 3), read(5, 6, THERE, outdated=4)],
    "not listed while it is absent": [
        read(0, 1, Seen(is_listed=False)), push(2, 3), read(4, 5, Seen(is_listed=True)),
    ],
}  # fmt: skip

WRONG = {
    "an acknowledged push is not seen": [push(0, 1), read(1.1, 2, ABSENT)],
    "an acknowledged push is lost later": [push(0, 1), read(2, 3, THERE), read(90, 91, ABSENT)],
    "an acknowledged unlisting is not seen": [push(0, 1), unlist(2, 3), read(4, 5, LISTED)],
    "a deleted version comes back": [push(0, 1), delete(2, 3), read(4, 5, ABSENT), read(6, 7, THERE)],
    "a revoked key works": [push(0, 1), delete(2, 3), read(3.001, 4, THERE)],
    "what nobody pushed": [read(0, 1, THERE)],
    "what was pushed only later": [read(0, 1, THERE), push(2, 3)],
    "other bytes": [push(0, 1), read(2, 3, content("b"))],
    "the bytes of a deleted one": [push(0, 1), delete(2, 3), push(4, 5, "b"), read(6, 7, content("a"))],
    "two pushes succeeded": [push(0, 5), push(0, 5, "b")],
    "an unknown push was seen, then not any more": [push(0), read(1, 2, THERE), read(3.1, 4, ABSENT)],
    "the same, by asking": [push(0), read(1, 2, THERE), asked(2.5, 4, ABSENT)],
    "an unknown unlisting was seen, then not any more": [
        push(0, 1), unlist(2), read(3, 4, UNLISTED), read(5.1, 6, LISTED),
    ],
    "a push was refused although nothing is there": [asked(0, 1, THERE), push(2, 3)],
    "refused because of a push that began later": [asked(0, 1, THERE), push(1.5)],
    "back and forth": [push(0, 1), unlist(2, 9), read(3, 4, UNLISTED), read(5.1, 6, LISTED)],
    "cut off, but not for so long": [push(0, 1), delete(2, 3), read(8, 9, THERE, outdated=4)],
    "cut off, but of before it was pushed": [push(0, 1), read(8, 9, ABSENT, outdated=4)],
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_allowed(name: str) -> None:
    assert explain(RIGHT[name], LAG) is None


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not(name: str) -> None:
    assert explain(WRONG[name], LAG) is not None


def test_it_says_which_step_cannot_be_explained() -> None:
    said = explain([push(0, 1), unlist(2, 3), read(4, 5, LISTED), read(6, 7, UNLISTED)], LAG)
    assert said is not None
    assert "Held(content='a', is_listed=False) before it" in said
    [marked] = [line for line in said.splitlines() if line.startswith("! ")]
    assert marked.split() == ["!", "4.000", "to", "5.000", "read", "there,", "listed"]


def test_many_unknown_changes_at_the_same_time_are_no_burden() -> None:
    steps = [push(0, 1), *(unlist(2) for _ in range(8)), *(relist(2) for _ in range(8))]
    steps += [read(3 + n, 3.5 + n, LISTED if n % 2 else UNLISTED) for n in range(12)]
    assert explain(steps, LAG) is None
    assert explain([*steps, read(99, 100, ABSENT)], LAG) is not None
