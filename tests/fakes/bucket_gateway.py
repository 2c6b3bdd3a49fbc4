"""A gateway before a real bucket that counts requests and disturbs them.

It runs in a thread of its own, so that tests may block.
"""

import asyncio
import io
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

Disturbance = Callable[[web.BaseRequest, web.Response | None], Awaitable[web.StreamResponse | None]]
"""Called without an answer before the bucket is asked, and then with the bucket's. It returns an answer of its own, or
None to leave things as they are."""

_HOP = frozenset({"connection", "transfer-encoding", "keep-alive"})


class BucketGateway:
    """Listens on loopback and forwards to `target`. Use as a context manager."""

    def __init__(self, target: str, certificate: tuple[Path, Path] | None = None) -> None:
        """`certificate`: the files of a certificate and its key, for https."""
        self._target = target
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self.requests: list[str] = []
        self._disturbance: Disturbance | None = None
        self._left = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bucket gateway", daemon=True)

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def disturb(self, how: Disturbance, times: int = 1_000_000) -> None:
        """Disturb the next requests, as many as `times`."""
        self._disturbance, self._left = how, times

    def rest(self) -> None:
        """Disturb no more requests."""
        self._left = 0

    def methods(self) -> list[str]:
        """The methods of the requests so far, forgotten with this call."""
        requests, self.requests = self.requests, []
        return [request.split()[0] for request in requests]

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Awaitable[None]) -> None:
        async def wait() -> None:
            await work

        future: Future[None] = asyncio.run_coroutine_threadsafe(wait(), self._loop)
        future.result(30)

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self._port: int = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.raw_path}")
        disturbance = self._disturbance if self._left > 0 else None
        self._left -= 1
        body = await request.content.read()
        if disturbance and (own := await disturbance(request, None)):
            return own
        async with self._session.request(
            request.method,
            URL(self._target + request.raw_path, encoded=True),
            headers=request.headers,
            data=io.BytesIO(body) if body else None,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            allow_redirects=False,
        ) as answer:
            content = await answer.read()
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        if request.method == "HEAD":
            return web.StreamResponse(status=answer.status, headers=headers)
        headers.pop("Content-Length", None)
        response = web.Response(status=answer.status, headers=headers, body=content)
        return (disturbance and await disturbance(request, response)) or response


def answering(status: int, body: str = "<Error><Code>SlowDown</Code></Error>") -> Disturbance:
    """The bucket refuses."""

    async def disturb(request: web.BaseRequest, answer: web.Response | None) -> web.StreamResponse | None:
        return web.Response(status=status, text=body) if answer is None else None

    return disturb


def silent(seconds: float = 3600.0) -> Disturbance:
    """The bucket accepts the request, and says nothing for so long."""

    async def disturb(request: web.BaseRequest, answer: web.Response | None) -> None:
        if answer is None:
            await asyncio.sleep(seconds)

    return disturb


async def cut(request: web.BaseRequest, answer: web.Response | None) -> web.StreamResponse | None:
    """The connection breaks in the middle of what is read."""
    if answer is None or request.method != "GET":
        return None
    assert isinstance(answer.body, bytes)
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    assert request.transport is not None
    await asyncio.sleep(0.01)
    request.transport.abort()
    return response


async def flipped(request: web.BaseRequest, answer: web.Response | None) -> web.StreamResponse | None:
    """One bit of what is read is wrong, which no header tells."""
    if answer is None or request.method != "GET":
        return None
    assert isinstance(answer.body, bytes)
    body = bytes([answer.body[0] ^ 1]) + answer.body[1:]
    return web.Response(status=answer.status, headers=answer.headers, body=body)


async def unkept(request: web.BaseRequest, answer: web.Response | None) -> web.StreamResponse | None:
    """An upload is accepted, and stored nowhere."""
    if answer is None and request.method == "PUT":
        return web.Response(headers={"ETag": '"0123456789abcdef0123456789abcdef"'})
    return None
