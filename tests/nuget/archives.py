"""ZIP archives written field by field, so that a single field can be wrong."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.builders import make_nuspec

LARGE = 0xFFFFFFFF
"""Marks a size or offset as stored in the ZIP64 extra field."""

_DATE = struct.pack("<2H", 12 << 11, 44 << 9 | 1 << 5 | 2)


@dataclass(frozen=True, slots=True)
class Written:
    """An entry. None means the correct value; `packed` is the compressed data."""

    name: bytes
    content: bytes = b""
    packed: bytes | None = None
    method: int = 8
    flags: int = 0
    version: int = 20
    attributes: int = 0
    disk: int = 0
    size: int | None = None
    packed_size: int | None = None
    crc: int | None = None
    offset: int | None = None
    extra: bytes = b""
    comment: bytes = b""
    local_name: bytes | None = None
    local_flags: int | None = None
    local_method: int | None = None
    local_version: int | None = None
    local_sizes: tuple[int, int, int] | None = None
    local_extra: bytes = b""
    before: bytes = b""
    after: bytes = b""

    @property
    def bytes_packed(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.content) if self.method == 8 else self.content

    @property
    def sizes(self) -> tuple[int, int, int]:
        """CRC, packed size and size in the directory."""
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        packed_size = len(self.bytes_packed) if self.packed_size is None else self.packed_size
        return crc, packed_size, len(self.content) if self.size is None else self.size


@dataclass(frozen=True, slots=True)
class End:
    """What follows the entries. `large` adds a ZIP64 end record and locator; the values go to the classic record."""

    before_directory: bytes = b""
    behind_directory: bytes = b""
    comment: bytes = b""
    comment_size: int | None = None
    behind: bytes = b""
    large: bool = False
    count: int | None = None
    directory_size: int | None = None
    offset: int | None = None
    locator_offset: int | None = None


NUSPEC = Written(b"Contoso.Utils.nuspec", make_nuspec())
DLL = Written(b"lib/net8.0/a.dll", b"a library " * 20)


def deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


def extra(kind: int, content: bytes) -> bytes:
    return struct.pack("<2H", kind, len(content)) + content


def followed(entry: Written, *, signature: bytes = b"PK\x07\x08") -> Written:
    """The entry as written to a pipe: checksum and sizes follow its bytes."""
    return replace(
        entry,
        flags=entry.flags | 8,
        local_sizes=(0, 0, 0),
        after=signature + struct.pack("<3L", *entry.sizes),
    )


def write(entries: Sequence[Written], end: End = End()) -> bytes:
    archive, directory = bytearray(), bytearray()
    for entry in entries:
        archive += entry.before
        offset = len(archive) if entry.offset is None else entry.offset
        archive += _local(entry) + entry.bytes_packed + entry.after
        directory += _record(entry, offset)
    archive += end.before_directory
    offset, size, count = len(archive), len(directory), len(entries)
    archive += directory + end.behind_directory
    if end.large:
        position = len(archive)
        archive += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
        locator_offset = position if end.locator_offset is None else end.locator_offset
        archive += struct.pack("<4sLQL", b"PK\6\7", 0, locator_offset, 1)
    count = count if end.count is None else end.count
    archive += struct.pack(
        "<4s4H2LH",
        b"PK\5\6",
        0,
        0,
        count,
        count,
        size if end.directory_size is None else end.directory_size,
        offset if end.offset is None else end.offset,
        len(end.comment) if end.comment_size is None else end.comment_size,
    )
    return bytes(archive + end.comment + end.behind)


def _local(entry: Written) -> bytes:
    name = entry.name if entry.local_name is None else entry.local_name
    return (
        struct.pack(
            "<4s3H4s3L2H",
            b"PK\3\4",
            entry.version if entry.local_version is None else entry.local_version,
            entry.flags if entry.local_flags is None else entry.local_flags,
            entry.method if entry.local_method is None else entry.local_method,
            _DATE,
            *(entry.sizes if entry.local_sizes is None else entry.local_sizes),
            len(name),
            len(entry.local_extra),
        )
        + name
        + entry.local_extra
    )


def _record(entry: Written, offset: int) -> bytes:
    return (
        struct.pack(
            "<4s4H4s3L5H2L",
            b"PK\1\2",
            20,
            entry.version,
            entry.flags,
            entry.method,
            _DATE,
            *entry.sizes,
            len(entry.name),
            len(entry.extra),
            len(entry.comment),
            entry.disk,
            0,
            entry.attributes,
            offset,
        )
        + entry.name
        + entry.extra
        + entry.comment
    )
