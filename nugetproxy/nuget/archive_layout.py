"""Strict rules about the layout of an archive: every byte belongs to something, and every reader finds the same files.

For what is pushed. A mirrored archive may have gaps, comments and ZIP64, as long as `archive.py` can read it.
Source: PKWARE's APPNOTE.TXT 6.3.10; for the extra fields its sections 4.5 and 4.6.
"""

import stat
import struct
from collections.abc import Sequence
from typing import BinaryIO, Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import (
    NAME_IS_UTF8,
    SIZES_FOLLOW,
    ZIP64_EXTRA,
    EndRecord,
    Entry,
    LocalHeader,
    extra_fields,
    read_local_header,
    shown,
)

_REPACK: Final = "pack it with dotnet pack or nuget pack"
_DESCRIPTOR: Final = struct.Struct("<3L")
_DESCRIPTOR_SIGNATURE: Final = b"PK\x07\x08"

# How hard was compressed, that sizes follow, that names are UTF-8: what all readers understand alike.
_COMPRESSION_FLAGS: Final = 0x0006
_KNOWN_FLAGS: Final = _COMPRESSION_FLAGS | SIZES_FOLLOW | NAME_IS_UTF8
# Of the format, in tenths. Some readers leave out what needs a newer one.
_NEWEST_VERSION: Final = 45
# Volume labels and devices of DOS, links of Windows; and its folders.
_SPECIAL_ATTRIBUTES: Final = 0x0008 | 0x0040 | 0x0400
_FOLDER_ATTRIBUTE: Final = 0x0010
_UNICODE_NAME_EXTRA: Final = 0x7075
# The name follows a version of one byte and a checksum of four.
_UNICODE_NAME_AT: Final = 5
_REFUSED_EXTRAS: Final = {
    ZIP64_EXTRA: "uses ZIP64, which packages may not",
    0x000D: "has an extra field (0x000d) that makes it a link for some readers",
    0x0017: "has an extra field (0x0017) of encrypted entries",
    0x554E: "has an extra field (0x554e) that gives it another name for some readers",
    0x756E: "has an extra field (0x756e) that makes it a link for some readers",
    0x9901: "has an extra field (0x9901) of encrypted entries",
}


def check_layout(file: BinaryIO, end: EndRecord, entries: Sequence[Entry]) -> None:
    """Reads the headers before the bytes of all entries, and no contents.

    Afterwards the sizes of the entries add up to the size of the file: no entry shares bytes with another one, or lies
    outside of the file.

    Raises InvalidPackage, which says what is wrong with the first thing that is, and what would be right.
    """
    _check_end(end)
    ordered = sorted(entries, key=lambda entry: entry.offset)
    reached = 0
    for entry, limit in zip(ordered, [*(entry.offset for entry in ordered[1:]), end.directory_offset], strict=True):
        if entry.offset > reached:
            _refuse_gap(entry.offset - reached, f"before entry {shown(entry.name)}")
        if entry.offset < reached:
            raise InvalidPackage(f"entry {shown(entry.name)} overlaps another one; {_REPACK}")
        _check_record(entry)
        header = read_local_header(file, entry)
        _check_header(entry, header)
        reached = entry.offset + header.length + entry.compressed_size
        if reached > limit:
            raise InvalidPackage(
                f"entry {shown(entry.name)} claims {entry.compressed_size} bytes, more than there are before the next "
                f"entry or the directory: it overlaps what follows; {_REPACK}"
            )
        if entry.flags & SIZES_FOLLOW:
            _check_descriptor(file, entry, reached, limit)
            reached = limit
    if reached < end.directory_offset:
        _refuse_gap(end.directory_offset - reached, "before its directory")


def _check_end(end: EndRecord) -> None:
    if end.is_zip64:
        raise InvalidPackage("it uses ZIP64, which packages may not; pack it without, below 4 GB and 65,535 entries")
    if not end.reaches_end_of_file:
        raise InvalidPackage(f"it has bytes after its end, or its comment is cut off; {_REPACK}")
    if b"PK" in end.comment:
        raise InvalidPackage("its archive comment looks like records of another archive; pack it without a comment")
    gap = end.position - end.directory_offset - end.directory_size
    if gap:
        _refuse_gap(gap, "between its directory and its end record")


def _check_record(entry: Entry) -> None:
    """What the directory says beyond names and sizes."""
    if why := _refused_flags(entry.flags) or _refused_kind(entry):
        raise InvalidPackage(f"entry {shown(entry.name)} {why}; {_REPACK}")
    _check_version(entry, entry.version_needed)
    if entry.disk:
        raise InvalidPackage(f"entry {shown(entry.name)} lies in another file of a split archive; {_REPACK}")
    # NuGet reads names as UTF-8 whether they are marked so or not, and its old packers do not mark them.
    if entry.raw_name != entry.name.encode():
        raise InvalidPackage(
            f"the name of entry {shown(entry.name)} is not UTF-8, so that it differs between systems; {_REPACK}"
        )
    _check_extra(entry, entry.raw_extra)


def _check_version(entry: Entry, needed: int) -> None:
    if needed > _NEWEST_VERSION:
        raise InvalidPackage(
            f"entry {shown(entry.name)} needs version {needed / 10} of the format, which some readers do not know; "
            f"{_REPACK}"
        )


def _refused_flags(flags: int) -> str:
    if flags & 0x2041:
        return "is encrypted, which entries of packages may not be"
    if flags & 0x0020:
        return "is a patch for another file"
    return f"has flags that not all readers know ({flags:#06x})" if flags & ~_KNOWN_FLAGS else ""


def _refused_kind(entry: Entry) -> str:
    """Why it is neither a file nor a folder. Some readers look at mode bits whatever system an archive was made on."""
    kind, is_folder = stat.S_IFMT(entry.attributes >> 16), entry.name.endswith("/")
    if kind == stat.S_IFLNK:
        return "is a symbolic link; packages hold files only"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or entry.attributes & _SPECIAL_ATTRIBUTES:
        return "is a device or another special file; packages hold files only"
    if not is_folder and (kind == stat.S_IFDIR or entry.attributes & _FOLDER_ATTRIBUTE):
        return "is marked as a folder, and its name does not end in '/'"
    if is_folder and entry.size:
        return "is a folder by its name and holds bytes"
    return ""


def _check_extra(entry: Entry, extra: bytes) -> None:
    for kind, content in extra_fields(extra, f"entry {shown(entry.name)}"):
        if why := _REFUSED_EXTRAS.get(kind):
            raise InvalidPackage(f"entry {shown(entry.name)} {why}; {_REPACK}")
        if kind == _UNICODE_NAME_EXTRA and content[_UNICODE_NAME_AT:] != entry.raw_name:
            other = content[_UNICODE_NAME_AT:].decode("utf-8", "replace")
            raise InvalidPackage(
                f"entry {shown(entry.name)} has the other name {shown(other)} in an extra field (0x7075), which some "
                f"readers take; {_REPACK}"
            )


def _check_header(entry: Entry, header: LocalHeader) -> None:
    """The header before the bytes says what the directory says: readers go by one or by the other."""
    if header.name != entry.raw_name or header.method != entry.method:
        raise InvalidPackage(
            f"entry {shown(entry.name)} has another name or compression in the header before its bytes, where it is "
            f"{shown(header.name.decode('utf-8', 'replace'))}: it would be unpacked differently here and there"
        )
    _check_version(entry, header.version_needed)
    if (header.flags ^ entry.flags) & ~_COMPRESSION_FLAGS:
        raise InvalidPackage(f"entry {shown(entry.name)} has two headers that differ in their flags; {_REPACK}")
    said, known = header.checksum_and_sizes, (entry.crc, entry.compressed_size, entry.size)
    follows = entry.flags & SIZES_FOLLOW
    if any(value != right and not (follows and value == 0) for value, right in zip(said, known, strict=True)):
        raise InvalidPackage(
            f"entry {shown(entry.name)} has two headers that differ in its sizes or checksum; {_REPACK}"
        )
    _check_extra(entry, header.extra)


def _check_descriptor(file: BinaryIO, entry: Entry, position: int, limit: int) -> None:
    """What follows the bytes, up to `limit`, is checksum and sizes once more, with their signature or without."""
    right = _DESCRIPTOR.pack(entry.crc, entry.compressed_size, entry.size)
    file.seek(position)
    found = file.read(min(limit - position, len(right) + len(_DESCRIPTOR_SIGNATURE) + 1))
    if found not in (right, _DESCRIPTOR_SIGNATURE + right):
        raise InvalidPackage(
            f"entry {shown(entry.name)} is marked to be followed by its checksum and sizes, and what follows is "
            f"something else; {_REPACK}"
        )


def _refuse_gap(size: int, where: str) -> None:
    raise InvalidPackage(f"it has {size} bytes {where} that belong to nothing; {_REPACK}")
