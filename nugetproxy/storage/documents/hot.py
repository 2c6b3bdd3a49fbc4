"""The most requested documents, in this process's memory, above the store that all processes share."""

from collections.abc import Callable, Sequence

from cachetools import LRUCache

from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.storage.documents.base import DocumentStore

# The overhead of one document beyond its body and URL: the object, its other strings, its place in the table.
_OVERHEAD = 600
# A document larger than this fraction of the tier would push out all others.
_LARGEST_PART = 8


class HotDocuments:
    """A DocumentStore that holds up to `max_bytes` of another one's documents, the most recently used.

    It belongs to one event loop. It also holds documents that could not be written below: on a full disk it is all
    there is.
    """

    def __init__(self, below: DocumentStore, max_bytes: int, changes: Callable[[], int] = lambda: 0) -> None:
        """`changes` returns a new value once another process may have expired documents: each is then compared with
        the store below at its next use.
        """
        self._below = below
        self._changes = changes
        self._seen = changes()
        self._unsure: set[str] = set()
        self._largest = max_bytes // _LARGEST_PART
        self._hot: LRUCache[str, StoredResponse] = LRUCache(max_bytes, getsizeof=_weight)

    def get(self, url: str, *, skip_hot: bool = False) -> StoredResponse | None:
        """See DocumentStore. Even with `skip_hot`, the hot copy wins if the upstream confirmed it later."""
        hot: StoredResponse | None = self._hot.get(url)
        seen = self._changes()  # before reading below: an expiry after it is noticed at the next use
        if seen != self._seen:
            self._seen = seen
            self._unsure = set(self._hot)
        if hot is not None and not skip_hot and url not in self._unsure:
            return hot
        self._unsure.discard(url)
        return self._newest(hot, self._below.get(url, skip_hot=skip_hot))

    @property
    def is_shared(self) -> bool:
        """See DocumentStore."""
        return self._below.is_shared

    async def reread(self, url: str) -> StoredResponse | None:
        """See DocumentStore. The hot copy wins if the upstream confirmed it later."""
        stored = await self._below.reread(url)
        self._unsure.discard(url)
        return self._newest(self._hot.get(url), stored)

    def _newest(self, hot: StoredResponse | None, stored: StoredResponse | None) -> StoredResponse | None:
        if stored is None or (hot is not None and _last_word(hot) > _last_word(stored)):
            return hot
        self._hold(stored)
        return stored

    async def put(self, stored: StoredResponse, *, useful_for: float | None = None) -> None:
        """See DocumentStore."""
        self._hold(stored)
        await self._below.put(stored, useful_for=useful_for)

    async def confirm(self, stored: StoredResponse) -> None:
        """See DocumentStore."""
        hot = self._hot.get(stored.url)
        if hot is None or (hot.fetched, hot.digest) == (stored.fetched, stored.digest):
            self._hold(stored)
        await self._below.confirm(stored)

    async def expire(self, starts: Sequence[str]) -> list[str]:
        """See DocumentStore."""
        expired = await self._below.expire(starts)
        for url in expired:
            self._hot.pop(url, None)
        return expired

    async def delete(self, url: str) -> None:
        """See DocumentStore."""
        self._hot.pop(url, None)
        await self._below.delete(url)

    def size_bytes(self) -> int:
        """See DocumentStore."""
        return self._below.size_bytes()

    def _hold(self, stored: StoredResponse) -> None:
        self._hot.pop(stored.url, None)
        if _weight(stored) <= self._largest:
            self._hot[stored.url] = stored


def _weight(stored: StoredResponse) -> int:
    return len(stored.body) + len(stored.url) + _OVERHEAD


def _last_word(stored: StoredResponse) -> tuple[float, bool]:
    # An expiry is later than the confirmation that it revokes, and may not have reached the disk yet.
    return stored.confirmed, stored.expired
