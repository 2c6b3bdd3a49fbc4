"""SHA-512 in base64, as manifests and NuGet state it."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path


def sha512_of(content: bytes) -> str:
    return in_base64(hashlib.sha512(content).digest())


def file_sha512(path: Path) -> str:
    """Of a file. Blocks; raises OSError."""
    with path.open("rb") as file:
        return in_base64(hashlib.file_digest(file, "sha512").digest())


def in_base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def hashed(chunks: Iterable[bytes], differs: Callable[[str], None]) -> Iterator[bytes]:
    """The chunks; after the last one, `differs` is called with their SHA-512."""
    digest = hashlib.sha512()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    differs(in_base64(digest.digest()))
