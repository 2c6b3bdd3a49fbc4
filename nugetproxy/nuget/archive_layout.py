"""Strict rules for the layout of a pushed archive: every byte is accounted for, and all readers find the same files.

A mirrored archive may have gaps, comments and ZIP64, as long as `archive.py` can read it.
Source: PKWARE's APPNOTE.TXT 6.3.10; sections 4.5 and 4.6 for the extra fields.
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

# Compression level, data descriptor and UTF-8 names: the flags that all readers interpret alike.
_COMPRESSION_FLAGS: Final = 0x0006
_KNOWN_FLAGS: Final = _COMPRESSION_FLAGS | SIZES_FOLLOW | NAME_IS_UTF8
# The ZIP version, times ten. Some readers skip entries that need a newer one.
_NEWEST_VERSION: Final = 45
# DOS volume labels and devices, Windows links; and folders.
_SPECIAL_ATTRIBUTES: Final = 0x0008 | 0x0040 | 0x0400
_FOLDER_ATTRIBUTE: Final = 0x0010
_UNICODE_NAME_EXTRA: Final = 0x7075
# The name follows a version of one byte and a checksum of four.
_UNICODE_NAME_AT: Final = 5
_REFUSED_EXTRAS: Final = {
    ZIP64_EXTRA: "uses ZIP64, which packages must not",
    0x000D: "has an extra field (0x000d) that makes it a link for some readers",
    0x0017: "has an extra field (0x0017) for encryption",
    0x554E: "has an extra field (0x554e) that gives it another name for some readers",
    0x756E: "has an extra field (0x756e) that makes it a link for some readers",
    0x9901: "has an extra field (0x9901) for encryption",
}


def check_layout(file: BinaryIO, end: EndRecord, entries: Sequence[Entry]) -> None:
    """Checks the layout; reads the local headers of all entries, but no contents.

    Afterwards the sizes of the entries add up to the size of the file: no entry shares bytes with another one, or lies
    outside the file.

    Raises InvalidPackage, which names the first problem and how to fix it.
    """
    _check_end(end)
    ordered = sorted(entries, key=lambda entry: entry.offset)
    reached = 0
    for entry, limit in zip(ordered, [*(entry.offset for entry in ordered[1:]), end.directory_offset], strict=True):
        if entry.offset > reached:
            _refuse_gap(entry.offset - reached, f"before entry {shown(entry.name)}")
        if entry.offset < reached:
            raise InvalidPackage(f"entry {shown(entry.name)} overlaps another entry; {_REPACK}")
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
        raise InvalidPackage("it uses ZIP64, which packages must not; stay below 4 GB and 65,535 entries")
    if not end.reaches_end_of_file:
        raise InvalidPackage(f"it has bytes after its end record, or its comment is cut off; {_REPACK}")
    if b"PK" in end.comment:
        raise InvalidPackage("its archive comment looks like part of another archive; pack it without a comment")
    gap = end.position - end.directory_offset - end.directory_size
    if gap:
        _refuse_gap(gap, "between its directory and its end record")


def _check_record(entry: Entry) -> None:
    """Checks the directory record, except names and sizes."""
    if why := _refused_flags(entry.flags) or _refused_kind(entry):
        raise InvalidPackage(f"entry {shown(entry.name)} {why}; {_REPACK}")
    _check_version(entry, entry.version_needed)
    if entry.disk:
        raise InvalidPackage(f"entry {shown(entry.name)} is in another part of a split archive; {_REPACK}")
    # NuGet reads names as UTF-8 with or without the flag, and its old packers do not set it.
    if entry.raw_name != entry.name.encode():
        raise InvalidPackage(
            f"the name of entry {shown(entry.name)} is not UTF-8, so systems read it differently; {_REPACK}"
        )
    _check_extra(entry, entry.raw_extra)


def _check_version(entry: Entry, needed: int) -> None:
    if needed > _NEWEST_VERSION:
        raise InvalidPackage(
            f"entry {shown(entry.name)} needs version {needed / 10} of the format, which some readers do not support; "
            f"{_REPACK}"
        )


def _refused_flags(flags: int) -> str:
    if flags & 0x2041:
        return "is encrypted; packages must not be"
    if flags & 0x0020:
        return "is a patch for another file"
    return f"has flags that some readers do not know ({flags:#06x})" if flags & ~_KNOWN_FLAGS else ""


def _refused_kind(entry: Entry) -> str:
    """Why it is neither a file nor a folder. Some readers use mode bits whatever system the archive was made on."""
    kind, is_folder = stat.S_IFMT(entry.attributes >> 16), entry.name.endswith("/")
    if kind == stat.S_IFLNK:
        return "is a symbolic link; packages contain only files"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or entry.attributes & _SPECIAL_ATTRIBUTES:
        return "is a device or another special file; packages contain only files"
    if not is_folder and (kind == stat.S_IFDIR or entry.attributes & _FOLDER_ATTRIBUTE):
        return "is marked as a folder, but its name does not end in '/'"
    if is_folder and entry.size:
        return "is a folder by its name, but contains data"
    return ""


def _check_extra(entry: Entry, extra: bytes) -> None:
    for kind, content in extra_fields(extra, f"entry {shown(entry.name)}"):
        if why := _REFUSED_EXTRAS.get(kind):
            raise InvalidPackage(f"entry {shown(entry.name)} {why}; {_REPACK}")
        if kind == _UNICODE_NAME_EXTRA and content[_UNICODE_NAME_AT:] != entry.raw_name:
            other = content[_UNICODE_NAME_AT:].decode("utf-8", "replace")
            raise InvalidPackage(
                f"entry {shown(entry.name)} has another name, {shown(other)}, in an extra field (0x7075) that some "
                f"readers use; {_REPACK}"
            )


def _check_header(entry: Entry, header: LocalHeader) -> None:
    """Checks that the local header agrees with the directory: some readers use one, some the other."""
    if header.name != entry.raw_name or header.method != entry.method:
        raise InvalidPackage(
            f"entry {shown(entry.name)} has another name or compression method in its local header, where it is "
            f"{shown(header.name.decode('utf-8', 'replace'))}: readers would unpack it differently"
        )
    _check_version(entry, header.version_needed)
    if (header.flags ^ entry.flags) & ~_COMPRESSION_FLAGS:
        raise InvalidPackage(f"entry {shown(entry.name)} has two headers with different flags; {_REPACK}")
    said, known = header.checksum_and_sizes, (entry.crc, entry.compressed_size, entry.size)
    follows = entry.flags & SIZES_FOLLOW
    if any(value != right and not (follows and value == 0) for value, right in zip(said, known, strict=True)):
        raise InvalidPackage(f"entry {shown(entry.name)} has two headers with different sizes or checksums; {_REPACK}")
    _check_extra(entry, header.extra)


def _check_descriptor(file: BinaryIO, entry: Entry, position: int, limit: int) -> None:
    """Checks that checksum and sizes follow the bytes, up to `limit`, with or without a signature."""
    right = _DESCRIPTOR.pack(entry.crc, entry.compressed_size, entry.size)
    file.seek(position)
    found = file.read(min(limit - position, len(right) + len(_DESCRIPTOR_SIGNATURE) + 1))
    if found not in (right, _DESCRIPTOR_SIGNATURE + right):
        raise InvalidPackage(
            f"entry {shown(entry.name)} should be followed by its checksum and sizes, but what follows is "
            f"different; {_REPACK}"
        )


def _refuse_gap(size: int, where: str) -> None:
    raise InvalidPackage(f"it has {size} bytes {where} that belong to nothing; {_REPACK}")
