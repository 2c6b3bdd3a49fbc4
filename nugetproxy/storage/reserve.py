"""The part of a disk that mirrored content leaves free for data that exists nowhere else: pushes and databases."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nugetproxy.errors import StorageUnavailable

if TYPE_CHECKING:  # processes that inspect pushes import this module, and must stay small
    from nugetproxy.config import StorageSettings

AUTOMATIC: Final = 1_000_000_000
"""Bytes of the automatic reserve; on a small file system it is a twentieth of its size."""

_SMALL: Final = 20


class Reserve:
    """The reserve on the file system of `directory`. `size` is in bytes; None is the automatic one, 0 is none."""

    def __init__(self, directory: Path, size: int | None) -> None:
        self._directory = directory
        self._size = size

    @classmethod
    def of(cls, settings: "StorageSettings") -> "Reserve":
        """That of the data directory."""
        return cls(Path(settings.path), None if settings.reserve == "auto" else settings.reserve)

    @property
    def size(self) -> int:
        """Bytes. Raises OSError."""
        if self._size is not None:
            return self._size
        found = os.statvfs(self._directory)
        return min(AUTOMATIC, found.f_blocks * found.f_frsize // _SMALL)

    def check(self, more: int) -> None:
        """Raises StorageUnavailable when storing `more` bytes would use the reserve. Costs a system call.

        Where free space is unknown, nothing is refused: the write itself will fail if it must.
        """
        if self._size == 0:
            return
        try:
            found = os.statvfs(self._directory)
            size = self.size
        except OSError:
            return
        if found.f_bavail * found.f_frsize - more < size:
            raise StorageUnavailable(f"only the reserve of {size} bytes (storage.reserve) is left on the disk")


NO_RESERVE: Final = Reserve(Path(), 0)
"""For content that may use the last byte."""
