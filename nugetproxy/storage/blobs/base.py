"""BlobStore: immutable content by key, and the contract every store of it keeps.

A blob becomes visible by `commit` and by nothing else, whole or not at all. What a key stands for is the caller's
affair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from nugetproxy.storage.spool import Spool

LONGEST_SEGMENT = 255
"""Bytes of UTF-8: what file systems allow for one name."""
_REFUSED = frozenset('/\\:*?"<>|')


@dataclass(frozen=True, slots=True)
class BlobKey:
    """A path of safe names. No name can leave the store, hide in it, or mean something to a shell or another system.

    Raises ValueError for an empty key and for a segment that is empty, too long, begins with a dot, or holds a
    separator, a wildcard, a space or anything unprintable.
    """

    segments: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.segments:
            raise ValueError("a blob key needs a segment")
        for segment in self.segments:
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
    """What is known of a blob without reading it. `modified` is the moment of its commit, in nanoseconds since 1970."""

    key: BlobKey
    size: int
    modified: int

    @property
    def etag(self) -> str:
        """Opaque, without quotes; another one whenever the key was committed anew."""
        return f"{self.modified:x}-{self.size:x}"


class BlobStore(Protocol):
    """The contract. Every method may block; `stat` is cheap enough for the loop, the others belong into a thread.

    Every method but `path` raises StorageUnavailable when the store itself fails.
    """

    def stat(self, key: BlobKey) -> BlobInfo | None:
        """None when no such key was committed."""

    def path(self, key: BlobKey) -> Path:
        """Where the blob lies or would lie, for transports that send files."""

    def open(self, key: BlobKey) -> BinaryIO:
        """The bytes; the caller closes. Raises KeyError when there is no such key."""

    def commit(self, key: BlobKey, spool: Spool) -> BlobInfo:
        """The moment the bytes of a spool become visible, safe from a loss of power.

        A key that exists keeps its bytes, and the spool is discarded: blobs are immutable. On failure nothing is
        visible and the spool is still the caller's.
        """

    def delete(self, key: BlobKey) -> None:
        """Afterwards the key does not exist; it may have been so before."""

    def walk(self, *prefix: str) -> Iterator[BlobInfo]:
        """All blobs whose keys begin with these segments, in the order of their names."""
