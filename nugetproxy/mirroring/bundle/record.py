"""What a data directory remembers of its bundles: its random id, and the number of the last one it began.

Without this file (`exported-bundles.json`) the directory becomes a new source: receivers then cannot tell which of its
bundles are older.
"""

import fcntl
import os
import secrets
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from nugetproxy.errors import StorageUnavailable
from nugetproxy.mirroring.bundle.head import is_bundle_id
from nugetproxy.storage.data_directory import EXPORTED
from nugetproxy.storage.occupants import LOCKS
from nugetproxy.storage.private_files import make_private_folder, open_private, replace_private

_LOCK: Final = "bundles"


@dataclass(frozen=True, slots=True)
class BundleRecord:
    """`source` identifies the data directory; `sequence` is that of the last bundle that was begun, 0 before any."""

    source: str
    sequence: int = 0


def next_bundle(data: Path) -> BundleRecord:
    """Count one more bundle, safe from power loss. A number that is not used in the end is not used again.

    Raises StorageUnavailable, also for a record that cannot be read: a new one would repeat numbers.
    """
    try:
        make_private_folder(data / LOCKS)
    except OSError as error:
        raise StorageUnavailable(
            f"{data} cannot be written, so bundles cannot be numbered: {error.strerror}"
        ) from error
    with closing(_Lock(data / LOCKS / _LOCK)):
        record = read_record(data) or BundleRecord(new_id())
        record = BundleRecord(record.source, record.sequence + 1)
        replace_private(data / EXPORTED, orjson.dumps({"source": record.source, "sequence": record.sequence}) + b"\n")
    return record


def read_record(data: Path) -> BundleRecord | None:
    """None if no bundle was exported yet. Raises StorageUnavailable."""
    try:
        fields = orjson.loads((data / EXPORTED).read_bytes())
        source, sequence = fields["source"], fields["sequence"]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageUnavailable(f"{data / EXPORTED} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError):
        source, sequence = None, None
    if not is_bundle_id(source) or type(sequence) is not int or sequence < 0:
        raise StorageUnavailable(f"{data / EXPORTED} is damaged: remove it, and this directory becomes a new source")
    return BundleRecord(str(source), sequence)


def new_id() -> str:
    """For bundles, inventories and data directories."""
    return secrets.token_hex(16)


class _Lock:
    def __init__(self, path: Path) -> None:
        self._descriptor = open_private(path)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        os.close(self._descriptor)
