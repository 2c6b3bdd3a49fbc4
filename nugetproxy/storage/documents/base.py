"""DocumentStore: where small upstream documents are kept, including stale ones.

A store decides nothing about freshness and never drops a document for its age: a stale copy is the answer when the
upstream fails. It only limits its size: documents useful for a short time go first, then the least recently used.
"""

from collections.abc import Sequence
from typing import Protocol

from nugetproxy.httpcache.stored import StoredResponse


class DocumentStore(Protocol):
    """Documents by their request URL."""

    def get(self, url: str, *, skip_hot: bool = False) -> StoredResponse | None:
        """The stored document; None when there is none or it cannot be read. Never raises.

        `skip_hot`: look past the copy in this process's memory, because another process may have written a newer one.
        """

    @property
    def is_shared(self) -> bool:
        """Whether other machines leave documents here, so that a look costs less than the right to ask the upstream."""

    async def reread(self, url: str) -> StoredResponse | None:
        """The newest copy that any process has, on this machine or on others that share documents. Never raises.

        For who is about to ask the upstream, or just got the right to do so: another may have done so before.
        """

    async def put(self, stored: StoredResponse, *, useful_for: float | None = None) -> None:
        """Keep a document under its URL, replacing the previous one.

        `useful_for`: seconds after a confirmation for which it may be served at all; None: without limit.

        Raises:
            StorageUnavailable: it is not kept; the previous one still is.
        """

    async def confirm(self, stored: StoredResponse) -> None:
        """Update the clock (`confirmed`, `expired`) of the very document that is kept; its body is not written again.

        If another document (recognised by `fetched` and `digest`) has replaced it meanwhile, that one is left alone.

        Raises:
            StorageUnavailable: the clock is not updated.
        """

    async def expire(self, starts: Sequence[str]) -> list[str]:
        """Mark every document, and every absence, whose URL starts with one of these as expired.

        Returns the URLs of those that were not expired before.

        Raises:
            StorageUnavailable: any of them may still count as fresh.
        """

    async def delete(self, url: str) -> None:
        """Keep nothing under this URL.

        Raises:
            StorageUnavailable: it may still be there.
        """

    def size_bytes(self) -> int:
        """Bytes on disk, 0 when unknown."""
