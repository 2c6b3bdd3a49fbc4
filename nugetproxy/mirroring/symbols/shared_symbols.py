"""PDBs shared by the nodes of a fleet: one node asks the symbol server, the others read what it left in the bucket.

A PDB belongs to the package that it was fetched for: it is left only where the bucket has that package, and goes with
it. What comes from the bucket is compared with its hash, and then checked like an answer of the symbol server. Without
the bucket or the database, each node asks for itself.
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from nugetproxy import metrics
from nugetproxy.errors import StorageUnavailable
from nugetproxy.executors.base import Executor
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.shared_packages import Absence, SharedPackage, SharedPackages
from nugetproxy.mirroring.downloads.sharing import FOLDER, Bucket
from nugetproxy.mirroring.kept.symbols import MirroredPdb
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.leases import Rights
from nugetproxy.storage.refusals import Refusals

# Seconds that a node waits for another one to fetch a PDB before it asks the symbol server as well.
_PATIENCE: Final = 60.0

_log = logger()


class FleetSymbols:
    """The PDBs of one fleet, as seen by one node."""

    def __init__(self, rows: SharedPackages, bucket: Bucket, leases: Rights, threads: Executor, absent: float) -> None:
        """`threads` wait for the bucket. `absent`: for how many seconds it is believed that a server lacks a PDB."""
        self._rows = rows
        self._bucket = bucket
        self._leases = leases
        self._threads = threads
        self._absent = absent
        self._refusals = Refusals("packages_shared_again")

    @asynccontextmanager
    async def leading(self, pdb: MirroredPdb) -> AsyncIterator[SharedPackage | Absence | None]:
        """What the fleet has; no other node asks the symbol server for the PDB until the end of the context."""
        async with AsyncExitStack() as stack:
            found = await self._find(pdb)
            if found is None:
                # After our patience without the right: a second request is better than none.
                with suppress(TimeoutError, StorageUnavailable):
                    async with asyncio.timeout(_PATIENCE):
                        await stack.enter_async_context(self._leases.hold(f"pdb {_what(pdb)}"))
                    found = await self._find(pdb)
            yield found

    async def read(self, pdb: MirroredPdb, found: SharedPackage) -> bytes | None:
        """Its bytes, None if the bucket does not have them (any more). Never raises."""
        try:
            content = await self._threads.run(self._read, found)
        except StorageUnavailable as error:
            self._refused(pdb, error)
            return None
        if content is None:
            _log.error("shared_package_damaged", package=_what(pdb), blob=str(found.blob))
            with suppress(StorageUnavailable):
                await self._rows.forget_pdb(_names(pdb), found)
            return None
        metrics.SHARED_PDBS.inc()
        return content

    async def share(self, pdb: MirroredPdb, path: Path) -> None:
        """Leave a kept PDB for the other nodes. Never raises."""
        sha512 = base64.b64decode(pdb.sha512)
        blob = BlobKey.of(FOLDER, *pdb.package, f"{sha512.hex()[:32]}-{secrets.token_hex(4)}.pdb")
        try:
            await self._rows.announce(blob)
            await self._threads.run(self._bucket.upload_file, blob, path, pdb.size, sha512)
            await self._rows.add_pdb(_names(pdb), pdb.package, SharedPackage(blob, pdb.size, pdb.sha512))
        except StorageUnavailable as error:
            self._refused(pdb, error)
        else:
            self._refusals.kept()

    async def note_absent(self, pdb: MirroredPdb) -> None:
        """The symbol server lacks it. Never raises."""
        with suppress(StorageUnavailable):
            await self._rows.note_absent(_what(pdb), self._absent)

    async def _find(self, pdb: MirroredPdb) -> SharedPackage | Absence | None:
        try:
            return await self._rows.find_pdb(_names(pdb), _what(pdb))
        except StorageUnavailable as error:
            self._refused(pdb, error)
            return None

    def _read(self, found: SharedPackage) -> bytes | None:
        """Blocks. None if the object is missing or wrong."""
        try:
            content = b"".join(self._bucket.blocks(found.blob, found.size))
        except KeyError:
            return None
        return content if base64.b64encode(hashlib.sha512(content).digest()).decode() == found.sha512 else None

    def _refused(self, pdb: MirroredPdb, error: StorageUnavailable) -> None:
        self._refusals.refused("package_not_shared", str(error), package=_what(pdb))


def _names(pdb: MirroredPdb) -> tuple[str, str, str]:
    return pdb.upstream, pdb.lower_name, pdb.lower_key


def _what(pdb: MirroredPdb) -> str:
    return f"{pdb.upstream} {pdb.lower_name}/{pdb.lower_key}"
