"""Who may read the files we keep on disk: file and folder modes, and closing files that were left open.

Everything is private to the server's own user; an operator may open the mirrored packages to other programs.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

AccessName = Literal["private", "group", "all"]

_READ_BY_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Access:
    """Modes. `passage` is the mode of a parent folder: others may pass through it, but not list it."""

    folder: int
    file: int
    passage: int


PRIVATE: Final = Access(0o700, 0o600, 0o700)

_ACCESS: Final = {
    "private": PRIVATE,
    "group": Access(0o750, 0o640, 0o710),
    "all": Access(0o755, 0o644, 0o711),
}


def access_for(name: AccessName) -> Access:
    """The modes that a setting's value stands for."""
    return _ACCESS[name]


def set_folder_mode(folder: Path, mode: int) -> None:
    """Give an existing folder this mode; its setgid bit stays, because it decides the group of files created in it.

    Raises OSError.
    """
    found = folder.stat().st_mode
    if found & 0o777 != mode:
        folder.chmod(mode | found & 0o7000)


def close_file(path: Path) -> None:
    """Remove access to an existing file for everybody but its owner. A missing file is not an error. Raises OSError."""
    try:
        found = path.stat().st_mode
        if found & _READ_BY_OTHERS:
            path.chmod(found & 0o700)
    except FileNotFoundError:
        pass


def private_opener(path: str, flags: int) -> int:
    """For `open(..., opener=private_opener)`: a file it creates is readable by its owner only."""
    return os.open(path, flags, PRIVATE.file)
