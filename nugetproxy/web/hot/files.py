"""Files of hot answers: in memory before they are found, and forgotten when an operator changes them."""

import mmap
import os
import time
from dataclasses import dataclass
from typing import Final

from nugetproxy.feeds.base import LocalFile

# A body of this size or less is read into memory; above, its file is mapped, which costs a descriptor.
MAX_COPIED: Final = 1024 * 1024

# A mirror's files never change, but an operator may remove one: noticed after this many seconds.
RECHECK_SECONDS: Final = 5.0

_WARM_BLOCK: Final = 1024 * 1024

# MAP_POPULATE fills the page table at once; without it every page costs a fault while it is sent.
_MAP_FLAGS: Final = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)


@dataclass(slots=True)
class WatchedFile:
    """A file as it was when it became hot. `check_at` is on the monotonic clock."""

    file: LocalFile
    inode: int
    changed: int
    check_at: float

    def is_there(self, now: float) -> bool:
        """Whether it is the same still; looked at only every few seconds."""
        if now < self.check_at:
            return True
        self.check_at = now + RECHECK_SECONDS
        try:
            found = self.file.path.stat()
        except OSError:
            return False
        return (found.st_ino, found.st_mtime_ns, found.st_size) == (self.inode, self.changed, self.file.size)


def read_file(file: LocalFile) -> tuple[bytes | mmap.mmap, WatchedFile]:
    """The file's bytes, in memory already: no first touch of a page will make the event loop wait for the disk. Blocks.

    Raises OSError, and ValueError when the file is not as long as it was said to be.
    """
    with file.path.open("rb", buffering=0) as source:
        found = os.fstat(source.fileno())
        if found.st_size != file.size:
            raise ValueError(f"{found.st_size} bytes instead of {file.size}")
        watched = WatchedFile(file, found.st_ino, found.st_mtime_ns, time.monotonic() + RECHECK_SECONDS)
        if file.size <= MAX_COPIED:
            body = source.read(file.size + 1)
            if len(body) != file.size:
                raise ValueError(f"read {len(body)} bytes instead of {file.size}")
            return body, watched
        block = bytearray(_WARM_BLOCK)
        while source.readinto(block):  # releases the interpreter lock, unlike touching the pages of a mapping
            pass
        return mmap.mmap(source.fileno(), file.size, prot=mmap.PROT_READ, flags=_MAP_FLAGS), watched
