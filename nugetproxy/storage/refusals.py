"""Logging that the disk refuses content: once when it begins and once when it ends, with the count in between."""

import time
from collections.abc import Callable
from typing import Final

from nugetproxy.logs import logger

QUIET: Final = 60.0
"""Seconds without a refusal before it is considered over: near the limit only large files are refused."""

_log = logger()


class Refusals:
    """One kind of content of one process. `ended` is the name of the event when the disk accepts it again."""

    def __init__(self, ended: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._ended = ended
        self._clock = clock
        self._count = 0
        self._last = 0.0

    def refused(self, event: str, why: str, **fields: str) -> None:
        """Something was not kept: the first one is logged as `event` with `fields`, the others are counted."""
        if not self._count:
            _log.error(event, why=why, **fields)
        self._count += 1
        self._last = self._clock()

    def kept(self) -> None:
        """Something was kept."""
        if self._count and self._clock() - self._last >= QUIET:
            _log.info(self._ended, refused=self._count)
            self._count = 0
