"""Requests to a server that is being left: documents read whole, packages streamed into a spool.

By the client of every upstream: with its rules for hosts and addresses, its retries, its patience.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from nugetproxy.errors import DocumentAbsent, InvalidPackage, TooLarge, UnreadableDocument, UpstreamNonsense
from nugetproxy.executors.threads import DISK
from nugetproxy.mirroring.documents.parsing import parsed
from nugetproxy.mirroring.upstream.client import LARGEST_DOCUMENT, UpstreamClient
from nugetproxy.storage.spool import Spool

T = TypeVar("T")

PATIENCE: Final = 60.0
"""Seconds for which temporary failures are retried: nobody waits at a prompt, and a failure has to be repeated."""


class Reading:
    """One server, through its client."""

    def __init__(self, client: UpstreamClient) -> None:
        self.client = client

    async def body(self, url: str, limit: int = LARGEST_DOCUMENT) -> bytes:
        """A document. Raises DocumentAbsent, UpstreamError."""
        answer = await self.client.fetch(url, patience=PATIENCE, limit=limit)
        if answer.status == 404:
            raise DocumentAbsent(url)
        return answer.body

    async def document(self, url: str, read: Callable[[bytes], T], limit: int = LARGEST_DOCUMENT) -> T:
        """A document, parsed. Raises DocumentAbsent, UpstreamError."""
        try:
            return await parsed(read, await self.body(url, limit))
        except UnreadableDocument as error:
            raise UpstreamNonsense(self.client.name, f"{url}: {error}") from error

    async def copy(self, url: str, spool: Spool, limit: int) -> None:
        """A file. Raises TooLarge, InvalidPackage, DocumentAbsent, UpstreamError, StorageUnavailable."""
        async with self.client.download(url, patience=PATIENCE) as download:
            if download.total is not None and download.total > limit:
                raise TooLarge(url, limit)
            async for block in download.chunks():
                if spool.size + len(block) > limit:
                    raise TooLarge(url, limit)
                await DISK.run(partial(spool.append, block))
        if download.md5 is not None and download.md5 != spool.md5:
            raise InvalidPackage("its bytes do not have the MD5 that was sent with them")
