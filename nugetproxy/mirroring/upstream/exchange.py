"""One answer of an upstream: its head, its body in blocks, and whether it was of use."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import aiohttp

from nugetproxy.metrics import UPSTREAM_BYTES, UPSTREAM_REQUESTS
from nugetproxy.mirroring.upstream.faults import PassingFault, judge, result_of, translated

# The body of an error is read up to this size to keep its connection; reading more costs more than a new connection.
_WORTH_DRAINING = 65_536
_DRAINING_TIME = 1.0


class Exchange:
    """The caller calls `succeed` or `fail`, which feed the host's breaker, and then `close`."""

    def __init__(
        self,
        upstream: str,
        answer: aiohttp.ClientResponse,
        *,
        wait: float | None,
        read_timeout: float,
        waiting: Callable[[], None],
        received: Callable[[int], None],
        succeeded: Callable[[], None],
        failed: Callable[[str], None],
        release: Callable[[], None],
    ) -> None:
        """`wait`: seconds during which no request is sent to the host because of this answer, None for none.

        `waiting` is called before each block of the body is awaited, `received` afterwards with its size in bytes.
        """
        self._upstream = upstream
        self._wait = wait
        self.answer = answer
        self._read_timeout = read_timeout
        self._waiting = waiting
        self._received = received
        self.succeed = succeeded
        """The answer is of use."""
        self._failed = failed
        self._release = release
        self._result = result_of(answer.status)
        self._closed = False

    def __repr__(self) -> str:
        return f"<Exchange {self.answer.status} {self.answer.url}>"

    @property
    def status(self) -> int:
        return self.answer.status

    def header(self, name: str) -> str:
        return self.answer.headers.get(name, "")

    @property
    def length(self) -> int | None:
        """The stated length of the body as sent, in bytes."""
        text = self.header("Content-Length")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def shows_its_end(self) -> bool:
        """Whether a truncated body could be told from a whole one: it has a length, or chunks."""
        return self.length is not None or "chunked" in self.header("Transfer-Encoding").lower()

    def judge(self, expected: tuple[int, ...]) -> None:
        """As `faults.judge`."""
        judge(self._upstream, self.answer, expected, self._wait)

    async def blocks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, in blocks of whatever has arrived.

        Raises:
            PassingFault: it was cut off, or nothing arrived for too long.
        """
        content, received = self.answer.content, UPSTREAM_BYTES.labels(self._upstream)
        while True:
            block = b""
            self._waiting()
            try:
                with translated(self._upstream):
                    async with asyncio.timeout(self._read_timeout):
                        block = await content.readany()
            finally:
                self._received(len(block))
            if not block:
                return
            received.inc(len(block))
            yield block

    async def drain(self) -> None:
        """Read a short body that is not needed, so that the connection can be reused; else `close` breaks it."""
        if not self.shows_its_end or (self.length or 0) > _WORTH_DRAINING:
            return
        size = 0
        with contextlib.suppress(TimeoutError, PassingFault):
            async with asyncio.timeout(_DRAINING_TIME):
                async for block in self.blocks():
                    size += len(block)
                    if size > _WORTH_DRAINING:
                        return

    def fail(self, fault: PassingFault) -> None:
        """The answer is of no use."""
        self._result = fault.result
        # A host that says that we send too many requests is up: it only asked us to wait.
        if fault.result != "429":
            self._failed(fault.error.why)

    def close(self) -> None:
        """Give the connection back when its body was read to the end, else break it."""
        if self._closed:
            return
        self._closed = True
        UPSTREAM_REQUESTS.labels(self._upstream, self._result).inc()
        self.answer.release()
        self._release()
