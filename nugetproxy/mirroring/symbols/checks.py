"""Whether a file is the PDB that an assembly names. Pure."""

from collections.abc import Mapping
from typing import Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.portable_pdb import PortablePdb

LARGEST_PDB: Final = 128 * 1024 * 1024
"""Bytes, as for pushed ones: a PDB is held in memory while it is verified."""


def fault_of(content: bytes, lower_key: str, checksums: Mapping[str, bytes]) -> str:
    """Why these bytes are not the PDB with this key and these checksums (at least one); empty if they are."""
    try:
        pdb = PortablePdb.parse(content, "the answer")
    except InvalidPackage as error:
        return str(error)
    if pdb.id.key.lower() != lower_key:
        return f"it has the key {pdb.id.key}"
    wrong = [name for name, digest in checksums.items() if pdb.checksum(name) != digest]
    if wrong or not checksums:
        return f"its {wrong[0] if wrong else 'checksum'} is not the one that the assembly states"
    return ""
