"""Slices: long work on the event loop, a few milliseconds at a time.

For work in pure Python, which would not run in parallel in a thread anyway: other requests are served between two
slices. Of all work that needs more than one slice, one slice is done in several turns of the loop, however many such
works there are. Work that releases the interpreter's lock (compressing, hashing) belongs in a thread instead.
"""

import asyncio
import time
from collections.abc import Callable, Generator
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

SLICE_SECONDS: Final = 0.003
"""The most seconds that others wait for a slice to end, if its steps are as short as they should be."""

TURNS_BETWEEN: Final = 8
"""Turns of the loop from one slice to the next. Answering a request takes several: with a slice in each of them, a
request would wait for as many slices. Turns without work take microseconds.
"""

_turns: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]" = WeakKeyDictionary()


async def in_slices(steps: Generator[None, None, T], clock: Callable[[], float] = time.perf_counter) -> T:
    """The result of work that yields after each of its steps (`protocol.steps`).

    Work that fits into one slice is done without a pause. Raises what the work raises.
    """
    result: list[T] = []
    if _did_end(steps, result, clock):
        return result[0]
    await asyncio.sleep(0)
    turn = _turn()
    while True:
        async with turn:
            if _did_end(steps, result, clock):
                return result[0]
            # The lock is held meanwhile, so that no other work does a slice. Waiting works get it in order of arrival.
            for _ in range(TURNS_BETWEEN):
                await asyncio.sleep(0)


def _did_end(steps: Generator[None, None, T], result: list[T], clock: Callable[[], float]) -> bool:
    """Run one slice; return whether it was the last."""
    end = clock() + SLICE_SECONDS
    try:
        while True:
            next(steps)
            if clock() >= end:
                return False
    except StopIteration as stopped:
        result.append(stopped.value)
        return True


def _turn() -> asyncio.Lock:
    loop = asyncio.get_running_loop()
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = asyncio.Lock()
    return turn
