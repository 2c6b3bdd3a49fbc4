"""What an assembly says of its PDB: ids and checksums, and the requests by which a debugger finds it.

Only the PE headers and the debug directory are read. The file is untrusted: no value is used before it is checked
against the file's length. The PDB itself belongs to `portable_pdb`.
Sources: dotnet/runtime docs/design/specs/PE-COFF, dotnet/symstore docs/specs/SSQP_Key_Conventions.
"""

import re
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import shown
from nugetproxy.nuget.executable import data_directory, offset_of
from nugetproxy.nuget.portable_pdb import PdbId

_DEBUG_ENTRY: Final = struct.Struct("<2L2H4L")
_CODEVIEW: Final = struct.Struct("<4s16sL")
_DEBUG_DIRECTORY: Final = 6
_CODEVIEW_TYPE, _EMBEDDED_TYPE, _CHECKSUM_TYPE = 2, 17, 19
_PORTABLE_MINOR: Final = 0x504D
# Compilers write at most six entries.
_MOST_DEBUG_ENTRIES: Final = 64

_LONGEST_NAME: Final = 255
# Compilers write the path of the machine that built the assembly, which may be of another system.
_SEPARATORS: Final = re.compile(r"[/\\]")
_REFUSED_IN_NAMES: Final = frozenset(':*?"<>|')


@dataclass(frozen=True, slots=True)
class PdbChecksum:
    """A checksum of the PDB in an assembly. `algorithm` is in upper case and may be unknown."""

    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class NamedPdb:
    """A PDB that an assembly names. `path` is that of the machine that built it; `id` is None for a Windows PDB."""

    path: str
    guid: uuid.UUID
    age: int
    id: PdbId | None

    @property
    def key(self) -> str:
        """As debuggers request it, in its conventional casing."""
        return f"{self.guid.hex}{self.age:x}" if self.id is None else self.id.key


@dataclass(frozen=True, slots=True)
class DebugDirectory:
    """The PDBs of an assembly. `has_embedded`: the portable PDB is inside the assembly."""

    pdbs: tuple[NamedPdb, ...]
    checksums: tuple[PdbChecksum, ...]
    has_embedded: bool

    @property
    def ids(self) -> tuple[PdbId, ...]:
        """Those of portable PDBs. None: it was built without a PDB, or with a Windows PDB."""
        return tuple(pdb.id for pdb in self.pdbs if pdb.id is not None)


@dataclass(frozen=True, slots=True)
class PdbRequest:
    """What a debugger asks a symbol server for: `/{file}/{key}/{file}`, in lower case.

    `checksums` are those of its header SymbolChecksum; none for a Windows PDB, and for compilers before 2018.
    """

    file: str
    key: str
    checksums: tuple[PdbChecksum, ...]
    is_portable: bool


def read_debug_directory(content: bytes, name: str = "the file") -> DebugDirectory:
    """The debug directory of an assembly; empty if it has none.

    Raises InvalidPackage, which calls the file `name`, if it is not a Windows executable or is malformed.
    """
    pdbs: list[NamedPdb] = []
    checksums: list[PdbChecksum] = []
    has_embedded = False
    try:
        for stamp, minor, kind, entry in _debug_entries(content):
            if kind == _CODEVIEW_TYPE:
                signature, raw_guid, age = _CODEVIEW.unpack_from(entry)
                if signature == b"RSDS":
                    guid = uuid.UUID(bytes_le=raw_guid)
                    path = entry[_CODEVIEW.size :].partition(b"\0")[0].decode("utf-8", "replace")
                    pdbs.append(NamedPdb(path, guid, age, PdbId(guid, stamp) if minor == _PORTABLE_MINOR else None))
            elif kind == _EMBEDDED_TYPE:
                has_embedded = True
            elif kind == _CHECKSUM_TYPE:
                algorithm, _, digest = entry.partition(b"\0")
                checksums.append(PdbChecksum(algorithm.decode("ascii", "replace").upper(), digest))
    except (struct.error, ValueError) as error:
        raise InvalidPackage(f"{shown(name)} is not a readable assembly") from error
    return DebugDirectory(tuple(pdbs), tuple(checksums), has_embedded)


def pdb_requests(directory: DebugDirectory) -> tuple[PdbRequest, ...]:
    """What a debugger asks symbol servers for, each once: nothing if the PDB is embedded.

    A PDB whose name no server could have (a control character, a wildcard, longer than 255 bytes) is left out.
    """
    if directory.has_embedded:
        return ()
    found = {}
    for pdb in directory.pdbs:
        file = _SEPARATORS.split(pdb.path)[-1].lower()
        if is_pdb_name(file):
            checksums = () if pdb.id is None else directory.checksums
            found[file, pdb.key.lower()] = PdbRequest(file, pdb.key.lower(), checksums, pdb.id is not None)
    return tuple(found.values())


def is_pdb_name(file: str) -> bool:
    """Whether a PDB may have this file name, which is a single segment of a path."""
    return (
        bool(file)
        and file[0] != "."
        and len(file.encode("utf-8", "replace")) <= _LONGEST_NAME
        and file.isprintable()
        and not _SEPARATORS.search(file)
        and _REFUSED_IN_NAMES.isdisjoint(file)
        and "\ufffd" not in file  # it was not UTF-8
    )


# --- reading ----------------------------------------------------------------------------------------------------------


def _debug_entries(content: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Stamp, minor version, type and bytes of each entry. Raises struct.error or ValueError."""
    address, size, sections = data_directory(content, _DEBUG_DIRECTORY)
    if not size:
        return
    if size % _DEBUG_ENTRY.size or size > _DEBUG_ENTRY.size * _MOST_DEBUG_ENTRIES:
        raise ValueError("its debug directory has an invalid size")
    start = offset_of(address, size, sections)
    for position in range(start, start + size, _DEBUG_ENTRY.size):
        _, stamp, _, minor, kind, length, _, at = _DEBUG_ENTRY.unpack_from(content, position)
        if at + length > len(content):
            raise ValueError("an entry is outside the file")
        yield stamp, minor, kind, content[at : at + length]
