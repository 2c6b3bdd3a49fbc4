"""Blobs and BlobStore: immutable content by key, and the contract that every implementation keeps.

A blob becomes visible only through `commit`, and either completely or not at all. What a key stands for is up to the
caller.
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from nugetproxy.storage.spool import Spool

LONGEST_SEGMENT = 255
"""Bytes of UTF-8: the limit of file systems for one name."""
_REFUSED = frozenset('/\\:*?"<>|')
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._+-]{0,254}")
"""Nearly all segments; the rules below allow them, too, and take ten times as long."""


@dataclass(frozen=True, slots=True)
class BlobKey:
    """A path of safe names. No name can leave the store, hide in it, or have a meaning to a shell or another system.

    Raises ValueError for an empty key and for a segment that is empty, too long, begins with a dot, or holds a
    separator, a wildcard, a space or anything unprintable.
    """

    segments: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.segments:
            raise ValueError("a blob key needs at least one segment")
        for segment in self.segments:
            if _PLAIN.fullmatch(segment):
                continue
            if (
                not segment
                or segment[0] == "."
                or any(c in _REFUSED or c.isspace() or not c.isprintable() for c in segment)
                or len(segment.encode()) > LONGEST_SEGMENT
            ):
                raise ValueError(f"{segment!r} cannot be part of a blob key")

    @classmethod
    def of(cls, *segments: str) -> "BlobKey":
        return cls(segments)

    def __str__(self) -> str:
        return "/".join(self.segments)


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What is known about a blob without reading it. `modified` is its commit time, in nanoseconds since 1970.

    `tag` is the entity tag of a store that has its own, empty for others.
    """

    key: BlobKey
    size: int
    modified: int
    tag: str = ""

    @property
    def etag(self) -> str:
        """Opaque, without quotes; changes whenever other bytes are committed under the key."""
        return self.tag or f"{self.modified:x}-{self.size:x}"


class Blobs(Protocol):
    """The contract of every store, near or far. Every method may block, and belongs in a thread.

    Every method raises StorageUnavailable when the store itself fails.
    """

    def stat(self, key: BlobKey) -> BlobInfo | None:
        """None when the key was never committed."""

    def open(self, key: BlobKey) -> BinaryIO:
        """The bytes; the caller closes the file. Raises KeyError when the key does not exist."""

    def commit(self, key: BlobKey, spool: Spool) -> BlobInfo:
        """Make the bytes of a spool visible, safe from power loss.

        A key that exists keeps its bytes, and the spool is discarded: blobs are immutable. On failure nothing becomes
        visible and the spool still belongs to the caller.
        """

    def delete(self, key: BlobKey) -> None:
        """Remove the key; not an error if it does not exist."""

    def walk(self, *prefix: str) -> Iterator[BlobInfo]:
        """All blobs whose keys begin with these segments, ordered by name."""


class BlobStore(Blobs, Protocol):
    """A store whose blobs are sent to clients as files of this machine: `bring` a blob before using its `path`."""

    def path(self, key: BlobKey) -> Path:
        """Where the blob is or would be stored on this machine. Never fails."""

    async def bring(self, key: BlobKey, size: int, sha512: str) -> None:
        """Make sure that `path(key)` is a file of `size` bytes with this hash (base64).

        Where the store keeps its blobs elsewhere, bytes become visible there only after they were compared. Where all
        blobs are files of this machine, the hash is not compared again.

        Raises:
            KeyError: there is no such blob, or none of this size.
            NotKeptHere: this machine has no room for it: use `stream`.
            StorageUnavailable: it cannot be fetched, or it has other bytes.
        """

    def stream(self, key: BlobKey, size: int, sha512: str) -> AsyncIterator[bytes]:
        """The bytes, without keeping them here. The last block is handed out after all of them were verified.

        Raises StorageUnavailable while iterating; what was handed out before must then not look complete.
        """
