"""Content codings: what a client accepts, and gzip variants that are created once per document.

Only gzip is offered: NuGet's clients ask for "gzip, deflate" and nothing else.
"""

import asyncio
import gzip
import importlib
from collections.abc import Callable
from enum import Enum

from cachetools import LRUCache

from nugetproxy.executors.threads import COMPRESSION

SMALLEST = 1024
"""In bytes. A smaller response fits in one packet either way."""

INLINE = 64 * 1024
"""Bytes that are compressed on the event loop (about a millisecond); larger bodies go to a thread."""


def _chosen() -> tuple[Callable[..., bytes], int, str]:
    """The gzip that is used, its level and its name. ISA-L writes a tenth more bytes in a sixth of the time."""
    try:
        return importlib.import_module("isal.igzip").compress, 2, "igzip"
    except ImportError:
        return gzip.compress, 6, "gzip"


_COMPRESSOR, _LEVEL, FORM = _chosen()
"""`FORM` belongs into the entity tags of compressed documents: another library writes other bytes."""

DEFAULT_MEMORY = 4 * 1024 * 1024
"""Bytes of variants kept per process for the requests that the hot table does not answer."""


class Codings(Enum):
    """What a request says about gzip."""

    SILENT = "no Accept-Encoding: anything is acceptable"
    GZIP = "gzip is acceptable"
    NO_GZIP = "gzip is not acceptable"


def accepted(accept_encoding: str | None) -> Codings:
    """Read an Accept-Encoding header (RFC 9110 section 12.5.3)."""
    if accept_encoding is None:
        return Codings.SILENT
    qualities: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        coding, _, parameters = item.partition(";")
        name, _, value = parameters.strip().partition("=")
        qualities[coding.strip()] = _quality(value) if name.strip() == "q" else 1.0
    quality = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return Codings.GZIP if quality > 0 else Codings.NO_GZIP


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class GzipVariants:
    """Compressed forms of documents, by a digest of the identity form; the least recently used are dropped first."""

    def __init__(self, memory: int = DEFAULT_MEMORY) -> None:
        """`memory` is in bytes of compressed bodies."""
        self._kept: LRUCache[str, bytes] = LRUCache(memory, getsizeof=len)
        self._making: dict[str, asyncio.Task[bytes]] = {}

    async def of(self, digest: str, body: bytes) -> bytes:
        """`body` compressed; always the same bytes for the same body, so that they can share one entity tag."""
        kept = self._kept.get(digest)
        if kept is not None:
            return kept
        if len(body) <= INLINE:
            return self._keep(digest, _compress(body))
        # All requests that arrive while it is being compressed share one task, which outlives any of them.
        making = self._making.get(digest)
        if making is None:
            making = self._making[digest] = asyncio.create_task(self._make(digest, body))
        return await asyncio.shield(making)

    async def _make(self, digest: str, body: bytes) -> bytes:
        try:
            return self._keep(digest, await COMPRESSION.run(_compress, body))
        finally:
            del self._making[digest]

    def _keep(self, digest: str, packed: bytes) -> bytes:
        if len(packed) <= self._kept.maxsize:
            self._kept[digest] = packed
        return packed


def _compress(body: bytes) -> bytes:
    return _COMPRESSOR(body, _LEVEL, mtime=0)
