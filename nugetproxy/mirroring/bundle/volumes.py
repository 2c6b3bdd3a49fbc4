"""A bundle in one file or in several volumes: FILE, or FILE.001, FILE.002 and so on, of which the last one is shorter.

Volumes are the plain parts of one stream: `cat FILE.0*` is the bundle. Here they are read; `target` writes them.
"""

import re
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from nugetproxy.errors import InvalidRequest, StorageUnavailable

_NUMBERED: Final = re.compile(r"(.+)\.(\d{3,})")


def volume_path(path: Path, number: int) -> Path:
    """The path of a volume; the first one has number 1."""
    return path.with_name(f"{path.name}.{number:03}")


class VolumeStream:
    """The bytes of a bundle, of one file or of all its volumes in order. Name the file, or the first volume.

    Reading a volume that does not exist is the end of the stream: whether the bundle is complete is known from its
    content.
    """

    def __init__(self, path: Path) -> None:
        """Raises InvalidRequest if it names a later volume, StorageUnavailable if it cannot be opened."""
        self._base: Path | None = None
        self._number = 1
        numbered = _NUMBERED.fullmatch(path.name)
        if numbered and int(numbered[2]) >= 1 and path.name == volume_path(Path(numbered[1]), int(numbered[2])).name:
            if int(numbered[2]) > 1:
                first = volume_path(path.with_name(numbered[1]), 1)
                raise InvalidRequest(f"{path} is a later volume of a bundle: name the first one, {first}")
            self._base = path.with_name(numbered[1])
        elif not path.exists() and volume_path(path, 1).exists():
            self._base, path = path, volume_path(path, 1)
        self._file: BinaryIO | None = _opened(path)

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, empty at the end. Raises OSError, StorageUnavailable."""
        while self._file is not None:
            if chunk := self._file.read(count):
                return chunk
            self._file.close()
            self._file = None
            if self._base is not None:
                self._number += 1
                following = volume_path(self._base, self._number)
                self._file = _opened(following) if following.exists() else None
        return b""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> "VolumeStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be opened: {error.strerror}") from error
