"""A real `nugetproxy serve` in separate processes, for tests; by default its workers serve `tests.runtime.dummy`."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DUMMY = "tests.runtime.dummy:serve"
PATIENCE = 30.0


class Served:
    """A started command. `data` is its data directory; `log` what it wrote on standard error so far."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        listen: str | None = "127.0.0.1:0",
        application: str | None = DUMMY,
        before: Sequence[str] = (),
        module: str = "nugetproxy",
        log: Path | None = None,
        **popen: Any,
    ) -> None:
        self.data = data
        data.mkdir(exist_ok=True, parents=True)
        self._log = log or data.parent / f"{data.name}.log"
        command = [*before, sys.executable, "-m", module, "serve", "--data", str(data)]
        if listen:
            command += ["--listen", listen]
        if application:
            command += ["--application", application]
        with self._log.open("wb") as written:
            self.process = subprocess.Popen(
                [*command, *arguments], stdout=subprocess.PIPE, stderr=written, cwd=ROOT, text=True, **popen
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_until_ready(self) -> "Served":
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"https?://[^/]*:(\d+)/", line)
        assert found, f"{line!r}\n{self.log}"
        self.port = int(found[1])
        self.announced = line + self.process.stdout.readline()
        return self

    def get(self, path: str, timeout: float = PATIENCE) -> str:
        """The body of an answer. Raises OSError for a refused or broken connection."""
        with self.ask(path, timeout) as asked:
            return read_answer(asked)

    def ask(self, path: str, timeout: float = PATIENCE) -> socket.socket:
        """A connection on which the request has been sent."""
        asked = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        asked.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return asked

    def signal(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def workers(self) -> set[int]:
        """The processes that are running below the supervisor."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def close(self) -> None:
        """Stop it without leaving processes behind; the second signal makes it quick."""
        for _ in range(200):
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
                break
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def serving(data: Path, *arguments: str, **how: Any) -> Iterator[Served]:
    """A command that answers requests; all its processes are gone afterwards."""
    served = Served(data, *arguments, **how)
    try:
        yield served.wait_until_ready()
    finally:
        served.close()


def read_answer(asked: socket.socket) -> str:
    """The body of an answer that ends with its connection. Raises ConnectionError if it is cut short."""
    received = b""
    while part := asked.recv(65536):
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    if length is None or int(length[1]) != len(body):
        raise ConnectionError(f"cut short: {received!r}")
    return body.decode()


def eventually(fact: Callable[[], bool], what: str = "it") -> None:
    """Wait until a fact holds; fail after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
