"""Files that only the service's own user may read: databases, and what is shared in memory beside them."""

import os
from contextlib import suppress
from pathlib import Path

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.access import PRIVATE, close_file


def open_private(path: Path) -> int:
    """A descriptor of the file for reading and writing. It is made when missing, and its mode is 0600 afterwards.

    An administrator's command often runs as root while the server does not: what root makes is given to the owner of
    the directory, else the server could not open it. Raises StorageUnavailable.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE.file)
    except OSError as error:
        needed = "; run this as the user that the server runs as" if isinstance(error, PermissionError) else ""
        raise StorageUnavailable(f"{path} cannot be opened: {error.strerror}{needed}") from error
    with suppress(OSError):  # somebody else's file that we may write to: usable all the same
        close_file(path)
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            if os.fstat(descriptor).st_uid != owner.st_uid:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except OSError as error:
        os.close(descriptor)
        raise StorageUnavailable(f"{path.name} cannot be given to its directory's owner: {error.strerror}") from error
    return descriptor
