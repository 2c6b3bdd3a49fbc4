"""The id, key and checksum of a portable PDB. What an assembly says of its PDB belongs to `debug_directory`.

Only headers are read. The file is untrusted: no value is used before it is checked against the file's length.
Sources: ECMA-335 II.24.2 (metadata root), dotnet/runtime docs/design/specs/PortablePdb-Metadata,
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
