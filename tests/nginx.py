"""A real nginx in front of one server or several: the shipped file, on ports of this machine."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.shared import lacking

SHIPPED: Final = Path(__file__).resolve().parents[1] / "deploy" / "nginx" / "nugetproxy.conf"
_PATIENCE: Final = 10.0
_CERTIFICATE = "/etc/ssl/nuget.example.com.pem"
_KEY = "/etc/ssl/nuget.example.com.key"


def configure(folder: Path, port: int, behind: Sequence[int], tls: tuple[Path, Path] | None) -> Path:
    """The shipped file as a whole configuration: without `tls` (certificate, key) it speaks plain http."""
    text = SHIPPED.read_text()
    servers = "\n    ".join(f"server 127.0.0.1:{each};" for each in behind)
    changes = {"listen 443 ssl;": f"listen 127.0.0.1:{port}{' ssl' if tls else ''};", "server 127.0.0.1:8550;": servers}
    if tls is None:
        text = re.sub(r"(?m)^ +ssl_.*\n", "", text)
    else:
        changes |= {_CERTIFICATE: str(tls[0]), _KEY: str(tls[1])}
    for shipped, here in changes.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, here)
    places = "".join(
        f"{each}_temp_path {folder}/{each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    file = folder / "nginx.conf"
    file.write_text(
        f"{user}pid {folder}/nginx.pid;\nerror_log stderr;\ndaemon off;\nworker_processes 1;\nevents {{}}\n"
        f"http {{ access_log off; {places}\n{text}\n}}\n"
    )
    return file


class Nginx:
    """One nginx on `port`. It balances over the ports `behind` by turns: no affinity, no cache."""

    def __init__(self, folder: Path, port: int, behind: Sequence[int], tls: tuple[Path, Path] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._port = port
        self._file = configure(folder, port, behind, tls)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self._folder / "nginx.log").read_text(errors="replace")

    def start(self) -> None:
        """Returns when it accepts connections."""
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if program is None:
            lacking("nginx is not installed: scripts/debian-packages names its package")
        command = [program, "-c", str(self._file), "-p", str(self._folder)]
        with (self._folder / "nginx.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                assert self._process.poll() is None, self.log
                assert time.monotonic() < until, self.log
                time.sleep(0.01)

    def stop(self) -> None:
        """Open connections are cut."""
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            process.wait(timeout=10)
