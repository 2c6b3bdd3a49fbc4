"""The data directory as a whole: creates its parts, and closes what an older version left readable by others.

The contents of the parts belong to the stores that own them.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.access import PRIVATE, Access, close_file, set_folder_mode
from nugetproxy.storage.backup.last import FILE as LAST_BACKUP
from nugetproxy.storage.database.opening import INVENTORY, MAIN, SIDE_FILES, can_write, refuse_half
from nugetproxy.storage.occupants import LOCKS

MIRROR: Final = "mirror"
QUARANTINE: Final = "quarantine"
IMPORTS: Final = "imports"
IMPORTED: Final = "imported-bundles.json"
EXPORTED: Final = "exported-bundles.json"
ANSWERS: Final = "answers"
"""The file of rendered answers."""

_PRIVATE_PARTS: Final = ("spool", LOCKS, "documents")
_DATABASES: Final = (MAIN, INVENTORY)
# Everything that a server or a command of any version has created there.
_OURS: Final = frozenset(
    {
        MIRROR,
        QUARANTINE,
        IMPORTS,
        IMPORTED,
        *_PRIVATE_PARTS,
        "hosted",
        "metrics",
        "revisions",
        "fleet",
        ANSWERS,
        EXPORTED,
        "upstreams.json",
        "policy.json",
        "advisories.json",
        LAST_BACKUP,
        "lost+found",
    }
)

_log = logger()


def prepare(path: Path, access: Access, *, offline: bool = False) -> bool:
    """Create the directory and its parts. `access` applies to the mirrored packages; everything else is private.

    Checks only a handful of names, however much is stored: a closed folder also closes everything below it. Returns
    False when nothing can be written there, which is enough for serving stored content `offline`.

    Raises StorageUnavailable naming the directory and what is needed.
    """
    refuse_half(path)
    if path.is_dir() and not can_write(path):
        if not os.access(path, os.R_OK | os.X_OK):
            raise StorageUnavailable(f"the data directory {path} cannot be read by this user")
        if not offline:
            raise StorageUnavailable(
                f"the data directory {path} is read-only for this user: choose one that is writable, or serve its "
                "content with --offline"
            )
        return False
    try:
        path.mkdir(access.passage, parents=True, exist_ok=True)
        (path / MIRROR).mkdir(access.folder, exist_ok=True)
        for part in _PRIVATE_PARTS:
            (path / part).mkdir(PRIVATE.folder, exist_ok=True)
    except OSError as error:
        raise StorageUnavailable(
            f"the data directory {path} cannot be used: {error.strerror}; choose one that this user can write to"
        ) from error
    try:
        _set_modes(path, access)
    except OSError as error:
        # A folder of another user, or a file system without modes: usable all the same.
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
    """Whether the folder contains nothing else: one such as /tmp, named by mistake, must not be closed to others."""
    with suppress(OSError):
        return all(each.name in _OURS or each.name.startswith(_DATABASES) for each in path.iterdir())
    return False
