"""Lists of values in SQL, one parameter each: no function that expands one parameter is the same in every engine."""

from collections.abc import Iterable
from typing import Final

LONGEST: Final = 16_384
"""Values in one statement: half of what the engines allow, so that a list can be used twice."""


def padded(values: Iterable[object]) -> tuple[object, ...]:
    """The values, with the last one repeated up to a power of two: so there are few different statements to prepare.

    One NULL if there are none. Raises ValueError for more than LONGEST.
    """
    given = tuple(values) or (None,)
    if len(given) > LONGEST:
        raise ValueError(f"a statement can have {LONGEST} values, not {len(given)}")
    missing = (1 << (len(given) - 1).bit_length()) - len(given)
    return (*given, *given[-1:] * missing)


def listed(values: tuple[object, ...]) -> str:
    """For `IN`: `(?, ?, ?)`."""
    return f"({', '.join('?' * len(values))})"


def as_rows(values: tuple[object, ...]) -> str:
    """For `VALUES`: `(?), (?), (?)`."""
    return ", ".join(["(?)"] * len(values))
