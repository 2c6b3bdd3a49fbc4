"""One worker process as the supervisor sees it: a child, and the line of words between the two.

Each message is one JSON object on one line of a Unix socket pair. The words are few and old ones keep their meaning,
because on a reload a supervisor of yesterday's code speaks to workers of today's:

    to the worker    read {file, overrides, program}    read the settings yourself; how people start us
                     use TEXT                  these are the settings, as another worker understood them
                     serve {metrics}           serve on the sockets that come with this line
                     trouble TEXT              you are not ready because of this, or ready again: ""
                     ping true                 answer, if you still can
    from the worker  migrating true            a database is being migrated; what follows may take minutes
                     understood {...}          the settings are right and the data can be used; see `Plan`
                     refused [problems]        they are not
                     ready true                requests are answered from now on
                     failed TEXT               serving cannot begin
                     pong true                 the event loop runs

When the line breaks, the other side is gone: a worker then stops by itself, the supervisor looks for the exit status.
A new interpreter is started for each worker rather than forked, so that a reload serves new code.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nugetproxy

if TYPE_CHECKING:
    from asyncio import Task

SERVING = "nugetproxy.runtime.serving:serve"

# systemd means these for the supervisor alone.
_NOT_INHERITED = frozenset(
    {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}
)


class CannotStart(Exception):
    """Serving cannot begin. `problems` are sentences for a user; `code` is the exit status to end with."""

    def __init__(self, problems: list[str], code: int = 1) -> None:
        self.problems = problems
        self.code = code
        super().__init__("\n".join(problems))


class Worker:
    """A started worker. Making one starts the process; it waits for its first word."""

    def __init__(self, environ: Mapping[str, str], application: str = SERVING) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "nugetproxy.runtime.worker", str(theirs.fileno()), application],
                pass_fds=[theirs.fileno()],
                env=_environment(environ),
                stdin=subprocess.DEVNULL,
                # A Ctrl-C in the terminal is the supervisor's affair: it stops the workers gracefully.
                process_group=0,
            )
        self._line = ours
        self._line.setblocking(False)
        self._heard = b""
        self._end: Task[int] | None = None
        self.has_answered = True
        """Whether nothing that we asked by `ask` is unanswered."""
        self.pid = self._child.pid

    def __repr__(self) -> str:
        return f"<Worker {self.pid} {self._child.returncode}>"

    def tell(self, word: str, value: object, sockets: list[socket.socket] | None = None) -> None:
        """Say one thing; a worker that is gone does not hear it, and whoever waits for its answer notices."""
        message = json.dumps({word: value}).encode() + b"\n"
        self._line.setblocking(True)
        try:
            if sockets:
                sent = socket.send_fds(self._line, [message], [each.fileno() for each in sockets])
                message = message[sent:]
            self._line.sendall(message)
        except OSError:
            pass
        finally:
            self._line.setblocking(False)

    def ask(self) -> None:
        """Ask for a sign of life. Once at a time: what a worker does not read must not fill the line and stop us."""
        if self.has_answered:
            self.has_answered = False
            self.tell("ping", True)

    async def hear(self) -> Mapping[str, Any] | None:
        """The next thing the worker says; None once it is gone."""
        from asyncio import get_running_loop  # the supervisor loads asyncio while its first worker starts

        while b"\n" not in self._heard:
            try:
                received = await get_running_loop().sock_recv(self._line, 65536)
            except OSError:
                received = b""
            if not received:
                return None
            self._heard += received
        line, _, self._heard = self._heard.partition(b"\n")
        message = json.loads(line)
        return message if isinstance(message, dict) else {}

    async def ended(self) -> int:
        """Wait until the process is gone; its exit status, negative for a signal. Several may wait at once."""
        from asyncio import create_task, shield

        if self._end is None:
            self._end = create_task(self._wait())
        return await shield(self._end)

    async def _wait(self) -> int:
        from asyncio import to_thread

        while (message := await self.hear()) is not None:
            self.has_answered = self.has_answered or "pong" in message
        code = await to_thread(self._child.wait)
        self._line.close()
        return code

    def stop(self) -> None:
        """Ask it to finish what it is answering and to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        self._signal(signal.SIGKILL)

    def _signal(self, signum: signal.Signals) -> None:
        if self._child.returncode is None:
            self._child.send_signal(signum)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if name not in _NOT_INHERITED}
    root = Path(nugetproxy.__file__).parents[1]
    if root.name not in ("site-packages", "dist-packages"):
        # Run from a source tree. The working directory itself is never searched for modules (-P).
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), kept.get("PYTHONPATH", "")]))
    return kept
