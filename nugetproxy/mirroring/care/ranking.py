"""Which kept packages go first when the mirror has to become smaller. Pure: candidates in, an order out.

Least recently used first. Size and the cost of fetching a package again change the order too, but by no more than a
factor of `MOST_WEIGHT`: a package that is used every day is not evicted because it is large, and one that was not used
for a year is not kept because it is small.
"""

from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from nugetproxy.mirroring.kept.files import KeptFile

MOST_WEIGHT: Final = 4.0
"""The idle time of a package counts at most this many times, and at least the inverse."""

# A fetch again costs at least this: a client waits for the upstream. In seconds.
_LATENCY: Final = 0.2
# Bytes freed for each second that fetching again would take, for a package of average weight.
_USUAL: Final = 1_000_000.0


def weight(size: int, fetch_milliseconds: int) -> float:
    """How much it is worth to evict a package of `size` bytes whose download took so long; 1 is average."""
    freed_per_second = size / (_LATENCY + fetch_milliseconds / 1000)
    return min(MOST_WEIGHT, max(1 / MOST_WEIGHT, freed_per_second / _USUAL))


def ranked(candidates: Iterable[KeptFile], now: float) -> list[KeptFile]:
    """The candidates, the first to go first. `now` in unix seconds.

    Where the clock was set back, uses in the future count as now, in their order.
    """
    # Ranks are computed one by one as the candidates arrive, which `sorted` with a key does not do.
    return [file for _, file in sorted(((_rank(file, now), file) for file in candidates), key=itemgetter(0))]


def _rank(file: KeptFile, now: float) -> tuple[object, ...]:
    idle = max(0.0, now - file.used)
    return -idle * weight(file.size, file.fetch_milliseconds), file.used, file.key
