"""The two mirrors, filled once and kept for the next run: ours in a data directory, nginx's in its cache."""

import base64
import contextlib
import http.client
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.day.world import World
from benchmarks.load import CLIENT_HEADERS
from benchmarks.processes import LOAD_CORE, OURS, pinned, running

UPSTREAM_PORT: Final = 39_217
"""Fixed, because stored documents are identified by the upstream's address."""

LONG: Final = "365d"
_FILLERS: Final = 12

KINDS: Final = ("VERSIONS", "REGISTRATION", "REGISTRATION_PAGE", "SERVICE_INDEX", "VULNERABILITIES", "SEARCH")
FRESHNESS: Final = {f"NUGETPROXY_MIRRORING__FRESHNESS__{kind}__FRESH": LONG for kind in KINDS}


@dataclass(frozen=True)
class Kept:
    """Where everything is stored. `key` is an API key that may read."""

    folder: Path
    world: World

    @property
    def ours(self) -> Path:
        return self.folder / "ours"

    @property
    def theirs(self) -> Path:
        return self.folder / "nginx"

    @property
    def is_complete(self) -> bool:
        return (self.folder / "complete").exists()

    @property
    def authorization(self) -> str:
        key = (self.folder / "key").read_text().strip()
        return "Basic " + base64.b64encode(f"bench:{key}".encode()).decode()


def place(world: World) -> Kept:
    """In $NUGETPROXY_BENCH, else in the user's cache directory: some 13 GB."""
    root = Path(os.environ.get("NUGETPROXY_BENCH", Path.home() / ".cache" / "nugetproxy-bench"))
    kept = Kept(root / f"day-{world.name}", world)
    kept.theirs.mkdir(parents=True, exist_ok=True)
    kept.ours.mkdir(exist_ok=True)
    return kept


@contextlib.contextmanager
def upstream(kept: Kept) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.day.upstream", str(UPSTREAM_PORT), kept.world.name]
    base = f"http://127.0.0.1:{UPSTREAM_PORT}"
    with running(pinned(command, LOAD_CORE), f"{base}/v3/index.json", kept.folder / "upstream.log"):
        yield base


def make_key(kept: Kept, command: str = OURS) -> None:
    """A user and a key, created on the command line."""
    if (kept.folder / "key").exists():
        return
    program, data = shlex.split(command)[:-1], ["--data", str(kept.ours)]
    subprocess.run([*program, "user", "add", "bench", "--admin", *data], check=True, capture_output=True)
    add = [*program, "key", "add", "bench", "--owner", "bench", *data, "--json"]
    made = subprocess.run(add, check=True, capture_output=True)
    (kept.folder / "key").write_text(json.loads(made.stdout)["key"])


def fill(kept: Kept, port: int, what: str) -> None:
    """Request everything that the server should store."""
    world = kept.world
    targets = ["/v3/index.json", "/v3/vulnerabilities/index.json", "/v3/vulnerabilities/base.json"]
    for name in world.names:
        targets += [f"/v3/flatcontainer/{name}/index.json", f"/v3/registration-gz-semver2/{name}/index.json"]
    for package in world.on_disk:
        name, version = package.lower_id, package.version
        targets.append(f"/v3/flatcontainer/{name}/{version}/{name}.{version}.nupkg")
    own = threading.local()
    began, done = time.monotonic(), 0

    def ask(target: str) -> None:
        nonlocal done
        connection = getattr(own, "connection", None)
        if connection is None:
            connection = own.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        connection.request("GET", target, headers=CLIENT_HEADERS)
        answer = connection.getresponse()
        while answer.read(1024 * 1024):
            pass
        if answer.status != 200:
            raise RuntimeError(f"{what}: {target} was answered with {answer.status}")
        done += 1
        if done % 5000 == 0:
            print(f"{what}: {done:,} of {len(targets):,} after {time.monotonic() - began:.0f} s", file=sys.stderr)

    with ThreadPoolExecutor(_FILLERS) as pool:
        for _ in pool.map(ask, targets):
            pass


def forget_pages(kept: Kept) -> None:
    """Drop the stored files from the page cache, as after a night or another job on the machine."""
    os.sync()
    for folder, _, files in os.walk(kept.folder):
        for file in files:
            with contextlib.suppress(OSError):
                descriptor = os.open(Path(folder) / file, os.O_RDONLY)
                try:
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(descriptor)


def remember_pages(kept: Kept) -> None:
    """Load the stored files into the page cache."""
    room = bytearray(4 * 1024 * 1024)
    for folder, _, files in os.walk(kept.folder):
        for file in files:
            with contextlib.suppress(OSError), (Path(folder) / file).open("rb", buffering=0) as source:
                while source.readinto(room):
                    pass
