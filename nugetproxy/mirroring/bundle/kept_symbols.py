"""The PDBs of mirrored packages as entries of a bundle, each once, for all of its packages.

The paths are those of a symbol store: the folder `symbols/` of an unpacked bundle can be given to a debugger.
"""

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Final

from nugetproxy.mirroring.bundle.hashing import file_sha512
from nugetproxy.mirroring.bundle.manifest import Entry, Kind, SymbolsFacts, path_of
from nugetproxy.mirroring.bundle.writing import Problems
from nugetproxy.mirroring.kept.symbols import KeptSymbols, MirroredPdb
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobStore

KINDS: Final = frozenset({Kind.SYMBOLS})

_CHUNK: Final = 256 * 1024
# That a line of the manifest names; real PDBs belong to a few.
_MOST_PACKAGES: Final = 100


class KeptSymbolFiles:
    """The PDBs in `blobs`, as `writing.Content`: all, or those of the wanted packages.

    `upstreams` are the names of those whose packages travel. A PDB is not needed for a restore, so one that is missing
    or was changed is left out, and is no problem of the bundle.
    """

    def __init__(
        self,
        rows: KeptSymbols,
        blobs: BlobStore,
        upstreams: Collection[str],
        wanted: Collection[PackageIdentity] | None,
    ) -> None:
        self._rows = rows
        self._blobs = blobs
        self._upstreams = frozenset(upstreams)
        self._wanted = None if wanted is None else {(each.lower_id, each.lower_version) for each in wanted}

    def entries(self, problems: Problems) -> Iterator[Entry]:
        """See `Content`."""
        for _, group in groupby(self._rows.all_kept(), key=lambda pdb: (pdb.lower_name, pdb.lower_key)):
            here = [pdb for pdb in group if self._travels(pdb) and self._is_right(pdb)]
            if not here:
                continue
            first = here[0]
            same = (pdb for pdb in here if pdb.sha512 == first.sha512)
            packages = tuple(sorted({f"{pdb.lower_id}/{pdb.lower_version}" for pdb in same}))[:_MOST_PACKAGES]
            facts = SymbolsFacts(first.lower_name, first.lower_key, first.checksums, packages)
            yield Entry(path_of(Kind.SYMBOLS, facts), first.size, first.sha512, Kind.SYMBOLS, facts)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """See `Content`."""
        assert isinstance(entry.facts, SymbolsFacts)
        kept = [pdb for pdb in self._rows.find(entry.facts.file, entry.facts.key) if pdb.sha512 == entry.sha512]
        if not kept:
            raise FileNotFoundError(entry.path)
        with self._blobs.path(kept[0].blob).open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def _travels(self, pdb: MirroredPdb) -> bool:
        wanted = self._wanted is None or (pdb.lower_id, pdb.lower_version) in self._wanted
        return wanted and pdb.upstream in self._upstreams

    def _is_right(self, pdb: MirroredPdb) -> bool:
        found = self._blobs.stat(pdb.blob)
        if found is None or found.size != pdb.size:
            return False
        try:
            return found.modified == pdb.modified or file_sha512(self._blobs.path(pdb.blob)) == pdb.sha512
        except OSError:
            return False
