"""What a fleet runs on, for benchmarks: a PostgreSQL that syncs, a bucket, feeds of some nodes; and what they cost.

Nodes are pinned to the core of the servers, engines to that of the clients.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import LOAD_CORE, ROOT, cpu_seconds, family, nugetproxy
from tests.engines.postgres import PostgresServer, find_binaries
from tests.engines.seaweedfs import SeaweedFs

EMBEDDED: Final = "embedded"

# As in production: a commit is on disk when it is acknowledged. The log names the program and the database of a query.
_POSTGRES: Final = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "autovacuum": "on",
    "log_line_prefix": "%a|%d ",
}
_QUERY: Final = re.compile(r"^(nugetproxy[a-z ]*)\|(\w+) LOG:  (?:statement|execute [^:]*): ", re.MULTILINE)
# Seconds until a changed setting has reached every session.
_RELOADED: Final = 0.5

_SETTINGS: Final = """
[feed]
protected_prefixes = ["Contoso."]
[accounts]
anonymous_read = "all"
[storage]
path = "{path}"
"""
_SHARED: Final = """kind = "shared"
[storage.shared]
dsn_file = "{dsn}"
bucket = "{bucket.bucket}"
endpoint = "{bucket.endpoint}"
region = "{bucket.region}"
prefix = "{bucket.prefix}"
access_key_file = "{bucket.access_key_file}"
secret_key_file = "{bucket.secret_key_file}"
"""


@dataclass(frozen=True)
class Node:
    base: str
    pid: int


@dataclass(frozen=True)
class Feed:
    """An embedded worker, or the nodes of one fleet. `database` is the name of the fleet's; `key` may push."""

    name: str
    nodes: tuple[Node, ...]
    database: str
    key: str

    def cpu_seconds(self) -> float:
        return sum(cpu_seconds(node.pid) for node in self.nodes)

    def bucket_requests(self) -> Counter[str]:
        """How many were sent so far, by kind."""
        found: Counter[str] = Counter()
        for node in self.nodes:
            with urllib.request.urlopen(f"{node.base}/metrics", timeout=20) as answer:
                text = answer.read().decode()
            for kind, count in re.findall(r'nugetproxy_bucket_requests_total\{kind="(\w+)"[^}]*\} ([\d.e+]+)', text):
                found[kind] += int(float(count))
        return found


class Engines:
    """PostgreSQL and SeaweedFS; see `engines`."""

    def __init__(self, folder: Path) -> None:
        binaries = find_binaries()
        weed = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
        if binaries is None or not Path(weed).is_file():
            sys.exit("this benchmark needs PostgreSQL and SeaweedFS: run scripts/install, which brings both")
        self._folder = folder
        self.postgres = PostgresServer(binaries, _POSTGRES)
        self.bucket = SeaweedFs(weed, folder / "bucket")
        for pid in self.pids():
            _pin(pid)

    def close(self) -> None:
        self.bucket.kill()
        self.postgres.close()

    def pids(self) -> list[int]:
        return [*family(self.postgres.pid), *family(self.bucket.pid)]

    def cpu_seconds(self) -> tuple[float, float]:
        """Processor time of PostgreSQL and of the bucket so far."""
        return cpu_seconds(self.postgres.pid) + _ended(self.postgres.pid), cpu_seconds(self.bucket.pid)

    @contextmanager
    def feed(
        self, name: str, nodes: int, upstream: str, environment: Mapping[str, str] | None = None, *, key: bool = True
    ) -> Iterator[Feed]:
        """A new feed over `upstream` with so many nodes; 0: one worker with the embedded storage."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        database, shared = "", ""
        if nodes:
            database = self.postgres.create_database()
            (folder / "dsn").write_text(self.postgres.dsn(database) + "\n")
            shared = _SHARED.format(dsn=folder / "dsn", bucket=self.bucket.address())
        with ExitStack() as stack:
            running = []
            for number in range(max(1, nodes)):
                place = folder / f"node-{number}"
                place.mkdir()
                settings = folder / f"node-{number}.toml"
                settings.write_text(_SETTINGS.format(path=place) + shared)
                options = ("--config", str(settings))
                started = nugetproxy(place, upstream, *options, data=place / "data", environment=environment)
                running.append(Node(*stack.enter_context(started)))
            text = ""
            if key:
                where = folder / "manage.toml"
                where.write_text(_SETTINGS.format(path=folder / "node-0" / "data") + shared)
                _manage("user", "add", "alice", "--admin", "--config", str(where))
                text = json.loads(_manage("key", "add", "--owner", "alice", "bench", "--json", "--config", str(where)))[
                    "key"
                ]
            yield Feed(name, tuple(running), database, text)

    # --- what does not depend on the machine --------------------------------------------------------------------------

    @contextmanager
    def counting(self) -> Iterator[dict[str, Counter[str]]]:
        """Fills what it gives, by database, with the statements that arrived: those of operations under `queries`,
        those of confirmations and leases under `fleet`.
        """
        log = self.postgres.folder / "log"
        found: dict[str, Counter[str]] = {}
        self._log_statements("all")
        start = log.stat().st_size
        try:
            yield found
        finally:
            time.sleep(0.2)
            with log.open("rb") as file:
                file.seek(start)
                text = file.read().decode(errors="replace")
            self._log_statements("none")
        for program, database in _QUERY.findall(text):
            found.setdefault(database, Counter())["fleet" if program.endswith("fleet") else "queries"] += 1

    def _log_statements(self, which: str) -> None:
        self.postgres.execute(f"ALTER SYSTEM SET log_statement = '{which}'")
        self.postgres.execute("SELECT pg_reload_conf()")
        time.sleep(_RELOADED)


@contextmanager
def engines(folder: Path) -> Iterator[Engines]:
    made = Engines(folder)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def counting_syncs(pids: Sequence[int], folder: Path) -> Iterator[list[int]]:
    """Adds to what it gives the number of times that these processes had files synced. Slows them down."""
    found: list[int] = []
    output = folder / f"strace-{time.monotonic_ns()}"
    command = ["strace", "-f", "-qq", "-c", "-e", "trace=fsync,fdatasync", "-o", str(output)]
    for pid in pids:
        command += ["-p", str(pid)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(1)
    try:
        yield found
    finally:
        process.terminate()
        process.wait(20)
    rows = [line.split() for line in output.read_text().splitlines()]
    found.append(sum(int(row[3]) for row in rows if row and row[-1] in ("fsync", "fdatasync")))


def _manage(*arguments: str) -> str:
    command = [sys.executable, "-m", "nugetproxy", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _ended(pid: int) -> float:
    """Processor time of the children of a process that have ended: of sessions, here."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _pin(pid: int) -> None:
    """All threads of a process, and the processes that it starts from now on."""
    if shutil.which("taskset") is not None and (os.cpu_count() or 1) > 1:
        subprocess.run(["taskset", "-a", "-c", "-p", LOAD_CORE, str(pid)], check=False, capture_output=True)
