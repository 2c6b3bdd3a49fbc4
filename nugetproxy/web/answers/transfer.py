"""Sending long bodies to a client: files by sendfile or in blocks, and contents that are still arriving.

A body that cannot be finished is cut: the connection is aborted, so that what was received can never look complete.
A client that reads nothing for `server.stall_timeout` is cut as well.
"""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Mapping
from typing import Final

from aiofiles.threadpool import wrap
from aiohttp import HttpVersion11, web

from nugetproxy.errors import FileReplaced, NugetproxyError, StorageUnavailable
from nugetproxy.feeds.base import GrowingContent, LocalFile
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.logs import logger
from nugetproxy.web.hot.open_files import OpenFile
from nugetproxy.web.http.portions import QUEUED, SLICE, TURN
from nugetproxy.web.requests.keys import NOTE, SERVICES

log = logger()

IN_MEMORY: Final = 256 * 1024
"""Bytes up to which a file is read whole and sent with its head: a separate sendfile costs more than the copy."""


class _CutError(Exception):
    """The body cannot be finished."""


async def send_file(
    request: web.Request, file: LocalFile, start: int, end: int, status: int, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Bytes `start` up to, not including, `end` of `file`.

    Raises:
        FileReplaced: the file is gone or has the wrong size. Nothing was sent.
        StorageUnavailable: it cannot be read. Nothing was sent.
    """
    count = end - start
    if request.method == "HEAD":
        return web.Response(status=status, headers={**headers, "Content-Length": str(count)})
    with _opened(file) as source:
        if count <= IN_MEMORY:
            body = os.pread(source.fileno(), count, start)
            if len(body) != count:
                raise StorageUnavailable(f"{file.path.name} became shorter while it was being read")
            return web.Response(status=status, body=body, headers=headers)
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = count
        request[NOTE].bytes_sent = 0
        try:
            await response.prepare(request)
            await _pass_file(request, response, source, start, end)
        except Exception as error:  # noqa: BLE001 - whatever ended the body early, the client must see that it is short
            _cut(request, error)
        return response


async def send_bytes(request: web.Request, body: bytes, status: int, headers: Mapping[str, str]) -> web.StreamResponse:
    """A body that is already in memory; a long one in slices, each of which must get through in time."""
    if request.method == "HEAD" or len(body) <= SLICE:
        return web.Response(status=status, body=body, headers=headers)
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(body)
    note, patience, view = request[NOTE], request.app[SERVICES].config.server.stall_timeout, memoryview(body)
    note.bytes_sent = 0
    try:
        await response.prepare(request)
        for at in range(0, len(body), SLICE):
            async with asyncio.timeout(patience):
                await response.write(view[at : at + SLICE])
            note.bytes_sent = min(at + SLICE, len(body))
    except Exception as error:  # noqa: BLE001 - as above
        _cut(request, error)
    return response


async def send_growing(
    request: web.Request, growing: GrowingContent, start: int, headers: Mapping[str, str]
) -> web.StreamResponse:
    """The bytes of `growing` from `start` on, as they arrive; 206 when `start` is not 0.

    Raises:
        UpstreamError, StorageUnavailable: it failed before its first byte, so a proper error status can still be sent.
    """
    expected = None if growing.size is None else growing.size - start
    response = web.StreamResponse(status=206 if start else 200, headers=headers)
    if expected is not None:
        response.content_length = expected
    elif request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    if request.method == "HEAD":
        return response
    chunks = growing.chunks(start)
    try:
        first = await anext(chunks, b"")
        request[NOTE].bytes_sent = 0
        await _pass_chunks(request, response, first, chunks, expected)
    finally:
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()
    return response


async def _pass_chunks(
    request: web.Request,
    response: web.StreamResponse,
    first: bytes,
    rest: AsyncIterator[bytes],
    expected: int | None,
) -> None:
    note, patience = request[NOTE], request.app[SERVICES].config.server.stall_timeout
    sent = 0
    try:
        await response.prepare(request)
        chunk: bytes | None = first
        while chunk is not None:
            if chunk:
                async with asyncio.timeout(patience):
                    await response.write(chunk)
                sent += len(chunk)
                note.bytes_sent = sent
            chunk = await anext(rest, None)
        if expected is not None and sent != expected:
            raise _CutError(f"it ended after {sent} of {expected} bytes")
    except Exception as error:  # noqa: BLE001 - as above
        _cut(request, error)


async def _pass_file(
    request: web.Request, response: web.StreamResponse, source: io.FileIO, start: int, end: int
) -> None:
    """From the page cache straight to the socket, on any event loop; what has to come from a disk, by a thread."""
    note, patience = request[NOTE], request.app[SERVICES].config.server.stall_timeout
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    in_clear = transport.get_extra_info("sslcontext") is None
    descriptor = transport.get_extra_info("socket").fileno() if in_clear else -1
    cached, on_disk = OpenFile(source.fileno(), end), wrap(source)
    at, turn = start, start + TURN
    while at < end:
        count = min(SLICE, end - at)
        if not cached.is_cached(at, count):
            await on_disk.seek(at)
            block = await on_disk.read(count)
        elif sent := _taken_by_kernel(transport, descriptor, source, at, count):
            at += sent
            note.bytes_sent = at - start
            if at >= turn:
                turn = at + TURN
                await asyncio.sleep(0)
            continue
        else:
            block = os.pread(source.fileno(), min(QUEUED, count), at)
        if not block:
            raise _CutError("the file became shorter while it was being sent")
        if transport.is_closing():
            raise ConnectionResetError
        async with asyncio.timeout(patience):
            await response.write(block)
        at += len(block)
        note.bytes_sent = at - start


def _taken_by_kernel(transport: asyncio.Transport, descriptor: int, source: io.FileIO, at: int, count: int) -> int:
    """Bytes that sendfile passed on; 0 when it may not be used now, or takes nothing: then the transport has to."""
    if descriptor < 0 or transport.is_closing() or transport.get_write_buffer_size():
        return 0
    try:
        return os.sendfile(descriptor, source.fileno(), at, count)
    except OSError:  # full, or broken: the transport finds out which
        return 0


def _opened(file: LocalFile) -> io.FileIO:
    try:
        source = io.FileIO(file.path)
    except FileNotFoundError as error:
        raise FileReplaced(f"{file.path.name} cannot be read: {error.strerror}") from error
    except OSError as error:
        raise StorageUnavailable(f"{file.path.name} cannot be read: {error.strerror}") from error
    if os.fstat(source.fileno()).st_size != file.size:
        source.close()
        raise FileReplaced(f"{file.path.name} does not have the {file.size} bytes it should have")
    return source


def _cut(request: web.Request, error: Exception) -> None:
    """Abort the connection: pending bytes are dropped, so neither a length nor a last chunk makes the body complete."""
    note, transport = request[NOTE], request.transport
    event_log = log.bind(path=request.path, sent=note.bytes_sent)
    if isinstance(error, ConnectionError):
        # sendfile sees a reset before the transport does, which then still considers the connection open.
        if transport is not None:
            transport.abort()
        event_log.debug("client_left")
        return
    note.outcome = Outcome.FAILED
    if transport is not None:
        transport.abort()
    if isinstance(error, TimeoutError):
        event_log.info("client_stopped_reading")
    elif isinstance(error, NugetproxyError | _CutError):
        event_log.warning("answer_cut_short", why=str(error))
    else:
        event_log.error("answer_cut_short", exc_info=error)
