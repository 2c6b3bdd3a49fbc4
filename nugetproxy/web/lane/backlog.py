"""What is waiting to be sent on one connection, in the transport and in the kernel, and whether it still moves.

How long it may stand still is decided in `web.lane.watched`.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios

_NOTHING = (0, 0, 0)


class Backlog:
    """Bytes of responses that wait for a client; checked about once a second."""

    __slots__ = ("_mark", "_since", "resumes")

    def __init__(self) -> None:
        self.resumes = 0
        """How often the transport's buffer was emptied; the owner increments it."""
        self._mark = _NOTHING
        self._since = 0.0

    def still_for(self, transport: asyncio.Transport, now: float) -> float | None:
        """Seconds since progress was last seen; None when nothing is waiting. `now` is monotonic."""
        waiting = transport.get_write_buffer_size()
        if not waiting:
            self._mark = _NOTHING
            return None
        mark = (waiting, unsent_bytes(transport), self.resumes)
        if mark != self._mark:
            self._mark, self._since = mark, now
        return now - self._since


def keep_unsent_low(transport: asyncio.Transport, size: int) -> None:
    """Let the kernel accept bytes only while less than `size` of them wait to be sent, where that is supported."""
    with contextlib.suppress(OSError, AttributeError):  # not TCP, or another system
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Bytes that the kernel holds and the client has not acknowledged; 0 where this is unknown.

    With a slow reader this drops long before the transport's own buffer moves: the kernel wakes a writer only when a
    third of its buffer is free.
    """
    return _ask_kernel(transport, termios.TIOCOUTQ)


def unread_bytes(transport: asyncio.Transport) -> int:
    """Bytes received but not read yet; 0 where this is unknown. Closing while there are any would reset the client."""
    return _ask_kernel(transport, termios.FIONREAD)


def _ask_kernel(transport: asyncio.Transport, question: int) -> int:
    try:
        number = transport.get_extra_info("socket").fileno()
        found: int = struct.unpack("i", fcntl.ioctl(number, question, b"\0\0\0\0"))[0]
    except (OSError, ValueError, AttributeError):
        return 0
    return found
