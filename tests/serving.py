"""A real `nugetproxy serve` process, for flows and real clients."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from tests.ports import free_port

_START = 60.0
"""Seconds until it must be ready: with two workers it takes one, and far more on a machine that tests keep busy."""


class Server:
    """Started by `with`, stopped at its end; a test may call `kill` and `start` in between."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        upstream: str | None = None,
        port: int | None = None,
        config: str | None = None,
        tls: tuple[Path, Path] | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.data = data
        self.port = port or free_port()
        self.scheme = "https" if tls else "http"
        data.mkdir(parents=True, exist_ok=True)
        self._log = data.parent / f"{data.name}.log"
        self._command = [sys.executable, "-m", "nugetproxy", "serve", "--data", str(data)]
        self._command += ["--listen", f"127.0.0.1:{self.port}", *arguments]
        if upstream is not None:
            self._command += ["--upstream", upstream]
        if config is not None:
            file = data.parent / f"{data.name}.toml"
            file.write_text(config)
            self._command += ["--config", str(file)]
        if tls is not None:
            self._command += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])]
        self._environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def base(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.base}/v3/index.json"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def workers(self) -> list[int]:
        """The processes that serve; each is in its own process group."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environ, start_new_session=True
            )
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"nugetproxy ended with {self._process.returncode}:\n{self.log}")
            if self._answers():
                return
            time.sleep(0.02)
        raise AssertionError(f"nugetproxy was not ready in time:\n{self.log}")

    def stop(self) -> int | None:
        """Ask it to end (SIGTERM) and return its exit code."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.terminate()
        try:
            return process.wait(timeout=40)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """kill -9 the supervisor and every worker at the same moment."""
        assert self._process is not None
        for pid in (self._process.pid, *self.workers()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        """The body of a GET, over plain http. Raises urllib's HTTPError for 4xx and 5xx."""
        request = urllib.request.Request(f"{self.base}{path}", headers=headers or {})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def metric(self, name: str) -> float:
        """The sum of all samples of one metric whose line starts with `name` (labels may follow)."""
        lines = self.get("/metrics").decode().splitlines()
        values = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(values)

    def _answers(self) -> bool:
        if self.scheme == "https":
            import socket

            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return "add source" in self.log
            return False
        try:
            with urllib.request.urlopen(f"{self.base}/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
