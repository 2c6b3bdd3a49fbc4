"""Named thread pools: one for each kind of work that must not run on the event loop.

Each pool has few threads and, where clients decide how much work there is, a bounded queue. Quick work (health,
metrics, files) therefore never waits behind expensive work (hashing passwords, rendering long documents). asyncio's
default pool is left to the event loop itself, which resolves names and sends files in it; `asyncio.to_thread` is not
used in a worker.
"""

import asyncio
import contextlib
import contextvars
import functools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from nugetproxy.errors import Busy

P = ParamSpec("P")
T = TypeVar("T")


class ThreadExecutor:
    """At most `threads` jobs run in parallel; at most `waiting` more may queue, without limit if None.

    `niceness` is added to that of the process for these threads only. Use it for work that releases the interpreter's
    lock: no other thread should wait for the lock while a thread of low priority holds it.
    Threads start with the first jobs and are shared by every event loop of the process.
    """

    def __init__(self, name: str, threads: int, waiting: int | None = None, *, niceness: int = 0) -> None:
        self.name = name
        self._niceness = niceness
        self._most = None if waiting is None else threads + waiting
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._jobs = 0

    @property
    def jobs(self) -> int:
        """The number of jobs running or waiting."""
        return self._jobs

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(...)` in a thread of this pool, with the caller's context variables.

        If the caller is cancelled, a job that has not started is withdrawn. Raises Busy when the queue is full.
        """
        context = contextvars.copy_context()
        return await asyncio.wrap_future(self._submit(functools.partial(context.run, work, *args, **kwargs)))

    def require_room(self) -> None:
        """Raises Busy if a job would be refused now."""
        if self._most is not None and self._jobs >= self._most:
            raise Busy(self.name)

    def _submit(self, work: Callable[[], T]) -> "Future[T]":
        with self._lock:
            self.require_room()
            self._jobs += 1
            if self._pool is None:
                lower = functools.partial(_lower_priority, self._niceness)
                self._pool = ThreadPoolExecutor(self._threads, self.name, lower)
            pool = self._pool
        future = pool.submit(work)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _: "Future[T]") -> None:
        with self._lock:
            self._jobs -= 1


STEPS_AT_ONCE: Final = 100
"""Items of a loop in pure Python after which a thread lets others run: some hundred microseconds of work."""

# Any real sleep hands the interpreter's lock over; sleep(0) usually gets it back.
_HAND_OVER_SECONDS: Final = 0.0005


def yielding(items: Iterable[T]) -> Iterator[T]:
    """The items, for long loops in pure Python in a thread. The interpreter's lock is released every `STEPS_AT_ONCE`.

    Without it, an event loop that wakes up waits for the lock for up to 5 ms, each time.
    """
    for number, item in enumerate(items, 1):
        yield item
        if number % STEPS_AT_ONCE == 0:
            time.sleep(_HAND_OVER_SECONDS)


def _lower_priority(niceness: int) -> None:
    """Lower the priority of this thread only, which Linux supports."""
    if niceness:
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)


DISK: Final = ThreadExecutor("disk", 8)
"""
Short reads and writes of files. Its queue is bounded by the number of connections, each of which waits for one job at
a time.
"""

COMMITS: Final = ThreadExecutor("commits", 4)
"""Pushed files being synced and renamed, and removed. Its queue is bounded by the number of accepted pushes."""

BUCKET: Final = ThreadExecutor("bucket", 16, waiting=512)
"""
Content being read from the bucket of a shared installation. A bucket that does not answer holds its threads for some
seconds each, so nothing else runs here.
"""

UPKEEP: Final = ThreadExecutor("upkeep", 2)
"""Background jobs over whole trees, which may take minutes."""

HEALTH: Final = ThreadExecutor("health", 1)
"""Checks whether the data directory can be read. Nothing else runs here, so that monitoring keeps working."""

METRICS: Final = ThreadExecutor("metrics", 1, waiting=64)
"""Gathering and writing the metrics of all processes."""

PASSWORDS: Final = ThreadExecutor("passwords", 2, waiting=256, niceness=10)
"""Argon2id: each hash takes 64 MiB and a large part of a second of a core."""

DOCUMENTS: Final = ThreadExecutor("documents", 2, waiting=256)
"""Long documents of upstreams being parsed."""

RENDERING: Final = ThreadExecutor("rendering", 2, waiting=256)
"""Long documents being rendered."""

COMPRESSION: Final = ThreadExecutor("compression", 2, waiting=256, niceness=5)
"""Long documents being compressed."""

SEARCHES: Final = ThreadExecutor("searches", 2, waiting=256)
"""Searches over mirrored packages. Searches over hosted packages use the database's threads."""

PACKAGES: Final = ThreadExecutor("packages", 2, waiting=256)
"""Parts (readme, icon, licence) being read from stored packages."""

SIGNATURES: Final = ThreadExecutor("signatures", 2, waiting=256)
"""Signatures of packages being verified: a few milliseconds each, besides hashing the file."""

INSPECTION: Final = ThreadExecutor("inspection", 2)
"""Pushed files being unpacked, parsed and checked, if there are no processes for it (`executors.processes`)."""

ALL: Final = (
    DISK,
    COMMITS,
    BUCKET,
    INSPECTION,
    UPKEEP,
    HEALTH,
    METRICS,
    PASSWORDS,
    DOCUMENTS,
    RENDERING,
    COMPRESSION,
    SEARCHES,
    PACKAGES,
    SIGNATURES,
)
