"""What the server's processes hold: memory, and open descriptors except connections to the upstream."""

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_ANONYMOUS: Final = re.compile(r"^RssAnon:\s+(\d+) kB", re.MULTILINE)
_VARIABLE: Final = re.compile(r"\d+")


def memory(pid: int) -> int:
    """Bytes of memory that no file backs."""
    found = _ANONYMOUS.search(Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def descriptors(pid: int, upstream_port: int) -> Counter[str]:
    """Open descriptors by what they are, without two bounded sets: connections to the upstream, which are kept for
    reuse, and the packages that were read last.
    """
    to_upstream = set(_sockets_to(pid, upstream_port))
    found: Counter[str] = Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            if target not in to_upstream and not target.endswith(".nupkg"):
                found[_VARIABLE.sub("N", target)] += 1
    return found


def deleted_files(pid: int, folder: Path) -> set[str]:
    """Files below `folder` that are open although they were deleted."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            if target.startswith(f"{folder}/") and target.endswith(" (deleted)"):
                found.add(target)
    return found


def _sockets_to(pid: int, port: int) -> Iterable[str]:
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if int(columns[2].rpartition(":")[2], 16) == port:
            yield f"socket:[{columns[9]}]"
