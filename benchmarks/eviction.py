"""Restores beside an eviction, against the same restores without it.

Two servers over two mirrors of the same packages. One is far over its budget and evicts for as long as it runs; the
other has none. Rounds alternate at a fixed rate of requests, and the server that is not measured is suspended.
"""

import asyncio
import contextlib
import io
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from aiohttp import web

from benchmarks.mixture import Wanted, write_mixture
from benchmarks.private import NUSPEC
from benchmarks.processes import (
    LOAD_CORE,
    ROOT,
    busy_seconds,
    cpu_seconds,
    fetch,
    free_port,
    nugetproxy,
    pinned,
    running,
)
from nugetproxy.mirroring.kept.inventory import open_ledger

RATE: Final = 500
"""Requests a second."""

CONNECTIONS: Final = 64
VERSIONS: Final = 5
"""Of each id."""

USED_IDS: Final = 400
"""Ids that restores request: used last, so they are evicted last."""

EVICTED_PART: Final = 0.0025
"""The part of the requests that is for the packages that go first. It is below what moves the 99th percentile: such a
package is fetched from the upstream again, which takes longer."""

TARGET: Final = 1.1
"""p99 with eviction may be this many times that without."""

_REQUESTS: Final = 20_000
_SETTLE_SECONDS: Final = 0.5
_PACKAGE_BYTES: Final = 1024
# ext4 gives a file 65,000 names.
_LINKS: Final = 50_000
_FRESH: Final = {f"NUGETPROXY_MIRRORING__FRESHNESS__{kind}__FRESH": "1h" for kind in ("VERSIONS", "SERVICE_INDEX")}


def measure(*, packages: int, rounds: int, seconds: int, rate: int = RATE) -> str:
    """The table, as Markdown."""
    runs: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as scratch:
        folder = Path(scratch)
        mixture = write_mixture(_requests(packages), folder / "requests.txt")
        port = free_port()
        data = {is_over: folder / ("over" if is_over else "without") for is_over in (False, True)}
        for path in data.values():
            began = time.monotonic()
            _fill(path, packages, f"127.0.0.1-{port}")
            print(f"A mirror was made in {time.monotonic() - began:.1f} s.", file=sys.stderr)
        budget = {"NUGETPROXY_MIRRORING__BUDGET": str(packages * _PACKAGE_BYTES // 10)}
        with (
            _upstream(port, packages, folder) as upstream,
            nugetproxy(folder, upstream, data=data[False], environment=_FRESH) as quiet,
            nugetproxy(folder, upstream, data=data[True], environment={**_FRESH, **budget}) as over,
        ):
            servers = {False: quiet, True: over}
            before: dict[bool, dict[str, float]] = {}
            evicted, lasted = 0.0, 0.0
            for is_over, server in servers.items():
                with _alone(server, servers.values()):
                    _run(server[0], mixture, seconds, rate, 0)  # both learn what is requested often
                    before[is_over] = _metrics(server[0])
            for number in range(rounds):
                for is_over, server in servers.items():
                    with _alone(server, servers.values()):
                        start, began = number * _REQUESTS // rounds, time.monotonic()
                        at_first = _evicted(server[0])
                        runs[is_over].append(_run(server[0], mixture, seconds, rate, start))
                        if is_over:
                            evicted += _evicted(server[0]) - at_first
                            lasted += time.monotonic() - began
            lags = {}
            for is_over, server in servers.items():
                with _alone(server, servers.values()):
                    lags[is_over] = _largest_lag(before[is_over], _metrics(server[0]))
            left = packages - int(_evicted(over[0]))
    if not evicted:
        sys.exit("nothing was evicted during the measurement")
    return "\n".join(_table(runs, lags, packages, rate, rounds, seconds, evicted / lasted, left))


def _table(
    runs: Mapping[bool, Sequence[Mapping[str, float]]],
    lags: Mapping[bool, float],
    packages: int,
    rate: int,
    rounds: int,
    seconds: int,
    evicted: float,
    left: int,
) -> Iterator[str]:
    pairs = sorted(zip(runs[False], runs[True], strict=True), key=lambda pair: max(run["others"] for run in pair))
    kept = pairs[: (len(pairs) + 1) // 2]
    others = max(run["others"] for pair in kept for run in pair)
    yield f"{packages:,} mirrored packages, {rate} requests a second, {rounds} rounds of {seconds} s each, of which the"
    yield f"quieter half counts; other processes used up to {others:.0%} of the machine."
    yield f"Evicted: {evicted:.0f} packages a second; {left:,} are left. No request failed."
    yield ""
    yield "| latency | without | with eviction | ratio | rounds | target |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for figure in ("p50", "p99", "worst"):
        without, beside = ([pair[is_over][figure] for pair in kept] for is_over in (False, True))
        median = [sorted(values)[len(values) // 2] for values in (without, beside)]
        each = sorted(b / a for a, b in zip(without, beside, strict=True))
        target = f"{TARGET:.2f}" if figure == "p99" else ""
        yield (
            f"| {figure} | {median[0] * 1e3:.2f} ms | {median[1] * 1e3:.2f} ms | **{median[1] / median[0]:.2f}** "
            f"| {each[0]:.2f} - {each[-1]:.2f} | {target} |"
        )
    yield f"| largest lag of the loop | {lags[False] * 1e3:g} ms | {lags[True] * 1e3:g} ms | | | |"


def _run(base: str, mixture: Path, seconds: int, rate: int, start: int) -> dict[str, float]:
    """Percentiles of one round; exits if a request failed."""
    host, port = base.removeprefix("http://").split(":")
    command = [sys.executable, "-m", "benchmarks.day.open_loop", host, port, str(rate), str(seconds)]
    command += [str(CONNECTIONS), str(mixture), str(start)]
    began, others = time.monotonic(), _others()
    output = subprocess.run(pinned(command, LOAD_CORE), capture_output=True, text=True, cwd=ROOT)
    if output.returncode:
        sys.exit(f"a request failed:\n{output.stderr}")
    found: dict[str, float] = json.loads(output.stdout)
    found["others"] = (_others() - others) / (time.monotonic() - began) / (os.cpu_count() or 1)
    return found


def _others() -> float:
    """Processor seconds that processes other than ours have used."""
    ended = os.times()
    return busy_seconds() - cpu_seconds(os.getpid()) - ended.children_user - ended.children_system


@contextlib.contextmanager
def _upstream(port: int, packages: int, folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.eviction", str(port), str(packages)]
    base = f"http://127.0.0.1:{port}"
    with running(pinned(command, LOAD_CORE), f"{base}/v3/index.json", folder / "upstream.log"):
        yield base


@contextlib.contextmanager
def _alone(server: tuple[str, int], servers: Collection[tuple[str, int]]) -> Iterator[None]:
    """The other servers do not run meanwhile."""
    others = [pid for _, pid in servers if pid != server[1]]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(_SETTLE_SECONDS)
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def _metrics(base: str) -> dict[str, float]:
    text = fetch(f"{base}/metrics").decode()
    return {name: float(value) for name, value in re.findall(r"^(nugetproxy_\S+) (\S+)$", text, re.MULTILINE)}


def _evicted(base: str) -> float:
    return sum(
        value for name, value in _metrics(base).items() if name.startswith("nugetproxy_mirror_evicted_packages_total")
    )


def _largest_lag(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """The upper bound of the highest bucket that something was counted in, in seconds."""
    counted, found = 0.0, 0.0
    buckets = sorted(
        (float(match[1]), value - before.get(name, 0.0))
        for name, value in after.items()
        if (match := re.fullmatch(r'nugetproxy_loop_lag_seconds_bucket\{le="(\S+)"\}', name))
    )
    for bound, value in buckets:
        if value > counted:
            counted, found = value, bound
    return found


# --- the mirrors ------------------------------------------------------------------------------------------------------


def _name(number: int) -> str:
    return f"bench.part{number:06d}"


def _requests(packages: int) -> list[Wanted]:
    """Versions lists and packages of the ids that were used last, and a few of those that go first."""
    choose, ids = random.Random(1), packages // VERSIONS
    found = []
    for _ in range(_REQUESTS):
        if choose.random() < EVICTED_PART:
            name, is_list = _name(choose.randrange(ids // 10)), False
        else:
            name, is_list = _name(ids - 1 - choose.randrange(min(USED_IDS, ids // 20))), choose.random() < 0.5
        version = f"1.{choose.randrange(VERSIONS)}.0"
        target = "index.json" if is_list else f"{version}/{name}.{version}.nupkg"
        found.append(Wanted(f"/v3/flatcontainer/{name}/{target}"))
    return found


def _fill(data: Path, packages: int, upstream: str) -> None:
    """A mirror whose files are hard links to a few, and its inventory. The last ids were used last."""
    data.mkdir()
    sources = []
    for number in range(packages // _LINKS + 1):
        source = data / f"source-{number}"
        source.write_bytes(bytes(_PACKAGE_BYTES))
        sources.append(source)
    now, mirror = int(time.time()), data / "mirror" / upstream
    kept, files = [], []
    for number in range(packages):
        lower_id, version = _name(number // VERSIONS), f"1.{number % VERSIONS}.0"
        folder, source = f"{mirror}/{lower_id}/{version}", sources[number // _LINKS]
        os.makedirs(folder)
        os.link(source, f"{folder}/{lower_id}.{version}.nupkg")
        used = now - 90 * 86400 + number * 86400 // packages
        key = (upstream, lower_id, version)
        kept.append((*key, lower_id, lower_id, " dependency ", _PACKAGE_BYTES, "x" * 88, used))
        files.append((*key, _PACKAGE_BYTES, source.stat().st_mtime_ns, "x" * 88, 100, used, used, now, 0))
    open_ledger(data / "inventory.db").close()
    with contextlib.closing(sqlite3.connect(data / "inventory.db")) as connection, connection:
        connection.executemany(f"INSERT INTO mirrored_packages VALUES ({','.join('?' * 9)})", kept)
        connection.executemany(f"INSERT INTO mirrored_files VALUES ({','.join('?' * 11)}, 0, 0)", files)
        connection.execute("INSERT OR IGNORE INTO reconciled VALUES (1)")


# --- the upstream -----------------------------------------------------------------------------------------------------


async def _serve(port: int, packages: int) -> None:
    """A feed that still has every package."""
    base, versions = f"http://127.0.0.1:{port}", [f"1.{number}.0" for number in range(VERSIONS)]
    names = {_name(number) for number in range(packages // VERSIONS)}
    resource = {"@id": f"{base}/v3/flatcontainer/", "@type": "PackageBaseAddress/3.0.0"}

    async def index(_: web.Request) -> web.Response:
        return web.json_response({"version": "3.0.0", "resources": [resource]})

    async def listed(request: web.Request) -> web.Response:
        if request.match_info["id"] not in names:
            return web.Response(status=404)
        return web.json_response({"versions": versions})

    async def nupkg(request: web.Request) -> web.Response:
        lower_id, version = request.match_info["id"], request.match_info["version"]
        if lower_id not in names or version not in versions:
            return web.Response(status=404)
        return web.Response(body=_package(lower_id, version), content_type="application/octet-stream")

    application = web.Application()
    application.router.add_get("/v3/index.json", index)
    application.router.add_get("/v3/flatcontainer/{id}/index.json", listed)
    application.router.add_get("/v3/flatcontainer/{id}/{version}/{file}.nupkg", nupkg)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def _package(lower_id: str, version: str) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"{lower_id}.nuspec", NUSPEC.format(id=lower_id, version=version))
        return file.getvalue()


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
