"""Files and folders that only the service's own user may read: databases, locks, and shared memory."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.access import PRIVATE, close_file


def open_private(path: Path) -> int:
    """A descriptor of the file for reading and writing. Created when missing; its mode is 0600 afterwards.

    An administrator's command often runs as root while the server does not: files that root creates are given to the
    owner of the directory, or the server could not open them. Raises StorageUnavailable.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE.file)
    except OSError as error:
        needed = "; run this as the server's user" if isinstance(error, PermissionError) else ""
        raise StorageUnavailable(f"{path} cannot be opened: {error.strerror}{needed}") from error
    with suppress(OSError):  # another user's file that we can write to: usable all the same
        close_file(path)
    try:
        give_to_owner_of(path.parent, descriptor)
    except OSError as error:
        os.close(descriptor)
        raise StorageUnavailable(f"{path.name} cannot be given to its directory's owner: {error.strerror}") from error
    return descriptor


def make_private_file(path: Path) -> None:
    """As `open_private`, without opening a file that exists and can be used.

    For databases: when a process closes any descriptor of a file, it loses the locks that its other descriptors hold.
    SQLite in another process would then delete the write-ahead log that is in use. Raises StorageUnavailable.
    """
    if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        os.close(open_private(path))
        return
    with suppress(OSError):
        close_file(path)
    try:
        give_to_owner_of(path.parent, path)
    except OSError as error:
        raise StorageUnavailable(f"{path.name} cannot be given to its directory's owner: {error.strerror}") from error


def replace_private(path: Path, content: bytes) -> None:
    """Replace a small file atomically: it has the old content or the new one, also after a power loss.

    Raises StorageUnavailable.
    """
    half = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = open_private(half)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
        except OSError:
            with suppress(OSError):
                half.unlink()
            raise
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be written: {error.strerror}") from error


def make_private_folder(folder: Path) -> None:
    """Create it when missing; if root creates it, it is given to the owner of its parent. Raises OSError."""
    try:
        folder.mkdir(PRIVATE.folder)
    except FileExistsError:
        return
    give_to_owner_of(folder.parent, folder)


def give_to_owner_of(folder: Path, made: Path | int) -> None:
    """Give what root created in another user's folder to that user; does nothing for other users.

    `made` is a path or an open descriptor. Raises OSError.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        found = os.fstat(made) if isinstance(made, int) else made.stat()
        if found.st_uid != owner.st_uid:
            os.chown(made, owner.st_uid, owner.st_gid)
