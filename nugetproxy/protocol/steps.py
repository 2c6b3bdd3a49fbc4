"""Work in steps: long work as a generator that yields where others may be let through.

The pure floors cannot know an event loop. What may take long there is written as Steps, and the floors above decide how
to run it: `executors.slices` between other work, `at_once` to the end.
"""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Yields after each step; a step is bounded by one version, not by the size of a document. Returns the result."""


def at_once(steps: Steps[T]) -> T:
    """The result, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as stopped:
            result: T = stopped.value
            return result
