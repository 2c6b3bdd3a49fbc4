"""Making a backup: files are added one by one, and writing the manifest completes it."""

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import nugetproxy
from nugetproxy.errors import InvalidRequest, StorageUnavailable
from nugetproxy.storage.access import PRIVATE
from nugetproxy.storage.backup.copying import copy_database, copy_file
from nugetproxy.storage.backup.manifest import FILE, BackedUpFile, Manifest
from nugetproxy.storage.blobs.filesystem import sync_folder


class BackupWriter:
    """One backup of the data directory `data` into `folder`, which is created when missing and must be empty.

    `link`: where possible, files that never change are hard-linked instead of copied.
    """

    def __init__(self, data: Path, folder: Path, *, link: bool) -> None:
        """Raises InvalidRequest for a folder that is not empty or is inside the data directory, StorageUnavailable for
        one that cannot be created.
        """
        self._data, self._folder, self._link = data, folder, link
        self._files: dict[str, BackedUpFile] = {}
        if folder.resolve().is_relative_to(data.resolve()):
            raise InvalidRequest(f"{folder} is inside the data directory {data}: name a folder outside it")
        try:
            folder.mkdir(PRIVATE.folder, parents=True, exist_ok=True)
            if any(folder.iterdir()):
                unfinished = "" if (folder / FILE).exists() else ", perhaps after an interrupted backup"
                raise InvalidRequest(f"{folder} is not empty{unfinished}: name a new folder for each backup")
            with suppress(OSError):  # a share without modes; files in it are private wherever modes are supported
                folder.chmod(PRIVATE.folder)
        except OSError as error:
            raise StorageUnavailable(f"the folder {folder} cannot be used: {error.strerror}") from error

    def add(self, path: str) -> BackedUpFile | None:
        """Add a file that never changes, by its path in the data directory. None when it does not exist.

        Raises StorageUnavailable.
        """
        if path not in self._files:
            try:
                self._files[path] = copy_file(self._data / path, self._folder / path, link=self._link)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise StorageUnavailable(f"{path} cannot be backed up: {error.strerror}") from error
        return self._files[path]

    def add_database(self, path: str) -> Path:
        """Add a snapshot of a database, replacing one that was added before; returns the path of the copy.

        Raises StorageUnavailable.
        """
        target = self._folder / path
        self._files[path] = copy_database(self._data / path, target)
        return target

    def record(self, path: str, file: BackedUpFile) -> None:
        """Add a file that is in the backup's folder already, and was compared with these."""
        self._files[path] = file

    def drop(self, path: str) -> None:
        """Remove a file that was added. Raises StorageUnavailable."""
        del self._files[path]
        try:
            (self._folder / path).unlink()
        except OSError as error:
            raise StorageUnavailable(f"{self._folder / path} cannot be removed: {error.strerror}") from error

    def added(self, below: str) -> frozenset[str]:
        """The added paths below this folder."""
        return frozenset(path for path in self._files if path.startswith(f"{below}/"))

    def finish(self, damaged: tuple[str, ...]) -> Manifest:
        """Complete the backup, safe from power loss. Raises StorageUnavailable."""
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        manifest = Manifest(nugetproxy.__version__, created, dict(sorted(self._files.items())), damaged)
        try:
            os.sync()
            manifest.write(self._folder)
            sync_folder(self._folder)
        except OSError as error:
            raise StorageUnavailable(f"the backup cannot be written: {error.strerror}") from error
        return manifest

    def abandon(self) -> None:
        """Remove what was added, as far as the disk allows; the folder stays, empty."""
        for each in list(self._folder.iterdir()):
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)
