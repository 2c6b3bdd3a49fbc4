"""Limits rather than ratios:

how soon a server with a million stored files is ready, and how little memory a huge package takes. There is no
comparison with another server. The files are hard links to a few, so that creating them takes a minute and little
space; a start treats them the same.
"""

import http.server
import io
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.processes import ROOT, family, free_port
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage, open_ledger
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.version import NuGetVersion

# The name of the upstream that is mirrored without settings.
UPSTREAM = "nuget.org"
MEGABYTE = 1_000_000

# Wanted: see docs/performance.md.
READY_SECONDS = 1.0
STREAMING_GROWTH = 64 * MEGABYTE

_NUSPEC = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"><metadata>'
    "<id>{id}</id><version>{version}</version><authors>Contoso</authors>"
    "<description>One of very many packages, with a sentence to be found by.</description>"
    "<tags>contoso limits</tags></metadata></package>"
)


def measure(*, ids: int, versions: int, size: int, rounds: int) -> str:
    """The table, as Markdown. `size` is the bytes of the package that is streamed."""
    with tempfile.TemporaryDirectory(prefix="nugetproxy-limits-") as made:
        folder = Path(made)
        rows = [*_starts(folder, ids, versions, rounds), *_streaming(folder, size, rounds)]
    lines = [
        f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; medians of {rounds} rounds.",
        "",
        "| what | measured | lowest and highest round | target |",
        "| --- | --- | --- | --- |",
        *rows,
    ]
    return "\n".join(lines)


# --- ready to serve ---------------------------------------------------------------------------------------------------


def _starts(folder: Path, ids: int, versions: int, rounds: int) -> Iterator[str]:
    data = folder / "data"
    _told("making a tree", lambda: make_tree(data, ids, versions))
    yield _row_of_starts("start over an empty directory", [_start(folder / f"new-{n}") for n in range(rounds)])
    files = f"{2 * ids * versions:,} files of {ids * versions:,} packages"
    _told("making its ledger", lambda: make_ledger(data, ids, versions))
    yield _row_of_starts(f"start over {files}", [_start(data) for _ in range(rounds)])
    found = []
    for _ in range(rounds):
        for file in data.glob("inventory.db*"):
            file.unlink()
        found.append(_start(data))
    yield _row_of_starts("the same, while its inventory is rebuilt", found)
    _told("removing the tree", lambda: subprocess.run(["rm", "-rf", str(data)], check=True))


def _start(data: Path) -> tuple[float, float]:
    """Seconds from exec to the first "ready", and to the first list of kept versions (404 where nothing is kept)."""
    port = free_port()
    began = time.perf_counter()
    with _serving(data, port, "--offline"):
        _first_answer(port, "/health/ready", (200,))
        ready = time.perf_counter() - began
        is_empty = not any((data / "mirror").iterdir())
        _first_answer(port, f"/v3/flatcontainer/{name_of(0).lower()}/index.json", (404,) if is_empty else (200,))
        return ready, time.perf_counter() - began


def _row_of_starts(what: str, found: list[tuple[float, float]]) -> str:
    ready, listed = zip(*found, strict=True)
    medians = f"{statistics.median(ready):.2f} s / {statistics.median(listed):.2f} s"
    bounds = f"{min(ready):.2f} - {max(listed):.2f} s"
    return f"| {what}: ready / a kept versions list | {medians} | {bounds} | {READY_SECONDS:g} s |"


def name_of(number: int) -> str:
    return f"Contoso.Limits.P{number:05}"


def make_tree(data: Path, ids: int, versions: int) -> None:
    """`ids` x `versions` packages with their manifests, as hard links of the first version's."""
    for number in range(ids):
        name = name_of(number)
        lower = name.lower()
        nuspec = _NUSPEC.format(id=name, version="1.0.0").encode()
        first: tuple[str, str] | None = None
        for version in range(versions):
            folder = f"{data}/mirror/{UPSTREAM}/{lower}/1.{version}.0"
            os.makedirs(folder)
            nupkg, manifest = f"{folder}/{lower}.1.{version}.0.nupkg", f"{folder}/{lower}.nuspec"
            if first is None:
                Path(nupkg).write_bytes(_package(name, nuspec))
                Path(manifest).write_bytes(nuspec)
                first = (nupkg, manifest)
            else:
                os.link(first[0], nupkg)
                os.link(first[1], manifest)


def make_ledger(data: Path, ids: int, versions: int) -> None:
    """The inventory as it would be after fetching all these packages."""
    with closing(open_ledger(data / "inventory.db")) as database:
        inventory = Inventory(database)
        for number in range(ids):
            first = read_nuspec(_NUSPEC.format(id=name_of(number), version="1.0.0").encode())
            for version in range(versions):
                manifest = replace(first, version=NuGetVersion.parse(f"1.{version}.0"))
                inventory.add(KeptPackage(UPSTREAM, manifest, 700, "hash", 0))


def _package(name: str, nuspec: bytes) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr(f"{name}.nuspec", nuspec)
    return body.getvalue()


# --- a huge package ---------------------------------------------------------------------------------------------------


def _streaming(folder: Path, size: int, rounds: int) -> Iterator[str]:
    package = folder / "huge.nupkg"
    _told("making a huge package", lambda: make_huge_package(package, size))
    idle, growth, highest = [], [], []
    with _upstream(package) as upstream:
        for n in range(rounds):
            data, port = folder / f"streaming-{n}", free_port()
            with _serving(data, port, "--upstream", upstream) as pid:
                _first_answer(port, "/health/ready", (200,))
                _first_answer(port, "/v3/index.json", (200,))
                worker = family(pid)[1]
                time.sleep(1)  # background work of the start has finished
                before = memory(worker, "VmRSS")
                idle.append(before)
                received = _discard(
                    port, f"/v3/flatcontainer/{name_of(0).lower()}/1.0.0/{name_of(0).lower()}.1.0.0.nupkg"
                )
                if received != package.stat().st_size:
                    sys.exit(f"{received} bytes came of {package.stat().st_size}")
                growth.append(memory(worker, "VmRSS") - before)
                highest.append(memory(worker, "VmHWM") - before)
            shutil.rmtree(data)
    yield _row_of_bytes("resident memory of an idle worker", idle, "")
    wanted = f"{STREAMING_GROWTH / MEGABYTE:.0f} MB"
    yield _row_of_bytes(f"its maximum growth during a cold download of {size / MEGABYTE:,.0f} MB", highest, wanted)
    yield _row_of_bytes("its growth afterwards", growth, wanted)


def _row_of_bytes(what: str, found: list[int], wanted: str) -> str:
    shown = [each / MEGABYTE for each in found]
    return f"| {what} | {statistics.median(shown):.1f} MB | {min(shown):.1f} - {max(shown):.1f} MB | {wanted} |"


def make_huge_package(path: Path, size: int) -> None:
    """A valid package of slightly more than `size` bytes, nearly all of them a hole in the file."""
    with path.open("wb") as file, zipfile.ZipFile(_Holed(file), "w") as archive:
        archive.writestr(f"{name_of(0)}.nuspec", _NUSPEC.format(id=name_of(0), version="1.0.0"))
        entry = zipfile.ZipInfo("content/zeros.bin")
        entry.file_size = size
        with archive.open(entry, "w") as zeros:
            block = bytes(MEGABYTE)
            for _ in range(size // MEGABYTE):
                zeros.write(block)


class _Holed:
    """A file in which blocks of zeros are skipped rather than written."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self.tell, self.seek, self.flush, self.close = file.tell, file.seek, file.flush, file.close

    def seekable(self) -> bool:
        return True

    def write(self, block: bytes) -> int:
        if len(block) == MEGABYTE:
            self._file.seek(len(block), os.SEEK_CUR)
            return len(block)
        return self._file.write(block)


@contextmanager
def _upstream(package: Path) -> Iterator[str]:
    """A V3 feed with one package and nothing else; its service index."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            base = f"http://127.0.0.1:{port}"
            if self.path.endswith(".nupkg"):
                self._head(200, package.stat().st_size)
                with package.open("rb") as file:
                    self.connection.sendfile(file)
            elif self.path == "/v3/index.json":
                resource = {"@id": f"{base}/flat/", "@type": "PackageBaseAddress/3.0.0"}
                body = json.dumps({"version": "3.0.0", "resources": [resource]}).encode()
                self._head(200, len(body))
                self.wfile.write(body)
            else:
                self._head(404, 0)

        def _head(self, status: int, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the library
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_port
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{port}/v3/index.json"
        finally:
            server.shutdown()


def _discard(port: int, target: str) -> int:
    """Reads the body's bytes without keeping them."""
    block = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        if not head.startswith(b"HTTP/1.1 200 "):
            sys.exit(head.decode("latin-1"))
        body = len(head.partition(b"\r\n\r\n")[2])
        while count := client.recv_into(block):
            body += count
    return body


# --- processes --------------------------------------------------------------------------------------------------------


@contextmanager
def _serving(data: Path, port: int, *options: str) -> Iterator[int]:
    """`nugetproxy serve` with only these options; its process id."""
    data.mkdir(parents=True, exist_ok=True)
    (data / "mirror").mkdir(exist_ok=True)
    log = data.with_name(f"{data.name}.log")
    command = [sys.executable, "-m", "nugetproxy", "serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *options], stdout=output, stderr=output, cwd=ROOT)
    try:
        yield process.pid
    except OSError as error:
        sys.exit(f"{error}\n{log.read_text()[-2000:]}")
    finally:
        process.terminate()
        process.wait(60)


def _first_answer(port: int, target: str, statuses: tuple[int, ...], wait: float = 60) -> None:
    """Return as soon as `target` is answered with one of `statuses`."""
    deadline = time.monotonic() + wait
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    answer = b""
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=wait) as client:
                client.sendall(request)
                answer = client.recv(65536)
                if any(answer.startswith(f"HTTP/1.1 {status} ".encode()) for status in statuses):
                    return
        except OSError:
            pass
        time.sleep(0.002)
    raise OSError(f"{target} was not answered with {statuses}: {answer[:200]!r}")


def memory(pid: int, field: str) -> int:
    """A figure of /proc/PID/status (VmRSS: now, VmHWM: the most so far) in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _told(doing: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    print(f"{doing}: {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
