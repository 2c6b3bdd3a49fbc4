"""Which PDBs of a package's assemblies a symbol server may have.

Assemblies that applications load are in `lib/` and `runtimes/`. A PDB that is embedded, or beside its assembly in the
package, needs no symbol server. A PDB that is not portable, or of which the assembly states no checksum, is left out:
whether what a server sends is the right file could not be verified.
"""

from typing import Final
from urllib.parse import unquote

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.debug_directory import PdbRequest, pdb_requests, read_debug_directory
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.portable_pdb import CHECKSUM_ALGORITHMS

LARGEST_ASSEMBLY: Final = 128 * 1024 * 1024
"""Bytes. Each is held in memory; larger ones are left out."""

MOST_BYTES: Final = 2 * 1024**3
"""Bytes of all assemblies of a package. Further ones are left out: real packages stay below a tenth of it."""

_FOLDERS: Final = ("lib/", "runtimes/")
_ENDINGS: Final = (".dll", ".exe")
# Satellite assemblies hold texts and no code.
_WITHOUT_CODE: Final = ".resources.dll"


def wanted_pdbs(package: Nupkg) -> tuple[PdbRequest, ...]:
    """The PDBs, each once, in the order of the archive. An assembly that cannot be read names none."""
    found: dict[tuple[str, str], PdbRequest] = {}
    left = MOST_BYTES
    for entry in package.entries:
        path = unquote(entry.name).replace("\\", "/").lower()
        if not path.startswith(_FOLDERS) or not path.endswith(_ENDINGS) or path.endswith(_WITHOUT_CODE):
            continue
        if entry.size > min(left, LARGEST_ASSEMBLY) or package.find(f"{entry.name[:-4]}.pdb") is not None:
            continue
        left -= entry.size
        try:
            directory = read_debug_directory(package.read(entry.name, LARGEST_ASSEMBLY), entry.name)
        except InvalidPackage:
            continue
        for request in pdb_requests(directory):
            if request.is_portable and any(each.algorithm in CHECKSUM_ALGORITHMS for each in request.checksums):
                found.setdefault((request.file, request.key), request)
    return tuple(found.values())
