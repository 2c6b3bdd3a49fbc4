"""A pushed body on its way into a spool: multipart as every NuGet client sends it, or raw.

The file name a client gives means nothing (it is always package.nupkg): who a package is, it says itself.
nuget-protocol: push (how each client sends a push).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import BodyPartReader, web

from nugetproxy.errors import InvalidRequest, TooLarge
from nugetproxy.storage.spool import Spool, SpoolFolder

BLOCK: Final = 256 * 1024
"""Bytes that are written at once: one thread hop each."""

OVERHEAD: Final = 64 * 1024
"""Bytes that a multipart form may need around its file."""

DRAIN_SECONDS: Final = 300.0
"""A client gives a push up after this long; who answers early must read on until then (push, early answers)."""


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
    spool = await asyncio.to_thread(spools.create, "push")
    try:
        async for block in _blocks(request):
            if spool.size + len(block) > limit:
                raise TooLarge(what, limit)
            await asyncio.to_thread(spool.append, block)
        if not spool.size:
            raise InvalidRequest(f"{what} is missing: send it as the first part of a multipart/form-data body, or raw")
    except BaseException:
        spool.discard()
        raise
    return spool


async def discard(request: web.Request, limit: int) -> None:
    """Read and forget what is left of a body, so that a client that is still sending sees the answer it was given.

    Closing instead would reset the connection: clients then upload twice more and print that, not the answer.
    """
    read = 0
    with contextlib.suppress(TimeoutError, ConnectionError, web.RequestPayloadError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in request.content.iter_any():
                read += len(chunk)
                if read > limit:
                    return


async def _blocks(request: web.Request) -> AsyncIterator[bytes]:
    """The uploaded bytes, gathered into blocks."""
    gathered = bytearray()
    try:
        async for chunk in _chunks(request):
            gathered += chunk
            if len(gathered) >= BLOCK:
                yield bytes(gathered)
                gathered.clear()
    except (ConnectionError, web.RequestPayloadError) as error:
        raise InvalidRequest("the upload ended early") from error
    except ValueError as error:
        raise InvalidRequest(f"the body is not the multipart form that its headers promise: {error}") from error
    if gathered:
        yield bytes(gathered)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    if not request.content_type.startswith("multipart/"):
        async for chunk in request.content.iter_any():
            yield chunk
        return
    reader = await request.multipart()
    part = await reader.next()
    if part is None:
        return
    if not isinstance(part, BodyPartReader):
        raise InvalidRequest("the first part of the form is itself a form: send the file there")
    while chunk := await part.read_chunk(BLOCK):
        yield chunk
    if not part.at_eof():
        raise InvalidRequest("the upload ended early")
