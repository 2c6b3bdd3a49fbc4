"""The signature of a package: the content hash that was signed, whether the archive matches it, and who signed.

Clients decide whether to trust the signer; the mirror only detects bytes that changed in transit.
Source: docs/reference/Signed-Packages-Reference, and the signed-package specification it refers to.
"""

import base64
import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import (
    STORED,
    ArchiveLimits,
    EndRecord,
    Entry,
    read_end_record,
    read_entries,
    read_local_header,
)
from nugetproxy.nuget.archive_contents import read_entry
from nugetproxy.nuget.signature_cms import PackageSignature, SignatureKind, read_signature, read_stated_hash

__all__ = [
    "CheckedContent",
    "PackageSignature",
    "SignatureKind",
    "check_content",
    "check_signed_content",
    "content_hash",
    "read_intact_signature",
    "read_package_signature",
    "read_signature",
]

SIGNATURE_NAME = ".signature.p7s"
# Real ones have 9 to 25 KB.
LARGEST_SIGNATURE = 1024 * 1024

_BLOCK = 1024 * 1024
_LOCK_FILE_ALGORITHM = "sha512"
_UNIX_MADE = 3


@dataclass(frozen=True, slots=True)
class CheckedContent:
    """`content_hash` is as in `packages.lock.json`; `is_signed` means that the signature covers these bytes."""

    is_signed: bool
    content_hash: str


def content_hash(file: BinaryIO) -> str:
    """The SHA-512 in base64 that `packages.lock.json` contains for this package; checks nothing.

    Unsigned: of the whole file. Signed: of the archive without the signature, so that signing a package again does not
    change it.

    Raises:
        InvalidPackage: the file is not an archive.
    """
    layout = _Layout.of(file)
    return base64.b64encode(layout.digests([_LOCK_FILE_ALGORITHM])[_LOCK_FILE_ALGORITHM]).decode()


def check_signed_content(file: BinaryIO) -> bool:
    """False if unsigned, True if signed and intact.

    Raises:
        InvalidPackage: signed, but a byte of the archive was changed.
    """
    return check_content(file).is_signed


def check_content(file: BinaryIO) -> CheckedContent:
    """`check_signed_content` and `content_hash` in one pass over the file. Raises as they do."""
    layout = _Layout.of(file)
    if layout.signature is None:
        layout.refuse_disguised_signature()
        digests = layout.digests([_LOCK_FILE_ALGORITHM])
        return CheckedContent(False, base64.b64encode(digests[_LOCK_FILE_ALGORITHM]).decode())
    digests = _checked_digests(layout, read_entry(file, layout.signature, LARGEST_SIGNATURE), [_LOCK_FILE_ALGORITHM])
    return CheckedContent(True, base64.b64encode(digests[_LOCK_FILE_ALGORITHM]).decode())


def read_intact_signature(file: BinaryIO) -> bytes | None:
    """`.signature.p7s` after `check_signed_content`, None if the package is unsigned. Raises as it does."""
    layout = _Layout.of(file)
    if layout.signature is None:
        layout.refuse_disguised_signature()
        return None
    p7s = read_entry(file, layout.signature, LARGEST_SIGNATURE)
    _checked_digests(layout, p7s, [])
    return p7s


def read_package_signature(file: BinaryIO) -> PackageSignature | None:
    """The signature in a package, None if it is unsigned. Does not check hashes. Raises InvalidPackage."""
    signature = _Layout.of(file).signature
    return None if signature is None else read_signature(read_entry(file, signature, LARGEST_SIGNATURE))


@dataclass(frozen=True, slots=True)
class _Layout:
    """Positions in the archive. `resumes` is where the bytes continue after the signature."""

    file: BinaryIO
    end: EndRecord
    entries: tuple[Entry, ...]
    signature: Entry | None
    resumes: int

    @staticmethod
    def of(file: BinaryIO) -> "_Layout":
        end = read_end_record(file)
        entries = read_entries(file, end, ArchiveLimits())
        signatures = [entry for entry in entries if entry.name == SIGNATURE_NAME]
        if len(signatures) > 1:
            raise InvalidPackage("it has more than one signature")
        if not signatures:
            return _Layout(file, end, entries, None, 0)
        if end.is_zip64 or any(entry.is_zip64 for entry in entries):
            raise InvalidPackage("it is signed and uses ZIP64, which signed packages must not")
        signature = signatures[0]
        behind = (entry.offset for entry in entries if entry.offset > signature.offset)
        resumes = min(behind, default=end.directory_offset)
        if not signature.offset < resumes <= end.directory_offset:
            raise InvalidPackage("its signature is not before its directory")
        return _Layout(file, end, entries, signature, resumes)

    def digests(self, algorithms: Iterable[str]) -> dict[str, bytes]:
        hashes = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
        for piece in self._pieces():
            for digest in hashes.values():
                digest.update(piece)
        return {algorithm: digest.digest() for algorithm, digest in hashes.items()}

    def _pieces(self) -> Iterator[bytes]:
        if self.signature is None:
            yield from self._span(0, self.file.seek(0, 2))
            return
        skipped = self.resumes - self.signature.offset
        yield from self._span(0, self.signature.offset)
        yield from self._span(self.resumes, self.end.directory_offset)
        for entry in self.entries:
            if entry is self.signature:
                continue
            offset = entry.offset - skipped if entry.offset > self.signature.offset else entry.offset
            yield entry.raw[:42] + struct.pack("<L", offset) + entry.raw[46:]
        yield self._end_without_signature(skipped, len(self.signature.raw))

    def _end_without_signature(self, skipped: int, record_size: int) -> bytes:
        end = self.end
        counts_and_places = struct.pack(
            "<2H2L",
            end.entry_count - 1,
            end.entry_count - 1,
            end.directory_size - record_size,
            end.directory_offset - skipped,
        )
        return end.raw[:8] + counts_and_places + end.raw[20:22] + end.comment

    def _span(self, start: int, stop: int) -> Iterator[bytes]:
        self.file.seek(start)
        left = stop - start
        while left:
            block = self.file.read(min(left, _BLOCK))
            if not block:
                raise InvalidPackage("it is shorter than its directory states")
            left -= len(block)
            yield block

    def refuse_loose_ends(self) -> None:
        """Every byte that the content hash does not cover must have the expected value."""
        if not self.end.reaches_end_of_file or self.end.directory_offset + self.end.directory_size != self.end.position:
            raise InvalidPackage("it is signed and has bytes that belong to no entry")
        signature = self.signature
        assert signature is not None
        fixed, name, extra = read_local_header(self.file, signature)
        made_by, made_on, *repeated = struct.unpack("<2B5H3L", signature.raw[4:28])
        if name != SIGNATURE_NAME.encode() or extra or struct.unpack("<5H3L", fixed[4:26]) != tuple(repeated):
            raise InvalidPackage("the two headers of its signature differ")
        internal, external = struct.unpack("<HL", signature.raw[36:42])
        usual = (
            signature.method == STORED
            and len(signature.raw) == 46 + len(SIGNATURE_NAME)
            and signature.raw[34:36] == b"\0\0"  # the number of the disk
            and internal == 0
            and made_by == repeated[0]
            # Signed on Windows or by nuget.org: no attributes. Elsewhere: file permissions.
            and (external == 0 if made_on == 0 else made_on == _UNIX_MADE and external >> 31 == 1)
        )
        if not usual or signature.offset + len(fixed) + len(name) + signature.size != self.resumes:
            raise InvalidPackage("its signature is not stored in the required form")

    def refuse_disguised_signature(self) -> None:
        """Refuse an archive that looks unsigned only because the signature has another name in the directory."""
        for entry in self.entries:
            if len(entry.name) == len(SIGNATURE_NAME):
                _, name, _ = read_local_header(self.file, entry)
                if name == SIGNATURE_NAME.encode():
                    raise InvalidPackage("the two headers of its signature differ")


def _checked_digests(layout: _Layout, p7s: bytes, algorithms: list[str]) -> dict[str, bytes]:
    """The digests of the content by these algorithms and the signature's, if the signature is over this content."""
    layout.refuse_loose_ends()
    algorithm, stated = read_stated_hash(p7s)
    digests = layout.digests({*algorithms, algorithm})
    if base64.b64encode(digests[algorithm]).decode() != stated:
        raise InvalidPackage("its content does not match its signature: bytes were changed")
    return digests
