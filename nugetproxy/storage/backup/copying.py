"""Copying into and out of a backup: one pass over the bytes, which also hashes them."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.access import PRIVATE
from nugetproxy.storage.backup.manifest import BackedUpFile
from nugetproxy.storage.database.opening import can_write
from nugetproxy.storage.database.read_only import ReadOnlyDatabase

_BLOCK: Final = 1 << 20


def copy_file(source: Path, target: Path, *, link: bool = False) -> BackedUpFile:
    """A private copy that keeps the modification time. `link`: create a hard link instead of a copy, where that is
    possible; only for files that never change.

    Raises OSError; a partial copy is removed first.
    """
    make_folders(target.parent)
    if link:
        with suppress(OSError):  # another file system, or one without links
            os.link(source, target)
            return hash_file(target)
    with source.open("rb") as reading:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE.file)
        try:
            with os.fdopen(descriptor, "wb") as writing:
                copied = _hashed(reading, writing)
            found = os.fstat(reading.fileno())
            os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
        except OSError:
            with suppress(OSError):
                target.unlink()
            raise
    return copied


def make_folders(folder: Path) -> None:
    """Like `mkdir -p`; each folder it creates is private. Raises OSError."""
    if not folder.is_dir():
        make_folders(folder.parent)
        folder.mkdir(PRIVATE.folder, exist_ok=True)


def hash_file(path: Path) -> BackedUpFile:
    """Raises OSError."""
    with path.open("rb") as reading:
        return _hashed(reading)


def copy_database(source: Path, target: Path) -> BackedUpFile:
    """A consistent, checked snapshot of a database that others may be writing, as one file without a log.

    Raises StorageUnavailable.
    """
    try:
        make_folders(target.parent)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE.file))
        with (
            _readable(source) as uri,
            closing(sqlite3.connect(uri, uri=True)) as reading,
            closing(sqlite3.connect(target, isolation_level=None)) as writing,
        ):
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode = DELETE").fetchall()
            found = writing.execute("PRAGMA quick_check(1)").fetchall()
        if found != [("ok",)]:
            raise StorageUnavailable(f"{source} is damaged: {found[0][0]}")
        return hash_file(target)
    except (sqlite3.Error, OSError) as error:
        raise StorageUnavailable(f"{source} cannot be backed up: {error}") from error


@contextmanager
def _readable(database: Path) -> Iterator[str]:
    """How to open a database for reading, also where nothing can be written."""
    if can_write(database.parent):
        yield f"{database.absolute().as_uri()}?mode=rw"
        return
    with closing(ReadOnlyDatabase(database)) as opened:
        yield opened.uri


def _hashed(reading: BinaryIO, writing: BinaryIO | None = None) -> BackedUpFile:
    size, digest = 0, hashlib.sha512()
    while block := reading.read(_BLOCK):
        if writing is not None:
            writing.write(block)
        digest.update(block)
        size += len(block)
    return BackedUpFile(size, digest.hexdigest())
