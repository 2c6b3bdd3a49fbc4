"""Sends one stored file from the page cache to a socket, under the transport's flow control.

Without TLS the kernel moves the bytes itself (sendfile). Bytes outside the page cache are read by a thread first, so
that a cold disk delays one client and not the loop. Bodies in memory belong to `long_body`.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from nugetproxy.web.hot.open_files import OpenFile
from nugetproxy.web.http.portions import QUEUED, SLICE, TURN

FIRST: Final = 32 * 1024
"""Bytes that are sent in one write with the head; a file up to this size needs no second one."""

MOST_HEAD: Final = 8 * 1024
"""Bytes of a head that fit in front of it. Ours have a few hundred."""

AHEAD: Final = 4 * SLICE
"""Bytes that a thread reads into the page cache when some of them are missing."""

# Used within one call only, so that all connections can share it.
_ROOM: Final = memoryview(bytearray(max(MOST_HEAD + FIRST, QUEUED)))


class FileBody:
    """Sends bytes `start` up to, not including, `end` of a file, then calls `ended`.

    The owner says when writing is paused, and calls `go_on` when it resumes. If the file has become shorter, or cannot
    be read, the connection is aborted: what was received never looks complete.
    """

    __slots__ = (
        "_at",
        "_descriptor",
        "_end",
        "_ended",
        "_file",
        "_reader",
        "_start",
        "_transport",
        "_warming",
        "paused",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        descriptor: int,
        file: OpenFile,
        start: int,
        end: int,
        ended: Callable[[], None],
        reader: Executor,
    ) -> None:
        """`descriptor` is the socket's if its bytes are the transport's bytes, -1 under TLS. `file` is closed by this
        object; `reader` runs what waits for a disk.
        """
        self.paused = False
        self._transport = transport
        self._descriptor = descriptor
        self._file = file
        self._start = self._at = start
        self._end = end
        self._ended: Callable[[], None] | None = ended
        self._reader = reader
        self._warming: asyncio.Future[None] | None = None

    @property
    def sent(self) -> int:
        """Bytes of the body passed on so far."""
        return self._at - self._start

    def start(self, head: bytes) -> None:
        """Send `head`, followed by the body."""
        assert len(head) <= MOST_HEAD
        first = _ROOM[len(head) : len(head) + min(FIRST, self._end - self._at)]
        try:
            read = os.preadv(self._file.descriptor, [first], self._at, os.RWF_NOWAIT)
        except OSError:  # not in the page cache, or the file system cannot tell
            read = 0
        if self._descriptor < 0:
            # One TLS record for the head and what fits behind it.
            _ROOM[: len(head)] = head
            self._transport.write(_ROOM[: len(head) + read])
            self._at += read
            self.go_on()
            return
        written = 0
        if self._writes_directly():
            try:
                written = os.writev(self._descriptor, (head, first[:read]))
            except OSError:  # full, or broken: the transport finds out which
                written = 0
        if written < len(head):
            self._transport.write(head[written:])
        else:
            self._at += written - len(head)
        self.go_on()

    def go_on(self) -> None:
        """Send until the client must catch up, the disk must be waited for, it is the turn of others, or the end."""
        until = self._at + TURN
        while (
            self._ended is not None and not self.paused and self._warming is None and not self._transport.is_closing()
        ):
            if self._at >= self._end:
                ended = self._ended
                self.stop()
                ended()
            elif self._at >= until:
                asyncio.get_running_loop().call_soon(self.go_on)
                return
            else:
                self._send_some()

    def stop(self) -> None:
        """Send no more, and do not call `ended`."""
        if self._ended is not None:
            self._ended = None
            self._descriptor = -1  # the number may soon belong to another connection
            if self._warming is None:  # else a thread is reading it
                self._file.close()

    def _send_some(self) -> None:
        count = min(SLICE, self._end - self._at)
        if not self._file.is_cached(self._at, count):
            self._wait_for_disk()
            return
        if self._writes_directly():
            try:
                sent = os.sendfile(self._descriptor, self._file.descriptor, self._at, count)
            except OSError:  # full, or broken: the transport finds out which
                pass
            else:
                self._at += sent
                if not sent:
                    self._transport.abort()
                return
        try:
            read = os.preadv(self._file.descriptor, [_ROOM[: min(QUEUED, count)]], self._at)
        except OSError:
            read = 0
        if not read:
            self._transport.abort()
            return
        self._at += read
        # Without TLS a transport may keep a reference to what it is given; that of TLS copies what it cannot send.
        self._transport.write(_ROOM[:read] if self._descriptor < 0 else bytes(_ROOM[:read]))

    def _wait_for_disk(self) -> None:
        loop = asyncio.get_running_loop()
        count = min(AHEAD, self._end - self._at)
        self._warming = loop.run_in_executor(self._reader, self._file.warm, self._at, count)
        self._warming.add_done_callback(self._warmed)

    def _warmed(self, warming: "asyncio.Future[None]") -> None:
        self._warming = None
        failed = warming.cancelled() or warming.exception() is not None
        if self._ended is None:  # stopped in the meantime
            self._file.close()
        elif failed:
            self._transport.abort()
        else:
            self.go_on()

    def _writes_directly(self) -> bool:
        """Whether we may bypass the transport: not while it holds bytes that come before ours."""
        return self._descriptor >= 0 and not self._transport.get_write_buffer_size()
