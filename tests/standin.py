"""The stand-in for nuget.org over real packages, as a process with its control requests."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.ports import free_port
from tests.shared import shared


class StandIn:
    """`async`-free on purpose: tests that drive real clients wait for processes, not for coroutines."""

    def __init__(self, *arguments: str, tls: tuple[Path, Path] | None = None, port: int | None = None) -> None:
        self.port = port or free_port()
        self._arguments = [*arguments]
        self._scheme = "https" if tls else "http"
        if tls:
            self._arguments += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/v3/index.json"

    def start(self) -> None:
        script = shared() / "nuget-org" / "nuget_org.py"
        command = [sys.executable, str(script), "serve", "--listen", f"127.0.0.1:{self.port}", *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert "/v3/index.json" in line, f"the stand-in did not start: {line!r}"

    def die(self) -> None:
        """Stop listening immediately: further connections are refused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def control(self, name: str, body: object | None = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_control/{name}", data=data, method=method or ("POST" if data else "GET")
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def faults(self, *faults: dict[str, object]) -> None:
        self.control("faults", list(faults))

    def settings(self, **settings: float) -> None:
        self.control("settings", settings)

    def requests(self) -> dict[str, int]:
        """How often each path was requested since the last `forget`."""
        return dict(self.control("requests")["counts"])

    def log(self) -> list[dict[str, Any]]:
        return list(self.control("log"))

    def forget(self) -> None:
        self.control("requests", method="DELETE")
