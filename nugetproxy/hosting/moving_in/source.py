"""What the import needs of a server that is being left."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from nugetproxy.feeds.offers import Offer, Unusable
from nugetproxy.storage.spool import Spool


class Source(Protocol):
    """A folder or a feed. `name` is for people and the audit log, and contains no secret."""

    @property
    def name(self) -> str: ...

    def offers(self) -> AsyncIterator[Offer | Unusable]:
        """Everything there, in no particular order. Raises InvalidRequest, UpstreamError."""

    def local(self, offer: Offer) -> Path | None:
        """The file, if it is on this machine: then it can be inspected without being copied."""

    async def copy(self, offer: Offer, spool: Spool, limit: int) -> None:
        """Append the bytes to `spool`.

        Raises:
            TooLarge: they are more than `limit`.
            InvalidPackage, UpstreamError, DocumentAbsent: the source does not give them, and why.
            StorageUnavailable: our own disk failed.
        """
