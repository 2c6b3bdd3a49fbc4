"""The lane alone: hot answers put into the table directly, against nginx with the same answers cached.

Needs no upstream, so it runs anywhere in a minute and shows the effect of a change to the lane. The served process is
this module too: `python -m benchmarks.lane PORT LOOP FOLDER`.
"""

import asyncio
import gzip
import hashlib
import os
import signal
import sys
import tempfile
from pathlib import Path

from aiohttp import web

from benchmarks.load import CLIENT_HEADERS, Row, Server, in_turn, table
from benchmarks.processes import SERVER_CORE, fetch, free_port, nginx, pinned, resident, running
from nugetproxy.config import ServerSettings
from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.runtime.listening import listen_on
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.aiohttp_connection import handler_options
from nugetproxy.web.lane.server import LaneServer
from nugetproxy.web.lane.shared import LaneShared
from nugetproxy.web.telemetry.access import AccessLog

HEADERS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "public, max-age=60"),
    ("Vary", "Accept-Encoding"),
    ("ETag", '"0123456789abcdef0123456789abcdef"'),
    ("Server", "nugetproxy"),
    ("X-Content-Type-Options", "nosniff"),
)
TARGETS = {"/list": 1.0, "/registration": 1.0, "/360k.nupkg": 1.25, "/20m.nupkg": 1.8}


def measure(*, rounds: int, seconds: int, connections: int, loop: str, only: str = "") -> str:
    rows, weights = [], {}
    with tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        port = free_port()
        ours = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "benchmarks.lane", str(port), loop, scratch]
        with (
            running(pinned(command, SERVER_CORE), f"{ours}/list", folder / "ours.log") as process,
            nginx(folder, ours) as (theirs, pid),
        ):
            for target, wanted in ((each, TARGETS[each]) for each in TARGETS if only in each):
                for base in (ours, theirs):
                    fetch(base + target, CLIENT_HEADERS)
                servers = {"nginx": Server(theirs + target, pid), "the lane": Server(ours + target, process.pid)}
                measured = in_turn(servers, rounds=rounds, seconds=seconds, connections=connections)
                rows.append(Row(target, measured, wanted))
            weights = {"the lane": max(resident(process.pid).values()), "nginx": max(resident(pid).values())}
    memory = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in weights.items())
    return f"{table(rows, 'the lane', 'nginx')}\n\nResident memory after the run: {memory}; event loop: {loop}."


def _leaf(number: int) -> str:
    """About as much text as a registration leaf with a dozen dependencies, and as hard to compress."""
    name = hashlib.sha256(bytes(number)).hexdigest()
    dependencies = ",".join(
        f'{{"@id":"http://127.0.0.1/v3/{name[:16]}/{at}","@type":"PackageDependency","id":"Contoso.Part{at}",'
        f'"range":"[{number}.{at}.0, )","registration":"http://127.0.0.1/v3/registration/contoso.part{at}/index.json"}}'
        for at in range(12)
    )
    return f'{{"@id":"http://127.0.0.1/v3/{name}.json","hash":"{name}","dependencies":[{dependencies}]}},'


async def serve(port: int, folder: Path) -> None:
    """The answers of `TARGETS`, hot, and also cold for the first request."""
    listed = b'{"versions":[' + b",".join(b'"1.%d.0"' % minor for minor in range(80)) + b"]}"
    page = "".join(_leaf(number) for number in range(120)).encode()
    files = {}
    for name, size in (("/360k.nupkg", 360_000), ("/20m.nupkg", 20_000_000)):
        files[name] = folder / name[1:]
        files[name].write_bytes(os.urandom(size))

    documents = {"/list": listed, "/registration": page}

    async def cold(request: web.Request) -> web.StreamResponse:
        if request.path in documents:
            response = web.Response(body=documents[request.path], headers=dict(HEADERS))
            response.enable_compression()
            return response
        if request.path in files:
            return web.FileResponse(files[request.path])
        raise web.HTTPNotFound

    application = web.Application()
    application.router.add_get("/{name:.*}", cold)
    settings = ServerSettings()
    runner = web.AppRunner(application, **handler_options(settings.idle_timeout))
    await runner.setup()
    assert runner.server is not None
    hot = HotTable(64_000_000)
    told = Provenance(Outcome.HIT, 3.0, 3600.0)
    for target, body in documents.items():
        zipped = HotVariant((*HEADERS, ("Content-Encoding", "gzip")), gzip.compress(body, 6))
        hot.offer(target, None, HotAnswer("versions", told, HotVariant(HEADERS, body), zipped))
    for target, path in files.items():
        file = LocalFile(path, path.stat().st_size, 0, "e")
        hot.offer(target, None, HotAnswer("nupkg", told, HotVariant(HEADERS, file), None))
    while len(hot) < len(TARGETS):
        await asyncio.sleep(0.01)
    access = AccessLog(form="json", descriptor=os.open(folder / "access.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    lanes = LaneServer(LaneShared(runner.server, hot, settings, access))
    listeners = [lanes.listen(each) for each in listen_on("127.0.0.1", port)]
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    for listener in listeners:
        listener.close()
    await lanes.drain(1)
    await runner.cleanup()
    await hot.close()
    await access.close()


if __name__ == "__main__":
    factory = None
    if sys.argv[2] == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as asyncio_runner:
        asyncio_runner.run(serve(int(sys.argv[1]), Path(sys.argv[3])))
