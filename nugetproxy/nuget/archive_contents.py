"""The contents of an archive's entries: unpacked within a limit, and checked against size and CRC."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import DEFLATED, STORED, Entry, read_local_header, shown

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_BLOCK = 64 * 1024
_LARGEST_UNPACKED_BLOCK = 16 * _BLOCK


def read_entry(file: BinaryIO, entry: Entry, limit: int) -> bytes:
    """The unpacked bytes, checked against size and CRC.

    Never holds more than `limit` + 1 bytes, whatever size the entry declares.

    Raises:
        InvalidPackage: encrypted, compressed by an unknown method, damaged, or more than `limit` bytes.
    """
    content = bytearray()
    crc = 0
    for block in _unpacked(file, entry):
        content += block[: limit + 1 - len(content)]
        if len(content) > limit:
            raise InvalidPackage(f"entry {shown(entry.name)} is larger than the limit of {limit} bytes")
        crc = zlib.crc32(block, crc)
    _check(entry, len(content), crc)
    return bytes(content)


def read_start(file: BinaryIO, entry: Entry, size: int) -> bytes:
    """The first `size` unpacked bytes, or all if there are fewer. Not checked against the entry's size and CRC.

    Raises InvalidPackage: encrypted, compressed by an unknown method, or damaged.
    """
    content = bytearray()
    for block in _unpacked(file, entry):
        content += block[: size - len(content)]
        if len(content) == size:
            break
    return bytes(content)


def check_entry(file: BinaryIO, entry: Entry) -> None:
    """Unpack an entry, holding at most a megabyte, and check its size and checksum against the directory.

    A gigabyte takes about four seconds. The local header is not compared here.

    Raises InvalidPackage as `read_entry` does, and when bytes follow the compressed stream.
    """
    unpacked = crc = 0
    for block in _unpacked(file, entry, is_exact=True):
        unpacked += len(block)
        if unpacked > entry.size:
            break
        crc = zlib.crc32(block, crc)
    _check(entry, unpacked, crc)


def _check(entry: Entry, size: int, crc: int) -> None:
    if size != entry.size or crc != entry.crc:
        raise InvalidPackage(f"entry {shown(entry.name)} is damaged: its size or checksum differs from the directory")


def _unpacked(file: BinaryIO, entry: Entry, *, is_exact: bool = False) -> Iterator[bytes]:
    """The bytes in blocks of at most a megabyte; `is_exact` requires that the compressed stream ends where they do.

    Raises InvalidPackage when they cannot be unpacked.
    """
    if entry.flags & _ENCRYPTED:
        raise InvalidPackage(f"entry {shown(entry.name)} is encrypted")
    if entry.method not in (STORED, DEFLATED):
        raise InvalidPackage(f"entry {shown(entry.name)} uses compression method {entry.method}; only deflate is read")
    read_local_header(file, entry)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = entry.compressed_size
    while left and not inflater.eof and (block := file.read(min(left, _BLOCK))):
        left -= len(block)
        if entry.method == STORED:
            yield block
            continue
        yield from _inflated(inflater, block, entry)
    if is_exact and entry.method == DEFLATED and entry.compressed_size:
        if behind := left + len(inflater.unused_data):
            raise InvalidPackage(f"entry {shown(entry.name)} has {behind} bytes after its compressed stream")
        if not inflater.eof:
            raise InvalidPackage(f"entry {shown(entry.name)} is damaged: its compressed stream does not end")


def _inflated(inflater: "zlib._Decompress", block: bytes, entry: Entry) -> Iterator[bytes]:
    while True:
        try:
            unpacked = inflater.decompress(block, _LARGEST_UNPACKED_BLOCK)
        except zlib.error as error:
            raise InvalidPackage(f"entry {shown(entry.name)} is damaged: {error}") from error
        yield unpacked
        if inflater.eof:
            return  # zlib does not empty the unconsumed tail then: it is in the unused data
        block = inflater.unconsumed_tail
        # After a full block there may be more output although all input is consumed.
        if not block and len(unpacked) < _LARGEST_UNPACKED_BLOCK:
            return
