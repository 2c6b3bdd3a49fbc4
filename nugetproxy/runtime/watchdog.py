"""systemd's watchdog: we report that we are alive only while every worker answers us (sd_watchdog_enabled(3)).

A running supervisor does not prove that its workers run, and a hanging worker keeps its share of the connections.
What happens without reports is up to systemd: WatchdogSec= and Restart= of the unit.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence

from nugetproxy.runtime.notify import Notify
from nugetproxy.runtime.spawning import Worker

# Reports per interval allowed by systemd: one late report must not cause a restart.
_REPORTS = 4


def watchdog_seconds(environ: Mapping[str, str]) -> float:
    """Seconds that systemd allows without a report; 0 if it does not ask for reports."""
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(usec) / 1e6


class Watchdog:
    """`workers` returns those that serve at the moment; having none is a failure too."""

    def __init__(self, notify: Notify, seconds: float, workers: Callable[[], Sequence[Worker]]) -> None:
        self._notify = notify
        self._seconds = seconds
        self._workers = workers

    async def run(self) -> None:
        """Run until cancelled. Returns if systemd does not ask for reports."""
        if not self._seconds:
            return
        while True:
            asked = list(self._workers())
            for worker in asked:
                worker.ask()
            await asyncio.sleep(self._seconds / _REPORTS)
            # A worker that has ended meanwhile does not count: it is being replaced, or none is left.
            serving = [worker for worker in self._workers() if worker in asked]
            if serving and all(worker.has_answered for worker in serving):
                self._notify.alive()
