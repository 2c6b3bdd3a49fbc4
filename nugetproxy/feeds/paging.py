"""Pages of a result from which rows are dropped: the remaining rows, without gaps or repetition, and a total.

A service that is asked for its second page does not know what we dropped from the first. So rows are read from the
beginning up to the end of the wanted page. The boundaries between requests are the same for every page, so that pages
share cached responses.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from nugetproxy.httpcache.outcome import OWN, Provenance
from nugetproxy.protocol.v3.search_query import DEEPEST_SKIP, MOST_TAKEN

R = TypeVar("R")

FIRST: Final = 30
"""Rows that are read for any page: as many as a typical client requests at once."""

SMALL: Final = 100
"""A result with no more rows than this is read to its end for any page, so that its total is exact."""

_ENDS: Final = (FIRST, SMALL, 300, *range(MOST_TAKEN, DEEPEST_SKIP + MOST_TAKEN + 1, MOST_TAKEN))
# More than there are boundaries, for services that return fewer rows than requested.
_MOST_QUESTIONS: Final = 12


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """Some rows in order, and the total number of rows; None if the service does not state it."""

    rows: tuple[R, ...]
    total: int | None
    provenance: Provenance = OWN


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """The first remaining rows, and their total number, as exact as `first_rows` promises."""

    rows: tuple[R, ...]
    total: int
    provenance: Provenance = OWN


Ask = Callable[[int, int], Awaitable[Rows[R]]]
"""`ask(skip, take)` returns a service's rows unchanged."""


async def first_rows(
    ask: Ask[R],
    keep: Callable[[Sequence[R]], Awaitable[list[R]]],
    name_of: Callable[[R], str],
    wanted: int,
) -> Found[R]:
    """The first rows that `keep` retains: `wanted` or slightly more; fewer if there are no more or they are too deep.

    `keep` decides for each row separately. Of rows with the same `name_of` the first counts: a service may move a row
    between two requests.

    The total does not depend on `wanted`: while the service's results do not change, all pages of any size have the
    same total. It is exact if the service has at most SMALL rows. If it has more, rows dropped after its first FIRST
    cannot be known without reading them all, so they are counted and the total is too large by their number. It is
    never smaller than the number of rows found; so it grows from page to page only if a service states no total, or
    one that is smaller than what it returns.
    """
    reading: _Reading[R] = _Reading(keep, name_of)
    while asked := reading.next_question(wanted):
        await reading.take_in(await ask(*asked), *asked)
    return Found(tuple(reading.kept), reading.total, reading.provenance)


class _Reading(Generic[R]):
    """The part of a result read so far, from its beginning."""

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
        """The next `skip` and `take`; None if enough was read."""
        if self._has_ended or self._questions == _MOST_QUESTIONS or self._seen >= _ENDS[-1]:
            return None
        is_enough = self._seen >= FIRST and len(self.kept) >= wanted
        if is_enough and (self._has_all_told or not self._is_small):
            return None
        end = next(end for end in _ENDS if end > self._seen)
        return self._seen, min(MOST_TAKEN, end - self._seen)

    async def take_in(self, answer: Rows[R], skipped: int, asked: int) -> None:
        """`answer` is the response to that request."""
        if not self._questions:
            # Later requests may be answered by a service that counts differently.
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
        # Fewer rows than requested mean the end, or a service's limit; more rows mean a service without paging.
        is_last = len(answer.rows) < asked and (answer.total is None or self._seen >= answer.total)
        self._has_ended = not answer.rows or is_last or len(answer.rows) > asked
