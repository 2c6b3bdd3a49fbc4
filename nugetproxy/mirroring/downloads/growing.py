"""The readers' side of a download: one growing body, any number of readers, each at its own offset.

Rule 1: the end is withheld until the bytes have passed every check, so what was sent before is never a complete body.
Rule 2: when the bytes must be fetched again, a reader continues only if everything it was given is proven to be the
beginning of the new bytes too; otherwise its connection is broken off. Where the bytes come from (an upstream, or
another process that asks it) is not known here.
"""

import asyncio
from collections.abc import AsyncIterator

from nugetproxy.errors import NugetproxyError, StorageUnavailable, UpstreamNonsense
from nugetproxy.executors.threads import DISK
from nugetproxy.storage.spool import BLOCK, ReadableBytes

WITHHELD = 64 * 1024
"""
Bytes at the end that no reader gets before the checks. A smaller package is held back entirely, so that each of its
failures gets a proper status.
"""


class GrowingBody:
    """The bytes of one download as the readers of this process see them.

    The provider of the bytes calls `announce`, `use` or `replace`, `grown`, and finally `complete` or `fail`.
    """

    def __init__(self, upstream: str) -> None:
        self.total: int | None = None
        self.content_type = ""
        self.stored = True
        """The bytes are stored, or will be, and not only relayed."""
        self.handed = 0
        """How far any reader has been given bytes, or is being given them, counted from the beginning."""
        self._upstream = upstream
        self._announced = False
        self._complete = False
        self._suspended = False
        self._failure: NugetproxyError | None = None
        self._source: ReadableBytes | None = None
        self._proven: list[int] = []
        self._last_block = (0, b"")
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        state = "complete" if self._complete else f"failed: {self._failure}" if self._failure else "growing"
        return f"<GrowingBody: {self._source.size if self._source else 0} of {self.total} bytes, {state}>"

    # --- for the provider ---

    @property
    def source(self) -> ReadableBytes | None:
        return self._source

    @property
    def is_complete(self) -> bool:
        return self._complete

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def announce(self, total: int | None, content_type: str) -> None:
        """The upstream's head is known. Called again when the bytes are fetched again."""
        self.total, self.content_type, self._announced = total, content_type, True
        self.grown()

    def use(self, source: ReadableBytes, proven: int = 0) -> None:
        """Read from `source` from now on. Its first `proven` bytes equal those of the source before."""
        if self._source is not None:
            self._proven.append(proven)
        self._source, self._suspended, self._last_block = source, False, (0, b"")
        self.grown()

    async def replace(self, source: ReadableBytes) -> None:
        """
        Like `use`, with proof by comparison. Call it when `source` has all bytes that were handed out, or its end.
        """
        old = self._source
        if old is None or not self.handed:
            self.use(source)
        else:
            # No more of the old bytes are handed out while they are compared: they would not be proven.
            self._suspended = True
            self.use(source, await DISK.run(_common_length, old, source))

    def suspend(self) -> None:
        """The bytes failed a check: hand out no more of them. They are kept only for comparison with the next ones."""
        self._suspended = True
        if not self.handed:
            self._source = None

    def grown(self) -> None:
        """Wake all waiting readers."""
        self._changed.set()
        self._changed.clear()

    def complete(self) -> None:
        """All bytes are in the source and have passed the checks."""
        assert self._source is not None, "something was received"
        self._complete, self.total, self._announced = True, self._source.size, True
        self.grown()

    def fail(self, failure: NugetproxyError) -> None:
        """Break off every reader. No effect on a complete body."""
        if not self._complete:
            # The spool is released immediately: it may be in memory, and slow readers take a while to notice.
            self._failure, self._source = failure, None
            self.grown()

    # --- for the readers ---

    async def opened(self) -> "OpenedBody":
        """A reader's view, as soon as the upstream's head is known; for a body withheld entirely, after the checks.

        Raises the download's failure: no byte was handed out, so the failure gets a proper status.
        """
        while not self._may_be_opened():
            self._raise_failure()
            await self._changed.wait()
        return OpenedBody(self)

    async def read_from(self, start: int, size: int | None) -> AsyncIterator[bytes]:
        """The bytes from `start`, for a reader that was given `size`."""
        position, generation = start, len(self._proven)
        while True:
            self._raise_failure()
            if size is not None and self.total not in (None, size):
                raise UpstreamNonsense(self._upstream, "the package changed its size while it was being sent")
            if position > start and position > min(self._proven[generation:], default=position):
                raise UpstreamNonsense(self._upstream, "the package changed while it was being sent")
            generation = len(self._proven)
            if position < self._ready():
                block = await self._block(position)
                position += len(block)
                yield block
            elif self._complete:
                return
            else:
                await self._changed.wait()

    def _may_be_opened(self) -> bool:
        if self._complete:
            return True
        has_more_than_is_withheld = self.total is not None and self.total > WITHHELD
        return self._announced and self._failure is None and (has_more_than_is_withheld or self._ready() > 0)

    def _ready(self) -> int:
        """The end of the bytes that may be handed out."""
        if self._source is None or self._suspended:
            return 0
        if self._complete:
            return self._source.size
        size = self._source.size
        return min(size, (size if self.total is None else self.total) - WITHHELD)

    async def _block(self, position: int) -> bytes:
        """
        The next bytes. Readers at the same position share one block, so many readers need no more memory than one.
        """
        at, block = self._last_block
        if at == position and block:
            return block
        source, length = self._source, min(BLOCK, self._ready() - position)
        assert source is not None, "something is ready"
        self.handed = max(self.handed, position + length)
        try:
            read = source.read_now(position, length)
            if read is None:
                read = await DISK.run(source.read, position, length)
        except OSError as error:
            raise StorageUnavailable(f"cannot read the spool: {error.strerror}") from error
        if not read:
            raise StorageUnavailable("cannot read the spool: it became shorter")
        if source is self._source:
            self._last_block = (position, read)
        return read

    def _raise_failure(self) -> None:
        if self._failure is not None:
            # One error for many readers: without this each would add its own traceback to it.
            raise self._failure.with_traceback(None)


class OpenedBody:
    """
    A `feeds.base.GrowingContent` over a growing body. `size` is what the reader was given, whatever changes later.
    """

    def __init__(self, body: GrowingBody) -> None:
        self._body = body
        self._size = body.total
        self._content_type = body.content_type

    def __repr__(self) -> str:
        return f"<OpenedBody of {self._body!r}>"

    @property
    def size(self) -> int | None:
        return self._size

    @property
    def content_type(self) -> str:
        return self._content_type

    def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        return self._body.read_from(start, self._size)


def _common_length(old: ReadableBytes, new: ReadableBytes) -> int:
    """The length of the common beginning in bytes. Blocks."""
    end = min(old.size, new.size)
    for offset in range(0, end, BLOCK):
        length = min(BLOCK, end - offset)
        try:
            ours, theirs = old.read(offset, length), new.read(offset, length)
        except OSError:
            return offset  # unreadable bytes are not proven
        if ours != theirs or len(ours) != length:
            pairs = enumerate(zip(ours, theirs, strict=False))
            return offset + next((at for at, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
    return end
