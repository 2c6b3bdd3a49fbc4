"""A pushed body on its way into a spool: multipart as every NuGet client sends it, or raw.

The file name a client gives means nothing (it is always package.nupkg): who a package is, it says itself.
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
"""Bytes that are written at once: one thread hop each."""

OVERHEAD: Final = 64 * 1024
"""Bytes that a multipart form may need around its file."""

STALL_SECONDS: Final = 60.0
"""A client that sends nothing of an upload for this long has gone, whatever its connection says."""

DRAIN_SECONDS: Final = 300.0
"""A client gives a push up after this long; who answers early must read on until then (push, early answers)."""

PACE_SECONDS: Final = 10.0
PACE_BYTES: Final = 32 * 1024
"""Of a body that was refused so much must come in so many seconds. Strangers need no key to be here, and some of them
would hold every connection with a byte a second.
"""

DRAIN_BYTES: Final = 4 * 2**30
"""What is read of a body that was refused; more than that is no package."""


async def on_expect(request: web.Request) -> None:
    """Say nothing yet to a client that waits for `100 Continue`: it is told to go on when its body is read, so who is
    refused before that uploads nothing (RFC 9110 section 10.1.1). aiohttp's own way is to say it to everybody.
    """
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed


async def receive(request: web.Request, spools: SpoolFolder, limit: int, what: str) -> Spool:
    """The first part of a multipart body, or the whole of any other, in a spool that is the caller's to discard.

    `limit` is in bytes; `what` names the body in messages ("the package").

    Raises:
        TooLarge: it is longer than `limit`; as soon as that is known.
        InvalidRequest: there is no body, it is not what its headers say, or the client left in the middle.
        StorageUnavailable: the disk cannot take it.
    """
    if request.content_length is not None and request.content_length > limit + OVERHEAD:
        raise TooLarge(what, limit)
    creating = asyncio.ensure_future(DISK.run(spools.create, "push"))
    try:
        spool = await asyncio.shield(creating)
    except asyncio.CancelledError:  # the thread goes on, and its file would lie there until the next start
        creating.add_done_callback(_discard_created)
        raise
    try:
        async for block in _blocks(_uploaded(request)):
            if spool.size + len(block) > limit:
                raise TooLarge(what, limit)
            await DISK.run(spool.append, block)
        if not spool.size:
            raise InvalidRequest(f"{what} is missing: send it as the first part of a multipart/form-data body, or raw")
    except BaseException:  # the client left, too: its bytes would lie there until the next start
        spool.discard()
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
    """Read and forget what is left of a body, so that a client that is still sending sees the answer it was given.

    Closing instead would reset the connection: clients then upload twice more and print that, not the answer. How much
    comes does not matter, for the same reason; it costs no memory. False when it takes longer than `seconds`, trickles,
    or more comes than anybody pushes: then there is no more to be done.
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
    """The bytes gathered into blocks, and the ways in which they end early told in our words."""
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
        raise InvalidRequest(f"nothing of the upload came for {STALL_SECONDS:g} seconds") from error
    if gathered:
        yield bytes(gathered)


async def _raw(request: web.Request) -> AsyncIterator[bytes]:
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # what is counted is the answer
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
    raise InvalidRequest("the body is not the multipart form that its headers promise, or ends early")
