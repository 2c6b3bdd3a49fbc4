"""Decompressing gzip in small pieces. nuget.org's gz hives send it whatever was requested, so it is always handled."""

import zlib
from collections.abc import Iterator
from typing import Final

_GZIP: Final = zlib.MAX_WBITS | 16
# A block of some hundred KiB can hold hundreds of megabytes; in pieces, the caller can count them and stop in time.
PIECE = 2**20


class Gunzip:
    """A gzip stream, fed in blocks; every method raises ValueError on anything but whole gzip members."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._is_whole = False

    def feed(self, block: bytes) -> Iterator[bytes]:
        """What the block holds, in pieces of at most PIECE bytes."""
        while block:
            self._is_whole = False
            try:
                piece = self._member.decompress(block, PIECE)
            except zlib.error as error:
                raise ValueError(f"broken gzip: {error}") from error
            block = self._member.unconsumed_tail
            if self._member.eof:
                block = self._member.unused_data
                self._member = zlib.decompressobj(_GZIP)
                self._is_whole = True
            if piece:
                yield piece

    def finish(self) -> None:
        """To be called after the last block."""
        if not self._is_whole:
            raise ValueError("the gzip data ends too early")
