"""Pages of an answer out of which rows are dropped: the rows that are left, without gaps or repetition, and a total.

A service that is asked for its second page knows nothing of what we dropped from the first. So rows are read from the
beginning, until the end of the wanted page is there. Where one question ends and the next begins is the same for
every page, so that pages share what was answered.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from nugetproxy.httpcache.outcome import OWN, Provenance
from nugetproxy.protocol.v3.search_query import DEEPEST_SKIP, MOST_TAKEN

R = TypeVar("R")

FIRST: Final = 30
"""Rows that are read whichever page is wanted: as many as a usual client asks for at once."""

SMALL: Final = 100
"""An answer of no more rows is read to its end whichever page is wanted, so that its total is exact."""

_ENDS: Final = (FIRST, SMALL, 300, *range(MOST_TAKEN, DEEPEST_SKIP + MOST_TAKEN + 1, MOST_TAKEN))
# More than there are ends, for services that give fewer rows than they are asked for.
_MOST_QUESTIONS: Final = 12


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """Some rows in order, and how many there are in all; None when that is not told."""

    rows: tuple[R, ...]
    total: int | None
    provenance: Provenance = OWN


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """The first rows that are left, and how many there are in all, as far as that is promised."""

    rows: tuple[R, ...]
    total: int
    provenance: Provenance = OWN


Ask = Callable[[int, int], Awaitable[Rows[R]]]
"""`ask(skip, take)` gives rows as a service has them."""


async def first_rows(
    ask: Ask[R],
    keep: Callable[[Sequence[R]], Awaitable[list[R]]],
    name_of: Callable[[R], str],
    wanted: int,
) -> Found[R]:
    """The first rows that `keep` leaves: `wanted` or somewhat more; fewer when there are no more or they lie too deep.

    `keep` judges each row by itself. Of rows with the same
    `name_of` the first counts: a service may move a row between two questions.

    The total does not depend on `wanted`: while the service tells the same, every page of an answer, of whatever size,
    has the same total. It is exact when the service has no more than SMALL rows. When it has more, rows that are
    dropped behind its first FIRST ones cannot be known without reading them all, and are counted: the total is too
    large by those. It is never smaller than what was found; so it grows from page to page only when a service tells no
    total, or one that is smaller than what it gives.
    """
    reading: _Reading[R] = _Reading(keep, name_of)
    while asked := reading.next_question(wanted):
        await reading.take_in(await ask(*asked), *asked)
    return Found(tuple(reading.kept), reading.total, reading.provenance)


class _Reading(Generic[R]):
    """What was read of one answer, from its beginning."""

    def __init__(self, keep: Callable[[Sequence[R]], Awaitable[list[R]]], name_of: Callable[[R], str]) -> None:
        self._keep = keep
        self._name_of = name_of
        self._names: set[str] = set()
        self._questions = 0
        self._seen = 0
        self._told: int | None = None
        self._dropped = 0
        """Among the first FIRST rows."""
        self._has_ended = False
        self.kept: list[R] = []
        self.provenance = OWN

    @property
    def total(self) -> int:
        found = len(self.kept)
        if self._told is None or (self._is_small and self._has_all_told):
            return found
        return max(self._told - self._dropped, found)

    @property
    def _is_small(self) -> bool:
        return self._told is not None and self._told <= SMALL

    @property
    def _has_all_told(self) -> bool:
        return self._has_ended or (self._told is not None and self._seen >= self._told)

    def next_question(self, wanted: int) -> tuple[int, int] | None:
        """What to skip and to take next; None when enough was read."""
        if self._has_ended or self._questions == _MOST_QUESTIONS or self._seen >= _ENDS[-1]:
            return None
        is_enough = self._seen >= FIRST and len(self.kept) >= wanted
        if is_enough and (self._has_all_told or not self._is_small):
            return None
        end = next(end for end in _ENDS if end > self._seen)
        return self._seen, min(MOST_TAKEN, end - self._seen)

    async def take_in(self, answer: Rows[R], skipped: int, asked: int) -> None:
        """`answer` is what was given for that question."""
        if not self._questions:
            # Later questions may be answered by a service that counts otherwise.
            self._told = answer.total
        self._questions += 1
        self.provenance = answer.provenance if self._questions == 1 else self.provenance.joined(answer.provenance)
        self._seen += len(answer.rows)
        fresh = []
        for row in answer.rows:
            name = self._name_of(row)
            if name not in self._names:
                self._names.add(name)
                fresh.append(row)
        self.kept += await self._keep(fresh)
        if skipped < FIRST:
            self._dropped = self._seen - len(self.kept)
        # Fewer rows than asked are the end, or as many as a service ever gives; more come from one without paging.
        is_last = len(answer.rows) < asked and (answer.total is None or self._seen >= answer.total)
        self._has_ended = not answer.rows or is_last or len(answer.rows) > asked
