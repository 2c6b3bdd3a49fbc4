"""A fleet of real processes over a real PostgreSQL and a real bucket, with a faulty network everywhere in between."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final
from unittest import mock

from nugetproxy.accounts.model import DAY, Scope, now_us
from nugetproxy.cli.managed import Managed, opened
from nugetproxy.cli.options import Settings
from nugetproxy.runtime import shared_stores
from nugetproxy.storage.blobs.s3_client import BucketAddress
from nugetproxy.storage.database.postgres import bring_up_to_date
from nugetproxy.storage.fleet.rules import Timing
from tests.engines.postgres import PostgresServer, find_binaries
from tests.engines.seaweedfs import SeaweedFs
from tests.fakes.network import Network, network
from tests.serving import Server

QUICK: Final = Timing(beat=0.3, attempt=0.5, right=1.2, wait=1.5)
"""So that a partition matters within a second. The rules do not depend on how long these are."""

_ALTERED: Final = Path(__file__).parent / "altered_node"
_SETTINGS: Final = """
[feed]
protected_prefixes = ["Contoso."]
[accounts]
anonymous_read = "none"
[mirroring]
mode = "offline"
[logs]
access = false
[storage]
kind = "shared"
[storage.shared]
dsn_file = "{dsn}"
bucket = "{bucket}"
endpoint = "{endpoint}"
region = "{region}"
prefix = "{prefix}"
access_key_file = "{access}"
secret_key_file = "{secret}"
outage = "{outage:g}s"
"""


@dataclass(frozen=True)
class Engines:
    """What all nodes share."""

    postgres: PostgresServer
    dsn: str
    bucket: BucketAddress

    @property
    def bucket_port(self) -> int:
        return int(self.bucket.endpoint.rsplit(":", 1)[1])


@dataclass
class Node:
    """One node, and the networks between it and others."""

    name: str
    server: Server
    to_database: Network
    to_bucket: Network
    from_clients: Network
    outage: float
    timing: Timing
    is_up: bool = False
    cut_off: list[tuple[float, float]] = field(default_factory=list)
    """When something was wrong between it and the database."""

    def outdated(self, begun: float, ended: float) -> float:
        """For how long before `begun` an answer of that time may be outdated.

        After the network is well again, an attempt may still fail that had begun before, and be an excuse for a while.
        """
        if not self.outage:
            return 0.0
        excused = 1.1 * (self.timing.attempt + self.timing.excuse)
        return self.outage if any(since < ended and begun < until + excused for since, until in self.cut_off) else 0.0

    @contextmanager
    def in_trouble(self) -> Iterator[None]:
        """Something is wrong between it and the database."""
        place = len(self.cut_off)
        self.cut_off.append((monotonic(), inf))
        try:
            yield
        finally:
            self.cut_off[place] = self.cut_off[place][0], monotonic()

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)
        self.is_up = True

    def kill(self) -> None:
        """As kill -9 of all its processes at the same moment."""
        self.is_up = False
        self.server.kill()

    def end(self) -> None:
        """As `kill`, if it is running at all."""
        self.is_up = False
        with contextlib.suppress(AssertionError, OSError):
            self.server.kill()

    def stop(self) -> list[int]:
        """Stop all its processes (SIGSTOP), as a hypervisor may; returns them, for `go_on`."""
        processes = [self.server.pid, *self.server.workers()]
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        return processes

    def go_on(self, processes: list[int]) -> None:
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Fleet:
    """Running nodes. `managed` does what commands do, without any faults."""

    def __init__(self, folder: Path, engines: Engines, nodes: list[Node], managed: Managed) -> None:
        self.folder = folder
        self.engines = engines
        self.nodes = nodes
        self.managed = managed
        self.timing = nodes[0].timing

    @property
    def up(self) -> list[Node]:
        return [node for node in self.nodes if node.is_up]

    async def new_key(self, name: str) -> str:
        """A key of the administrator, in clear text."""
        directory = self.managed.directory
        _, text = await directory.add_key(
            await directory.account("alice"), None, name=name, scopes=(Scope.PUSH, Scope.UNLIST), globs=("*",),
            expires=now_us() + 100 * DAY,
        )  # fmt: skip
        return text


@contextmanager
def engines(folder: Path) -> Iterator[Engines]:
    """A PostgreSQL and a bucket of their own."""
    binaries = find_binaries()
    program = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
    assert binaries is not None, "no PostgreSQL here: run scripts/install, which brings one"
    with ExitStack() as stack:
        postgres = PostgresServer(binaries)
        stack.callback(postgres.close)
        seaweedfs = SeaweedFs(program, folder / "seaweedfs")
        stack.callback(seaweedfs.kill)
        database = postgres.create_database()
        bring_up_to_date(postgres.dsn(database))
        yield Engines(postgres, postgres.dsn(database), seaweedfs.address())


@asynccontextmanager
async def fleet(
    folder: Path, engines: Engines, outages: tuple[float, ...], timing: Timing = QUICK
) -> AsyncIterator[Fleet]:
    """A node for each of `outages`, the first of which has two workers; the administrator alice."""
    async with AsyncExitStack() as stack:
        nodes = []
        for number, outage in enumerate(outages):
            nodes.append(add_node(folder, engines, f"node{number}", outage, timing, stack, workers=1 + (number == 0)))
        stack.callback(_end, nodes)
        await asyncio.gather(*(node.start() for node in nodes))
        config = folder / "commands.toml"
        config.write_text(_settings(engines, folder, "commands", engines.postgres.port, engines.bucket_port, 0.0))
        stack.enter_context(mock.patch.object(shared_stores, "Timing", return_value=timing))
        managed = stack.enter_context(opened(Settings({"config": config, "data": str(folder / "commands")})))
        await managed.directory.add_user("alice", administrator=True)
        yield Fleet(folder, engines, nodes, managed)


def add_node(
    folder: Path, engines: Engines, name: str, outage: float, timing: Timing, stack: AsyncExitStack, *,
    workers: int = 1, fault: str = "",
) -> Node:  # fmt: skip
    """One that is not started yet. `fault` is what is broken in its program; see `altered_node`."""
    to_database = stack.enter_context(network(engines.postgres.port))
    to_bucket = stack.enter_context(network(engines.bucket_port))
    environ = {
        "PYTHONPATH": str(_ALTERED),
        "ALTERED_TIMING": f"{timing.beat} {timing.attempt} {timing.right} {timing.wait}",
        "ALTERED_FAULT": fault,
    }
    settings = _settings(engines, folder, name, to_database.port, to_bucket.port, outage)
    server = Server(folder / name, "--workers", str(workers), config=settings, environ=environ)
    from_clients = stack.enter_context(network(server.port))
    return Node(name, server, to_database, to_bucket, from_clients, outage, timing)


def _settings(engines: Engines, folder: Path, name: str, database_port: int, bucket_port: int, outage: float) -> str:
    dsn = folder / f"{name}.dsn"
    dsn.write_text(engines.dsn.replace(f":{engines.postgres.port}/", f":{database_port}/") + "\n")
    bucket = engines.bucket
    return _SETTINGS.format(
        dsn=dsn,
        bucket=bucket.bucket,
        endpoint=f"http://127.0.0.1:{bucket_port}",
        region=bucket.region,
        prefix=bucket.prefix,
        access=bucket.access_key_file,
        secret=bucket.secret_key_file,
        outage=outage,
    )


def _end(nodes: list[Node]) -> None:
    for node in nodes:
        node.end()
