"""Pages of an answer out of which rows are dropped: the rows that are left, without gaps, and an honest total.

A service that is asked for its second page knows nothing of what we dropped from the first. So rows are read from the
beginning, in chunks a service gives at once, until the end of the wanted page is there.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from nugetproxy.httpcache.outcome import OWN, Provenance
from nugetproxy.protocol.v3.search_query import DEEPEST_SKIP, MOST_TAKEN

R = TypeVar("R")

# What services give at most is reached in four questions; the rest makes up for what was dropped.
_MOST_QUESTIONS: Final = 6


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """Some rows in order, and how many there are in all."""

    rows: tuple[R, ...]
    total: int
    provenance: Provenance = OWN


async def first_rows(
    ask: Callable[[int, int], Awaitable[Rows[R]]], keep: Callable[[Sequence[R]], Awaitable[list[R]]], wanted: int
) -> Rows[R]:
    """The first `wanted` rows that `keep` leaves, fewer when there are no more or they lie too deep.

    `ask(skip, take)` gives rows as a service has them. The total is the service's, less what was dropped on the way.
    """
    take = min(MOST_TAKEN, wanted)
    answer = await ask(0, take)
    provenance, seen, total = answer.provenance, len(answer.rows), answer.total
    kept = await keep(answer.rows)
    for question in range(1, _MOST_QUESTIONS):
        skip = question * take
        if len(kept) >= wanted or len(answer.rows) < take or not take or skip > DEEPEST_SKIP:
            break
        answer = await ask(skip, take)
        provenance = provenance.joined(answer.provenance)
        seen += len(answer.rows)
        kept += await keep(answer.rows)
    return Rows(tuple(kept[:wanted]), max(total - (seen - len(kept)), len(kept)), provenance)
