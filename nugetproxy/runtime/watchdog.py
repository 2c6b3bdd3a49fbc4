"""systemd's watchdog: we report that we are alive only while every worker answers us (sd_watchdog_enabled(3)).

A supervisor that runs says nothing about its workers, and one that hangs keeps a share of the connections. What is done
about silence is systemd's part: WatchdogSec= and Restart= of the unit.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence

from nugetproxy.runtime.notify import Notify
from nugetproxy.runtime.spawning import Worker

# Reports per interval that systemd allows: one that is late must not end us.
_REPORTS = 4


def watchdog_seconds(environ: Mapping[str, str]) -> float:
    """How long systemd lets us be silent; 0 when it does not ask for reports."""
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(usec) / 1e6


class Watchdog:
    """`workers` are those that serve at the moment; none at all is a failure, too."""

    def __init__(self, notify: Notify, seconds: float, workers: Callable[[], Sequence[Worker]]) -> None:
        self._notify = notify
        self._seconds = seconds
        self._workers = workers

    async def run(self) -> None:
        """Until cancelled. Returns if nobody asks for reports."""
        if not self._seconds:
            return
        while True:
            asked = list(self._workers())
            for worker in asked:
                worker.ask()
            await asyncio.sleep(self._seconds / _REPORTS)
            # A worker that ended meanwhile is not ours to judge: it is replaced, or there is none left.
            serving = [worker for worker in self._workers() if worker in asked]
            if serving and all(worker.has_answered for worker in serving):
                self._notify.alive()
