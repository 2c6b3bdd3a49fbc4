"""One worker process as the supervisor sees it: a child, and the message channel between the two.

Each message is one JSON object on one line of a Unix socket pair. Messages are few and existing ones keep their
meaning, because on a reload a supervisor running old code talks to workers running new code:

    to the worker    read {file, overrides, program}    read the settings; how the program is called
                     use TEXT                  the settings, as read by another worker
                     serve {metrics}           serve on the sockets sent with this line
                     trouble TEXT              not ready for this reason, or ready again: ""
                     ping true                 answer, to show that the event loop runs
    from the worker  migrating true            a database is being migrated; the next message may take minutes
                     understood {...}          the settings are valid and the data can be used; see `Plan`
                     refused [problems]        they are not valid
                     ready true                requests are answered from now on
                     failed TEXT               serving cannot start
                     pong true                 the event loop runs

When the connection breaks, the other side is gone: a worker then stops by itself, the supervisor reads the exit status.
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

# systemd sets these for the supervisor only.
_NOT_INHERITED = frozenset(
    {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}
)


class CannotStart(Exception):
    """Serving cannot start. `problems` are sentences for a user; `code` is the exit status to end with."""

    def __init__(self, problems: list[str], code: int = 1) -> None:
        self.problems = problems
        self.code = code
        super().__init__("\n".join(problems))


class Worker:
    """A started worker. Creating one starts the process, which waits for its first message."""

    def __init__(self, environ: Mapping[str, str], application: str = SERVING) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "nugetproxy.runtime.worker", str(theirs.fileno()), application],
                pass_fds=[theirs.fileno()],
                env=_environment(environ),
                stdin=subprocess.DEVNULL,
                # Ctrl-C in the terminal is for the supervisor, which stops the workers gracefully.
                process_group=0,
            )
        self._line = ours
        self._line.setblocking(False)
        self._heard = b""
        self._end: Task[int] | None = None
        self.has_answered = True
        """Whether everything sent with `ask` has been answered."""
        self.pid = self._child.pid

    def __repr__(self) -> str:
        return f"<Worker {self.pid} {self._child.returncode}>"

    def tell(self, word: str, value: object, sockets: list[socket.socket] | None = None) -> None:
        """Send one message. If the worker is gone, the task that waits for its answer notices."""
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
        """Ask for a sign of life. One at a time: unread messages must not fill the socket and block us."""
        if self.has_answered:
            self.has_answered = False
            self.tell("ping", True)

    async def hear(self) -> Mapping[str, Any] | None:
        """The next message from the worker; None once it is gone."""
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
        """Ask it to finish running answers and exit."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
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
