"""Blobs as objects of an S3-compatible bucket: a key is the object's name, a commit is one upload.

An object appears only when its upload is complete, whatever happens before. Nothing here relies on conditional writes,
which several stores get wrong: two commits of one key must have the same bytes, or keys that are never used twice.
What a machine keeps of the bucket belongs to `node_cache`.
"""

import hashlib
import io
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.blobs.base import BlobInfo, BlobKey
from nugetproxy.storage.blobs.checked import wrong_content
from nugetproxy.storage.blobs.s3_client import BucketClient
from nugetproxy.storage.spool import Spool, disk_failures

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE: Final = 8 * 1024 * 1024
"""Bytes of one request, up or down. Each has its own limit of time, so that a large blob may take long and a silent
bucket may not. Multipart uploads need at least 5 MiB."""

BLOCK: Final = 512 * 1024
"""Bytes in which an answer is handed on, at least, except for its end."""

_UPLOADS_AT_ONCE: Final = 2
_SECOND: Final = 1_000_000_000


class BucketBlobs:
    """`Blobs` in a bucket. Every method makes requests and blocks: call it in a thread."""

    def __init__(self, client: BucketClient) -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<BucketBlobs of {self._client!r}>"

    @property
    def is_down(self) -> bool:
        """Whether the bucket is considered down: requests fail immediately. Costs nothing."""
        return self._client.is_down

    def check(self) -> None:
        """Raises StorageUnavailable when the bucket cannot be listed: it is missing, or its credentials are wrong."""
        import obstore

        try:
            with self._client.request("list the bucket") as store:
                next(iter(obstore.list(store, chunk_size=1)), None)
        except FileNotFoundError:
            raise StorageUnavailable(f"cannot list the bucket: there is no {self._client.address}") from None

    def stat(self, key: BlobKey) -> BlobInfo | None:
        import obstore

        try:
            with self._client.request("look up a blob") as store:
                return _described(key, obstore.head(store, str(key)))
        except FileNotFoundError:
            return None

    def open(self, key: BlobKey) -> BinaryIO:
        """A file that reads the bucket as it is read, a megabyte at a time; reading it blocks."""
        info = self.stat(key)
        if info is None:
            raise KeyError(str(key))
        return io.BufferedReader(_Remote(self, info), 1024 * 1024)

    def commit(self, key: BlobKey, spool: Spool) -> BlobInfo:
        info = self.upload(key, spool)
        spool.discard()
        return info

    def upload(self, key: BlobKey, spool: Spool) -> BlobInfo:
        """As `commit`, but the spool remains the caller's in any case."""
        if kept := self.stat(key):
            return kept
        path = spool.path
        if path is None:
            raise StorageUnavailable("cannot keep what is only in memory")
        tag = self._put(key, path, spool)
        if tag != _expected_tag(path, spool):
            # Encrypting stores give other tags. Then the bytes must be read back to know what was stored.
            self._read_back(key, spool)
        return describe(key, spool.size, modified_by(time.time(), tag))

    def delete(self, key: BlobKey) -> None:
        import obstore

        with suppress(FileNotFoundError), self._client.request("delete a blob") as store:
            obstore.delete(store, str(key))

    def walk(self, *prefix: str) -> Iterator[BlobInfo]:
        import obstore

        try:
            with self._client.request("list blobs") as store:
                # One page at a time is held open no longer than it takes to fetch it.
                pages = iter(obstore.list(store, "/".join(prefix) or None, chunk_size=1000))
            while page := self._next_page(pages):
                for found in page:
                    with suppress(ValueError):  # not ours: put there by a person or another program
                        yield _described(BlobKey(tuple(found["path"].split("/"))), found)
        except FileNotFoundError:
            raise StorageUnavailable("cannot list blobs: the bucket does not exist") from None

    def blocks(self, key: BlobKey, size: int, start: int = 0) -> Iterator[bytes]:
        """The bytes from `start`, of a blob that has `size`. Raises KeyError when it does not exist, and
        StorageUnavailable also when it has another size or is replaced meanwhile.
        """
        tag: str | None = None
        while start < size:
            end = min(start + PIECE, size)
            tag, blocks = self._piece(key, size, start, end, tag)
            for block in blocks:
                start += len(block)
                yield block

    def _piece(self, key: BlobKey, size: int, start: int, end: int, tag: str | None) -> tuple[str, list[bytes]]:
        """At most `PIECE` bytes, complete, so that no request stays open while a reader is slow."""
        import obstore

        try:
            with self._client.request("read a blob") as store:
                answer = obstore.get(store, str(key), options={"range": (start, end)})
                found = answer.meta
                blocks = list(answer.stream(BLOCK))
        except FileNotFoundError:
            raise KeyError(str(key)) from None
        name = found["e_tag"] or ""
        if found["size"] != size or sum(map(len, blocks)) != end - start:
            raise wrong_content(key, found["size"], size)
        if tag is not None and name != tag:
            raise StorageUnavailable(f"blob {key} was replaced while it was read")
        return name, blocks

    def _put(self, key: BlobKey, path: Path, spool: Spool) -> str:
        import obstore

        try:
            with self._client.request("write a blob") as store:
                result = obstore.put(
                    store,
                    str(key),
                    path,
                    attributes={"Content-Type": "application/octet-stream", "sha512": spool.sha512.hex()},
                    use_multipart=spool.size > PIECE,
                    chunk_size=PIECE,
                    max_concurrency=_UPLOADS_AT_ONCE,
                )
        except FileNotFoundError:
            raise StorageUnavailable("cannot write a blob: the bucket, or the file to upload, does not exist") from None
        return (result["e_tag"] or "").strip('"')

    def _read_back(self, key: BlobKey, spool: Spool) -> None:
        """Raises StorageUnavailable, and removes the object, unless it has the bytes of the spool."""
        found = hashlib.sha512()
        try:
            for block in self.blocks(key, spool.size):
                found.update(block)
            if found.digest() != spool.sha512:
                raise wrong_content(key, spool.size, spool.size)
        except (KeyError, StorageUnavailable) as error:
            with suppress(StorageUnavailable):
                self.delete(key)
            raise StorageUnavailable("the bucket did not store the bytes that it was sent") from error

    def _next_page(self, pages: Iterator[Any]) -> Any:
        with self._client.request("list blobs"):
            return next(pages, None)


class _Remote(io.RawIOBase):
    """A blob as a file. Thread-safe as files are: one reader at a time."""

    def __init__(self, blobs: BucketBlobs, info: BlobInfo) -> None:
        self._blobs = blobs
        self._info = info
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._info.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._next(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        # The inherited one reads a few kilobytes at a time: a request for each.
        return b"".join(iter(lambda: self._next(PIECE), b""))

    def _next(self, most: int) -> bytes:
        end = min(self._place + min(most, PIECE), self._info.size)
        if self._place >= end:
            return b""
        try:
            _, blocks = self._blobs._piece(self._info.key, self._info.size, self._place, end, None)
        except KeyError:
            raise StorageUnavailable(f"blob {self._info.key} was deleted while it was read") from None
        self._place = end
        return b"".join(blocks)


def modified_by(seconds: float, tag: str) -> int:
    """A commit time in nanoseconds whose fraction of a second stands for the bytes, as told by the bucket's tag.

    A node gives it to its file, so that every node describes a blob alike without asking the bucket.
    """
    return int(seconds) * _SECOND + zlib.crc32(tag.strip('"').encode()) % (_SECOND - 1) + 1


def describe(key: BlobKey, size: int, modified: int) -> BlobInfo:
    """A blob with such a time; its entity tag does not depend on when it was committed."""
    fraction = modified % _SECOND
    return BlobInfo(key, size, modified, f"{fraction:x}-{size:x}" if fraction else "")


def _described(key: BlobKey, found: Mapping[str, Any]) -> BlobInfo:
    when: datetime = found["last_modified"]
    return describe(key, found["size"], modified_by(when.timestamp(), found["e_tag"] or str(when)))


def _expected_tag(path: Path, spool: Spool) -> str:
    """The entity tag of an object that is stored without encryption: the MD5 of its bytes, or of its parts' MD5s.

    Raises StorageUnavailable when the spool on disk no longer has the bytes that were written to it.
    """
    if spool.size <= PIECE:
        return spool.md5.hex()
    whole = hashlib.md5(usedforsecurity=False)
    parts = hashlib.md5(usedforsecurity=False)
    count = 0
    with disk_failures("read a spool"), path.open("rb") as file:
        while part := file.read(PIECE):
            whole.update(part)
            parts.update(hashlib.md5(part, usedforsecurity=False).digest())
            count += 1
    if whole.digest() != spool.md5:
        raise StorageUnavailable("the disk does not return what was written to it")
    return f"{parts.hexdigest()}-{count}"
