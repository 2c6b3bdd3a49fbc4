"""Builds PDBs, the assemblies they belong to, and packages of both. The same arguments give the same bytes."""

import hashlib
import struct
import uuid
from collections.abc import Mapping, Sequence

from tests.builders import make_nupkg, make_nuspec, make_zip

GUID = uuid.UUID("4e2ca887-825e-46f3-968f-25b41ae1b5f3")
KEY = "4e2ca887825e46f3968f25b41ae1b5f3FFFFFFFF"
STAMP = 0x89ABCDEF

Streams = Sequence[tuple[bytes, bytes]]
DebugEntry = tuple[int, int, int, bytes]
"""Stamp, minor version, type, bytes."""


def make_pdb(
    guid: uuid.UUID = GUID, stamp: int = STAMP, *, body: bytes = b"sources", streams: Streams | None = None
) -> bytes:
    """A portable PDB: a metadata root with a #Pdb stream, by default between two others."""
    identity = guid.bytes_le + struct.pack("<L", stamp) + bytes(12)
    parts = streams if streams is not None else [(b"#Strings", b"\0abc"), (b"#Pdb", identity), (b"#Blob", body)]
    version = b"PDB v1.0\0\0\0\0"
    root = b"BSJB" + struct.pack("<2H2L", 1, 1, 0, len(version)) + version + struct.pack("<2H", 0, len(parts))
    position = len(root) + sum(8 + len(_padded(name)) for name, _ in parts)
    for name, content in parts:
        root += struct.pack("<2L", position, len(content)) + _padded(name)
        position += len(content)
    return root + b"".join(content for _, content in parts)


def make_assembly(
    pdb: bytes | None = None,
    *,
    guid: uuid.UUID = GUID,
    stamp: int = STAMP,
    algorithm: str = "SHA256",
    wide: bool = True,
    path: bytes = b"X.pdb",
    entries: Sequence[DebugEntry] | None = None,
) -> bytes:
    """An executable with a debug directory that names `pdb`, with its checksum unless `algorithm` is empty."""
    if entries is None:
        entries = [(stamp, 0x504D, 2, codeview(path, guid))]
        if pdb is not None and algorithm:
            checksum = checksum_of(pdb, algorithm, guid, stamp)
            entries = [*entries, (0, 0, 19, algorithm.encode() + b"\0" + checksum)]
    header_size = 0x200
    directory, contents = b"", b""
    start = header_size + 28 * len(entries)
    for entry_stamp, minor, kind, content in entries:
        at = start + len(contents)
        directory += struct.pack("<2L2H4L", 0, entry_stamp, 0x100, minor, kind, len(content), 0x2000 + at, at)
        contents += content
    section = directory + contents
    optional = struct.pack("<H", 0x20B if wide else 0x10B).ljust(108 if wide else 92, b"\0")
    optional += struct.pack("<L", 16) + bytes(8 * 6) + struct.pack("<2L", 0x2000, len(directory)) + bytes(8 * 9)
    coff = struct.pack("<2H3L2H", 0x14C, 1, 0, 0, 0, len(optional), 0)
    sections = struct.pack("<8s4L", b".text", len(section), 0x2000, len(section), header_size) + bytes(16)
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<L", 0x40)
    return (dos + b"PE\0\0" + coff + optional + sections).ljust(header_size, b"\0") + section


def codeview(path: bytes = b"X.pdb", guid: uuid.UUID = GUID, age: int = 1) -> bytes:
    """The bytes of a CodeView entry."""
    return b"RSDS" + guid.bytes_le + struct.pack("<L", age) + path + b"\0"


def checksum_of(pdb: bytes, algorithm: str = "SHA256", guid: uuid.UUID = GUID, stamp: int = STAMP) -> bytes:
    """Of the file with its id as zeros."""
    identity = guid.bytes_le + struct.pack("<L", stamp)
    return hashlib.new(algorithm, pdb.replace(identity, bytes(20))).digest()


def make_snupkg(
    id: str = "Contoso.Utils",  # noqa: A002 - the word of the nuspec
    version: str = "1.0.0",
    *,
    files: Mapping[str, bytes] | None = None,
    nuspec: bytes | None = None,
) -> bytes:
    """A symbols package, by default with the PDB of the assembly in `make_debuggable`."""
    described = nuspec or make_nuspec(id, version, authors="", package_types=["SymbolsPackage"])
    return make_zip({f"{id}.nuspec": described, **(files or {"lib/net8.0/Contoso.Utils.pdb": make_pdb()})})


def make_debuggable(
    id: str = "Contoso.Utils",  # noqa: A002 - the word of the nuspec
    version: str = "1.0.0",
    *,
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """A package whose assembly names a PDB."""
    return make_nupkg(id, version, files=files or {"lib/net8.0/Contoso.Utils.dll": make_assembly(make_pdb())})


def _padded(name: bytes) -> bytes:
    return name.ljust(len(name) // 4 * 4 + 4, b"\0")
