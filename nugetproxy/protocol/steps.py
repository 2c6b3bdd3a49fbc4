"""Steps: long work as a generator that yields where other work may run.

The pure floors know no event loop. Work that may take long there is written as Steps, and the floors above decide how
to run it: `executors.slices` interleaves it with other work, `at_once` runs it to the end.
"""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Yields after each step; a step covers at most one version, whatever the size of the document. Returns the result."""


def at_once(steps: Steps[T]) -> T:
    """Run all steps without a pause and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as stopped:
            result: T = stopped.value
            return result
