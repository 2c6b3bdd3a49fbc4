"""Bytes that are handed on while they arrive, but the end of which only if all of them are right."""

import base64
import hashlib

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.blobs.base import BlobKey

_log = logger()


class WrongContent(StorageUnavailable):
    """A store has other bytes under a key than those that were committed."""


class CheckedBytes:
    """Holds the last block back. `sha512` is in base64."""

    def __init__(self, key: BlobKey, size: int, sha512: str) -> None:
        self._key = key
        self._size = size
        self._sha512 = sha512
        self._hash = hashlib.sha512()
        self._seen = 0
        self._held = b""

    def next(self, block: bytes) -> bytes:
        """The block before this one, empty for the first. Raises StorageUnavailable when there are too many bytes."""
        self._hash.update(block)
        self._seen += len(block)
        if self._seen > self._size:
            raise self._wrong()
        before, self._held = self._held, block
        return before

    def last(self) -> bytes:
        """The last block. Raises StorageUnavailable unless all bytes together are the expected ones."""
        if self._seen != self._size or base64.b64encode(self._hash.digest()).decode() != self._sha512:
            raise self._wrong()
        return self._held

    def _wrong(self) -> StorageUnavailable:
        return wrong_content(self._key, self._seen, self._size)


def wrong_content(key: BlobKey, size: int, expected: int) -> WrongContent:
    """The error, already logged, for a blob whose bytes are not the expected ones."""
    _log.error("blob_content_wrong", blob=str(key), bytes=size, expected=expected)
    return WrongContent(f"the stored bytes of {key} are not those that were committed")
