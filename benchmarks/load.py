"""Load by wrk, in turn on each server, and the table of what came out."""

import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.processes import LOAD_CORE, cpu_seconds, pinned

# What a restore of the .NET SDK sends with every request (dotnet 10, NuGet 7.9).
CLIENT_HEADERS = {
    "User-Agent": "NuGet .NET Core MSBuild Task/7.9.0 (LINUX)",
    "X-NuGet-Client-Version": "7.9.0",
    "X-NuGet-Session-Id": "1b7aee26-5bd2-4d16-a50c-7c1f8be3b3a9",
    "Accept-Encoding": "gzip, deflate",
}


@dataclass
class Measured:
    """The rounds of one server on one answer: requests per second, and processor seconds for each request."""

    requests: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.requests)


def wrk(url: str, seconds: int, connections: int) -> tuple[float, int]:
    """Requests per second and in all; exits when anything but 2xx came back."""
    program = shutil.which("wrk")
    if program is None:
        sys.exit("this benchmark needs wrk (package wrk)")
    headers = [part for name, value in CLIENT_HEADERS.items() for part in ("-H", f"{name}: {value}")]
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", *headers, url]
    output = subprocess.run(pinned(command, LOAD_CORE), capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        sys.exit(f"{url} did not answer 200:\n{output}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    total = re.search(r"(\d+) requests in", output)
    assert rate is not None
    assert total is not None
    return float(rate[1]), int(total[1])


@dataclass(frozen=True)
class Server:
    """What is measured: an address with the target to ask for, and the process that answers."""

    url: str
    pid: int


def in_turn(servers: Mapping[str, Server], *, rounds: int, seconds: int, connections: int) -> dict[str, Measured]:
    """Every server by name, one after the other, `rounds` times, so that what the machine does meanwhile hits all."""
    found = {name: Measured() for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            before = cpu_seconds(server.pid)
            rate, total = wrk(server.url, seconds, connections)
            found[name].requests.append(rate)
            found[name].cpu.append((cpu_seconds(server.pid) - before) / max(1, total))
    return found


@dataclass
class Row:
    """One line of the table: what was asked for, and what each server made of it."""

    answer: str
    measured: dict[str, Measured]
    target: float | None = None


def table(rows: list[Row], ours: str, theirs: str) -> str:
    """Medians and their ratios, as Markdown. On a busy machine the processor time says more than the rate."""
    lines = [
        f"| answer | {theirs}, req/s | {ours}, req/s | ratio | rounds | wanted | {theirs}, CPU | {ours}, CPU | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        us, them = row.measured[ours], row.measured[theirs]
        each = sorted(a / b for a, b in zip(us.requests, them.requests, strict=True))
        wanted = "" if row.target is None else f"{row.target:.2f}"
        cost, their_cost = statistics.median(us.cpu), statistics.median(them.cpu)
        lines.append(
            f"| {row.answer} | {them.median:,.0f} | {us.median:,.0f} | **{us.median / them.median:.2f}** "
            f"| {each[0]:.2f} - {each[-1]:.2f} | {wanted} "
            f"| {their_cost * 1e6:,.1f} µs | {cost * 1e6:,.1f} µs | {their_cost / max(cost, 1e-9):.2f} |"
        )
    return "\n".join(lines)
