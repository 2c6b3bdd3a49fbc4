"""Processes for work on what clients send: unpacking, parsing and checking it, which holds Python's lock for long.

In threads such work would make every answer of the event loop wait for that lock, again and again. Here it has
separate interpreters, which run at a lower priority (`nice`) and can crash without affecting the server. Arguments
and results of a job are pickled: keep them small, and define the functions at module level.
"""

import asyncio
import contextlib
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from nugetproxy.errors import ProcessLost
from nugetproxy.executors.child import HEAD
from nugetproxy.executors.threads import DISK
from nugetproxy.logs import logger

_log = logger()

P = ParamSpec("P")
T = TypeVar("T")

NICENESS: Final = 10
"""Next to a busy event loop on the same core such a process gets a tenth of the core, otherwise all of it."""

LONGEST_JOB: Final = 600.0
"""Seconds after which the process is killed. The largest accepted package takes some minutes on a slow machine."""

IDLE_SECONDS: Final = 300.0
"""A process that has been idle for so many seconds exits: it takes some 40 MB."""

# Seconds a process may take to exit after its connection was closed.
_END_SECONDS: Final = 5.0


class ProcessExecutor:
    """At most `processes` jobs run in parallel, each in its own process; more of them queue.

    Processes start with the first jobs. Use it on one event loop only, and close it there.
    """

    def __init__(
        self,
        name: str,
        processes: int,
        *,
        longest_job: float = LONGEST_JOB,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.name = name
        self._turns = asyncio.Semaphore(processes)
        self._longest_job = longest_job
        self._idle_seconds = idle_seconds
        self._resting: list[_Child] = []
        self._jobs = 0

    @property
    def jobs(self) -> int:
        """The number of jobs running or waiting."""
        return self._jobs

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(...)` in another process.

        Raises:
            ProcessLost: the process ended before it answered, or did not answer in time.
            RuntimeError: the work raised an exception that is not in `errors`; the text is the traceback.
        """
        job = pickle.dumps((work, args, kwargs), pickle.HIGHEST_PROTOCOL)
        self._jobs += 1
        try:
            async with self._turns:
                # The one used last, so that the others may exit.
                child = self._resting.pop() if self._resting else await _Child.start()
                child.wake()
                failure, value = await self._answer(child, job)
        finally:
            self._jobs -= 1
        if isinstance(failure, str):
            raise RuntimeError(f"a job of {self.name} failed: {failure}")  # noqa: TRY004 - it is a text, not a type
        if failure is not None:
            raise failure
        answer: T = value
        return answer

    async def close(self) -> None:
        """End the idle processes. Call it when no job is running any more."""
        resting, self._resting = self._resting, []
        await asyncio.gather(*(child.end() for child in resting))

    async def _answer(self, child: "_Child", job: bytes) -> tuple[Exception | str | None, Any]:
        try:
            async with asyncio.timeout(self._longest_job):
                answer = await child.ask(job)
        except TimeoutError as error:
            raise self._lost(child, f"it took longer than {self._longest_job:g} seconds") from error
        except (OSError, EOFError) as error:
            raise self._lost(child, "the process that did it ended") from error
        except BaseException:
            child.kill()  # a late answer of this process must not be taken for that of the next job
            raise
        child.rest(self._idle_seconds, self._rested)
        self._resting.append(child)
        return answer

    def _lost(self, child: "_Child", why: str) -> ProcessLost:
        _log.error("process_lost", work=self.name, why=why, status=child.kill())
        return ProcessLost(self.name, why)

    def _rested(self, child: "_Child") -> None:
        self._resting.remove(child)
        child.kill()


class _Child:
    """A started process and the connection to it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._alarm: asyncio.TimerHandle | None = None

    @classmethod
    async def start(cls) -> "_Child":
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await DISK.run(_started, theirs)
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        return cls(process, reader, writer)

    async def ask(self, job: bytes) -> tuple[Exception | str | None, Any]:
        """Raises OSError, EOFError when the process is gone."""
        self._writer.write(len(job).to_bytes(HEAD, "big") + job)
        await self._writer.drain()
        length = int.from_bytes(await self._reader.readexactly(HEAD), "big")
        answer: tuple[Exception | str | None, Any] = pickle.loads(await self._reader.readexactly(length))  # noqa: S301
        return answer

    def rest(self, seconds: float, rested: Callable[["_Child"], None]) -> None:
        """Call `rested` after this many seconds."""
        self._alarm = asyncio.get_running_loop().call_later(seconds, rested, self)

    def wake(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def end(self) -> None:
        """Let it exit, by closing the connection."""
        self.wake()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await DISK.run(self._process.wait, _END_SECONDS)
        self.kill()

    def kill(self) -> int:
        """Kill it; its exit status, negative for a signal."""
        self.wake()
        self._writer.close()
        self._process.kill()
        return self._process.wait()


def _started(line: socket.socket) -> "subprocess.Popen[bytes]":
    """A child at the other end of `line`. Blocks for a few milliseconds."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "nugetproxy.executors.child", str(line.fileno()), str(NICENESS)],
        pass_fds=[line.fileno()],
        # It imports from the same paths as this process, and writes no metrics.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        process_group=0,
    )
