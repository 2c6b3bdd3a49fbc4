"""Sends one long body from memory to a socket, a slice at a time, under the transport's flow control.

The bytes that wait for a slow client are bounded: a slice at most, whatever the body's size. Slices go directly to the
kernel where possible, because a transport copies what the kernel does not accept immediately.
"""

import asyncio
import mmap
import os
from collections.abc import Callable
from typing import Final

from nugetproxy.web.http.portions import QUEUED, SLICE, TURN
from nugetproxy.web.lane.tls import RECORD

UNSENT: Final = 256 * 1024
"""Bytes that may wait in the kernel to be sent (TCP_NOTSENT_LOWAT); those in flight may still grow with the path.
Waiting bytes fall out of the processor's caches: without this limit, receiving 20 MB costs a local client a third more.
"""


class LongBody:
    """Sends `body`, then calls `ended`. The owner says when writing is paused, and calls `go_on` when it resumes."""

    __slots__ = ("_body", "_descriptor", "_ended", "_transport", "paused", "sent")

    def __init__(
        self,
        transport: asyncio.Transport,
        descriptor: int,
        body: bytes | mmap.mmap,
        ended: Callable[[], None],
    ) -> None:
        """`descriptor` is the socket's if its bytes are the transport's bytes, -1 under TLS."""
        self.sent = 0
        """Bytes of the body passed on so far."""
        self.paused = False
        self._transport = transport
        self._descriptor = descriptor
        self._body = memoryview(body)
        self._ended: Callable[[], None] | None = ended

    def start(self, head: bytes) -> None:
        """Send `head`, followed by the body."""
        if self._descriptor < 0:
            # One TLS record for the head and what fits behind it.
            first = self._body[: max(0, RECORD - len(head))]
            self.sent = len(first)
            head += first
        elif self._writes_directly():
            first = self._body[:SLICE]
            try:
                written = os.writev(self._descriptor, (head, first))
            except OSError:  # full, or broken: the transport finds out which
                written = 0
            self.sent = max(0, written - len(head))
            head = head[written:]
        if head:
            self._transport.write(head)
        self.go_on()

    def go_on(self) -> None:
        """Send until the client must catch up, until others must get their turn, or to the end."""
        transport, body = self._transport, self._body
        until = self.sent + TURN
        while self._ended is not None and not self.paused and not transport.is_closing():
            if self.sent >= len(body):
                ended = self._ended
                self.stop()
                ended()
            elif self.sent >= until:
                asyncio.get_running_loop().call_soon(self.go_on)
                return
            else:
                self._send_some()

    def stop(self) -> None:
        """Send no more, and do not call `ended`."""
        self._ended = None
        self._descriptor = -1  # the number may soon belong to another connection
        self._body = memoryview(b"")

    def _send_some(self) -> None:
        if self._writes_directly():
            try:
                self.sent += os.write(self._descriptor, self._body[self.sent : self.sent + SLICE])
                return
            except OSError:  # as above
                pass
        piece = self._body[self.sent : self.sent + QUEUED]
        self.sent += len(piece)
        self._transport.write(piece)

    def _writes_directly(self) -> bool:
        """Whether we may bypass the transport: not while it holds bytes that come before ours."""
        return self._descriptor >= 0 and not self._transport.get_write_buffer_size()
