"""The ZIP container of a package: its end record, its directory, and the bytes of one entry under a limit.

Rule 1: the end record is read first, and nothing is believed that was not checked against the file's size.
Rule 2: an entry's name is only ever looked up; nothing here writes a file by it.

zipfile of the standard library reads more than we want to accept (encryption, junk around the archive) and hides the
positions that the signed content hash is made of.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from nugetproxy.errors import InvalidPackage

_MEGABYTE = 1024 * 1024

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_RECORD = struct.Struct("<4s6H3L5H2L")
_RECORD_SIGNATURE = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_LONGEST_COMMENT = 0xFFFF
_ZIP64_COUNT, _ZIP64_OFFSET = 0xFFFF, 0xFFFFFFFF

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_NAME_IS_UTF8 = 0x0800
STORED, DEFLATED = 0, 8
_BLOCK = 64 * 1024
_LARGEST_UNPACKED_BLOCK = 16 * _BLOCK
_SIZES_FOLLOW = 0x0008
"""The writer did not know sizes and checksum beforehand; the header before the bytes may hold zeros."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What a package may cost us. Sizes in bytes."""

    # What the format can count without ZIP64, which signed packages may not use.
    max_entries: int = 65_534
    # 65,534 entries with names of a few hundred characters.
    max_directory_size: int = 32 * _MEGABYTE
    # nuget.org allows 35,000 characters of release notes and 32,767 of dependencies; real ones stay below 200 KB.
    max_nuspec_size: int = 4 * _MEGABYTE
    # nuget.org allows 1 MB for readme, icon and licence.
    max_part_size: int = 16 * _MEGABYTE


@dataclass(frozen=True, slots=True)
class EndRecord:
    """`position` is where it begins; the archive should end with `comment`."""

    position: int
    raw: bytes
    entry_count: int
    directory_size: int
    directory_offset: int
    comment: bytes
    reaches_end_of_file: bool


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
        """The name as it is written in the directory."""
        return self.raw[_RECORD.size :][: _RECORD.unpack_from(self.raw)[10]]


def read_end_record(file: BinaryIO) -> EndRecord:
    """Raises InvalidPackage when there is none, it lies, or it asks for ZIP64."""
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
    if _ZIP64_COUNT in (count, count_here) or _ZIP64_OFFSET in (size, offset):
        raise InvalidPackage("it uses ZIP64, which packages do not")
    if disk or directory_disk or count_here != count:
        raise InvalidPackage("it is split over several archives")
    if offset + size > position:
        raise InvalidPackage("its directory does not lie inside the file")
    comment = tail[found + _END.size :][:comment_size]
    reaches = position + _END.size + comment_size == file_size
    return EndRecord(position, raw, count, size, offset, comment, reaches)


def read_entries(file: BinaryIO, end: EndRecord, limits: ArchiveLimits) -> tuple[Entry, ...]:
    """All records of the directory, in its order.

    Raises:
        InvalidPackage: too many, unreadable, or not as many as the end record says.
    """
    if end.entry_count > limits.max_entries:
        raise InvalidPackage(f"it has {end.entry_count} entries; the limit is {limits.max_entries}")
    if end.directory_size > limits.max_directory_size:
        raise InvalidPackage(f"its directory is larger than the limit of {limits.max_directory_size} bytes")
    file.seek(end.directory_offset)
    directory = file.read(end.directory_size)
    if len(directory) != end.directory_size:
        raise InvalidPackage("its directory is cut off")
    return tuple(_entries(directory, end.entry_count))


def _entries(directory: bytes, count: int) -> Iterator[Entry]:
    position = 0
    for _ in range(count):
        if len(directory) - position < _RECORD.size:
            raise InvalidPackage("its directory holds fewer entries than announced")
        fields = _RECORD.unpack_from(directory, position)
        if fields[0] != _RECORD_SIGNATURE:
            raise InvalidPackage("its directory is damaged")
        _, _, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment_size = fields[:13]
        end = position + _RECORD.size + name_size + extra_size + comment_size
        if end > len(directory):
            raise InvalidPackage("its directory is cut off")
        name_at = position + _RECORD.size
        name = _name(directory[name_at : name_at + name_size], flags)
        yield Entry(name, flags, method, crc, packed, size, fields[16], directory[position:end])
        position = end
    if position != len(directory):
        raise InvalidPackage("its directory holds more than the entries announced")


def _name(raw: bytes, flags: int) -> str:
    # .NET reads unmarked names as UTF-8, older tools wrote the DOS code page.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        if flags & _NAME_IS_UTF8:
            raise InvalidPackage("the name of an entry is not UTF-8") from None
        return raw.decode("cp437")


def read_local_header(file: BinaryIO, entry: Entry) -> tuple[bytes, bytes, bytes]:
    """The fixed part, the name and the extra field of the header before an entry's bytes; leaves `file` at the bytes.

    Raises InvalidPackage when there is no header where the directory says.
    """
    file.seek(entry.offset)
    fixed = file.read(_LOCAL.size)
    if len(fixed) != _LOCAL.size or not fixed.startswith(_LOCAL_SIGNATURE):
        raise InvalidPackage(f"entry {shown(entry.name)} is not where the directory says")
    name_size, extra_size = _LOCAL.unpack(fixed)[9:11]
    rest = file.read(name_size + extra_size)
    if len(rest) != name_size + extra_size:
        raise InvalidPackage(f"entry {shown(entry.name)} is cut off")
    return fixed, rest[:name_size], rest[name_size:]


def read_entry(file: BinaryIO, entry: Entry, limit: int) -> bytes:
    """The unpacked bytes, checked against size and CRC.

    Never holds more than `limit` + 1 bytes, whatever the entry claims to unpack to.

    Raises:
        InvalidPackage: encrypted, packed in an unknown way, damaged, or more than `limit` bytes.
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
    """The first `size` unpacked bytes, or all when there are fewer. Not checked against the entry's size and CRC.

    Raises InvalidPackage: encrypted, packed in an unknown way, or damaged.
    """
    content = bytearray()
    for block in _unpacked(file, entry):
        content += block[: size - len(content)]
        if len(content) == size:
            break
    return bytes(content)


def check_entry(file: BinaryIO, entry: Entry) -> None:
    """Unpack an entry, holding a megabyte at most: name, sizes and checksum are what the directory says.

    A gigabyte takes some four seconds.

    Raises InvalidPackage as `read_entry` does, and when the header before the bytes says anything else.
    """
    fixed, name, _ = read_local_header(file, entry)
    method, crc, packed, size = (_LOCAL.unpack(fixed)[at] for at in (3, 6, 7, 8))
    if name != entry.raw_name or method != entry.method:
        raise InvalidPackage(
            f"entry {shown(entry.name)} has another name or compression in the header before its bytes, where it is "
            f"{shown(name.decode('utf-8', 'replace'))}: it would be unpacked differently here and there"
        )
    says_it_all = not _LOCAL.unpack(fixed)[2] & _SIZES_FOLLOW and _ZIP64_OFFSET not in (packed, size)
    if says_it_all and (crc, packed, size) != (entry.crc, entry.compressed_size, entry.size):
        raise InvalidPackage(f"entry {shown(entry.name)} has two headers that differ in its sizes or checksum")
    unpacked = crc = 0
    for block in _unpacked(file, entry):
        unpacked += len(block)
        if unpacked > entry.size:
            break
        crc = zlib.crc32(block, crc)
    _check(entry, unpacked, crc)


def _check(entry: Entry, size: int, crc: int) -> None:
    if size != entry.size or crc != entry.crc:
        raise InvalidPackage(f"entry {shown(entry.name)} is damaged: size or checksum differ from the directory's")


def _unpacked(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """The bytes in blocks of a megabyte at most. Raises InvalidPackage when they cannot be unpacked."""
    if entry.flags & _ENCRYPTED:
        raise InvalidPackage(f"entry {shown(entry.name)} is encrypted")
    if entry.method not in (STORED, DEFLATED):
        raise InvalidPackage(f"entry {shown(entry.name)} is compressed by method {entry.method}; only deflate is read")
    read_local_header(file, entry)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = entry.compressed_size
    while left and not inflater.eof and (block := file.read(min(left, _BLOCK))):
        left -= len(block)
        if entry.method == STORED:
            yield block
            continue
        while block:
            try:
                yield inflater.decompress(block, _LARGEST_UNPACKED_BLOCK)
            except zlib.error as error:
                raise InvalidPackage(f"entry {shown(entry.name)} is damaged: {error}") from error
            block = inflater.unconsumed_tail


def shown(name: str) -> str:
    """An entry's name made fit for one line of a message."""
    return repr(name if len(name) <= 100 else name[:97] + "...")
