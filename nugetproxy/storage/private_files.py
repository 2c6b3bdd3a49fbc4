"""Files that only the service's own user may read: databases, and what is shared in memory beside them."""

import os
from pathlib import Path

from nugetproxy.errors import StorageUnavailable


def open_private(path: Path) -> int:
    """A descriptor of the file for reading and writing; made when missing, for its owner's eyes only (mode 0600).

    An administrator's command often runs as root while the server does not: what root makes is given to whoever owns
    the directory, else the server could not open it. Raises StorageUnavailable.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        needed = "; run this as the user that the server runs as" if isinstance(error, PermissionError) else ""
        raise StorageUnavailable(f"{path} cannot be opened: {error.strerror}{needed}") from error
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            if os.fstat(descriptor).st_uid != owner.st_uid:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except OSError as error:
        os.close(descriptor)
        raise StorageUnavailable(f"{path.name} cannot be given to its directory's owner: {error.strerror}") from error
    return descriptor
