"""The real application twice, with the lane and without, for tests that compare the two."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from nugetproxy.feeds.base import LocalFile, Part, SmallContent
from nugetproxy.runtime.listening import listen_on
from nugetproxy.web.application import make_application
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.aiohttp_connection import handler_options
from nugetproxy.web.lane.server import LaneServer
from nugetproxy.web.lane.shared import LaneShared
from nugetproxy.web.requests.keys import ACCESS
from nugetproxy.web.telemetry.access import AccessLog
from tests.fakes.feed import FINGERPRINT, FakeFeed
from tests.web.lanes import Client, Reply, get
from tests.web.serving import services_for

FLAT = "/v3/flatcontainer/contoso.utils"

HOT_TARGETS = (
    "/v3/index.json",
    f"{FLAT}/index.json",
    f"{FLAT}/1.0.0/contoso.utils.1.0.0.nupkg",
    f"{FLAT}/1.0.0/contoso.utils.nuspec",
    f"{FLAT}/1.0.0/readme",
    "/v3/registration/contoso.utils/index.json",
    "/v3/registration-gz/contoso.utils/index.json",
    "/v3/registration-gz-semver2/contoso.utils/index.json",
    "/v3/registration-gz-semver2/contoso.utils/1.0.0.json",
    "/v3/catalog/contoso.utils/1.0.0.json",
    "/v3/query?q=contoso&take=5",
    "/v3/autocomplete?q=con",
    "/v3/vulnerabilities/index.json",
    "/v3/vulnerabilities/base.json",
    f"/v3/repository-signatures/certificates/{FINGERPRINT}.crt",
)

HOST = "feed.example:8550"


@asynccontextmanager
async def application(feed: FakeFeed, descriptor: int, *, lane: bool) -> AsyncIterator[tuple[int, HotTable, Any]]:
    services = services_for(feed, {"server": {"lane": lane}, "logs": {"access": True, "format": "json"}})
    settings = services.config.server
    hot = HotTable(settings.hot_memory)
    app = make_application(services, hot if lane else None)
    app[ACCESS] = AccessLog(form="json", descriptor=descriptor)
    runner = web.AppRunner(app, **handler_options(settings.idle_timeout))
    await runner.setup()
    assert runner.server is not None
    server = LaneServer(LaneShared(runner.server, hot, settings, app[ACCESS]))
    [bound] = listen_on("127.0.0.1", 0)
    port = bound.getsockname()[1]
    listener = server.listen(bound)
    try:
        yield port, hot, server
    finally:
        listener.close()
        await server.drain(0.2)
        await hot.close()
        await runner.cleanup()


def a_feed(folder: Path, size: int) -> FakeFeed:
    body = os.urandom(size)
    (folder / "package").write_bytes(body)
    feed = FakeFeed()
    feed.contents[Part.NUPKG] = LocalFile(folder / "package", size, 1_700_000_000, "file-etag")
    feed.contents[Part.NUSPEC] = SmallContent(b"<package/>" * 300, "application/xml", "n")
    feed.contents[Part.README] = SmallContent("# Grüße\n".encode() * 5, "text/markdown; charset=utf-8", "r")
    return feed


async def ask(port: int, raw: bytes) -> Reply:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    client = Client(reader, writer)
    try:
        return await client.ask(raw)
    finally:
        await client.close()


async def warm(port: int, hot: HotTable, *, host: str = HOST, request_id: str = "warming") -> None:
    """Make every one of HOT_TARGETS hot, in both forms."""
    for target, coding in itertools.product(HOT_TARGETS, ("gzip", "identity")):
        said = (f"X-Request-Id: {request_id}", f"Accept-Encoding: {coding}")
        await ask(port, get(target, *said, host=host))
