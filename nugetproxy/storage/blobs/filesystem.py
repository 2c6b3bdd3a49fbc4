"""Blobs as files: a key is a path below one folder, a commit is a rename.

Spools committed here must be on the same file system, or the rename would become a copy that could be seen half done.
"""

import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.access import PRIVATE, Access, set_folder_mode
from nugetproxy.storage.blobs.base import BlobInfo, BlobKey
from nugetproxy.storage.blobs.checked import CheckedBytes
from nugetproxy.storage.spool import BLOCK, Spool, disk_failures

_TRIES: Final = 5


class FilesystemBlobs:
    """A `BlobStore` in a folder of plain files. `access` says who may read the blobs committed from now on.

    `only_copy`: a commit then also waits until the names of all parent folders are safe from power loss, and fails if
    they are not. Blobs that can be fetched again may lose their names.
    """

    def __init__(self, root: Path, access: Access = PRIVATE, *, only_copy: bool = False) -> None:
        self._root = root
        self._access = access
        self._only_copy = only_copy

    def __repr__(self) -> str:
        return f"<FilesystemBlobs {self._root}>"

    def apply_access(self) -> None:
        """Set the mode of the root (created when missing): it also guards blobs committed under another setting.

        Raises StorageUnavailable.
        """
        with disk_failures(f"set the mode of {self._root.name}"):
            _make_folders(self._root, self._access.folder)
            set_folder_mode(self._root, self._access.folder)

    def stat(self, key: BlobKey) -> BlobInfo | None:
        with disk_failures("look up a blob"):
            try:
                found = self.path(key).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        # Opening a pipe in place of a blob would block forever.
        return _described(key, found) if stat.S_ISREG(found.st_mode) else None

    def path(self, key: BlobKey) -> Path:
        return self._root.joinpath(*key.segments)

    async def bring(self, key: BlobKey, size: int, sha512: str) -> None:
        """See `BlobStore`. All blobs are here, so that this is a system call and never waits."""
        found = self.stat(key)
        if found is None or found.size != size:
            raise KeyError(str(key))

    async def stream(self, key: BlobKey, size: int, sha512: str) -> AsyncIterator[bytes]:
        """See `BlobStore`. Nobody needs it while all blobs are files."""
        checked = CheckedBytes(key, size, sha512)
        try:
            with self.open(key) as file:
                while block := file.read(BLOCK):
                    if before := checked.next(block):
                        yield before
        except KeyError as error:
            raise StorageUnavailable(f"blob {key} is missing") from error
        yield checked.last()

    def open(self, key: BlobKey) -> BinaryIO:
        with disk_failures("open a blob"):
            try:
                return self.path(key).open("rb")
            except (FileNotFoundError, NotADirectoryError):
                raise KeyError(str(key)) from None

    def commit(self, key: BlobKey, spool: Spool) -> BlobInfo:
        if kept := self.stat(key):
            spool.discard()
            return kept
        path = self.path(key)
        try:
            self._move(spool, path)
        except StorageUnavailable:
            if path.parent.is_dir():
                raise
            # Deleting the last file in that folder removed the folder too, between its creation and its use.
            self._move(spool, path)
        if self._only_copy:
            with disk_failures("sync the folder of a blob"):
                for folder in path.parents[: len(key.segments)]:
                    sync_folder(folder)
        else:
            with suppress(OSError):
                # The bytes are visible and complete. If a power loss loses their name, they are fetched once more.
                sync_folder(path.parent)
        with disk_failures("look up a blob"):
            return _described(key, path.stat())

    def _move(self, spool: Spool, path: Path) -> None:
        with disk_failures("create a folder"):
            _make_folders(path.parent, self._access.folder)
        spool.move_to(path, mode=self._access.file)

    def adopt(self, key: BlobKey, file: Path) -> bool:
        """Make a file visible whose bytes are safe on disk; False if the key exists, which keeps its bytes.

        For many files in a row: their names are safe from power loss once the caller has synced the file system. Raises
        StorageUnavailable.
        """
        if self.stat(key) is not None:
            return False
        path = self.path(key)
        with disk_failures("commit a file"):
            _make_folders(path.parent, self._access.folder, lambda _: None)
            file.chmod(self._access.file)
            file.rename(path)
        return True

    def delete(self, key: BlobKey) -> None:
        path = self.path(key)
        with disk_failures("delete a blob"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # the first folder that is not empty ends it
            for _ in key.segments[:-1]:
                path = path.parent
                path.rmdir()

    def walk(self, *prefix: str) -> Iterator[BlobInfo]:
        with disk_failures("list blobs"):
            yield from self._walk(prefix)

    def _walk(self, segments: tuple[str, ...]) -> Iterator[BlobInfo]:
        try:
            with os.scandir(self._root.joinpath(*segments)) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in found:
            inside = (*segments, entry.name)
            try:
                key = BlobKey(inside)
            except ValueError:
                continue  # not ours: put there by a person or the file system
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(inside)
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    yield _described(key, entry.stat())


def _described(key: BlobKey, status: os.stat_result) -> BlobInfo:
    return BlobInfo(key, status.st_size, status.st_mtime_ns)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe from power loss. Blocks; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folders(folder: Path, mode: int, named: Callable[[Path], object] = sync_folder) -> None:
    """Like `mkdir -p`, with `mode` whatever the umask. `named` is given each folder that got a new one, and makes its
    name safe from power loss."""
    for left in reversed(range(_TRIES)):
        if folder.is_dir():
            return
        try:
            _make_folders(folder.parent, mode, named)
            folder.mkdir(mode, exist_ok=True)
            with suppress(OSError):  # a file system without modes; `apply_access` has reported it at startup
                set_folder_mode(folder, mode)
            named(folder.parent)
        except FileNotFoundError:  # it, or its parent, was empty, and was deleted meanwhile
            if not left:
                raise
        else:
            return
