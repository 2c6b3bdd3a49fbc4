"""The measured servers as child processes: starting, waiting until ready, measuring memory, stopping."""

import contextlib
import getpass
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

OURS = f"{shlex.quote(sys.executable)} -m nugetproxy serve"

# Measured processes share one core, the load generator has the other.
SERVER_CORE, LOAD_CORE = "0", "1"

NGINX_PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"

# `{http}` makes it a proxy or a file server.
_NGINX = """
worker_processes 1;
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/temporary;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{http}
}}
"""

_CACHING = """
    proxy_cache_path {folder}/cache levels=1:2 keys_zone=kept:10m max_size=1g;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache kept;
            proxy_cache_valid 200 1h;
            proxy_cache_lock on;
            proxy_ignore_headers Cache-Control Expires Set-Cookie;
            add_header X-Cache $upstream_cache_status;
        }}
    }}
"""

_STATIC = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder}/files;
        default_type application/json;
{locations}
    }}
"""


def shared() -> Path:
    """Where the stand-in for nuget.org and the .NET SDK are; exits with a message if they are missing."""
    folder = Path(os.environ.get("NUGETPROXY_SHARED", ROOT.parent / "shared"))
    if not (folder / "nuget-org" / "nuget_org.py").is_file():
        sys.exit(f"this benchmark needs the stand-in for nuget.org under NUGETPROXY_SHARED; not found at {folder}")
    return folder


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def pinned(command: Sequence[str], core: str) -> list[str]:
    is_possible = shutil.which("taskset") is not None and (os.cpu_count() or 1) > 1
    return ["taskset", "-c", core, *command] if is_possible else list(command)


@contextlib.contextmanager
def running(
    command: Sequence[str], url: str, log: Path, *, environment: Mapping[str, str] | None = None, wait: float = 60
) -> Iterator[subprocess.Popen[bytes]]:
    """`command` as a child until the block ends, entered once `url` answers anything at all."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
        try:
            deadline = time.monotonic() + wait
            while not answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} does not serve {url}:\n{log.read_text()[-2000:]}")
                time.sleep(0.02)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def fetch(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=120) as answer:
        body: bytes = answer.read()
        return body


def control(upstream: str, what: str, order: Any, method: str = "POST") -> bytes:
    """Set the behaviour of the stand-in at `upstream` (scheme, host and port)."""
    body = None if order is None else json.dumps(order).encode()
    request = urllib.request.Request(f"{upstream}/_control/{what}", data=body, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        told: bytes = answer.read()
        return told


@contextlib.contextmanager
def standing_in(folder: Path, *options: str) -> Iterator[str]:
    """The stand-in for nuget.org; gives its scheme, host and port."""
    port = free_port()
    script = shared() / "nuget-org" / "nuget_org.py"
    command = [sys.executable, str(script), "serve", "--listen", f"127.0.0.1:{port}", *options]
    base = f"http://127.0.0.1:{port}"
    with running(pinned(command, LOAD_CORE), f"{base}/v3/index.json", folder / f"stand-in-{port}.log"):
        yield base


@contextlib.contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[tuple[str, int]]:
    """Debian's nginx as a caching proxy of `upstream`; gives its scheme, host and port, and its process id."""
    port = free_port()
    own = folder / f"nginx-{port}"
    own.mkdir()
    with _nginx(own, port, _CACHING.format(folder=own, port=port, upstream=upstream)) as pid:
        yield f"http://127.0.0.1:{port}", pid


@contextlib.contextmanager
def static_nginx(folder: Path, answers: Sequence[tuple[bytes, str]]) -> Iterator[tuple[str, int]]:
    """nginx with these bodies as files /0, /1, ..., each with its Content-Encoding; gives its address and process."""
    port = free_port()
    own = folder / f"static-{port}"
    (own / "files").mkdir(parents=True)
    locations = []
    for number, (body, encoding) in enumerate(answers):
        (own / "files" / str(number)).write_bytes(body)
        header = f"add_header Content-Encoding {encoding};" if encoding else ""
        locations.append(f"        location = /{number} {{ {header} }}")
    with _nginx(own, port, _STATIC.format(folder=own, port=port, locations="\n".join(locations))) as pid:
        yield f"http://127.0.0.1:{port}", pid


@contextlib.contextmanager
def _nginx(own: Path, port: int, http: str) -> Iterator[int]:
    settings = own / "nginx.conf"
    settings.write_text(_NGINX.format(folder=own, user=getpass.getuser(), http=http))
    command = [NGINX_PROGRAM, "-p", str(own), "-c", str(settings), "-e", str(own / "error.log")]
    # Any answer is enough, even a 404.
    with running(pinned(command, SERVER_CORE), f"http://127.0.0.1:{port}/", own / "output.log") as process:
        yield process.pid


@contextlib.contextmanager
def nugetproxy(
    folder: Path,
    upstream: str,
    *options: str,
    command: str = OURS,
    data: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, int]]:
    """Our server over `upstream`, its log going to a file; gives its scheme, host and port, and its process id.

    `environment` is added to ours.
    """
    port = free_port()
    whole = [
        *shlex.split(command),
        *("--listen", f"127.0.0.1:{port}", "--data", str(data or folder / f"data-{port}")),
        *("--upstream", f"{upstream}/v3/index.json", "--log-format", "json"),
        *options,
    ]
    base = f"http://127.0.0.1:{port}"
    log, variables = folder / f"ours-{port}.log", {**os.environ, **(environment or {})}
    with running(pinned(whole, SERVER_CORE), f"{base}/health/live", log, environment=variables) as process:
        yield base, process.pid


def family(pid: int) -> list[int]:
    """`pid` and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(found for child in children for found in family(int(child)))]


def resident(pid: int) -> dict[int, int]:
    """Bytes of resident memory of each process in a tree."""
    found = {}
    for member in family(pid):
        with contextlib.suppress(OSError, ValueError):
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
            found[member] = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time that a tree of processes has used so far."""
    ticks = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Processor time that the whole machine has spent on anything so far."""
    spent = [int(text) for text in Path("/proc/stat").read_text().split("\n")[0].split()[1:8]]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts = spent
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")
