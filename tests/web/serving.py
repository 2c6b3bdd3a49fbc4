"""The application over a real socket, for tests: takes a feed, gives a client."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from nugetproxy.config import Config
from nugetproxy.feeds.base import Feed
from nugetproxy.services import Services
from nugetproxy.web.application import make_application
from nugetproxy.web.hot.table import HotTable

Client = TestClient[web.Request, web.Application]


async def is_ready() -> tuple[bool, str]:
    return True, "ready"


def services_for(feed: Feed, settings: dict[str, Any] | None = None, ready: Any = is_ready) -> Services:
    """Services over `feed`; `settings` as in a configuration file. Nothing is logged unless they ask for it."""
    config = Config.model_validate({"logs": {"access": False}, **(settings or {})})
    return Services(config, feed, ready, started=0.0, name="mirror/1.0")


@asynccontextmanager
async def serving(
    feed: Feed,
    settings: dict[str, Any] | None = None,
    *,
    hot: HotTable | None = None,
    ready: Any = is_ready,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Client]:
    """A client of the running application. It decodes nothing, follows no redirects and adds no Accept-Encoding."""
    application = make_application(services_for(feed, settings, ready), hot)
    server: TestServer = TestServer(application, scheme="https" if tls else "http")
    await server.start_server(access_log=None, ssl=tls)
    client: Client = TestClient(
        server, auto_decompress=False, skip_auto_headers=["Accept-Encoding", "User-Agent", "Accept"]
    )
    try:
        await client.start_server()
        yield client
    finally:
        await client.close()
        if hot is not None:
            await hot.close()


async def raw(client: Client, request: bytes, *, enough: bytes = b"") -> bytes:
    """What the server sends in response to these bytes until it closes, or has sent `enough`."""
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    received = b""
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            while chunk := await reader.read(65536):
                received += chunk
                if enough and enough in received:
                    break
    finally:
        writer.close()
    return received


async def status_of(client: Client, path: str, **arguments: Any) -> int:
    async with client.get(path, **arguments) as answer:
        await answer.read()
        return answer.status
