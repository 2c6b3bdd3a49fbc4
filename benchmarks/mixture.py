"""A mixture of requests, sent by wrk in a given order: for benchmarks with many addresses.

Each server has its own mixture: addresses and entity tags differ between servers, the requested content does not.
"""

import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import CLIENT_HEADERS
from benchmarks.processes import LOAD_CORE, cpu_seconds, pinned

# wrk's random order of requests does not help: every server must get the same requests in the same order.
_SCRIPT = r"""
local prepared, at = {}, 0
function init(args)
    for line in io.lines(args[1]) do
        local headers, path = {}, nil
        for field in line:gmatch("[^\t]+") do
            if path == nil then path = field
            else local name, value = field:match("^(.-): (.*)$"); headers[name] = value end
        end
        for name, value in pairs(wrk.headers) do headers[name] = headers[name] or value end
        prepared[#prepared + 1] = wrk.format("GET", path, headers)
    end
    at = tonumber(args[2]) or 0
end
function request()
    at = at + 1
    return prepared[(at - 1) % #prepared + 1]
end
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration, summary.bytes,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True)
class Wanted:
    """One request: a path with its query, and headers in addition to those of every client."""

    target: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Load:
    """The result of one closed-loop run. Processor seconds are for one request."""

    rate: float
    bytes_a_second: float
    server_cpu: float
    client_cpu: float


def write_mixture(wanted: Sequence[Wanted], path: Path) -> Path:
    lines = ["\t".join((each.target, *(f"{name}: {value}" for name, value in each.headers))) for each in wanted]
    path.write_text("\n".join(lines) + "\n")
    path.with_suffix(".lua").write_text(_SCRIPT)  # here, as several loads of one mixture may begin at the same time
    return path


def closed_loop(
    base: str, pid: int, mixture: Path, *, seconds: int, connections: int, start: int = 0, core: str = LOAD_CORE
) -> Load:
    """Each of `connections` sends its next request after the last was answered. Exits if one failed."""
    program = shutil.which("wrk")
    if program is None:
        sys.exit("this benchmark needs wrk (package wrk)")
    script = mixture.with_suffix(".lua")
    headers = [part for name, value in CLIENT_HEADERS.items() for part in ("-H", f"{name}: {value}")]
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), *headers]
    used, client = cpu_seconds(pid), _children_cpu()
    output = subprocess.run(
        pinned([*command, base, "--", str(mixture), str(start)], core), capture_output=True, text=True, check=True
    ).stdout
    used, client = cpu_seconds(pid) - used, _children_cpu() - client
    result = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", output)
    assert result is not None, output
    total, microseconds, size, refused, broken = map(int, result.groups())
    if refused or broken:
        sys.exit(f"{base}: {refused} refused and {broken} broken of {total} requests:\n{output}")
    return Load(total / (microseconds / 1e6), size / (microseconds / 1e6), used / total, client / total)


def medians(runs: Sequence[Load]) -> Load:
    """The medians of several runs, figure by figure."""
    ordered: Mapping[str, list[float]] = {
        name: sorted(getattr(run, name) for run in runs) for name in Load.__dataclass_fields__
    }
    return Load(**{name: values[len(values) // 2] for name, values in ordered.items()})


def _children_cpu() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
