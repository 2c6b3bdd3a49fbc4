"""The ZIP container of a package: its end record, its directory, and the local headers of its entries.

Rule 1: the end record is read first, and no value is trusted before it is checked against the file's size.
Rule 2: an entry's name is only used for lookups; no file is ever written under it.

`archive_contents.py` reads the bytes of entries, and `archive_layout.py` decides what is accepted on push. The standard
library's zipfile hides the positions needed for the signed content hash, and most of what is checked on push.
Source: PKWARE's APPNOTE.TXT 6.3.10.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from nugetproxy.errors import InvalidPackage

_MEGABYTE = 1024 * 1024

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_RECORD = struct.Struct("<4s6H3L5H2L")
_RECORD_SIGNATURE = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_LONGEST_COMMENT = 0xFFFF

# ZIP64: these values mean that the real one is elsewhere, in a second end record or in an extra field of the entry.
_ELSEWHERE_SHORT, _ELSEWHERE = 0xFFFF, 0xFFFFFFFF
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
ZIP64_EXTRA = 0x0001

_EXTRA = struct.Struct("<2H")
STORED, DEFLATED = 0, 8
NAME_IS_UTF8 = 0x0800
SIZES_FOLLOW = 0x0008
"""The writer did not know sizes and checksum in advance; the local header may contain zeros."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Bounds on the cost of reading a package. Sizes in bytes."""

    # Twice the maximum without ZIP64; each takes about 400 bytes of memory.
    max_entries: int = 131_072
    # Room for names of 200 characters in all of them.
    max_directory_size: int = 32 * _MEGABYTE
    # The nuspec is held in memory. Real ones stay below 200 KB; `nuspec.py` has the limit for pushed ones.
    max_nuspec_size: int = 16 * _MEGABYTE
    # nuget.org allows 1 MB for readme, icon and licence.
    max_part_size: int = 16 * _MEGABYTE


@dataclass(frozen=True, slots=True)
class EndRecord:
    """`position` is where it begins, `raw` is its fixed part; `comment` should be the end of the archive."""

    position: int
    raw: bytes
    entry_count: int
    directory_size: int
    directory_offset: int
    comment: bytes
    reaches_end_of_file: bool
    is_zip64: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the directory. `raw` is the whole record, with name, extra field and comment."""

    name: str
    flags: int
    method: int
    crc: int
    compressed_size: int
    size: int
    offset: int
    raw: bytes

    @property
    def raw_name(self) -> bytes:
        """The name as written in the directory."""
        return self.raw[_RECORD.size :][: _RECORD.unpack_from(self.raw)[10]]

    @property
    def raw_extra(self) -> bytes:
        """The extra field in the directory; the local header has its own."""
        name_size, extra_size = _RECORD.unpack_from(self.raw)[10:12]
        return self.raw[_RECORD.size + name_size :][:extra_size]

    @property
    def version_needed(self) -> int:
        """The ZIP version needed to extract, times ten."""
        return int(_RECORD.unpack_from(self.raw)[2])

    @property
    def disk(self) -> int:
        """The number of the part of a split archive; 0 when there is only one."""
        return int(_RECORD.unpack_from(self.raw)[13])

    @property
    def attributes(self) -> int:
        """External attributes: DOS and Windows ones in the low 16 bits, Unix mode bits in the high 16 bits."""
        return int(_RECORD.unpack_from(self.raw)[15])

    @property
    def is_zip64(self) -> bool:
        """Whether a size or the offset does not fit into the record itself."""
        fields = _RECORD.unpack_from(self.raw)
        return _ELSEWHERE in (fields[8], fields[9], fields[16])


class LocalHeader(NamedTuple):
    """The header before the bytes of an entry: fixed part, name and extra field."""

    fixed: bytes
    name: bytes
    extra: bytes

    @property
    def length(self) -> int:
        return len(self.fixed) + len(self.name) + len(self.extra)

    @property
    def version_needed(self) -> int:
        return int(_LOCAL.unpack(self.fixed)[1])

    @property
    def flags(self) -> int:
        return int(_LOCAL.unpack(self.fixed)[2])

    @property
    def method(self) -> int:
        return int(_LOCAL.unpack(self.fixed)[3])

    @property
    def checksum_and_sizes(self) -> tuple[int, int, int]:
        """CRC, compressed size, uncompressed size."""
        crc, compressed_size, size = _LOCAL.unpack(self.fixed)[6:9]
        return crc, compressed_size, size


def read_end_record(file: BinaryIO) -> EndRecord:
    """Raises InvalidPackage when it is missing or inconsistent with the file."""
    file_size = file.seek(0, 2)
    start = max(0, file_size - _END.size - _LONGEST_COMMENT)
    file.seek(start)
    tail = file.read(file_size - start)
    found = tail.rfind(_END_SIGNATURE, 0, max(0, len(tail) - _END.size + len(_END_SIGNATURE)))
    if found < 0:
        raise InvalidPackage("it is not a ZIP archive, or its end is missing")
    raw = tail[found : found + _END.size]
    _, disk, directory_disk, count_here, count, size, offset, comment_size = _END.unpack(raw)
    position = start + found
    is_zip64, directory_ends_by = False, position
    if _ELSEWHERE_SHORT in (disk, directory_disk, count, count_here) or _ELSEWHERE in (size, offset):
        large = _read_large_end(file, position)
        if large is not None:
            is_zip64, (directory_ends_by, disk, directory_disk, count_here, count, size, offset) = True, large
    if disk or directory_disk or count_here != count:
        raise InvalidPackage("it is split over several archives")
    if offset + size > directory_ends_by:
        raise InvalidPackage("its directory does not lie inside the file")
    comment = tail[found + _END.size :][:comment_size]
    reaches = position + _END.size + comment_size == file_size
    return EndRecord(position, raw, count, size, offset, comment, reaches, is_zip64)


def _read_large_end(file: BinaryIO, end: int) -> tuple[int, int, int, int, int, int, int] | None:
    """The position of the ZIP64 end record, followed by its fields; None when there is no locator before `end`.

    Raises InvalidPackage when no such record is where the locator says.
    """
    file.seek(max(0, end - _END64_LOCATOR.size))
    locator = file.read(_END64_LOCATOR.size)
    if len(locator) != _END64_LOCATOR.size or not locator.startswith(_END64_LOCATOR_SIGNATURE):
        return None  # the values are literal
    _, _, position, _ = _END64_LOCATOR.unpack(locator)
    if position > end - _END64_LOCATOR.size - _END64.size:
        raise InvalidPackage("its ZIP64 end record does not lie inside the file")
    file.seek(position)
    raw = file.read(_END64.size)
    if not raw.startswith(_END64_SIGNATURE):
        raise InvalidPackage("its ZIP64 end record is not where its locator says")
    _, _, _, _, disk, directory_disk, count_here, count, size, offset = _END64.unpack(raw)
    return position, disk, directory_disk, count_here, count, size, offset


def read_entries(file: BinaryIO, end: EndRecord, limits: ArchiveLimits) -> tuple[Entry, ...]:
    """All records of the directory, in its order.

    Raises:
        InvalidPackage: too many, unreadable, or not the number that the end record states.
    """
    if end.entry_count > limits.max_entries:
        raise InvalidPackage(f"it has {end.entry_count} entries; the limit is {limits.max_entries}")
    if end.directory_size > limits.max_directory_size:
        raise InvalidPackage(f"its directory is larger than the limit of {limits.max_directory_size} bytes")
    file.seek(end.directory_offset)
    directory = file.read(end.directory_size)
    if len(directory) != end.directory_size:
        raise InvalidPackage("its directory is cut off")
    return tuple(_entries(directory, end))


def _entries(directory: bytes, end_record: EndRecord) -> Iterator[Entry]:
    position = 0
    for _ in range(end_record.entry_count):
        if len(directory) - position < _RECORD.size:
            raise InvalidPackage("its directory holds fewer entries than its end record states")
        fields = _RECORD.unpack_from(directory, position)
        if fields[0] != _RECORD_SIGNATURE:
            raise InvalidPackage("its directory is damaged")
        _, _, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment_size = fields[:13]
        end = position + _RECORD.size + name_size + extra_size + comment_size
        if end > len(directory):
            raise InvalidPackage("its directory is cut off")
        name_at = position + _RECORD.size
        name = _name(directory[name_at : name_at + name_size], flags)
        offset = fields[16]
        if _ELSEWHERE in (packed, size, offset):
            extra = directory[name_at + name_size :][:extra_size]
            size, packed, offset = _in_full(name, extra, size, packed, offset)
            if offset > end_record.position:
                raise InvalidPackage(f"entry {shown(name)} does not lie inside the file")
        yield Entry(name, flags, method, crc, packed, size, offset, directory[position:end])
        position = end
    if position != len(directory):
        raise InvalidPackage("its directory holds more entries than its end record states")


def _in_full(name: str, extra: bytes, *values: int) -> tuple[int, int, int]:
    """Size, compressed size and offset; missing ones are taken, in this order, from the ZIP64 extra field."""
    where = f"entry {shown(name)}"
    content = next((content for kind, content in extra_fields(extra, where) if kind == ZIP64_EXTRA), None)
    if content is None:
        return values[0], values[1], values[2]  # the values are literal
    numbers = iter(struct.unpack_from(f"<{len(content) // 8}Q", content))
    size, compressed_size, offset = (next(numbers, None) if value == _ELSEWHERE else value for value in values)
    if size is None or compressed_size is None or offset is None:
        raise InvalidPackage(f"{where} has a ZIP64 extra field that is too short")
    return size, compressed_size, offset


def extra_fields(extra: bytes, where: str) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each part of an extra field.

    Raises InvalidPackage when a length is wrong; `where` begins the message.
    """
    position = 0
    while position < len(extra):
        if len(extra) - position < _EXTRA.size:
            raise InvalidPackage(f"{where} has a damaged extra field")
        kind, size = _EXTRA.unpack_from(extra, position)
        position += _EXTRA.size
        if position + size > len(extra):
            raise InvalidPackage(f"{where} has a damaged extra field")
        yield kind, extra[position : position + size]
        position += size


def _name(raw: bytes, flags: int) -> str:
    # .NET reads names without the UTF-8 flag as UTF-8; older tools wrote the DOS code page.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        if flags & NAME_IS_UTF8:
            raise InvalidPackage("the name of an entry is not UTF-8") from None
        return raw.decode("cp437")


def read_local_header(file: BinaryIO, entry: Entry) -> LocalHeader:
    """The header before an entry's bytes; leaves `file` positioned at the bytes.

    Raises InvalidPackage when the header is not where the directory says.
    """
    file.seek(entry.offset)
    fixed = file.read(_LOCAL.size)
    if len(fixed) != _LOCAL.size or not fixed.startswith(_LOCAL_SIGNATURE):
        raise InvalidPackage(f"entry {shown(entry.name)} is not where the directory says")
    name_size, extra_size = _LOCAL.unpack(fixed)[9:11]
    rest = file.read(name_size + extra_size)
    if len(rest) != name_size + extra_size:
        raise InvalidPackage(f"entry {shown(entry.name)} is cut off")
    return LocalHeader(fixed, rest[:name_size], rest[name_size:])


def shown(name: str) -> str:
    """An entry's name made safe for a one-line message."""
    return repr(name if len(name) <= 100 else name[:97] + "...")
