"""FirstBytes: the nuspec of a package that is still arriving, read from the beginning of the archive.

A ZIP archive has its directory at its end; before each entry there is a local header, and packers write the nuspec
early. What is found here was not checked against the directory nor against a hash: it is a hint, never an answer.
"""

import struct
import zlib
from typing import Final

from nugetproxy.nuget.archive import DEFLATED, SIZES_FOLLOW, STORED

LONGEST_SEARCH: Final = 64 * 1024
"""Bytes of the archive that are looked at, and bytes that its entries may unpack to meanwhile."""

LARGEST_NUSPEC: Final = 256 * 1024
"""Bytes of a nuspec that is read here; real ones stay below 200 KB."""

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_SIGNATURE: Final = b"PK\x03\x04"
_ENCRYPTED: Final = 0x1
_LONGEST_DESCRIPTOR: Final = 24
# An entry whose size is not stated is unpacked again with every block, so blocks must not be tiny.
_MOST_BLOCKS: Final = 256


class FirstBytes:
    """Fed with the archive from its first byte, in blocks of any size."""

    def __init__(self) -> None:
        self.nuspec: bytes | None = None
        self._is_over = False
        self._pending = bytearray()
        self._seen = self._blocks = 0

    @property
    def is_over(self) -> bool:
        """More bytes would tell nothing: the nuspec was found, or will not be."""
        return self._is_over

    def feed(self, block: bytes) -> bytes | None:
        """The nuspec, once its last byte is among those that were fed."""
        if self._is_over:
            return self.nuspec
        self._seen += len(block)
        self._blocks += 1
        self._pending += block
        while self._read_entry():
            pass
        if self._seen >= LONGEST_SEARCH or self._blocks >= _MOST_BLOCKS:
            self._is_over = True
        if self._is_over:
            self._pending.clear()
        return self.nuspec

    def _read_entry(self) -> bool:
        """Take one entry off the pending bytes; False when it is not whole yet, or nothing can follow."""
        pending = self._pending
        if len(pending) < _LOCAL.size:
            return False
        signature, _, flags, method, _, _, _, packed_size, size, name_size, extra_size = _LOCAL.unpack_from(pending)
        start = _LOCAL.size + name_size + extra_size
        if signature != _SIGNATURE or flags & _ENCRYPTED or method not in (STORED, DEFLATED):
            return self._give_up()
        if len(pending) < start:
            return False
        is_nuspec = _is_nuspec(bytes(pending[_LOCAL.size : _LOCAL.size + name_size]))
        if flags & SIZES_FOLLOW:
            # Only the compressed data itself tells where it ends.
            return self._read_streamed(start, is_nuspec) if method == DEFLATED else self._give_up()
        if size > LARGEST_NUSPEC if is_nuspec else packed_size > LONGEST_SEARCH:
            return self._give_up()
        end = start + packed_size
        if len(pending) < end:
            return False
        if is_nuspec:
            raw = bytes(pending[start:end])
            self._find(raw if method == STORED else _inflate(raw, LARGEST_NUSPEC))
            return False
        del pending[:end]
        return True

    def _read_streamed(self, start: int, is_nuspec: bool) -> bool:
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        limit = LARGEST_NUSPEC if is_nuspec else LONGEST_SEARCH
        try:
            unpacked = inflating.decompress(bytes(self._pending[start:]), limit)
        except zlib.error:
            return self._give_up()
        if not inflating.eof:
            return self._give_up() if len(unpacked) >= limit else False
        if is_nuspec:
            self._find(unpacked)
            return False
        rest = inflating.unused_data
        following = rest.find(_SIGNATURE, 0, _LONGEST_DESCRIPTOR + len(_SIGNATURE))
        if following < 0:
            return False if len(rest) < _LONGEST_DESCRIPTOR + len(_SIGNATURE) else self._give_up()
        self._pending = bytearray(rest[following:])
        return True

    def _find(self, nuspec: bytes | None) -> None:
        self.nuspec, self._is_over = nuspec, True

    def _give_up(self) -> bool:
        self._is_over = True
        return False


def _is_nuspec(name: bytes) -> bool:
    """Whether the entry is in the root of the archive and has the ending."""
    return name.lower().endswith(b".nuspec") and not {b"/"[0], b"\\"[0]} & set(name)


def _inflate(raw: bytes, limit: int) -> bytes | None:
    """None when it is damaged or unpacks to more than `limit` bytes."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        unpacked = inflating.decompress(raw, limit)
    except zlib.error:
        return None
    return unpacked if inflating.eof else None
