"""Measures how late the event loop is, always, and says what ran when it was very late.

Every answer of a worker waits for its one event loop. A timer on the loop measures how late it is; while it is late,
a thread samples what the loop is doing. Nothing is decided here.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final, Self

from nugetproxy.logs import logger
from nugetproxy.metrics import LOOP_LAG

EVERY: Final = 0.1
"""Seconds between two measurements."""

LATE: Final = 0.25
"""Seconds of lag from which it is logged with what ran. Clients notice that much."""

LOGGED_EVERY: Final = 10.0
"""Seconds between two lines about lag; the next line says how often it happened in between."""

STUCK: Final = 10.0
"""Seconds after which the thread logs a loop that is still blocked: it may never come back."""

_FRAMES: Final = 12

_log = logger()


class LoopLag:
    """Watches the running event loop while the context is active."""

    def __init__(self, observe: Callable[[float], None] = LOOP_LAG.observe, *, late: float = LATE) -> None:
        """`observe` is given each measured lag in seconds; `late` as the constant."""
        self._observe = observe
        self._late = late
        self._stopped = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._seen: _Seen | None = None
        self._logged = -LOGGED_EVERY
        self._unlogged = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._of_loop = threading.get_ident()
        self._due = time.monotonic() + EVERY
        self._timer = self._loop.call_later(EVERY, self._tick)
        threading.Thread(target=self._watch, name="loop-lag", daemon=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        now, due, seen = time.monotonic(), self._due, self._seen
        lag = max(0.0, now - due)
        self._due = now + EVERY
        self._timer = self._loop.call_later(EVERY, self._tick)
        self._observe(lag)
        if lag < self._late:
            return
        if now - self._logged < LOGGED_EVERY:
            self._unlogged += 1
            return
        # The thread may have sampled an earlier lag, or not have got to it.
        at, beside = (seen.at, seen.beside) if seen is not None and seen.due == due else ([], [])
        _log.warning("loop_lagged", seconds=round(lag, 3), at=at, beside=beside, unlogged=self._unlogged)
        self._logged, self._unlogged = now, 0

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        told = 0.0
        while not self._stopped.wait(EVERY):
            due = self._due
            late = time.monotonic() - due
            if late >= self._late and (self._seen is None or self._seen.due != due):
                self._seen = self._look(due)
            if late >= STUCK and told != due:
                told = due
                seen = self._look(due)
                _log.error("loop_stuck", seconds=round(late, 3), at=seen.at, beside=seen.beside)

    def _look(self, due: float) -> "_Seen":
        frames = sys._current_frames()
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        at = _stack(frames.pop(self._of_loop, None))
        beside = [
            f"{names.get(ident, '?')}: {_stack(frame)[0]}" for ident, frame in frames.items() if _has_a_job(frame)
        ]
        return _Seen(due, at, beside)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the loop's thread did while it was late for `due`, innermost first, and what pool threads did meanwhile."""

    due: float
    at: list[str]
    beside: list[str]


def _has_a_job(frame: FrameType) -> bool:
    """Whether a thread belongs to a pool and is busy: an idle one is in `_worker` itself."""
    outer = frame.f_back
    while outer is not None:
        if outer.f_code.co_name == "_worker":
            return True
        outer = outer.f_back
    return False


def _stack(frame: FrameType | None) -> list[str]:
    """module:function:line of the innermost frames, without values, which may be secret."""
    found: list[str] = []
    while frame is not None and len(found) < _FRAMES:
        found.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return found
