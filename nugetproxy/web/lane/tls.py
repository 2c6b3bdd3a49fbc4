"""TLS straight on a socket: a transport without the copies of asyncio's.

asyncio and uvloop encrypt into memory and pass the result to another transport: each byte is copied twice more than
necessary. Here OpenSSL reads from and writes to the socket itself. Only what servers need is here: the handshake of an
accepted connection, a `BufferedProtocol`, and flow control like asyncio's.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

RECORD: Final = 16 * 1024
"""Bytes that one TLS record holds at most; OpenSSL sends one record per call."""

READS: Final = 16
"""Records read before other connections get their turn."""


async def handshake(taken: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Negotiate TLS with the client of an accepted, non-blocking socket, which belongs to the result from now on.

    Raises OSError (ssl.SSLError is a subclass) when the handshake fails; the socket is then closed.
    """
    loop = asyncio.get_running_loop()
    if taken.family in (socket.AF_INET, socket.AF_INET6):
        # As on asyncio's own transports. Every record is a write of its own, and without this the last one of an
        # answer would wait for the acknowledgement of the others, which clients delay by 40 ms.
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secured = context.wrap_socket(taken, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True)
    try:
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                await _until(loop.add_reader, loop.remove_reader, secured)
            except ssl.SSLWantWriteError:
                await _until(loop.add_writer, loop.remove_writer, secured)
            else:
                return secured
    except BaseException:  # cancelled, too
        secured.close()
        raise


async def _until(add: Callable[..., Any], remove: Callable[..., Any], secured: ssl.SSLSocket) -> None:
    ready = asyncio.Event()
    descriptor = secured.fileno()
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)


class TLSTransport(asyncio.Transport):
    """One connection after its handshake. Only for the event loop's thread."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, secured: ssl.SSLSocket, protocol: asyncio.BufferedProtocol
    ) -> None:
        """Calls the protocol's `connection_made` immediately, and reads from then on."""
        super().__init__(
            {
                "socket": secured,
                "sockname": secured.getsockname(),
                "peername": secured.getpeername(),
                "sslcontext": secured.context,
                "ssl_object": secured,
                "cipher": secured.cipher(),
                "compression": None,
            }
        )
        self._loop = loop
        self._socket = secured
        self._descriptor = secured.fileno()
        self._protocol = protocol
        self._unsent = bytearray()
        self._high, self._low = 64 * 1024, 16 * 1024
        self._is_writing_paused = False
        self._is_reading = False
        self._has_reader = self._has_writer = False
        self._is_closing = False
        self._is_lost = False
        self._read_wants_write = False
        protocol.connection_made(self)
        if not self._is_closing:
            self.resume_reading()
            self._loop.call_soon(self._readable)  # bytes that came with the handshake are already in OpenSSL

    def __repr__(self) -> str:
        state = "closing" if self._is_closing else "open"
        return f"<TLSTransport {state} fd={self._descriptor} unsent={len(self._unsent)}>"

    # --- reading ---

    def pause_reading(self) -> None:
        self._is_reading = False
        self._watch()

    def resume_reading(self) -> None:
        if not self._is_closing and not self._is_reading:
            self._is_reading = True
            self._watch()
            if self._socket.pending():
                self._loop.call_soon(self._readable)

    def is_reading(self) -> bool:
        return self._is_reading

    def _readable(self) -> None:
        for _ in range(READS):
            if not self._is_reading or self._is_closing:
                return
            try:
                size = self._socket.recv_into(self._protocol.get_buffer(-1))
            except ssl.SSLWantReadError:
                return
            except ssl.SSLWantWriteError:
                self._read_wants_write = True
                self._watch()
                return
            except OSError as error:
                self._fail(error)
                return
            if size == 0:
                self._ended()
                return
            self._protocol.buffer_updated(size)
            if size < RECORD and not self._socket.pending():
                # OpenSSL holds no more: it reads no further than the record. The event loop tells of the next one,
                # which costs less than a read that fails.
                return
        if self._socket.pending():
            self._loop.call_soon(self._readable)

    def _ended(self) -> None:
        """The client has stopped sending. Half-open TLS connections are not used in practice."""
        self._is_reading = False
        self._watch()
        self._protocol.eof_received()
        self.close()

    # --- writing ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Bytes that cannot be sent now are copied: the caller may reuse its buffer."""
        if self._is_lost or not data:
            return
        if self._unsent:
            self._unsent += data
        else:
            sent = self._send(memoryview(data))
            if sent < 0:
                return
            if sent < len(data):
                self._unsent += memoryview(data)[sent:]
                self._watch()
        if len(self._unsent) > self._high and not self._is_writing_paused:
            self._is_writing_paused = True
            self._protocol.pause_writing()

    def _send(self, view: memoryview) -> int:
        """Bytes given to OpenSSL; -1 when the connection broke."""
        sent, size = 0, len(view)
        try:
            while sent < size:
                sent += self._socket.send(view[sent : sent + RECORD])
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            self._fail(error)
            return -1
        return sent

    def _writable(self) -> None:
        if self._read_wants_write:
            self._read_wants_write = False
            self._watch()
            self._readable()
        if not self._unsent or self._is_lost:
            return
        # OpenSSL must retry a record that it could not send with the same bytes: these stay where they are.
        with memoryview(self._unsent) as view:
            sent = self._send(view)
        if sent < 0:
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._watch()
            if self._is_closing:
                self._lose(None)
                return
        if self._is_writing_paused and len(self._unsent) <= self._low:
            self._is_writing_paused = False
            self._protocol.resume_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def can_write_eof(self) -> bool:
        return False

    # --- the end ---

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        """Close once everything is sent."""
        if self._is_closing:
            return
        self._is_closing = True
        self._is_reading = False
        self._watch()
        if not self._unsent:
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self._fail(None)

    def _fail(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_closing = True
        self._is_reading = False
        self._unsent = bytearray()  # a new one: the old one may be in use by a send
        self._watch()
        self._loop.call_soon(self._lose, error if not isinstance(error, ConnectionError | ssl.SSLError) else None, True)

    def _lose(self, error: Exception | None, is_abrupt: bool = False) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        if self._has_reader:
            self._loop.remove_reader(self._descriptor)
        if self._has_writer:
            self._loop.remove_writer(self._descriptor)
        try:
            self._protocol.connection_lost(error)
        finally:
            if not is_abrupt:
                with contextlib.suppress(OSError, ValueError):
                    self._socket.unwrap()  # sends close_notify; the client's own is not waited for
            self._socket.close()

    # --- what asyncio expects ---

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.BufferedProtocol, protocol)

    def _watch(self) -> None:
        """Watch the socket for what we can do next."""
        reads = self._is_reading and not self._is_lost
        writes = (bool(self._unsent) or self._read_wants_write) and not self._is_lost
        if reads != self._has_reader:
            self._has_reader = reads
            if reads:
                self._loop.add_reader(self._descriptor, self._readable)
            else:
                self._loop.remove_reader(self._descriptor)
        if writes != self._has_writer:
            self._has_writer = writes
            if writes:
                self._loop.add_writer(self._descriptor, self._writable)
            else:
                self._loop.remove_writer(self._descriptor)
