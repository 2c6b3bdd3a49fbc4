"""The data directory as a whole: its parts are made, and what an older version left readable by others is closed.

What the parts hold belongs to the stores that own them.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.access import PRIVATE, Access, close_file, set_folder_mode
from nugetproxy.storage.database.opening import INVENTORY, MAIN, SIDE_FILES, can_write, refuse_half
from nugetproxy.storage.occupants import LOCKS

MIRROR: Final = "mirror"

_PRIVATE_PARTS: Final = ("spool", LOCKS, "documents")
_DATABASES: Final = (MAIN, INVENTORY)
# Everything that a server or a command of any version has put there.
_OURS: Final = frozenset({MIRROR, *_PRIVATE_PARTS, "hosted", "metrics", "revisions", "upstreams.json", "lost+found"})

_log = logger()


def prepare(path: Path, access: Access, *, offline: bool = False) -> bool:
    """Make the directory and its parts. `access` is that of the mirrored packages; everything else is private.

    Looks at a handful of names, however much is kept: a closed folder closes what lies below it. False when nothing can
    be written there, which is enough for serving what is kept `offline`.

    Raises StorageUnavailable naming the directory and what would be right.
    """
    refuse_half(path)
    if path.is_dir() and not can_write(path):
        if not os.access(path, os.R_OK | os.X_OK):
            raise StorageUnavailable(f"the data directory {path} cannot be read by this user")
        if not offline:
            raise StorageUnavailable(
                f"the data directory {path} is read-only for this user: choose one that it may write to, or serve what "
                "is kept there with --offline"
            )
        return False
    try:
        path.mkdir(access.passage, parents=True, exist_ok=True)
        (path / MIRROR).mkdir(access.folder, exist_ok=True)
        for part in _PRIVATE_PARTS:
            (path / part).mkdir(PRIVATE.folder, exist_ok=True)
    except OSError as error:
        raise StorageUnavailable(
            f"the data directory {path} cannot be used: {error.strerror}; choose one that this user may write to"
        ) from error
    try:
        _set_modes(path, access)
    except OSError as error:
        # Somebody else's folder, or a file system without modes: it can be used all the same.
        _log.warning("data_not_private", path=str(error.filename or path), why=error.strerror)
    return True


def _set_modes(path: Path, access: Access) -> None:
    for part in _PRIVATE_PARTS:
        set_folder_mode(path / part, PRIVATE.folder)
    set_folder_mode(path / MIRROR, access.folder)
    for database in _DATABASES:
        for suffix in SIDE_FILES:
            close_file(path / (database + suffix))
    if _is_ours_alone(path):
        set_folder_mode(path, access.passage)


def _is_ours_alone(path: Path) -> bool:
    """Whether nothing else lies here: a folder such as /tmp, named by mistake, must not be closed to everybody."""
    with suppress(OSError):
        return all(each.name in _OURS or each.name.startswith(_DATABASES) for each in path.iterdir())
    return False
