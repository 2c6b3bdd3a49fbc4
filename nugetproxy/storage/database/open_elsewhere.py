"""Whether another process has a database open, as its locks on the file show.

`storage.occupants` names the processes of this version and its successors. A version from before it, or a person with a
database tool, leaves no entry there.
"""

import fcntl
import os
import struct
import time
from pathlib import Path
from typing import Final

# The bytes that SQLite locks for reading (SHARED_FIRST and SHARED_SIZE of its file format). In WAL mode a connection
# holds this lock from its first statement until it is closed.
_SHARED: Final = (0x40000002, 510)

_FLOCK: Final = "hhqqi0q"  # struct flock of Linux: type, whence, start, length, process
_POLL: Final = 0.05


def process_with_open(path: Path, patience: float) -> int | None:
    """The id of a process that has the database `path` open, or None. 0: a process that is not visible from here.

    Waits up to `patience` seconds for it to close: commands open a database for a moment. This process must not have
    `path` open itself, because its own locks on the file end here. Raises OSError.
    """
    until = time.monotonic() + patience
    while (process := _reader(path)) is not None and time.monotonic() < until:
        time.sleep(_POLL)
    return process


def _reader(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, *_SHARED, 0)
        kind, _, _, _, process = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else max(process, 0)
