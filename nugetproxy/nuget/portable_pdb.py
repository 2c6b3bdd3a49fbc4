"""Match a portable PDB to its assembly: the PDB's id, key and checksum, and the assembly's debug directory.

Only headers are read. Both files are untrusted: no value is used before it is checked against the file's length.
Sources: ECMA-335 II.24.2 (metadata root), dotnet/runtime docs/design/specs PE-COFF and PortablePdb-Metadata,
dotnet/symstore docs/specs/SSQP_Key_Conventions.
"""

import hashlib
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import shown

CHECKSUM_ALGORITHMS: Final = ("SHA256", "SHA384", "SHA512")
"""As spelled in debug directories and in the header SymbolChecksum."""

PORTABLE_AGE: Final = "FFFFFFFF"
"""Replaces the age in the key of a portable PDB, which has none."""

_ID_SIZE: Final = 20
_ROOT: Final = struct.Struct("<4s2H2L")
_STREAM: Final = struct.Struct("<2L")
_SIGNATURE: Final = b"BSJB"
_WINDOWS_SIGNATURE: Final = b"Microsoft C/C++"
_LONGEST_STREAM_NAME: Final = 32
_MOST_STREAMS: Final = 32

_COFF: Final = struct.Struct("<2H3L2H")
_SECTION: Final = struct.Struct("<8s4L")
_SECTION_SIZE: Final = 40
_DEBUG_ENTRY: Final = struct.Struct("<2L2H4L")
_CODEVIEW = struct.Struct("<4s16sL")
_DEBUG_DIRECTORY: Final = 6
_CODEVIEW_TYPE, _CHECKSUM_TYPE = 2, 19
_PORTABLE_MINOR: Final = 0x504D
# Compilers write at most six entries.
_MOST_DEBUG_ENTRIES: Final = 64
# By the magic of the optional header: the offsets of the number of data directories, and of the first one.
_DIRECTORIES_AT: Final = {0x10B: (92, 96), 0x20B: (108, 112)}


@dataclass(frozen=True, slots=True)
class PdbId:
    """The id that a compiler writes to an assembly and its PDB. Deterministic compilers derive it from the contents."""

    guid: uuid.UUID
    stamp: int

    @property
    def key(self) -> str:
        """The key that debuggers request, in its conventional casing."""
        return f"{self.guid.hex}{PORTABLE_AGE}"


@dataclass(frozen=True, slots=True)
class PortablePdb:
    """A parsed PDB. `id_at` is the offset of the 20 bytes of its id."""

    content: bytes = field(repr=False)
    id: PdbId
    id_at: int

    @staticmethod
    def parse(content: bytes, name: str = "the file") -> "PortablePdb":
        """Raises InvalidPackage, which calls the file `name`, if it is not a portable PDB."""
        if content.startswith(_WINDOWS_SIGNATURE):
            raise InvalidPackage(
                f"{shown(name)} is a Windows PDB; only portable PDBs are supported: build with DebugType=portable"
            )
        for stream, offset, size in _streams(content, name):
            if stream == b"#Pdb" and size >= _ID_SIZE:
                return PortablePdb(content, _id(content[offset : offset + _ID_SIZE]), offset)
        raise _damaged_pdb(name)

    def checksum(self, algorithm: str) -> bytes:
        """The hash that the assembly has, by one of CHECKSUM_ALGORITHMS: of all bytes, with the id as zeros."""
        digest = hashlib.new(algorithm)
        view = memoryview(self.content)
        digest.update(view[: self.id_at])
        digest.update(bytes(_ID_SIZE))
        digest.update(view[self.id_at + _ID_SIZE :])
        return digest.digest()


@dataclass(frozen=True, slots=True)
class PdbChecksum:
    """A checksum of the PDB in an assembly. `algorithm` is in upper case and may be unknown."""

    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class DebugDirectory:
    """The portable PDBs of an assembly. No ids: it was built without a PDB or with a Windows PDB."""

    ids: tuple[PdbId, ...]
    checksums: tuple[PdbChecksum, ...]


def read_debug_directory(content: bytes, name: str = "the file") -> DebugDirectory:
    """The debug directory of an assembly; empty if it has none.

    Raises InvalidPackage, which calls the file `name`, if it is not a Windows executable or is malformed.
    """
    ids: list[PdbId] = []
    checksums: list[PdbChecksum] = []
    try:
        for stamp, minor, kind, entry in _debug_entries(content):
            if kind == _CODEVIEW_TYPE and minor == _PORTABLE_MINOR:
                signature, guid, _ = _CODEVIEW.unpack_from(entry)
                if signature == b"RSDS":
                    ids.append(PdbId(uuid.UUID(bytes_le=guid), stamp))
            elif kind == _CHECKSUM_TYPE:
                algorithm, _, digest = entry.partition(b"\0")
                checksums.append(PdbChecksum(algorithm.decode("ascii", "replace").upper(), digest))
    except (struct.error, ValueError) as error:
        raise InvalidPackage(f"{shown(name)} is not a readable assembly") from error
    return DebugDirectory(tuple(ids), tuple(checksums))


# --- the PDB ----------------------------------------------------------------------------------------------------------


def _streams(content: bytes, name: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and size of each stream of the metadata root."""
    try:
        signature, _, _, _, version_size = _ROOT.unpack_from(content)
        if signature != _SIGNATURE:
            raise InvalidPackage(f"{shown(name)} is not a portable PDB: it does not start with BSJB")
        position = _ROOT.size + version_size
        _, count = struct.unpack_from("<2H", content, position)
        position += 4
        for _ in range(min(count, _MOST_STREAMS)):
            offset, size = _STREAM.unpack_from(content, position)
            position += _STREAM.size
            end = content.find(b"\0", position, position + _LONGEST_STREAM_NAME)
            if end < 0 or offset + size > len(content):
                raise _damaged_pdb(name)
            yield content[position:end], offset, size
            position += (end - position) // 4 * 4 + 4  # including its zero, padded to four bytes
    except struct.error as error:
        raise _damaged_pdb(name) from error


def _id(raw: bytes) -> PdbId:
    return PdbId(uuid.UUID(bytes_le=raw[:16]), int.from_bytes(raw[16:], "little"))


def _damaged_pdb(name: str) -> InvalidPackage:
    return InvalidPackage(f"{shown(name)} is not a portable PDB: its header is damaged or has no #Pdb stream")


# --- the assembly -----------------------------------------------------------------------------------------------------


def _debug_entries(content: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Stamp, minor version, type and bytes of each entry. Raises struct.error or ValueError."""
    address, size, sections = _debug_directory(content)
    if not size:
        return
    if size % _DEBUG_ENTRY.size or size > _DEBUG_ENTRY.size * _MOST_DEBUG_ENTRIES:
        raise ValueError("its debug directory has an invalid size")
    start = _offset_of(address, size, sections)
    for position in range(start, start + size, _DEBUG_ENTRY.size):
        _, stamp, _, minor, kind, length, _, at = _DEBUG_ENTRY.unpack_from(content, position)
        if at + length > len(content):
            raise ValueError("an entry is outside the file")
        yield stamp, minor, kind, content[at : at + length]


def _debug_directory(content: bytes) -> tuple[int, int, list[tuple[int, int, int]]]:
    """Address and size of the debug directory, and address, size and offset of each section."""
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
    for number in range(section_count):
        _, _, address, size, offset = _SECTION.unpack_from(content, optional + optional_size + number * _SECTION_SIZE)
        sections.append((address, size, offset))
    if count <= _DEBUG_DIRECTORY:
        return 0, 0, sections
    address, size = struct.unpack_from("<2L", content, optional + directories_at + 8 * _DEBUG_DIRECTORY)
    return address, size, sections


def _offset_of(address: int, size: int, sections: list[tuple[int, int, int]]) -> int:
    for start, length, offset in sections:
        if start <= address and address + size <= start + length:
            return offset + address - start
    raise ValueError("its debug directory is in no section")
