"""Where a bundle is written: a file, volumes of one size, or a pipe.

Nothing appears under a final name before all of it is on disk. Until then it is FILE.partial, which the next export to
the same name replaces; of volumes, the first one is renamed last.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from nugetproxy.errors import StorageUnavailable
from nugetproxy.mirroring.bundle.volumes import volume_path
from nugetproxy.storage.blobs.filesystem import sync_folder

_SUFFIX: Final = ".partial"
_BUFFER: Final = 64 * 1024


class Target(Protocol):
    """Takes the bytes of a bundle in order. Both methods raise StorageUnavailable."""

    def write(self, content: bytes, /) -> None: ...

    def finish(self) -> list[Path]:
        """All bytes were written: they are safe from power loss afterwards, and visible. Returns the files, if any."""


class Pipe:
    """A bundle that another program reads from this file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, content: bytes) -> None:
        with self._failures():
            self._file.write(content)

    def finish(self) -> list[Path]:
        with self._failures():
            self._file.flush()
        return []

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                # What is still buffered goes nowhere: the interpreter would try to write it when it ends.
                nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(nowhere, self._file.fileno())
                os.close(nowhere)
            raise StorageUnavailable(f"the bundle cannot be written to the pipe: {error.strerror}") from error


class Files:
    """A bundle in one file, or in volumes of `volume_size` bytes, with this mode. Created by `files`."""

    def __init__(self, path: Path, volume_size: int | None, mode: int) -> None:
        self._path = path
        self._volume_size = volume_size
        self._mode = mode
        self._finals: list[Path] = []
        self._file: BinaryIO | None = None
        # The first file stays open until the end: its lock keeps other exports away.
        self._first: BinaryIO | None = None
        self._left = 0
        self._is_finished = False

    def write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            if not self._left:
                self.begin_file()
            assert self._file is not None
            part = view[: self._left]
            with _failures(_partial(self._finals[-1])):
                self._file.write(part)
            self._left -= len(part)
            view = view[len(part) :]

    def begin_file(self) -> None:
        """The first file is begun before there is anything to write, so that nobody else writes there.

        Raises StorageUnavailable.
        """
        self._end_file()
        final = self._path if self._volume_size is None else volume_path(self._path, len(self._finals) + 1)
        partial = _partial(final)
        try:
            with _failures(partial):
                self._file = _claimed(partial, self._mode)
        except BlockingIOError:
            raise StorageUnavailable(f"another export is writing {partial}") from None
        self._first = self._first or self._file
        self._finals.append(final)
        self._left = self._volume_size or 2**63

    def finish(self) -> list[Path]:
        self._end_file()
        with _failures(self._path):
            if self._volume_size is not None:
                # From here on there is no bundle of this name until the new one is complete.
                self._finals[0].unlink(missing_ok=True)
            for final in reversed(self._finals):
                _partial(final).replace(final)
            self._is_finished = True
            sync_folder(self._path.absolute().parent)
            self._remove_left_over()
        return self._finals

    def close(self) -> None:
        """Remove what was written, as far as the disk allows, unless it was finished."""
        if not self._is_finished:
            for final in self._finals:
                with suppress(OSError):
                    _partial(final).unlink()
        for file in (self._file, self._first):
            if file is not None:
                with suppress(OSError):
                    file.close()

    def _end_file(self) -> None:
        if self._file is None:
            return
        with _failures(_partial(self._finals[-1])):
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._file is not self._first:
                self._file.close()

    def _remove_left_over(self) -> None:
        """Volumes of an earlier bundle of the same name, which had more, and those of a killed export."""
        if self._volume_size is None:
            return
        number = len(self._finals) + 1
        while (volume := volume_path(self._path, number)).exists() or _partial(volume).exists():
            volume.unlink(missing_ok=True)
            _partial(volume).unlink(missing_ok=True)
            number += 1


@contextmanager
def files(path: Path, volume_size: int | None, *, is_private: bool) -> Iterator[Files]:
    """A bundle in files; removed unless it was finished. `is_private`: only this user may read them.

    Raises StorageUnavailable, also if another process is writing there.
    """
    target = Files(path, volume_size, 0o600 if is_private else 0o666)
    try:
        target.begin_file()
        yield target
    finally:
        target.close()


def _partial(final: Path) -> Path:
    return final.with_name(final.name + _SUFFIX)


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be written: {error.strerror}") from error


def _claimed(partial: Path, mode: int) -> BinaryIO:
    """The file, empty and locked. Raises BlockingIOError if another process has it, OSError."""
    while True:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, partial):
                os.fchmod(descriptor, os.fstat(descriptor).st_mode & mode)
                os.ftruncate(descriptor, 0)
                return os.fdopen(descriptor, "wb", buffering=_BUFFER)
        except BaseException:  # whatever it was, it must not stay open
            os.close(descriptor)
            raise
        # Its holder renamed or removed it between our open and our lock.
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    ours = os.fstat(descriptor)
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)
