"""The headers of a Windows executable, which every assembly is: where its data directories are. Pure.

The file is untrusted: functions raise struct.error or ValueError when it is malformed; their callers translate that.
Source: Microsoft's specification of PE and COFF.
"""

import struct
from typing import Final

_COFF: Final = struct.Struct("<2H3L2H")
_SECTION: Final = struct.Struct("<8s4L")
_SECTION_SIZE: Final = 40
# By the magic of the optional header: the offsets of the number of data directories, and of the first one.
_DIRECTORIES_AT: Final = {0x10B: (92, 96), 0x20B: (108, 112)}

Sections = list[tuple[int, int, int]]
"""Address, size and offset in the file of each section."""


def data_directory(content: bytes, number: int) -> tuple[int, int, Sections]:
    """Address and size of a data directory (0 for one that is absent), and the sections."""
    (header,) = struct.unpack_from("<L", content, 0x3C)
    if content[:2] != b"MZ" or content[header : header + 4] != b"PE\0\0":
        raise ValueError("it is not an executable")
    _, section_count, _, _, _, optional_size, _ = _COFF.unpack_from(content, header + 4)
    optional = header + 4 + _COFF.size
    (magic,) = struct.unpack_from("<H", content, optional)
    if magic not in _DIRECTORIES_AT:
        raise ValueError("it is an executable of an unknown format")
    count_at, directories_at = _DIRECTORIES_AT[magic]
    (count,) = struct.unpack_from("<L", content, optional + count_at)
    sections = []
    for position in range(section_count):
        at = optional + optional_size + position * _SECTION_SIZE
        _, _, address, size, offset = _SECTION.unpack_from(content, at)
        sections.append((address, size, offset))
    if count <= number:
        return 0, 0, sections
    address, size = struct.unpack_from("<2L", content, optional + directories_at + 8 * number)
    return address, size, sections


def offset_of(address: int, size: int, sections: Sections) -> int:
    """Where in the file the bytes at an address are."""
    for start, length, offset in sections:
        if start <= address and address + size <= start + length:
            return offset + address - start
    raise ValueError("an address is in no section")
