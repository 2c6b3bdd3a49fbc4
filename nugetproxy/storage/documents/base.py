"""DocumentStore: where small upstream documents are kept, stale ones included.

A store decides nothing about freshness and never drops a document for its age: a stale copy is what answers when the
upstream fails. It only bounds its size: what is of use for a short time goes first, then what was used least recently.
"""

from typing import Protocol

from nugetproxy.httpcache.stored import StoredResponse


class DocumentStore(Protocol):
    """Documents by the URL they were asked for."""

    def get(self, url: str, *, skip_hot: bool = False) -> StoredResponse | None:
        """What is kept, None when nothing is or it cannot be read; never raises.

        `skip_hot`: look below what this process holds in memory, another process may have written a newer one.
        """

    async def put(self, stored: StoredResponse, *, useful_for: float | None = None) -> None:
        """Keep a document under its URL, instead of what was there.

        `useful_for`: seconds after a confirmation for which it may be served at all; None: for ever.

        Raises:
            StorageUnavailable: it is not kept; what was there before still is.
        """

    async def confirm(self, stored: StoredResponse) -> None:
        """Move the clock (`confirmed`, `expired`) of the very document that is kept; its body is not written again.

        When another document (told by `fetched` and `digest`) has taken its place meanwhile, that one is left alone.

        Raises:
            StorageUnavailable: the clock is not moved.
        """

    async def delete(self, url: str) -> None:
        """Keep nothing under this URL.

        Raises:
            StorageUnavailable: it may still be there.
        """

    def size_bytes(self) -> int:
        """Bytes on disk, 0 when that cannot be told."""
