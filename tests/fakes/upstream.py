"""A V3 upstream on loopback for tests: real sockets, nuget.org's habits, faults on demand, every request counted.

A plain asyncio server, because an HTTP library cannot misbehave as upstreams do. Like nuget.org's storage: ETags have
no quotes, the gz hives always send gzip, registrations are `no-store`, single ranges are answered.
"""

import asyncio
import fnmatch
import gzip
import hashlib
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from tests.fakes.faults import Fault
from tests.fakes.gallery import Document, Gallery
from tests.fakes.packages import GalleryPackage, build_package, read_package

_FIRST_MODIFIED = 1_704_067_200  # 2024-01-01, plus one minute for every change of a document
_BLOCK = 65_536
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True)
class Recorded:
    """One request as received; header names are lower-case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


@dataclass
class _Reply:
    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class _Planned:
    pattern: str
    fault: Fault
    times: float


@dataclass
class _Known:
    """The last body sent for a path, and how often it has changed."""

    body: bytes | None = None
    digest: str = ""
    changes: int = -1


class _HangupError(Exception):
    """The connection is to be dropped; `reset` tells how."""

    def __init__(self, *, reset: bool) -> None:
        self.reset = reset


class FakeUpstream:
    """`async with FakeUpstream() as upstream:` - `upstream.url` is its service index."""

    def __init__(self, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.host = host
        self.port = 0
        self.log: list[Recorded] = []
        self.connections = 0
        """Connections accepted so far."""
        self.sent = 0
        """Body bytes handed to the network so far."""
        self._tls = tls
        self._faults: list[_Planned] = []
        self._known: dict[str, _Known] = {}
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    # --- life ---

    async def __aenter__(self) -> Self:
        await self.revive()
        self.gallery = Gallery(self.base)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.die()

    async def die(self) -> None:
        """Close every connection and stop listening: new connections are refused."""
        if self._server is None:
            return
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def revive(self) -> None:
        """Listen again, on the same port as before."""
        assert self._server is None
        self._server = await asyncio.start_server(self._connected, self.host, self.port, ssl=self._tls, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    # --- what it has ---

    @property
    def base(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.base}/v3/index.json"

    def add_package(
        self, package: bytes | str, version: str = "", *, dependencies: Sequence[tuple[str, str]] = (),
        padding: int = 0, **facts: Any,
    ) -> GalleryPackage:  # fmt: skip
        """Publish a .nupkg (bytes), or build a minimal one from an id and a version.

        `facts` are the gallery's own: listed, published, deprecation, vulnerabilities, licence.
        """
        nupkg = package if isinstance(package, bytes) else build_package(package, version, dependencies, padding)
        added = read_package(nupkg)
        self.gallery.add(added)
        if facts:
            self.gallery.change(added.id, added.version, **facts)
        return added

    def nupkg_url(self, package: GalleryPackage) -> str:
        return self.gallery.content_url(package)

    # --- how it behaves, and what it saw ---

    def fault(self, pattern: str, fault: Fault, times: float = float("inf")) -> None:
        """
        Apply `fault` to the next `times` requests whose path matches the shell pattern; earlier faults come first.
        """
        self._faults.append(_Planned(pattern, fault, times))

    def heal(self) -> None:
        self._faults.clear()

    def requests_for(self, pattern: str) -> int:
        """How many requests were received whose path matches the shell pattern."""
        return len(self.recorded(pattern))

    def recorded(self, pattern: str = "*") -> list[Recorded]:
        return [r for r in self.log if fnmatch.fnmatchcase(r.path, pattern)]

    # --- one connection ---

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        aborted = True
        try:
            while await self._serve_one(reader, writer):
                pass
            aborted = False
        except _HangupError as hangup:
            aborted = hangup.reset
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            aborted = False
        except asyncio.CancelledError:
            pass  # only die() cancels: the connection must break, and nobody waits for this task's result
        finally:
            self._open.discard(task)
            _end(writer, reset=aborted)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        raw_path, _, query = target.partition("?")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:] if line)}
        request = Recorded(method, unquote(raw_path), query, headers)
        self.log.append(request)
        fault = self._next_fault(request.path)
        await self._before_head(fault)
        reply = self._reply(request, fault)
        await self._send(writer, request, reply, fault)
        return "close" not in (reply.headers.get("Connection", ""), headers.get("connection", ""))

    def _next_fault(self, path: str) -> Fault:
        for planned in self._faults:
            if planned.times > 0 and fnmatch.fnmatchcase(path, planned.pattern):
                planned.times -= 1
                return planned.fault
        return Fault()

    async def _before_head(self, fault: Fault) -> None:
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.until is not None:
            await fault.until.wait()
        if fault.silent:
            await asyncio.Event().wait()
        if fault.reset or fault.closed:
            raise _HangupError(reset=fault.reset)

    # --- one answer ---

    def _reply(self, request: Recorded, fault: Fault) -> _Reply:
        if fault.status is not None:
            return _Reply(fault.status, dict(fault.headers), fault.body or b"")
        document = self.gallery.find(request.path, request.query)
        if document is None:
            missing = b'<?xml version="1.0" encoding="utf-8"?><Error><Code>BlobNotFound</Code></Error>'
            return _Reply(404, {"Content-Type": "application/xml"}, missing)
        reply = self._whole(request.path, document, fault)
        etag, modified = reply.headers.get("ETag"), reply.headers.get("Last-Modified")
        if not fault.ignores_conditions and _is_unchanged(request.headers, etag, modified):
            return _Reply(304, {k: v for k, v in reply.headers.items() if k in ("ETag", "Last-Modified")})
        wanted = "" if fault.ignores_range else request.headers.get("range", "")
        if_range = "" if fault.ignores_if_range else request.headers.get("if-range", "")
        if not wanted.startswith("bytes=") or (if_range and if_range not in (etag, modified)):
            return reply
        return _partial(reply, wanted.removeprefix("bytes="))

    def _whole(self, path: str, document: Document, fault: Fault) -> _Reply:
        body, known = document.body, self._known.setdefault(path, _Known())
        if known.body != body:
            known.body, known.changes, known.digest = body, known.changes + 1, hashlib.sha256(body).hexdigest()
        headers = {
            "Content-Type": document.content_type,
            "ETag": "0x8D" + known.digest[:13].upper(),
            "Last-Modified": formatdate(_FIRST_MODIFIED + 60 * known.changes, usegmt=True),
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store" if "/registration5-" in path else "max-age=120",
            **document.headers,
        }
        if fault.corrupt_at is not None:
            body = body[: fault.corrupt_at] + bytes([body[fault.corrupt_at] ^ 0xFF]) + body[fault.corrupt_at + 1 :]
        if fault.gzip or "/registration5-gz-" in path:
            body = gzip.compress(body, mtime=0)
            headers["Content-Encoding"] = "gzip"
        headers |= fault.headers
        return _Reply(200, {k: v for k, v in headers.items() if k.lower() not in fault.drop}, body)

    async def _send(self, writer: asyncio.StreamWriter, request: Recorded, reply: _Reply, fault: Fault) -> None:
        headers, body = reply.headers, reply.body
        bodiless = request.method == "HEAD" or reply.status in (204, 304)
        if fault.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif fault.no_length:
            headers["Connection"] = "close"
        elif reply.status != 304:
            headers["Content-Length"] = str(len(body) + fault.length_off_by)
        phrase = _PHRASES.get(reply.status, "Odd")
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} {phrase}\r\n{head}\r\n".encode("latin-1"))
        if not bodiless:
            await self._send_body(writer, body, fault)
        await writer.drain()
        if fault.length_off_by:
            raise _HangupError(reset=False)

    async def _send_body(self, writer: asyncio.StreamWriter, body: bytes, fault: Fault) -> None:
        end = len(body) if fault.cut_at is None else min(fault.cut_at, len(body))
        block = _BLOCK if not fault.bytes_per_second else max(1, int(fault.bytes_per_second / 50))
        for start in range(0, end, block):
            part = body[start : min(start + block, end)]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part) if fault.chunked else part)
            self.sent += len(part)
            await writer.drain()
            if fault.bytes_per_second:
                await asyncio.sleep(len(part) / fault.bytes_per_second)
        if fault.cut_at is not None:
            await asyncio.sleep(0.01 if fault.cut_by == "reset" else 0)  # a reset discards data in transit
            if fault.cut_by == "stall":
                await asyncio.Event().wait()
            raise _HangupError(reset=fault.cut_by == "reset")
        if fault.chunked:
            writer.write(b"0\r\n\r\n")


def _is_unchanged(asked: dict[str, str], etag: str | None, modified: str | None) -> bool:
    if "if-none-match" in asked:
        return etag in [tag.strip() for tag in asked["if-none-match"].split(",")]
    if "if-modified-since" in asked and modified is not None:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(asked["if-modified-since"])
    return False


def _partial(reply: _Reply, wanted: str) -> _Reply:
    first, _, last = wanted.partition("-")
    total = len(reply.body)
    start, end = (int(first), int(last or total - 1) + 1) if first else (max(0, total - int(last)), total)
    if start >= total:
        return _Reply(416, {"Content-Range": f"bytes */{total}"})
    end = min(end, total)
    return _Reply(206, reply.headers | {"Content-Range": f"bytes {start}-{end - 1}/{total}"}, reply.body[start:end])


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if not reset:
        writer.close()
        return
    found = writer.get_extra_info("socket")
    if found is not None and found.fileno() >= 0:
        found.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))  # closing then sends RST, not FIN
    writer.transport.abort()
