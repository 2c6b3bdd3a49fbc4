"""Backing up hosted packages while others push, change and delete them: one snapshot of the database and its files.

Files never change, so only files deleted in the meantime can be missing: then a newer snapshot is taken.
"""

from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.backup.writing import BackupWriter
from nugetproxy.storage.database.foreign import read_copy
from nugetproxy.storage.database.opening import MAIN

HOSTED: Final = "hosted"

# Each snapshot lacks only what was deleted since the previous one, unless deletions never stop.
_MOST_MOMENTS: Final = 10

_NEEDED: Final = """
SELECT p.blob, p.size, p.sha512 FROM hosted_packages AS h JOIN hosted_pushes AS p USING (push)
UNION ALL SELECT blob, size, sha512 FROM symbol_packages
UNION ALL SELECT blob, size, sha512 FROM symbol_files
"""


def back_up_hosting(backup: BackupWriter) -> tuple[str, ...]:
    """Add the main database, which has this version's schema, and every file that it names.

    Returns the paths of files in the data directory that are missing, or differ from what was pushed; they are left
    out. Raises StorageUnavailable.
    """
    wrong: frozenset[str] | None = None
    for _ in range(_MOST_MOMENTS):
        needed = _needed(backup.add_database(MAIN))
        before, wrong = wrong, frozenset(path for path, file in needed.items() if not _add(backup, path, file))
        if not wrong or wrong == before:
            break
    else:
        raise StorageUnavailable("packages are deleted faster than they can be backed up: try again later")
    for path in backup.added(HOSTED) - needed.keys():
        backup.drop(path)
    return tuple(sorted(wrong))


def _needed(database: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-512 in base64 of each file that the database names, by its path in the data directory."""
    return {f"{HOSTED}/{blob}": (size, sha512) for blob, size, sha512 in read_copy(database, _NEEDED)}


def _add(backup: BackupWriter, path: str, expected: tuple[int, str]) -> bool:
    added = backup.add(path)
    if added is None:
        return False
    if (added.size, added.base64) != expected:
        backup.drop(path)
        return False
    return True
