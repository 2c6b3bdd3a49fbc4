"""How large the mirror may become, how much has to go, and when the disk will be full. Pure.

Two watermarks: nothing happens up to the budget; above it the mirror is brought down to nine tenths of it, so that the
next package does not start the next eviction.
"""

import math
from dataclasses import dataclass
from typing import Final

LOW_WATERMARK: Final = 0.9
"""The share of the budget that eviction goes down to."""

# The reserve of the disk counts as reached a little before it is: content of any size is refused from then on.
_NEAR_RESERVE: Final = 1.1
_CLEAR_OF_RESERVE: Final = 1.25


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of the data directory, in bytes. `reserve` is left to pushes and databases."""

    total: int
    free: int
    reserve: int


def limit_of(budget: int | float | None, disk: Disk) -> int | None:
    """The budget in bytes. It is given as bytes (int), as a share of the disk (float), or None for no limit."""
    return int(budget * disk.total) if isinstance(budget, float) else budget


def to_free(kept: int, limit: int | None, disk: Disk) -> int:
    """Bytes to evict now, of `kept` bytes; 0 if there is nothing to do.

    Without a budget nothing is ever evicted, even if the disk is full.
    """
    if limit is None:
        return 0
    over = kept - int(limit * LOW_WATERMARK) if kept > limit else 0
    short = int(disk.reserve * _CLEAR_OF_RESERVE) - disk.free if disk.free < disk.reserve * _NEAR_RESERVE else 0
    return min(kept, max(over, short))


def days_until_full(kept: int, limit: int | None, disk: Disk, per_day: float) -> float:
    """Days until only the reserve is left, at `per_day` bytes a day; infinite if that will not happen.

    A budget that is reached before the disk is full ends the growth.
    """
    room = disk.free - disk.reserve
    if room <= 0:
        return 0.0
    if per_day <= 0 or (limit is not None and limit - kept < room):
        return math.inf
    return room / per_day
