"""The note, in the data directory, of its last backup: `nugetproxy doctor` says how old that is.

Only a note: where the backup is now, and whether it still exists, is not known here.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

from nugetproxy.storage.private_files import replace_private

FILE: Final = "last-backup.json"


@dataclass(frozen=True, slots=True)
class LastBackup:
    """`created` is ISO 8601 in UTC, `damaged` the number of files that could not be included."""

    created: str
    folder: str
    damaged: int


def note_backup(data: Path, backup: LastBackup) -> None:
    """Replace the note. Raises StorageUnavailable."""
    replace_private(data / FILE, orjson.dumps(asdict(backup), option=orjson.OPT_INDENT_2))


def last_backup(data: Path) -> LastBackup | None:
    """The note; None if there is none that can be read."""
    try:
        given = orjson.loads((data / FILE).read_bytes())
        texts = (given["created"], given["folder"])
        damaged = given["damaged"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if not all(isinstance(text, str) for text in texts) or not isinstance(damaged, int):
        return None
    return LastBackup(*texts, damaged)
