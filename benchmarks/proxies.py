"""nugetproxy against nginx `proxy_cache`, one worker each, with the same stand-in for nuget.org; and a cold stampede.

nginx is Debian's, with its access log on; nugetproxy has metrics and access log on. Both are warm when the rounds
begin.
"""

import selectors
import socket
import tempfile
import time
import zlib
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.load import CLIENT_HEADERS, Row, Server, in_turn, table
from benchmarks.processes import OURS, control, fetch, nginx, nugetproxy, resident, standing_in

PACKAGE, LARGE = ("dapper", "2.0.78"), ("made.large", "1.0.0")

# Enough versions with enough dependencies for a registration index of about 300 KB in one document.
REGISTRATION, VERSIONS, DEPENDENCIES = "Bench.Registration", 120, 9

STAMPEDE = 200


def measure(*, rounds: int, seconds: int, connections: int, command: str = OURS, only: str = "") -> str:
    with tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # nginx's worker runs as another user
        with (
            standing_in(folder) as upstream,
            nginx(folder, upstream) as (theirs, their_pid),
            nugetproxy(folder, upstream, command=command) as (ours, our_pid),
        ):
            _publish(upstream)
            rows = []
            for name, target, their_target, wanted in _answers():
                if only not in name:
                    continue
                servers = {
                    "nginx": Server(theirs + their_target, their_pid),
                    "nugetproxy": Server(ours + target, our_pid),
                }
                for _ in range(2):
                    for server in servers.values():
                        fetch(server.url, CLIENT_HEADERS)
                    time.sleep(0.3)  # a file becomes hot in the background
                measured = in_turn(servers, rounds=rounds, seconds=seconds, connections=connections)
                rows.append(Row(name, measured, wanted))
            weights = (
                max(resident(our_pid).values()),
                sum(resident(our_pid).values()),
                max(resident(their_pid).values()),
            )
    memory = (
        f"Resident memory after the run: nugetproxy's worker {weights[0] / 1e6:.0f} MB, with its supervisor "
        f"{weights[1] / 1e6:.0f} MB; nginx {weights[2] / 1e6:.0f} MB."
    )
    return f"{table(rows, 'nugetproxy', 'nginx')}\n\n{memory}"


def stampede(*, command: str = OURS) -> str:
    """Simultaneously, with nothing stored: one package of 20 MB, requested by 200 clients of each proxy."""
    said = []
    for name in ("nginx", "nugetproxy"):
        with tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as scratch:
            folder = Path(scratch)
            folder.chmod(0o755)
            with standing_in(folder) as upstream:
                proxy = nginx(folder, upstream) if name == "nginx" else nugetproxy(folder, upstream, command=command)
                with proxy as (base, pid):
                    target = _their_nupkg(*LARGE) if name == "nginx" else _our_nupkg(*LARGE)
                    seconds, bodies = _all_at_once(base + target)
                    reached = control(upstream, "requests", None, method="GET").decode()
                    asked = reached.count(".nupkg")
                    peak = max(resident(pid).values()) / 1e6
            said.append(f"| {name} | {seconds:.2f} s | {len(bodies)} | {asked} | {peak:.0f} MB |")
    head = "| proxy | wall time, 200 cold clients, 20 MB | different bodies | paths asked upstream | memory after |\n"
    return head + "| --- | --- | --- | --- | --- |\n" + "\n".join(said)


def _publish(upstream: str) -> None:
    for minor in range(VERSIONS):
        dependencies = [[f"Contoso.Part{at}.Abstractions", f"[1.{minor}.{at}, )"] for at in range(DEPENDENCIES)]
        order = {"id": REGISTRATION, "version": f"1.{minor}.0", "dependencies": dependencies, "payload": 0}
        control(upstream, "publish", {**order, "age_hours": 100})


def _answers() -> list[tuple[str, str, str, float]]:
    """Name, our target, the target at nginx (which mirrors nuget.org's own paths), and the target ratio."""
    registration = f"{REGISTRATION.lower()}/index.json"
    return [
        ("versions list", "/v3/flatcontainer/dapper/index.json", "/v3-flatcontainer/dapper/index.json", 1.0),
        (
            "registration index of 300 KB, gzip",
            f"/v3/registration-gz-semver2/{registration}",
            f"/v3/registration5-gz-semver2/{registration}",
            1.0,
        ),
        (".nupkg of 360 KB", _our_nupkg(*PACKAGE), _their_nupkg(*PACKAGE), 1.25),
        (".nupkg of 20 MB", _our_nupkg(*LARGE), _their_nupkg(*LARGE), 1.8),
    ]


def _our_nupkg(lower_id: str, version: str) -> str:
    return f"/v3/flatcontainer/{lower_id}/{version}/{lower_id}.{version}.nupkg"


def _their_nupkg(lower_id: str, version: str) -> str:
    return f"/v3-flatcontainer/{lower_id}/{version}/{lower_id}.{version}.nupkg"


def _all_at_once(url: str) -> tuple[float, set[str]]:
    """Seconds until the last client has its whole body, and the checksums of the bodies.

    One thread and plain sockets, so that the clients are not what is measured.
    """
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
    waiting = selectors.DefaultSelector()
    checksums: dict[int, tuple[int, bytes | None]] = {}
    room = memoryview(bytearray(1024 * 1024))
    began = time.perf_counter()
    for _ in range(STAMPEDE):
        client = socket.create_connection((parts.hostname or "", parts.port or 80))
        client.sendall(request)
        client.setblocking(False)
        waiting.register(client, selectors.EVENT_READ)
        checksums[client.fileno()] = (0, b"")
    found = set()
    while waiting.get_map():
        for key, _ in waiting.select(60):
            client = key.fileobj  # type: ignore[assignment]  # only sockets are registered
            size = client.recv_into(room)
            checksum, head = checksums[client.fileno()]
            if size == 0:
                found.add(f"{checksum:08x}" if head is None else "no body")
                waiting.unregister(client)
                client.close()
                continue
            piece = room[:size]
            if head is not None:  # proxies write different heads: only the bodies are compared
                head += piece
                end = head.find(b"\r\n\r\n")
                if end < 0:
                    checksums[client.fileno()] = (0, head)
                    continue
                piece = memoryview(head[end + 4 :])
            checksums[client.fileno()] = (zlib.crc32(piece, checksum), None)
    return time.perf_counter() - began, found
