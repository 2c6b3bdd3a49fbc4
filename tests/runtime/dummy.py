"""A stand-in for what workers serve, for the tests of their supervision: quick to load, and it fails on demand.

GET /pid     the worker's process id
GET /slow    the same, half-way held until /release or the stop
GET /die     ends the worker without an answer
GET /trouble the trouble reported by the supervisor
GET /limit   the worker's soft limit of open files
GET /metrics the worker's metrics directory
"""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

from nugetproxy.config import Config
from nugetproxy.errors import StorageUnavailable
from nugetproxy.runtime.trouble import Trouble


async def serve(
    config: Config, sockets: list[socket.socket], ready: Callable[[], None], stopping: asyncio.Event, trouble: Trouble
) -> None:
    failing = Path(config.storage.path) / "fail"
    if failing.exists():
        match failing.read_text():
            case "exit":
                os._exit(3)
            case why:
                raise StorageUnavailable(why)
    busy: set[asyncio.Task[None]] = set()

    async def answer(accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            match head.split()[1]:
                case b"/die":
                    os._exit(7)
                case b"/slow":
                    writer.write(b"HTTP/1.1 200 OK\r\n")
                    while not (Path(config.storage.path) / "release").exists():
                        await asyncio.sleep(0.01)
                    body = str(os.getpid())
                case b"/trouble":
                    body = trouble.why
                case b"/limit":
                    body = str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
                case b"/metrics":
                    body = os.environ["PROMETHEUS_MULTIPROC_DIR"]
                case b"/workers":
                    body = str(config.server.workers)
                case _:
                    body = str(os.getpid())
            if not head.startswith(b"GET /slow"):
                writer.write(b"HTTP/1.1 200 OK\r\n")
            writer.write(f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def accept(listening: socket.socket) -> None:
        # Not asyncio's server, which would lose connections accepted in the same loop iteration as the stop.
        with contextlib.suppress(BlockingIOError):
            accepted, _ = listening.accept()
            accepted.setblocking(False)
            task = loop.create_task(answer(accepted))
            busy.add(task)
            task.add_done_callback(busy.discard)

    loop = asyncio.get_running_loop()
    for each in sockets:
        loop.add_reader(each, accept, each)
    ready()
    await stopping.wait()
    for each in sockets:
        loop.remove_reader(each)
        each.close()
    if busy:
        await asyncio.wait(busy, timeout=config.server.stop_timeout)
