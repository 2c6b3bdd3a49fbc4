"""Noticing that another process has changed a file on which the settings of a server depend."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

WATCH_SECONDS: Final = 0.5
"""Between two looks at the file, which take microseconds."""


def looked_at(path: str) -> str:
    """The file as it is now, for `when_changed`."""
    try:
        found = Path(path).stat()
    except OSError:
        return f"- {path}"
    return f"{found.st_ino}-{found.st_mtime_ns} {path}"


async def when_changed(read: Callable[[], str], changed: Callable[[], None]) -> None:
    """Call `changed` once for each change of the file, until cancelled.

    `read` returns the file as it was when the settings were read (see `looked_at`); an empty text if there is none.
    """
    announced = ""
    while True:
        before = read()
        if before:
            now = looked_at(before.partition(" ")[2])
            if now not in (before, announced):
                announced = now
                changed()
        await asyncio.sleep(WATCH_SECONDS)
