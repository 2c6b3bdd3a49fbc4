"""A lane on a real socket, for tests: hot answers in front of a small aiohttp application, and a raw client."""

import asyncio
import importlib.util
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from nugetproxy.config import ServerSettings
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.runtime.listening import listen_on
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.aiohttp_connection import handler_options, note_answered
from nugetproxy.web.lane.server import LaneServer
from nugetproxy.web.lane.shared import LaneShared
from nugetproxy.web.telemetry.access import AccessLog
from tests.certificates import PrivateCA

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]

HIT = Provenance(Outcome.HIT, age=5.0, fresh_for=60.0)
JSON_HEADERS = (("Content-Type", "application/json"), ("ETag", '"e"'))


def run_on(loop: str, scenario: Callable[[], Awaitable[Any]]) -> Any:
    """Run `scenario` on the named event loop, for at most 20 seconds."""
    factory: Any = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_bounded(scenario))


async def _bounded(scenario: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(20):
        return await scenario()


def hot_json(body: bytes = b'{"a":1}', gzip: bytes | None = None, **changes: Any) -> HotAnswer:
    zipped = None if gzip is None else HotVariant((*JSON_HEADERS, ("Content-Encoding", "gzip")), gzip)
    return HotAnswer("versions", HIT, HotVariant(JSON_HEADERS, body), zipped, **changes)


@dataclass
class TLS:
    """Both sides of a private certificate authority."""

    server: ssl.SSLContext
    client: ssl.SSLContext

    @classmethod
    def made_in(cls, folder: Path) -> "TLS":
        authority = PrivateCA(folder)
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(*authority.issue())
        return cls(server, ssl.create_default_context(cafile=str(authority.file)))


@dataclass
class Served:
    port: int
    hot: HotTable
    server: LaneServer
    seen: list[str] = field(default_factory=list)
    """Targets that reached aiohttp."""
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets /held answer."""
    clients: "list[Client]" = field(default_factory=list)
    trust: ssl.SSLContext | None = None
    """How clients speak TLS; None: plain HTTP."""

    async def open(self) -> "Client":
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26, ssl=self.trust))
        self.clients.append(client)
        return client

    async def ask(self, raw: bytes) -> "Reply":
        client = await self.open()
        try:
            return await client.ask(raw)
        finally:
            await client.close()


@asynccontextmanager
async def serving(
    *, hot_bytes: int = 160_000_000, descriptor: int | None = None, tls: TLS | None = None, **changes: Any
) -> AsyncIterator[Served]:
    """`changes` are server settings. aiohttp serves /echo, /held (waits for `release`) and /large."""
    settings = ServerSettings(**changes)
    seen: list[str] = []
    release = asyncio.Event()
    served: Served

    async def echo(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.json_response({"headers": sorted(request.headers), "body": len(await request.read())})

    async def held(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        await release.wait()
        return web.Response(body=b"held")

    async def large(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.Response(body=b"L" * 8_000_000)

    async def other(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.Response(status=404, body=b"none")

    @web.middleware
    async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Sends the response itself, as the real one does."""
        response = await handler(request)
        await response.prepare(request)
        await response.write_eof()
        note_answered(request.protocol)
        if request.query_string == "slow":
            time.sleep(0.02)  # the loop is busy; the client has its response and goes on
        return response

    app = web.Application(middlewares=[answering])
    app.router.add_route("*", "/held", held)
    app.router.add_route("*", "/large", large)
    app.router.add_route("*", "/echo", echo)
    app.router.add_route("*", "/{rest:.*}", other)
    runner = web.AppRunner(app, **handler_options(settings.idle_timeout))
    await runner.setup()
    assert runner.server is not None
    hot = HotTable(hot_bytes)
    sink = os.open(os.devnull, os.O_WRONLY) if descriptor is None else descriptor
    access = AccessLog(form="json", descriptor=sink)
    server = LaneServer(LaneShared(runner.server, hot, settings, access), tls.server if tls else None)
    [bound] = listen_on("127.0.0.1", 0)
    port = bound.getsockname()[1]
    listening = server.listen(bound)
    served = Served(port, hot, server, seen, release, trust=tls.client if tls else None)
    try:
        yield served
    finally:
        listening.close()
        release.set()
        for client in served.clients:
            await client.close()
        await server.drain(0.2)
        await runner.cleanup()
        await hot.close()
        await access.close()
        if descriptor is None:
            os.close(sink)


@dataclass
class Reply:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for known, value in self.headers if known.lower() == name.lower()]
        assert len(found) <= 1, found
        return found[0] if found else None

    @property
    def is_from_lane(self) -> bool:
        return self.header("ETag") == '"e"'


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, raw: bytes) -> Reply:
        self.writer.write(raw)
        return await self.reply(has_body=not raw.startswith(b"HEAD "))

    async def reply(self, *, has_body: bool = True) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        _, status, reason = first.split(" ", 2)
        headers = [(line.partition(": ")[0], line.partition(": ")[2]) for line in lines]
        reply = Reply(int(status), reason, headers, b"")
        size = int(reply.header("Content-Length") or 0)
        if has_body and size:
            reply.body = await self.reader.readexactly(size)
        return reply

    async def is_closed(self) -> bool:
        """Waits for the end; True if nothing more was received before it."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


def get(target: str, *headers: str, method: str = "GET", host: str = "127.0.0.1:1") -> bytes:
    """A request as NuGet's clients write it, with extra header lines."""
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: NuGet xplat/7.9.0 (LINUX)",
        "X-NuGet-Client-Version: 7.9.0",
        "X-NuGet-Session-Id: 1b7aee26-5bd2-4d16-a50c-7c1f8be3b3a9",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
