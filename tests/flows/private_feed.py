"""The private feed over a mirror, in this process: accounts, keys, pushes as every client makes them, raw connections.

`async with opened(tmp_path, upstream) as house`. Ids under `Contoso.` are protected; `alice` is an administrator,
`bob` and `carol` are not.
"""

import asyncio
import base64
import gzip
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from nugetproxy.accounts.model import DAY, Account, ApiKey, Scope, now_us
from nugetproxy.runtime.assembly import assemble
from nugetproxy.runtime.listening import listen_on
from nugetproxy.services import AccountServices, HostingServices, Services
from nugetproxy.web.application import make_application
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.aiohttp_connection import handler_options
from nugetproxy.web.lane.server import LaneServer
from nugetproxy.web.lane.shared import LaneShared
from nugetproxy.web.requests.keys import ACCESS, GATE
from tests.builders import make_nupkg
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Got, running, settings_for

PUSH = "/api/v2/package/"
EVERYTHING = (Scope.PUSH, Scope.UNLIST)


class House:
    """A running private feed. `key` is alice's, with all scopes."""

    def __init__(self, services: Services, data: Path, port: int) -> None:
        self.services, self.data, self.port = services, data, port
        assert services.hosting is not None
        assert services.accounts is not None
        self.hosting: HostingServices = services.hosting
        self.accounts: AccountServices = services.accounts
        self.key = ""

    async def get(self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Got:
        """On a new connection, through the lane: anonymous unless `headers` have credentials."""
        return await self.exchange(head(method, path, {"Host": f"127.0.0.1:{self.port}", **(headers or {})}))

    async def json(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        got = await self.get(path, headers)
        assert got.status == 200, f"{path}: {got.status} {got.reason}"
        return got.json

    async def user(self, name: str, *, password: str | None = None, administrator: bool = False) -> Account:
        return await self.accounts.directory.add_user(name, password=password, administrator=administrator)

    async def key_of(
        self,
        owner: str,
        scopes: Iterable[Scope] = EVERYTHING,
        globs: Iterable[str] = ("*",),
        *,
        days: float = 100.0,
        name: str = "",
    ) -> str:
        """A new key, in clear text."""
        return (await self.new_key(owner, scopes, globs, days=days, name=name))[1]

    async def new_key(
        self, owner: str, scopes: Iterable[Scope] = EVERYTHING, globs: Iterable[str] = ("*",), *,
        days: float = 100.0, name: str = "",
    ) -> tuple[ApiKey, str]:  # fmt: skip
        directory = self.accounts.directory
        return await directory.add_key(
            await directory.account(owner), None, name=name or uuid.uuid4().hex[:8], scopes=scopes, globs=globs,
            expires=now_us() + round(days * DAY),
        )  # fmt: skip

    async def push(
        self, package: bytes | str = "Contoso.Utils", version: str = "1.0.0", *, key: str | None = None,
        path: str = PUSH, **more: Any,
    ) -> Got:  # fmt: skip
        """Push as a script does: a raw body. With `key` "" none is sent."""
        body = package if isinstance(package, bytes) else make_nupkg(package, version, **more)
        return await self.send("PUT", path, key=key, body=body)

    async def send(
        self, method: str, path: str, *, key: str | None = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Got:  # fmt: skip
        """One request on a new connection."""
        lines = {"Host": f"127.0.0.1:{self.port}", "Connection": "close", "Content-Length": str(len(body))}
        given = self.key if key is None else key
        if given:
            lines["X-NuGet-ApiKey"] = given
        return await self.exchange(head(method, path, {**lines, **(headers or {})}) + body)

    async def exchange(self, request: bytes) -> Got:
        """Send raw bytes, and read the one answer to them."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            return await read_answer(reader, is_head=request.startswith(b"HEAD "))
        finally:
            await hang_up(writer)

    def leftovers(self) -> list[Path]:
        """Spools, of pushes and downloads."""
        return sorted((self.data / "spool").glob("*"))

    async def no_leftovers(self) -> bool:
        """Whether all spools disappear, once their writers have noticed."""
        for _ in range(2000):
            if not self.leftovers():
                return True
            await asyncio.sleep(0.01)
        return False


@asynccontextmanager
async def opened(data: Path, upstream: FakeUpstream, **sections: Any) -> AsyncIterator[House]:
    """Sections of settings as `running` takes them; `Contoso.` is protected unless they say otherwise."""
    sections.setdefault("feed", {"protected_prefixes": ["Contoso."]})
    async with running(data, upstream, **sections) as mirror:
        yield await furnished(House(mirror.services, data, mirror.port))


@asynccontextmanager
async def opened_with_lane(data: Path, upstream: FakeUpstream, **sections: Any) -> AsyncIterator[House]:
    """Like `opened`, with hot answers and the lane in front, as in a worker."""
    async with unfurnished(data, upstream, **sections) as house:
        yield await furnished(house)


@asynccontextmanager
async def unfurnished(
    data: Path, upstream: FakeUpstream, *, upstream_settings: Mapping[str, str] | None = None, **sections: Any
) -> AsyncIterator[House]:
    """Like `opened_with_lane`, without accounts."""
    sections.setdefault("feed", {"protected_prefixes": ["Contoso."]})
    settings = {"name": "up", "service_index": upstream.url, **(upstream_settings or {})}
    config = settings_for(data, [settings], **sections)
    async with assemble(config) as services:
        hot = HotTable(config.server.hot_memory, services.changes)
        application = make_application(services, hot)
        runner = web.AppRunner(application, shutdown_timeout=0.1, **handler_options(config.server.idle_timeout))
        await runner.setup()
        assert runner.server is not None
        gate = application[GATE]
        assert gate is not None
        lanes = LaneServer(LaneShared(runner.server, hot, config.server, application[ACCESS], gate.learned))
        [bound] = listen_on("127.0.0.1", 0)
        port = bound.getsockname()[1]
        listener = lanes.listen(bound)
        try:
            yield House(services, data, port)
        finally:
            listener.close()
            await lanes.drain(1.0)
            await hot.close()
            await runner.cleanup()


async def furnished(house: House) -> House:
    """With its users, and a key of alice."""
    await house.user("alice", administrator=True)
    for name in ("bob", "carol"):
        await house.user(name)
    house.key = await house.key_of("alice")
    return house


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def read_answer(reader: asyncio.StreamReader, *, is_head: bool = False) -> Got:
    """One answer with a Content-Length. Raises IncompleteReadError, ConnectionError."""
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")[:-4].split("\r\n")
    _, status, reason = status_line.split(" ", 2)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        before = headers.get(name.lower())
        headers[name.lower()] = value if before is None else f"{before}\n{value}"
    length = 0 if is_head or status in ("204", "304") else int(headers.get("content-length", "0"))
    body = await reader.readexactly(length)
    return Got(int(status), reason, headers, gzip.decompress(body) if headers.get("content-encoding") else body)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


# --- bodies, as the clients of nuget-protocol's "how each client sends a push" make them ---


def official_form(package: bytes, name: str = "package.nupkg") -> tuple[dict[str, str], bytes]:
    """The official client, 5.4 to 7.9: a quoted boundary, chunked."""
    boundary = str(uuid.uuid4())
    body = (
        f"--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; "
        f"filename={name}; filename*=utf-8''{name}\r\n\r\n"
    ).encode() + package + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
    return {"Content-Type": f'multipart/form-data; boundary="{boundary}"'}, body


def old_form(package: bytes) -> tuple[dict[str, str], bytes]:
    """nuget.exe 2.8.7: nothing after the closing delimiter."""
    boundary = "---------------------------8df485aed4ffe66"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="package"; filename="package"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode() + package + f"\r\n--{boundary}--".encode()  # fmt: skip
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


def chunked(body: bytes, size: int = 4096) -> bytes:
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
