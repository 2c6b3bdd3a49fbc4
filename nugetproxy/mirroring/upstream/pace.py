"""How fast the bodies of an upstream arrive: whether latency or bandwidth is what its clients wait for.

Pure: the time (seconds of any steady clock) is an argument.
"""

from enum import Enum
from typing import Final

SLOW: Final = 100_000
"""Bytes a second, all bodies together, below which bandwidth is the bottleneck. A single small body on a line with
300 ms of latency is faster."""

# Judged after so many seconds of waiting for bodies, or so many bytes; older observations lose half of their weight.
_ENOUGH_SECONDS: Final = 0.5
_ENOUGH_BYTES: Final = 256_000
_HALVED_AFTER: Final = 4.0


class Speed(Enum):
    UNKNOWN = "unknown"
    FAST = "fast"
    SLOW = "slow"


class Pace:
    """Bytes received, and the seconds during which at least one body was waited for."""

    def __init__(self) -> None:
        self._waiting = 0
        self._since = 0.0
        self._seconds = 0.0
        self._bytes = 0.0

    def __repr__(self) -> str:
        return f"<Pace: {self._bytes:.0f} bytes in {self._seconds:.2f} s, {self._waiting} waiting>"

    def begin(self, now: float) -> None:
        """The next block of a body is waited for; `end` must be called afterwards."""
        if not self._waiting:
            self._since = now
        self._waiting += 1

    def end(self, now: float, size: int) -> None:
        """The wait is over, with a block of `size` bytes or without one."""
        self._waiting -= 1
        self._seconds += now - self._since
        self._since = now
        self._bytes += size
        if self._seconds > _HALVED_AFTER:
            self._seconds, self._bytes = self._seconds / 2, self._bytes / 2

    def speed(self, now: float) -> Speed:
        seconds = self._seconds + (now - self._since if self._waiting else 0.0)
        if seconds < _ENOUGH_SECONDS and self._bytes < _ENOUGH_BYTES:
            return Speed.UNKNOWN
        return Speed.SLOW if self._bytes < SLOW * seconds else Speed.FAST
