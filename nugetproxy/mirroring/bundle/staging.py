"""The staging area of an import: verified files and a journal of them, invisible until they are committed.

A folder in `imports/`, named after the bundle. Its life has two parts. While it is open, files are added, and a journal
line for each; if the import is interrupted, the next one continues there. Once it is sealed, everything is on disk and
the import will happen: whoever finds a sealed area commits it (`committing`), however often that is interrupted.
What the files are, and whether they are right, is decided by `receiving`.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.access import PRIVATE
from nugetproxy.storage.data_directory import IMPORTS
from nugetproxy.storage.private_files import give_to_owner_of, make_private_folder, open_private, replace_private
from nugetproxy.storage.spool import disk_failures
from nugetproxy.storage.syncing import sync_file_system

_JOURNAL: Final = "journal.jsonl"
_SEAL: Final = "sealed.json"
_FILES: Final = "files"
_LONGEST_LINE: Final = 1024 * 1024
# Files, or their bytes, that are synced together. An interrupted import repeats at most so many.
_SYNCED_FILES: Final = 2000
_SYNCED_BYTES: Final = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StagedPackage:
    """A package to be kept: `number` is its place in the manifest, `upstreams` where to keep it.

    `row` and `file_row` are its rows in the inventory, without their upstream. `size` in bytes, `modified` of the file
    in nanoseconds, `sha512` in base64.
    """

    number: int
    upstreams: Sequence[str]
    lower_id: str
    lower_version: str
    size: int
    modified: int
    sha512: str
    has_nuspec: bool
    row: Sequence[Any]
    file_row: Sequence[Any]


@dataclass(frozen=True, slots=True)
class StagedDocument:
    """A document to be kept: its file is in the form of `StoredResponse.to_bytes`. `size` in bytes."""

    number: int
    url: str
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class StagedSymbols:
    """A PDB to be kept beside the `packages` (ids and versions in the form of URLs, with a slash in between) of these
    upstreams that are kept. The rest as in `SymbolsFacts`; `size`, `modified` and `sha512` as in `StagedPackage`."""

    number: int
    upstreams: Sequence[str]
    packages: Sequence[str]
    lower_name: str
    lower_key: str
    checksums: str
    size: int
    modified: int
    sha512: str


Staged = StagedPackage | StagedDocument | StagedSymbols

_KINDS: Final[Mapping[str, type[Any]]] = {
    "package": StagedPackage,
    "document": StagedDocument,
    "symbols": StagedSymbols,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Seal:
    """What is known about the bundle of a sealed area. `head` is its `bundle.json`, `key` the fingerprint of its key.

    `upstreams` are the service indexes of its upstreams, by our name; `pins` the names under which its packages are
    pinned.
    """

    head: str
    key: str
    upstreams: dict[str, str]
    pins: list[str]


class Staging:
    """One area, at `folder`. Methods that touch the disk block and raise StorageUnavailable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journal: int | None = None
        self._unsynced: list[bytes] = []
        self._unsynced_bytes = 0
        # Files are read and written while earlier ones are synced.
        self._syncing: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="import-sync")

    @classmethod
    def of(cls, data: Path, head: bytes) -> "Staging":
        """That of the bundle with this `bundle.json`, in the data directory. Touches no disk."""
        return cls(data / IMPORTS / hashlib.sha256(head).hexdigest()[:32])

    @property
    def is_sealed(self) -> bool:
        return (self.folder / _SEAL).exists()

    def size(self) -> int:
        """Bytes of its files. Raises nothing."""
        total = 0
        with contextlib.suppress(OSError), os.scandir(self.folder / _FILES) as files:
            for each in files:
                with contextlib.suppress(OSError):
                    total += each.stat(follow_symlinks=False).st_size
        return total

    def path(self, number: int) -> Path:
        """Where the file with this number is."""
        return self.folder / _FILES / str(number)

    def nuspec_path(self, number: int) -> Path:
        return self.folder / _FILES / f"{number}.nuspec"

    # --- open ---------------------------------------------------------------------------------------------------------

    def open(self) -> set[int]:
        """Create the area, or continue one that was interrupted; returns the numbers of the files that it holds."""
        with disk_failures("create the staging area of an import"):
            make_private_folder(self.folder.parent)
            make_private_folder(self.folder)
            make_private_folder(self.folder / _FILES)
            half = self.folder / f"{_JOURNAL}.new"
            self._journal = open_private(half)
            os.ftruncate(self._journal, 0)
            there = set()
            for each in self.records():
                if self._is_whole(each):
                    there.add(each.number)
                    self._write((_line(each),))
            half.replace(self.folder / _JOURNAL)
        return there

    def add(self, record: Staged) -> None:
        """Note a file that was written. Many are synced together, in the background, and enter the journal then."""
        self._unsynced.append(_line(record))
        self._unsynced_bytes += record.size
        if len(self._unsynced) >= _SYNCED_FILES or self._unsynced_bytes >= _SYNCED_BYTES:
            self._begin_sync()

    def seal(self, seal: Seal) -> None:
        """Everything was added: from now on it will be committed."""
        self._begin_sync()
        self._end_sync()
        sync_file_system(self.folder)  # the journal, too
        self.close()
        replace_private(self.folder / _SEAL, orjson.dumps(seal))
        sync_file_system(self.folder)

    def _begin_sync(self) -> None:
        """Of what was added so far. Raises StorageUnavailable if the sync before it failed."""
        self._end_sync()
        lines, self._unsynced, self._unsynced_bytes = self._unsynced, [], 0
        self._syncing = self._thread.submit(self._sync, lines)

    def _end_sync(self) -> None:
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.result()

    def _sync(self, lines: Iterable[bytes]) -> None:
        with disk_failures("write the journal of an import"):
            sync_file_system(self.folder)
            self._write(lines)

    def _write(self, lines: Iterable[bytes]) -> None:
        """Append to the journal. Raises OSError."""
        assert self._journal is not None, "it is open"
        for line in lines:
            if os.write(self._journal, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def keep(self) -> None:
        """The import ends for now: what was added is kept for the next one. Raises nothing."""
        with contextlib.suppress(StorageUnavailable):
            self._begin_sync()
            self._end_sync()
        self.close()

    def close(self) -> None:
        with contextlib.suppress(StorageUnavailable):
            self._end_sync()
        self._thread.shutdown()
        journal, self._journal = self._journal, None
        if journal is not None:
            os.close(journal)

    def discard(self) -> None:
        """Remove an area that is not sealed, and the folder of all areas if it was the only one. Raises nothing."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    # --- sealed -------------------------------------------------------------------------------------------------------

    def read_seal(self) -> Seal:
        with disk_failures("read the seal of an import"):
            try:
                return Seal(**orjson.loads((self.folder / _SEAL).read_bytes()))
            except (ValueError, TypeError) as error:
                raise StorageUnavailable(f"{self.folder / _SEAL} cannot be read: {error}") from error

    def records(self) -> Iterator[Staged]:
        """What was added, in order; a line that was cut off ends it."""
        try:
            journal = (self.folder / _JOURNAL).open("rb")
        except FileNotFoundError:
            return
        with journal:
            while line := journal.readline(_LONGEST_LINE):
                try:
                    kind, fields = orjson.loads(line)
                    record: Staged = _KINDS[kind](**fields)
                except (ValueError, TypeError, KeyError):
                    return
                if not line.endswith(b"\n"):
                    return
                yield record

    def committed(self) -> None:
        """Remove the area of a bundle that is committed. Interrupted, what is left is an open area, of no use."""
        sync_file_system(self.folder)  # what was put in place
        with disk_failures("remove the staging area of an import"):
            (self.folder / _SEAL).unlink(missing_ok=True)
        self.discard()

    def _is_whole(self, record: Staged) -> bool:
        try:
            found = self.path(record.number).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (record.size, record.modified)


def create(path: Path) -> BinaryIO:
    """A new private file of a staging area, open for writing. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE.file)
    file = os.fdopen(descriptor, "wb")
    try:
        give_to_owner_of(path.parent, descriptor)
    except OSError:
        file.close()
        raise
    return file


def areas(data: Path) -> list[Staging]:
    """All staging areas of a data directory."""
    try:
        return [Staging(each) for each in sorted((data / IMPORTS).iterdir()) if each.is_dir() and not each.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _line(record: Staged) -> bytes:
    return orjson.dumps((_NAMES[type(record)], record)) + b"\n"
