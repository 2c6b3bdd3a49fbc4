"""Reading a bundle as a stream: first what it says about itself, which is verified, then its files in that order.

Nothing of a file is passed on before its place, path and size are known to be right; whether its bytes are right is
known at its end. Memory is constant: the manifest, which is needed while files are read, is copied to a temporary
file.

Committing what was read belongs to the receiver.
"""

import base64
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from nugetproxy.errors import InvalidBundle, StorageUnavailable, UntrustedBundle
from nugetproxy.mirroring.bundle.container import ContainerReader, Read
from nugetproxy.mirroring.bundle.head import HEAD, LARGEST_HEAD, Head
from nugetproxy.mirroring.bundle.manifest import LONGEST_LINE, MANIFEST, Entry
from nugetproxy.mirroring.bundle.signature import (
    LARGEST_SIGNATURE,
    SIGNATURE,
    PublicKey,
    read_signature,
    verify,
)

# Bytes of the manifest that are read and held in memory together.
_AT_ONCE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first two files of a bundle. `signer` is the trusted key that signed, None if no keys were given."""

    head: Head
    content: bytes
    signature: bytes
    signer: PublicKey | None


class BundleReader:
    """A bundle being read: created by `open_bundle`. `beginning` is verified; then come `manifest` and `files`."""

    def __init__(self, container: ContainerReader, where: str, beginning: Beginning, manifest: BinaryIO) -> None:
        self._container = container
        self._where = where
        self._manifest = manifest
        self.beginning = beginning

    @property
    def head(self) -> Head:
        return self.beginning.head

    @property
    def position(self) -> int:
        """Bytes of the bundle read so far."""
        return self._container.position

    def manifest(self) -> Iterator[Entry]:
        """The entries, from the copy: any number of times, also at the same time as `files`."""
        offset = 0
        while True:
            self._manifest.seek(offset)
            lines = self._manifest.readlines(_AT_ONCE)
            if not lines:
                return
            offset += sum(map(len, lines))
            yield from map(Entry.from_checked_line, lines)

    def files(self, advanced: Callable[[int], None] = lambda _: None) -> Iterator["BundledFile"]:
        """The files that follow the manifest, each to be read or skipped before the next one. Once only.

        `advanced` is called with the size of each piece that was read, and may raise to stop.
        At the end everything was read, and nothing follows. Raises InvalidBundle at the first place that differs.
        """
        for entry in self.manifest():
            self._container.expect(entry.path, entry.size)
            yield BundledFile(entry, self._container, self._where, advanced)
        self._container.expect_end()

    def check_manifest(self) -> None:
        """Read all lines: each is right, paths ascend, and files and bytes are as many as `bundle.json` states.

        Raises InvalidBundle.
        """
        last, total, counts = b"", 0, dict.fromkeys(self.head.counts, 0)
        self._manifest.seek(0)
        while line := self._manifest.readline(LONGEST_LINE + 1):
            entry = self._entry(line)
            path = entry.path.encode()
            if path <= last:
                raise InvalidBundle(self._where, f"its manifest is not in order at {entry.path}")
            last, total = path, total + entry.size
            counts[entry.kind] = counts.get(entry.kind, 0) + 1
        if counts != self.head.counts or total != self.head.size:
            raise InvalidBundle(self._where, f"its manifest lists other files than its {HEAD} counts")

    def _entry(self, line: bytes) -> Entry:
        try:
            return Entry.from_line(line)
        except ValueError as error:
            raise InvalidBundle(self._where, f"a line of its manifest cannot be read: {error}") from None


class BundledFile:
    """One file, while the reader is at it."""

    def __init__(self, entry: Entry, container: ContainerReader, where: str, advanced: Callable[[int], None]) -> None:
        self.entry = entry
        self._container = container
        self._where = where
        self._advanced = advanced

    def chunks(self) -> Iterator[bytes]:
        """Its bytes. Raises InvalidBundle if the bundle ends, and after the last one if their hash is another."""
        digest = hashlib.sha512()
        for chunk in self._container.chunks():
            digest.update(chunk)
            self._advanced(len(chunk))
            yield chunk
        if base64.b64encode(digest.digest()).decode() != self.entry.sha512:
            raise InvalidBundle(self._where, f"{self.entry.path} has another SHA-512 than the manifest states")

    def read(self) -> bytes:
        """All of it, for small files. Raises InvalidBundle."""
        return b"".join(self.chunks())

    def skip(self) -> None:
        """Go on without looking at its bytes."""
        self._container.skip()


@contextmanager
def open_bundle(
    read: Read, where: str, trusted: Sequence[PublicKey] | None, *, folder: Path | None = None
) -> Iterator[BundleReader]:
    """Read the beginning of a bundle and its manifest, and verify them.

    `read` is that of a file, a pipe or a `VolumeStream`; `where` names the bundle in errors. `trusted` are the keys of
    which one must have signed it; None: any key, for showing it. `folder` is where the manifest is copied to, by
    default that of the system's temporary files.

    Raises UntrustedBundle, InvalidBundle, StorageUnavailable.
    """
    container = ContainerReader(read, where)
    beginning = _beginning(container, where, trusted)
    head = beginning.head
    try:
        copied = tempfile.TemporaryFile(dir=folder, prefix="nugetproxy-manifest-")  # noqa: SIM115 - closed below
    except OSError as error:
        raise StorageUnavailable(f"a temporary file cannot be created: {error.strerror}") from error
    with copied:
        container.expect(MANIFEST, head.manifest_size)
        digest = hashlib.sha512()
        try:
            for chunk in container.chunks():
                digest.update(chunk)
                copied.write(chunk)
            copied.flush()
        except OSError as error:
            raise StorageUnavailable(f"the manifest cannot be copied to a temporary file: {error.strerror}") from error
        if base64.b64encode(digest.digest()).decode() != head.manifest_sha512:
            raise InvalidBundle(where, f"{MANIFEST} has another SHA-512 than {HEAD} states")
        reader = BundleReader(container, where, beginning, copied)
        reader.check_manifest()
        yield reader


def _beginning(container: ContainerReader, where: str, trusted: Sequence[PublicKey] | None) -> Beginning:
    content = container.expect_small(HEAD, LARGEST_HEAD)
    signature = container.expect_small(SIGNATURE, LARGEST_SIGNATURE)
    signer = None if trusted is None else verify(content, signature, trusted, where)
    try:
        head = Head.from_bytes(content)
    except ValueError as error:
        raise InvalidBundle(where, f"its {HEAD} cannot be read: {error}") from None
    if head.key != read_signature(signature, where)[0]:
        raise UntrustedBundle(where, f"its {HEAD} names the key {head.key}, which is not the one that signed it")
    return Beginning(head, content, signature, signer)
