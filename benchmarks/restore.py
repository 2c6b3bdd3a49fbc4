"""Wall time of a real `dotnet restore`, from the first byte to the last line, by where its packages come from.

Every run has its own packages folder and HTTP cache, so it really downloads. The order is reversed within a round, so
that other load on the machine affects all sources.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.processes import OURS, control, nugetproxy, shared, standing_in

FAR = {"latency_ms": 50, "connect_ms": 100}
"""A typical latency to nuget.org, in milliseconds."""

CHAIN = """<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><TargetFramework>net10.0</TargetFramework></PropertyGroup>
  <ItemGroup><PackageReference Include="Made.Chain00" Version="1.0.0" /></ItemGroup>
</Project>
"""

NUGET_CONFIG = """<configuration>
  <packageSources><clear /><add key="measured" value="{source}" {options}/></packageSources>
</configuration>
"""


def measure(*, rounds: int, command: str = OURS) -> str:
    """A table of medians in seconds for `graphs/web` (63 packages) and for a chain of 30 packages."""
    with tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as scratch:
        folder = Path(scratch)
        sdk = sdk_environment(folder)
        lines = [
            "| restored | " + " | ".join(SOURCES) + " |",
            "| --- |" + " --- |" * len(SOURCES),
        ]
        for graph in ("graphs/web", "Made.Chain00"):
            found: dict[str, list[float]] = {name: [] for name in SOURCES}
            for number in range(rounds):
                for name, source in SOURCES.items():
                    place = folder / f"{graph.replace('/', '-')}-{number}-{len(found[name])}-{abs(hash(name))}"
                    place.mkdir()
                    with source(place, graph, sdk, command) as url:
                        found[name].append(restore(place / "timed", graph, url, sdk))
                    shutil.rmtree(place)
            lines.append(
                f"| {graph} | " + " | ".join(f"{statistics.median(times):.1f} s" for times in found.values()) + " |"
            )
    return "\n".join(lines)


def restore(place: Path, graph: str, source: str, sdk: dict[str, str]) -> float:
    """Seconds of one restore in a new folder; exits with the client's output if it fails."""
    project = place / "project"
    if graph == "Made.Chain00":
        project.mkdir(parents=True)
        (project / "chain.csproj").write_text(CHAIN)
    else:
        shutil.copytree(shared() / "nuget-org" / graph, project)
        for each in (project, *project.iterdir()):
            each.chmod(each.stat().st_mode | 0o200)
    options = 'protocolVersion="3" allowInsecureConnections="true" ' if source.startswith("http") else ""
    (project / "nuget.config").write_text(NUGET_CONFIG.format(source=source, options=options))
    home = place / "home"
    home.mkdir()
    environment = {
        **sdk,
        "HOME": str(home),
        "NUGET_PACKAGES": str(place / "packages"),
        "NUGET_HTTP_CACHE_PATH": str(place / "http"),
        "NUGET_SCRATCH": str(place / "scratch"),
        "NUGET_CERT_REVOCATION_MODE": "offline",
    }
    command = ["dotnet", "restore", "-p:NuGetAudit=false"]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=600)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"dotnet restore from {source} failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return seconds


Source = Callable[[Path, str, dict[str, str], str], contextlib.AbstractContextManager[str]]


@contextlib.contextmanager
def _static_folder(place: Path, graph: str, sdk: dict[str, str], command: str) -> Iterator[str]:
    """A folder feed with every package of the graph: no server at all."""
    with standing_in(place) as upstream:
        warm = place / "warm"
        restore(warm, graph, f"{upstream}/v3/index.json", sdk)
    feed = place / "feed"
    feed.mkdir()
    for package in (warm / "packages").rglob("*.nupkg"):
        shutil.copy(package, feed)
    yield str(feed)


@contextlib.contextmanager
def _near(place: Path, graph: str, sdk: dict[str, str], command: str) -> Iterator[str]:
    with standing_in(place) as upstream:
        yield f"{upstream}/v3/index.json"


@contextlib.contextmanager
def _far(place: Path, graph: str, sdk: dict[str, str], command: str) -> Iterator[str]:
    with standing_in(place) as upstream:
        control(upstream, "settings", FAR)
        yield f"{upstream}/v3/index.json"


@contextlib.contextmanager
def _cold(place: Path, graph: str, sdk: dict[str, str], command: str) -> Iterator[str]:
    with standing_in(place) as upstream:
        control(upstream, "settings", FAR)
        with nugetproxy(place, upstream, command=command) as (base, _):
            yield f"{base}/v3/index.json"


@contextlib.contextmanager
def _warm(place: Path, graph: str, sdk: dict[str, str], command: str) -> Iterator[str]:
    with standing_in(place) as upstream, nugetproxy(place, upstream, command=command) as (base, _):
        restore(place / "warm", graph, f"{base}/v3/index.json", sdk)
        control(upstream, "settings", FAR)
        yield f"{base}/v3/index.json"


@contextlib.contextmanager
def _dead(place: Path, graph: str, sdk: dict[str, str], command: str) -> Iterator[str]:
    """Warm, then the upstream goes down before the server is started again: only stored content is available."""
    data = place / "data"
    with standing_in(place) as upstream, nugetproxy(place, upstream, command=command, data=data) as (base, _):
        restore(place / "warm", graph, f"{base}/v3/index.json", sdk)
    with nugetproxy(place, upstream, command=command, data=data) as (base, _):
        yield f"{base}/v3/index.json"


SOURCES: dict[str, Source] = {
    "static folder": _static_folder,
    "upstream, 0 ms": _near,
    "upstream, 50 ms": _far,
    "nugetproxy cold, 50 ms": _cold,
    "us warm": _warm,
    "us, upstream dead": _dead,
}


def sdk_environment(folder: Path) -> dict[str, str]:
    """The environment in which `dotnet` runs, without our own variables."""
    setup = shared() / "clients" / "setup-dotnet10"
    if not setup.is_file():
        sys.exit("this benchmark needs clients/setup-dotnet10 under NUGETPROXY_SHARED")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nugetproxy-dotnet10"
    script = f'eval "$("{setup}" "{cache}")" && env -0'
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    told = subprocess.run(["bash", "-c", script], env=clean, capture_output=True, check=True).stdout
    pairs = (entry.partition("=") for entry in told.decode().split("\0") if entry)
    return {name: value for name, _, value in pairs if name not in ("PWD", "SHLVL", "_")}
