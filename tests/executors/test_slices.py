import asyncio
import itertools
from collections.abc import Generator

import pytest

from nugetproxy.executors.slices import SLICE_SECONDS, TURNS_BETWEEN, in_slices


class Clock:
    """A clock that each step advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def steps(count: int, clock: Clock, seconds: float, done: list[str], name: str = "") -> Generator[None, None, str]:
    for _ in range(count):
        clock.now += seconds
        done.append(name)
        yield
    return f"{name} is done"


async def turns(clock: Clock, done: list[str], *works: Generator[None, None, str]) -> list[int]:
    """How many steps each turn of the loop did until all the works were done."""
    tasks = [asyncio.ensure_future(in_slices(work, clock)) for work in works]
    each = []
    while not all(task.done() for task in tasks):
        before = len(done)
        await asyncio.sleep(0)
        each.append(len(done) - before)
    return each


async def test_short_work_is_done_in_one_turn():
    clock, done = Clock(), list[str]()

    assert [10] == [count for count in await turns(clock, done, steps(10, clock, 0.0001, done)) if count]


async def test_long_work_lets_the_loop_turn():
    clock, done = Clock(), list[str]()

    counts = await turns(clock, done, steps(20, clock, SLICE_SECONDS / 3.5, done))

    assert max(counts) == 4
    assert sum(counts) == 20


async def test_of_many_long_works_one_slice_is_done_in_each_turn():
    """
    One slice for each would take as long as the work of one: with fifty readers of fifty large documents nobody else
    would be served.
    """
    clock, done = Clock(), list[str]()
    works = [steps(4, clock, SLICE_SECONDS, done, str(number)) for number in range(50)]

    counts = await turns(clock, done, *works)

    # All start immediately, because nearly all work is short.
    assert counts[0] == 50
    assert max(counts[1:]) == 1
    assert done[50:100] == [str(number) for number in range(50)], "in the order of asking"


async def test_between_two_slices_the_loop_turns_often_enough_to_answer_a_request():
    """
    Reading it, running its handler and writing the answer take several turns.
    """
    clock, done = Clock(), list[str]()
    works = [steps(4, clock, SLICE_SECONDS, done, str(number)) for number in range(3)]

    counts = (await turns(clock, done, *works))[1:]

    at = [turn for turn, count in enumerate(counts) if count]
    assert min(later - earlier for earlier, later in itertools.pairwise(at)) >= TURNS_BETWEEN


async def test_what_the_work_raises_is_raised():
    def failing() -> Generator[None, None, None]:
        yield
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await in_slices(failing())


async def test_a_reader_that_leaves_lets_the_others_go_on():
    clock, done = Clock(), list[str]()
    left = asyncio.ensure_future(in_slices(steps(1_000, clock, SLICE_SECONDS, done, "left"), clock))
    stayed = asyncio.ensure_future(in_slices(steps(5, clock, SLICE_SECONDS, done, "stayed"), clock))
    await asyncio.sleep(0)

    left.cancel()

    assert await stayed == "stayed is done"
    assert done.count("left") < 10
