"""Blobs as objects of an S3-compatible bucket: a key is the object's name, a commit is one upload.

An object appears only when its upload is complete, whatever happens before. Nothing here relies on conditional writes,
which several stores get wrong: two commits of one key must have the same bytes, or keys that are never used twice.
What a machine keeps of the bucket belongs to `node_cache`.
"""

import hashlib
import io
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.blobs.base import BlobInfo, BlobKey
from nugetproxy.storage.blobs.checked import wrong_content
from nugetproxy.storage.blobs.s3_client import BucketAddress, BucketClient
from nugetproxy.storage.blobs.times import described, time_of
from nugetproxy.storage.spool import Spool, disk_failures

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE: Final = 5 * 1024 * 1024
"""Bytes of one request, up or down. Each has its own limit of time, so that a large blob may take long and a silent
bucket may not. This is the least that the parts of an upload may have."""

BLOCK: Final = 512 * 1024
"""Bytes in which an answer is handed on, at least, except for its end."""

_UPLOADS_AT_ONCE: Final = 2
_SHA512: Final = "sha512"
"""The name of the hash (hexadecimal) in an object's metadata."""


class BucketBlobs:
    """`Blobs` in a bucket. Every method makes requests and blocks: call it in a thread."""

    def __init__(self, client: BucketClient) -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<BucketBlobs of {self._client!r}>"

    @property
    def address(self) -> BucketAddress:
        """Where it is."""
        return self._client.address

    @property
    def is_down(self) -> bool:
        """Whether the bucket is considered down: requests fail immediately. Costs nothing."""
        return self._client.is_down

    def rehearse(self) -> None:
        """List, write, read and delete a small object, as pushes and upkeep do. Raises StorageUnavailable, which says
        what is impossible."""
        import obstore

        try:
            with self._client.request("list blobs") as store:
                next(iter(obstore.list(store, chunk_size=1)), None)
        except FileNotFoundError:
            raise StorageUnavailable("cannot list blobs: the bucket does not exist") from None
        content = secrets.token_bytes(64)
        key = BlobKey.of("rehearsals", secrets.token_hex(8))
        with disk_failures("write a temporary file"), tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self.upload_file(key, Path(file.name), len(content), hashlib.sha512(content).digest())
        try:
            if b"".join(self.blocks(key, len(content))) != content:
                raise StorageUnavailable("cannot read a blob: the bucket returns other bytes than it was sent")
        except KeyError:
            raise StorageUnavailable("cannot read a blob: the bucket does not have what it was just sent") from None
        finally:
            self.delete(key)

    def stat(self, key: BlobKey) -> BlobInfo | None:
        import obstore

        try:
            with self._client.request("look up a blob") as store:
                found = obstore.get(store, str(key), options={"head": True})
                return _described(key, found.meta, found.attributes)
        except FileNotFoundError:
            return None

    def open(self, key: BlobKey) -> BinaryIO:
        """A file that reads the bucket as it is read, a megabyte at a time; reading it blocks."""
        info = self.stat(key)
        if info is None:
            raise KeyError(str(key))
        return io.BufferedReader(_Remote(self, info), 1024 * 1024)

    def commit(self, key: BlobKey, spool: Spool) -> BlobInfo:
        info, _ = self.upload(key, spool)
        spool.discard()
        return info

    def upload(self, key: BlobKey, spool: Spool) -> tuple[BlobInfo, bool]:
        """As `commit`, but the spool remains the caller's in any case; and whether its bytes were stored."""
        if kept := self.stat(key):
            return kept, False
        path = spool.path
        if path is None:
            raise StorageUnavailable("cannot keep what is only in memory")
        tag = _tag_of(path, spool.sha512) if spool.size > PIECE else spool.md5.hex()
        self._put(key, path, spool.size, spool.sha512, tag)
        return described(key, spool.size, time_of(time.time(), spool.sha512)), True

    def upload_file(self, key: BlobKey, path: Path, size: int, sha512: bytes) -> None:
        """As `commit`, of a file that stays where it is. Raises StorageUnavailable also when it has another hash."""
        if self.stat(key) is None:
            self._put(key, path, size, sha512, _tag_of(path, sha512))

    def delete(self, key: BlobKey) -> None:
        import obstore

        with suppress(FileNotFoundError), self._client.request("delete a blob") as store:
            obstore.delete(store, str(key))

    def walk(self, *prefix: str) -> Iterator[BlobInfo]:
        import obstore

        try:
            with self._client.request("list blobs") as store:
                pages = iter(obstore.list(store, "/".join(prefix) or None, chunk_size=1000))
                page = next(pages, None)
            while page:
                for found in page:
                    with suppress(ValueError):  # not ours: put there by a person or another program
                        yield _described(BlobKey(tuple(found["path"].split("/"))), found, {})
                with self._client.request("list blobs"):
                    page = next(pages, None)
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

    def _put(self, key: BlobKey, path: Path, size: int, sha512: bytes, tag: str) -> None:
        """Upload a file. Unless the bucket answers with this tag, what it stored is read back and compared."""
        import obstore

        try:
            with self._client.request("write a blob") as store:
                result = obstore.put(
                    store,
                    str(key),
                    path,
                    attributes={"Content-Type": "application/octet-stream", _SHA512: sha512.hex()},
                    use_multipart=size > PIECE,
                    chunk_size=PIECE,
                    max_concurrency=_UPLOADS_AT_ONCE,
                )
        except FileNotFoundError:
            raise StorageUnavailable("cannot write a blob: the bucket, or the file to upload, does not exist") from None
        if (result["e_tag"] or "").strip('"') != tag:  # encrypting stores have tags of other kinds
            self._read_back(key, size, sha512)

    def _read_back(self, key: BlobKey, size: int, sha512: bytes) -> None:
        """Raises StorageUnavailable, and removes the object, unless it has these bytes."""
        found = hashlib.sha512()
        try:
            for block in self.blocks(key, size):
                found.update(block)
            if found.digest() != sha512:
                raise wrong_content(key, size, size)
        except (KeyError, StorageUnavailable) as error:
            with suppress(StorageUnavailable):
                self.delete(key)
            raise StorageUnavailable("the bucket did not store the bytes that it was sent") from error


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


def _described(key: BlobKey, found: Mapping[str, Any], attributes: Mapping[str, str]) -> BlobInfo:
    """As every node describes it, if the hash is known; lists do not have it."""
    seconds = found["last_modified"].timestamp()
    with suppress(KeyError, ValueError):
        return described(key, found["size"], time_of(seconds, bytes.fromhex(attributes[_SHA512])))
    return BlobInfo(key, found["size"], int(seconds * 1e9), (found["e_tag"] or "").strip('"'))


def _tag_of(path: Path, sha512: bytes) -> str:
    """The entity tag of an object that is stored without encryption: the MD5 of its bytes, or of its parts' MD5s.

    Raises StorageUnavailable when the file cannot be read, or has another hash.
    """
    found = hashlib.sha512()
    parts: list[bytes] = []
    with disk_failures("read a file to upload"), path.open("rb") as file:
        while part := file.read(PIECE):
            found.update(part)
            parts.append(hashlib.md5(part, usedforsecurity=False).digest())
    if found.digest() != sha512:
        raise StorageUnavailable("the disk does not return what was written to it")
    if len(parts) == 1:
        return parts[0].hex()
    return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"
