"""An open file read as if it had been opened again: many readers, one descriptor, each with its own position.

Knows nothing about the content.
"""

import errno
import io
import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class _Opened(Protocol):
    """A descriptor that stays open as long as this object is referenced."""

    descriptor: int

    @property
    def size(self) -> int: ...


class OwnPlace(io.RawIOBase):
    """The bytes of an opened file, from the start. Reading raises OSError."""

    def __init__(self, file: _Opened) -> None:
        self._opened: _Opened | None = file
        self._position = 0

    @property
    def _file(self) -> _Opened:
        if self._opened is None:
            raise OSError(errno.EBADF, "closed")
        return self._opened

    def close(self) -> None:
        """Let go of the file: a traceback may refer to this object for hours."""
        super().close()
        self._opened = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        count = os.preadv(self._file.descriptor, [buffer], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, "before the start")
        self._position = start + offset
        return self._position
