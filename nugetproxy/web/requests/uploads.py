"""Receives a pushed body into a spool: multipart as every NuGet client sends it, or raw.

The file name that a client sends is ignored (it is always package.nupkg): the package itself contains its id.
nuget-protocol: push (how each client sends a push).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import HttpVersion11, web

from nugetproxy.errors import InvalidRequest, TooLarge
from nugetproxy.executors.threads import DISK
from nugetproxy.storage.spool import Spool, SpoolFolder
from nugetproxy.web.requests.first_part import FirstPart, boundary_of

BLOCK: Final = 256 * 1024
"""Bytes per write: each write is one thread hop."""

OVERHEAD: Final = 64 * 1024
"""Bytes that a multipart form may need around its file."""

STALL_SECONDS: Final = 60.0
"""A client that sends no part of an upload for this long has gone, whatever the state of its connection."""

DRAIN_SECONDS: Final = 300.0
"""Clients give up a push after this long; a server that answers early must read on until then (push, early answers)."""

PACE_SECONDS: Final = 10.0
PACE_BYTES: Final = 32 * 1024
"""The minimum number of bytes of a refused body within PACE_SECONDS. Clients need no key to get this far, and some
would hold every connection with a byte a second.
"""

DRAIN_BYTES: Final = 4 * 2**30
"""How much of a refused body is read; no package is larger."""


async def on_expect(request: web.Request) -> None:
    """Send nothing yet to a client that waits for `100 Continue`. It is sent when the body is read, so that a client
    that is refused before then uploads nothing (RFC 9110 section 10.1.1). aiohttp's default sends it to every client.
    """
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed


async def receive(request: web.Request, spools: SpoolFolder, limit: int, what: str) -> Spool:
    """The first part of a multipart body, or the whole of any other, in a spool that the caller must discard.

    `limit` is in bytes; `what` names the body in messages ("the package").

    Raises:
        TooLarge: it is longer than `limit`; raised as soon as that is known.
        InvalidRequest: there is no body, it does not match its headers, or the client left in the middle.
        StorageUnavailable: it cannot be written to disk.
    """
    if request.content_length is not None and request.content_length > limit + OVERHEAD:
        raise TooLarge(what, limit)
    creating = asyncio.ensure_future(DISK.run(spools.create, "push"))
    try:
        spool = await asyncio.shield(creating)
    except asyncio.CancelledError:  # the thread continues, and its file would stay until the next start
        creating.add_done_callback(_discard_created)
        raise
    try:
        async for block in _blocks(_uploaded(request)):
            if spool.size + len(block) > limit:
                raise TooLarge(what, limit)
            await DISK.run(spool.append, block)
        if not spool.size:
            raise InvalidRequest(f"{what} is missing: send it as the first part of a multipart/form-data body, or raw")
    except BaseException:  # also when the client left: its bytes would stay until the next start
        spool.end()
        raise
    return spool


async def small_body(request: web.Request, limit: int, what: str) -> bytes:
    """The whole of a body of at most `limit` bytes. Raises TooLarge, InvalidRequest, as `receive`."""
    if request.content_length is not None and request.content_length > limit:
        raise TooLarge(what, limit)
    body = bytearray()
    async for block in _blocks(_raw(request)):
        body += block
        if len(body) > limit:
            raise TooLarge(what, limit)
    return bytes(body)


async def discard(request: web.Request, seconds: float) -> bool:
    """Read and drop the rest of a body, so that a client that is still sending sees the response it was given.

    Closing instead would reset the connection: clients then upload twice more and print the reset, not the response.
    The amount does not matter, as it takes no memory. False when it takes longer than `seconds`, arrives too slowly, or
    is more than any package has: then nothing more can be done.
    """
    read = 0
    with contextlib.suppress(TimeoutError, ConnectionError, web.RequestPayloadError):
        async with asyncio.timeout(seconds):
            while read <= DRAIN_BYTES:
                wanted = read + PACE_BYTES
                async with asyncio.timeout(PACE_SECONDS):
                    while read < wanted:
                        chunk = await request.content.readany()
                        if not chunk:
                            return True
                        read += len(chunk)
    return False


def _discard_created(creating: "asyncio.Future[Spool]") -> None:
    if not creating.cancelled() and creating.exception() is None:
        creating.result().discard()


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes gathered into blocks; an early end is reported in our words."""
    gathered = bytearray()
    try:
        async for chunk in chunks:
            gathered += chunk
            if len(gathered) >= BLOCK:
                yield bytes(gathered)
                gathered.clear()
    except (ConnectionError, web.RequestPayloadError) as error:
        raise InvalidRequest("the upload ended early") from error
    except TimeoutError as error:
        raise InvalidRequest(f"no data of the upload arrived for {STALL_SECONDS:g} seconds") from error
    if gathered:
        yield bytes(gathered)


async def _raw(request: web.Request) -> AsyncIterator[bytes]:
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # only the final response is counted
    while True:
        async with asyncio.timeout(STALL_SECONDS):
            chunk = await request.content.readany()
        if not chunk:
            return
        yield chunk


async def _uploaded(request: web.Request) -> AsyncIterator[bytes]:
    """The file that is sent: the first part of a form, or the whole of any other body."""
    if not request.content_type.startswith("multipart/"):
        async for chunk in _raw(request):
            yield chunk
        return
    part = FirstPart(boundary_of(request.headers["Content-Type"]))
    async for chunk in _raw(request):
        yield part.feed(chunk)
        if part.is_complete:
            return
    raise InvalidRequest("the body is not the multipart form that its headers announce, or it is incomplete")
