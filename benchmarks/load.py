"""Load from wrk, alternating between the servers, and the table of results."""

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks.processes import LOAD_CORE, busy_seconds, cpu_seconds, pinned

# What a restore of the .NET SDK sends with every request (dotnet 10, NuGet 7.9).
CLIENT_HEADERS = {
    "User-Agent": "NuGet .NET Core MSBuild Task/7.9.0 (LINUX)",
    "X-NuGet-Client-Version": "7.9.0",
    "X-NuGet-Session-Id": "1b7aee26-5bd2-4d16-a50c-7c1f8be3b3a9",
    "Accept-Encoding": "gzip, deflate",
}


QUIET: Final = 0.1
"""A round counts if other processes used less than this share of the machine's processors."""

PATIENCE: Final = 8
"""The most rounds, as a multiple, that are run to find quiet ones."""


@dataclass(frozen=True)
class Run:
    """
    One run of wrk: requests per second, processor seconds per request on both sides, and the share used by other
    processes.
    """

    rate: float
    server_cpu: float
    client_cpu: float
    others: float


@dataclass
class Measured:
    """The rounds of one server on one answer."""

    runs: list[Run] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(run.rate for run in self.runs)

    @property
    def server_cpu(self) -> float:
        return statistics.median(run.server_cpu for run in self.runs)

    @property
    def client_cpu(self) -> float:
        return statistics.median(run.client_cpu for run in self.runs)

    @property
    def others(self) -> float:
        return max(run.others for run in self.runs)


@dataclass(frozen=True)
class Server:
    """What is measured: an address with the target to request, and the process that answers.

    `headers` are sent in addition to those of every client; `is_refused`: every answer must be a refusal.
    """

    url: str
    pid: int
    headers: Mapping[str, str] = field(default_factory=dict)
    is_refused: bool = False


def wrk(server: Server, seconds: int, connections: int) -> tuple[float, int]:
    """Requests per second and in total; exits if an answer is not of the expected kind."""
    program = shutil.which("wrk")
    if program is None:
        sys.exit("this benchmark needs wrk (package wrk)")
    sent = {**CLIENT_HEADERS, **server.headers}
    headers = [part for name, value in sent.items() for part in ("-H", f"{name}: {value}")]
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", *headers, server.url]
    output = subprocess.run(pinned(command, LOAD_CORE), capture_output=True, text=True, check=True).stdout
    total = re.search(r"(\d+) requests in", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    assert total is not None
    if int(refused[1] if refused else 0) != (int(total[1]) if server.is_refused else 0):
        sys.exit(f"{server.url} was not answered as expected:\n{output}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert rate is not None
    return float(rate[1]), int(total[1])


def in_turn(servers: Mapping[str, Server], *, rounds: int, seconds: int, connections: int) -> dict[str, Measured]:
    """Every server by name, one after the other, in rounds, so that other load on the machine affects all.

    On a machine with other work the `rounds` least disturbed rounds are used.
    """
    made: list[dict[str, Run]] = []
    while len(made) < rounds * PATIENCE:
        made.append({name: run(server, seconds, connections) for name, server in servers.items()})
        if sum(_disturbance(each) < QUIET for each in made) >= rounds:
            break
    kept = sorted(made, key=_disturbance)[:rounds]
    return {name: Measured([each[name] for each in kept]) for name in servers}


def run(server: Server, seconds: int, connections: int) -> Run:
    busy, used, client = busy_seconds(), cpu_seconds(server.pid), _children_cpu()
    began = time.perf_counter()
    rate, total = wrk(server, seconds, connections)
    lasted = time.perf_counter() - began
    used, client = cpu_seconds(server.pid) - used, _children_cpu() - client
    others = max(0.0, busy_seconds() - busy - used - client) / (lasted * (os.cpu_count() or 1))
    return Run(rate, used / max(1, total), client / max(1, total), others)


def _disturbance(made: Mapping[str, Run]) -> float:
    return max(each.others for each in made.values())


def _children_cpu() -> float:
    """Processor seconds of children that have ended, here wrk."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@dataclass
class Row:
    """One line of the table: the request, and the results of each server."""

    answer: str
    measured: dict[str, Measured]
    target: float | None = None


def table(rows: list[Row], ours: str, theirs: str) -> str:
    """Medians and their ratio, as Markdown; with the processor time of server and client, and how quiet it was."""
    lines = [
        f"| answer | {theirs}, req/s | {ours}, req/s | ratio | rounds | target | CPU µs, {theirs} | {ours} | others |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        us, them = row.measured[ours], row.measured[theirs]
        each = sorted(a.rate / b.rate for a, b in zip(us.runs, them.runs, strict=True))
        wanted = "" if row.target is None else f"{row.target:.2f}"
        costs = [f"{side.server_cpu * 1e6:,.0f} + {side.client_cpu * 1e6:,.0f}" for side in (them, us)]
        lines.append(
            f"| {row.answer} | {them.rate:,.0f} | {us.rate:,.0f} | **{us.rate / them.rate:.2f}** "
            f"| {each[0]:.2f} - {each[-1]:.2f} | {wanted} | {costs[0]} | {costs[1]} "
            f"| {max(us.others, them.others):.0%} |"
        )
    return "\n".join(lines)
