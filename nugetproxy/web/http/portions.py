"""How much of a long body is given to the kernel, a transport or a connection at once: for every way of sending.

Bytes that wait in this process for a slow client are bounded by these, whatever the size of the body.
"""

from typing import Final

SLICE: Final = 1024 * 1024
"""Bytes offered to the kernel at once. Also what must get through within the stall time-out."""

TURN: Final = 4 * SLICE
"""Bytes sent on one connection before the others get their turn: about a millisecond."""

QUEUED: Final = 128 * 1024
"""Bytes left to the transport when the kernel takes no more: it says when they are gone. More than HIGH_WATER."""

HIGH_WATER: Final = 64 * 1024
"""Bytes in the transport's buffer at which it calls `pause_writing`."""
