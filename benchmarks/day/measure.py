"""`scripts/bench day`: a company's traffic over a filled mirror, against nginx `proxy_cache` with the same content.

Closed loop by wrk, then an open loop at 60 % of what nginx reached, with latencies from when each request was due. One
worker each pinned to one core and the load to the other, or two workers on both. All results are ratios within one run.
"""

import contextlib
import getpass
import http.client
import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.day import kept as mirrors
from benchmarks.day.kept import Kept
from benchmarks.day.traffic import Asked, traffic
from benchmarks.day.world import World
from benchmarks.load import CLIENT_HEADERS
from benchmarks.mixture import Load, Wanted, closed_loop, medians, write_mixture
from benchmarks.processes import (
    LOAD_CORE,
    NGINX_PROGRAM,
    OURS,
    ROOT,
    SERVER_CORE,
    cpu_seconds,
    free_port,
    pinned,
    resident,
    running,
)

RESTORES: Final = 1500
CONNECTIONS: Final = 64
OPEN_CONNECTIONS: Final = 256
SHARE: Final = 0.6

_NGINX: Final = """
worker_processes {workers};
daemon off;
user {user};
pid {run}/nginx.pid;
error_log {run}/error.log;
worker_rlimit_nofile 65536;
events {{ worker_connections 8192; }}
http {{
    access_log {run}/access.log;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    open_file_cache max=20000 inactive=1h;
    client_body_temp_path {run}/body;
    proxy_temp_path {kept}/temporary;
    fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi;
    scgi_temp_path {run}/scgi;
    proxy_cache_path {kept}/cache levels=1:2 keys_zone=kept:64m max_size=100g inactive=365d use_temp_path=off;
    server {{
        listen 127.0.0.1:{port}{tls} backlog=4096;
        {certificate}
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache kept;
            proxy_cache_key $request_uri;
            proxy_cache_valid 200 365d;
            proxy_cache_lock on;
            proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
            add_header X-Cache $upstream_cache_status;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Running:
    """A server under measurement."""

    name: str
    port: int
    pid: int
    is_tls: bool

    @property
    def base(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.port}"


def measure(
    *,
    world: World,
    rounds: int,
    seconds: int,
    workers: int,
    loop: str,
    is_tls: bool,
    is_cold: bool,
    command: str = OURS,
) -> str:
    """The tables, as Markdown."""
    kept = mirrors.place(world)
    asked = traffic(world, RESTORES)
    with tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        with mirrors.upstream(kept) as upstream:
            if not kept.is_complete:
                _fill(kept, upstream, folder, command)
            with (
                _nginx(kept, upstream, folder, workers, is_tls) as theirs,
                _ours(kept, upstream, folder, workers, is_tls, loop, command) as ours,
            ):
                if not is_cold:
                    mirrors.remember_pages(kept)
                first = {server.name: _each_once(server, asked) for server in (theirs, ours)}
                mixtures = {
                    server.name: write_mixture(_requests(server, asked, kept), folder / f"{server.name}.txt")
                    for server in (theirs, ours)
                }
                return _measured(kept, theirs, ours, mixtures, len(asked), first, rounds, seconds, is_cold)


def _measured(
    kept: Kept,
    theirs: Running,
    ours: Running,
    mixtures: Mapping[str, Path],
    requests: int,
    first: Mapping[str, float],
    rounds: int,
    seconds: int,
    is_cold: bool,
) -> str:
    for server in (theirs, ours):  # one pass, so that both learn which content is requested often
        closed_loop(server.base, server.pid, mixtures[server.name], seconds=seconds, connections=CONNECTIONS)
    runs: dict[str, list[Load]] = {theirs.name: [], ours.name: []}
    before = _metrics(ours)
    for number in range(rounds):
        for server in (theirs, ours):
            if is_cold:
                mirrors.forget_pages(kept)
            start = (number + 1) * requests // (rounds + 1)
            mixture = mixtures[server.name]
            run = closed_loop(server.base, server.pid, mixture, seconds=seconds, connections=CONNECTIONS, start=start)
            runs[server.name].append(run)
    after = _metrics(ours)
    them, us = medians(runs[theirs.name]), medians(runs[ours.name])
    each = sorted(a.rate / b.rate for a, b in zip(runs[ours.name], runs[theirs.name], strict=True))
    rates = f"{them.rate:,.0f} | {us.rate:,.0f} | **{us.rate / them.rate:.2f}** | {each[0]:.2f} - {each[-1]:.2f}"
    lines = [
        "| closed loop | nginx | nugetproxy | ratio | rounds |",
        "| --- | --- | --- | --- | --- |",
        f"| requests per second | {rates} |",
        *(
            f"| CPU µs per request, {side} | {a * 1e6:,.0f} | {b * 1e6:,.0f} | {b / a:.2f} | |"
            for side, a, b in (
                ("server", them.server_cpu, us.server_cpu),
                ("client", them.client_cpu, us.client_cpu),
                ("server, first request for each address", first[theirs.name], first[ours.name]),
            )
        ),
    ]
    if not ours.is_tls:
        lines += [
            "",
            *_at_a_rate(kept, (theirs, ours), mixtures, them.rate * SHARE, rounds, seconds, is_cold, requests),
        ]
    lines += ["", *_told(before, after)]
    lines.append(
        f"Resident memory: nugetproxy's largest process {max(resident(ours.pid).values()) / 1e6:.0f} MB; nginx's "
        f"{max(resident(theirs.pid).values()) / 1e6:.0f} MB."
    )
    return "\n".join(lines)


def _at_a_rate(
    kept: Kept,
    servers: Sequence[Running],
    mixtures: Mapping[str, Path],
    rate: float,
    rounds: int,
    seconds: int,
    is_cold: bool,
    requests: int,
) -> Iterator[str]:
    found: dict[str, list[dict[str, float]]] = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers:
            if is_cold:
                mirrors.forget_pages(kept)
            start = (2 * number + 1) * requests // (2 * rounds + 1)
            command = [sys.executable, "-m", "benchmarks.day.open_loop", "127.0.0.1", str(server.port), str(rate)]
            command += [str(seconds), str(OPEN_CONNECTIONS), str(mixtures[server.name]), str(start)]
            output = subprocess.run(pinned(command, LOAD_CORE), capture_output=True, text=True, check=True, cwd=ROOT)
            found[server.name].append(json.loads(output.stdout))
    yield f"| at {rate:,.0f} requests per second | nginx | nugetproxy | ratio | rounds |"
    yield "| --- | --- | --- | --- | --- |"
    for figure in ("p50", "p99", "p999"):
        them, us = ([run[figure] for run in found[server.name]] for server in servers)
        median = [sorted(values)[len(values) // 2] for values in (them, us)]
        each = sorted(a / b for a, b in zip(us, them, strict=True))
        yield (
            f"| latency, {figure} | {median[0] * 1e3:.2f} ms | {median[1] * 1e3:.2f} ms "
            f"| **{median[1] / median[0]:.2f}** | {each[0]:.2f} - {each[-1]:.2f} |"
        )
    late = max(run["generator_late"] for runs in found.values() for run in runs)
    yield f"\nThe generator itself was at most {late * 1e3:.1f} ms late."


def _requests(server: Running, asked: Sequence[Asked], kept: Kept) -> list[Wanted]:
    """The requests, with the entity tags of this server."""
    tags: dict[str, str] = {}
    connection = _connection(server)
    for each in asked:
        if each.is_conditional and each.target not in tags:
            connection.request("GET", each.target, headers=CLIENT_HEADERS)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (server.name, each.target, answer.status)
            tags[each.target] = answer.headers["ETag"]
    found = []
    for each in asked:
        headers = []
        if each.is_conditional:
            headers.append(("If-None-Match", tags[each.target]))
        if each.names_itself:
            headers.append(("Authorization", kept.authorization))
        found.append(Wanted(each.target, tuple(headers)))
    return found


def _each_once(server: Running, asked: Sequence[Asked]) -> float:
    """Request every address once, one after the other: seconds of processor time that the server takes for one.

    nginx keeps what it sends on disk, and so do we from the first request on; a company's server is rarely younger.
    """
    addresses = {each.target for each in asked}
    connection = _connection(server)
    used = cpu_seconds(server.pid)
    for target in sorted(addresses):
        connection.request("GET", target, headers=CLIENT_HEADERS)
        connection.getresponse().read()
    return (cpu_seconds(server.pid) - used) / len(addresses)


def _connection(server: Running) -> http.client.HTTPConnection:
    if not server.is_tls:
        return http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=60, context=context)


def _metrics(server: Running) -> dict[str, float]:
    """The counters of our server: name with labels -> value."""
    context = ssl._create_unverified_context() if server.is_tls else None
    with urllib.request.urlopen(f"{server.base}/metrics", timeout=30, context=context) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(nugetproxy_\S+) (\S+)$", text, re.MULTILINE)}


def _told(before: Mapping[str, float], after: Mapping[str, float]) -> Iterator[str]:
    """The share of answers from each tier, and the event loop's lag, according to the metrics."""
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    tiers = {
        match[1]: value
        for name, value in grown.items()
        if (match := re.fullmatch(r'nugetproxy_hot_lookups_total\{found="(\w+)"\}', name))
    }
    if total := sum(tiers.values()):
        shares = ", ".join(f"{tier} {value / total:.1%}" for tier, value in sorted(tiers.items()))
        yield f"Hot lookups: {shares}.  "
    lags = sorted(
        (float(match[1]), value)
        for name, value in grown.items()
        if (match := re.fullmatch(r'nugetproxy_loop_lag_seconds_bucket\{le="([\d.e+-]+)"\}', name))
    )
    count = grown.get("nugetproxy_loop_lag_seconds_count", 0.0)
    if lags and count:
        p99 = next((bound for bound, value in lags if value >= 0.99 * count), float("inf"))
        yield f"Event loop lag: 99 % of {count:.0f} measurements below {p99 * 1e3:g} ms.  "


def _fill(kept: Kept, upstream: str, folder: Path, command: str) -> None:
    print("Filling the two mirrors; this is done once.", file=sys.stderr)
    with _nginx(kept, upstream, folder, 2, False) as theirs:
        mirrors.fill(kept, theirs.port, "nginx")
    with _ours(kept, upstream, folder, 1, False, "asyncio", command) as ours:
        mirrors.fill(kept, ours.port, "nugetproxy")
    mirrors.make_key(kept, command)
    (kept.folder / "complete").touch()


@contextlib.contextmanager
def _nginx(kept: Kept, upstream: str, folder: Path, workers: int, is_tls: bool) -> Iterator[Running]:
    port, own = free_port(), folder / "nginx"
    own.mkdir(exist_ok=True)
    certificate = ""
    if is_tls:
        chain, key = _certificate(folder)
        certificate = f"ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;"
    settings = own / "nginx.conf"
    settings.write_text(
        _NGINX.format(
            workers=workers,
            user=getpass.getuser(),
            run=own,
            kept=kept.theirs,
            port=port,
            upstream=upstream,
            tls=" ssl" if is_tls else "",
            certificate=certificate,
        )
    )
    command = [NGINX_PROGRAM, "-p", str(own), "-c", str(settings), "-e", str(own / "error.log")]
    core = SERVER_CORE if workers == 1 else f"{SERVER_CORE},{LOAD_CORE}"
    # A separate process loads the cache: wait until it is done, because otherwise it would be measured too.
    with running(pinned(command, core), f"http://127.0.0.1:{port}/", own / "output.log") as process:
        time.sleep(5)
        yield Running("nginx", port, process.pid, is_tls)


@contextlib.contextmanager
def _ours(
    kept: Kept, upstream: str, folder: Path, workers: int, is_tls: bool, loop: str, command: str
) -> Iterator[Running]:
    port = free_port()
    whole = [*shlex.split(command), "--listen", f"127.0.0.1:{port}", "--data", str(kept.ours)]
    whole += ["--upstream", f"{upstream}/v3/index.json", "--log-format", "json", "--workers", str(workers)]
    if is_tls:
        chain, key = _certificate(folder)
        whole += ["--tls-cert", str(chain), "--tls-key", str(key)]
    environment = {**os.environ, **mirrors.FRESHNESS, "NUGETPROXY_SERVER__LOOP": loop}
    core = SERVER_CORE if workers == 1 else f"{SERVER_CORE},{LOAD_CORE}"
    began = time.monotonic()
    url = f"http://127.0.0.1:{port}/health/live"
    with running(pinned(whole, core), url, folder / f"ours-{port}.log", environment=environment) as process:
        print(f"nugetproxy was ready after {time.monotonic() - began:.2f} s", file=sys.stderr)
        yield Running("nugetproxy", port, process.pid, is_tls)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for loopback; created once."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    if not chain.exists():
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", str(key), "-out", str(chain), "-days", "2", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
        subprocess.run(command, check=True, capture_output=True)
        key.chmod(0o644)
    return chain, key
