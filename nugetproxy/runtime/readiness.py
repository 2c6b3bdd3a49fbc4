"""Whether this instance should be sent requests. The answer is known in advance: a probe waits for no disk or thread.

A full disk, an upstream or a shared engine that is down does not make an instance unready: it still serves what is
stored.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nugetproxy.executors.threads import HEALTH

EVERY: Final = 1.0
"""Seconds between two checks of the data directory."""

LONGEST_CHECK: Final = 5.0
"""Seconds after which a check that has not ended makes this instance unready: a network file system can hang."""


class Readiness:
    """The last check of a data directory. `run` repeats it until it is cancelled."""

    def __init__(self, path: Path, part: str, degraded: Callable[[], str] = lambda: "") -> None:
        """`part` is the folder in it that must be readable if it exists. Makes the first check.

        `degraded` says which engines cannot be reached, in words, empty for none. It waits for nothing.
        """
        self._path = path
        self._part = part
        self._degraded = degraded
        self._verdict = self._check()
        self._began: float | None = None

    async def run(self) -> None:
        while True:
            self._began = time.monotonic()
            self._verdict = await HEALTH.run(self._check)
            self._began = None
            await asyncio.sleep(EVERY)

    async def ready(self) -> tuple[bool, str]:
        """Whether requests can be served, and why not. Never waits."""
        if self._began is not None and time.monotonic() - self._began > LONGEST_CHECK:
            return False, f"the data directory {self._path} does not answer"
        is_ready, why = self._verdict
        if is_ready and (degraded := self._degraded()):
            return True, f"{why}, degraded: {degraded}"
        return is_ready, why

    def _check(self) -> tuple[bool, str]:
        part = self._path / self._part
        # `Path.exists` would raise when the directory around it cannot be read.
        if not os.access(part if os.access(part, os.F_OK) else self._path, os.R_OK | os.X_OK):
            return False, f"the data directory {self._path} cannot be read"
        return True, "ready"
