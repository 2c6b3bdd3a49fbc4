"""MirroredSymbols: the PDBs of mirrored packages, kept beside them, fetched from the symbol server of their upstream.

Rule 1: a symbol server is only asked for a PDB that an assembly of a kept package names. A debugger asks for the PDB of
everything it has loaded; what else it asks for would tell the upstream the names of private programs.
Rule 2: nothing is kept that is not the PDB that the assembly names, by its id and its checksum.
Rule 3: a fetch is a task of this object and not of a request. Among all processes one fetches a PDB.
"""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from nugetproxy import metrics
from nugetproxy.errors import (
    DocumentAbsent,
    DocumentNotFound,
    NugetproxyError,
    StorageUnavailable,
    UpstreamError,
    UpstreamNonsense,
)
from nugetproxy.executors.threads import DISK, UPKEEP
from nugetproxy.feeds.base import LocalFile
from nugetproxy.feeds.protected import IsOurs, nothing_is_ours
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.keys import lease_of, package_key
from nugetproxy.mirroring.downloads.shared_packages import Absence, SharedPackage
from nugetproxy.mirroring.kept.files import FileKey
from nugetproxy.mirroring.kept.guard import sha512_of
from nugetproxy.mirroring.kept.symbols import KeptSymbols, MirroredPdb
from nugetproxy.mirroring.symbols.checks import LARGEST_PDB, fault_of
from nugetproxy.mirroring.symbols.reading import SymbolsReading
from nugetproxy.mirroring.symbols.shared_symbols import FleetSymbols
from nugetproxy.mirroring.symbols.verification import forget
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.portable_pdb import PORTABLE_AGE
from nugetproxy.protocol.symbol_checksums import agrees, read_symbol_checksums
from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.spool import Spool, SpoolFolder, disk_failures

ABSENT_SECONDS: Final = 86_400.0
"""A PDB that the symbol server lacks is not asked for again for a day: most packages have none there."""

# Fetched at the same time; each may be held in memory while it is verified.
_AT_ONCE: Final = 4
_PATIENCE: Final = 30.0

_log = logger()

MaySee = Callable[[PackageIdentity], Awaitable[bool]]
"""Whether whoever asks may see a package of the mirror."""


@dataclass(frozen=True, slots=True)
class SymbolServer:
    """The symbol server at `url` (without a slash at its end), asked through the client of its upstream."""

    upstream: UpstreamClient
    url: str

    def address(self, pdb: MirroredPdb) -> str:
        """Where a debugger finds the PDB, in the casing of the conventions (dotnet/symstore)."""
        name = quote(pdb.lower_name, safe="")
        return f"{self.url}/{name}/{pdb.lower_key[: -len(PORTABLE_AGE)]}{PORTABLE_AGE}/{name}"


class MirroredSymbols:
    """The symbols of the packages in `blobs`, for one process. To be closed."""

    def __init__(
        self,
        rows: KeptSymbols,
        blobs: BlobStore,
        spools: SpoolFolder,
        leases: Leases,
        servers: Mapping[str, SymbolServer],
        *,
        is_ours: IsOurs = nothing_is_ours,
        used: Callable[[str, PackageIdentity], None] = lambda _upstream, _package: None,
        shared: FleetSymbols | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`servers` by the name of the upstream; empty offline. `is_ours` tells whether a lower id is protected or
        hosted: then nothing of the mirror answers for it, and nobody is asked. `used` is told of each use of a package.
        `shared` are those of other machines. `clock` is in unix seconds.
        """
        self._rows = rows
        self._blobs = blobs
        self._spools = spools
        self._leases = leases
        self._servers = servers
        self._is_ours = is_ours
        self._used = used
        self._shared = shared
        self._clock = clock
        self._reading = SymbolsReading(rows, blobs, leases)
        self._running: dict[MirroredPdb, asyncio.Task[MirroredPdb]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self._reading.close()

    # --- for debuggers ------------------------------------------------------------------------------------------------

    async def find(self, name: str, key: str, checksums: str, may_see: MaySee) -> LocalFile:
        """The PDB that a debugger requests, kept or fetched. Name and key in any casing; `checksums` as in the header
        SymbolChecksum, empty if it was not sent.

        Raises:
            DocumentNotFound: no package that may be seen names it, or its symbol server lacks it.
            UpstreamError: it cannot be fetched now.
            Busy: it is not known yet which PDBs the kept packages name.
            StorageUnavailable.
        """
        known = await self._visible(name.lower(), key.lower(), may_see)
        if not known and await self._reading.catch_up():
            known = await self._visible(name.lower(), key.lower(), may_see)
        candidates = [pdb for pdb in known if agrees(checksums, pdb.checksums)]
        if not candidates:
            raise DocumentNotFound("no package here has this PDB" if not known else "the PDB has other checksums")
        for pdb in candidates:
            file = await self._file(pdb)
            if file is not None:
                return file
        return await self._fetched(candidates)

    async def _visible(self, lower_name: str, lower_key: str, may_see: MaySee) -> list[MirroredPdb]:
        async def is_visible(pdb: MirroredPdb) -> bool:
            ours = await self._is_ours(pdb.lower_id)
            return not ours and await may_see(PackageIdentity.parse(pdb.lower_id, pdb.lower_version))

        return [pdb for pdb in self._rows.find(lower_name, lower_key) if await is_visible(pdb)]

    async def _fetched(self, candidates: list[MirroredPdb]) -> LocalFile:
        failure: NugetproxyError | None = None
        for pdb in candidates:
            try:
                file = await self._file(await self.fetch(pdb))
            except DocumentAbsent:
                continue
            except UpstreamError as error:
                failure = error
                continue
            if file is not None:
                return file
        if failure is not None:
            raise failure
        raise DocumentNotFound(
            "no symbol server has this PDB" if self._servers else "this PDB is not kept, and no symbol server is asked"
        )

    async def _file(self, pdb: MirroredPdb) -> LocalFile | None:
        """The kept file, None if there is none. One that was changed is removed."""
        kept = self._blobs.stat(pdb.blob) if pdb.is_kept else None
        if kept is None:
            return None
        if (kept.size, kept.modified) != (pdb.size, pdb.modified):
            path = self._blobs.path(pdb.blob)
            with disk_failures("read a kept PDB"):
                if await UPKEEP.run(sha512_of, path) != pdb.sha512:
                    if not self._rows.is_read_only:
                        await forget(self._rows, self._blobs, pdb)
                    return None
        self._used(pdb.upstream, PackageIdentity.parse(pdb.lower_id, pdb.lower_version))
        return LocalFile(self._blobs.path(pdb.blob), kept.size, int(kept.modified / 1e9), kept.etag)

    # --- for all ------------------------------------------------------------------------------------------------------

    async def of(self, package: FileKey) -> list[MirroredPdb]:
        """The PDBs that the assemblies of a kept package name. Raises StorageUnavailable."""
        return await self._reading.of(package)

    async def places_of(self, package: PackageIdentity) -> list[FileKey]:
        """Where the package is kept, of upstreams with a symbol server; none for ids that are ours.

        Raises StorageUnavailable.
        """
        if await self._is_ours(package.lower_id):
            return []
        places = [(upstream, package.lower_id, package.lower_version) for upstream in self._servers]
        return [place for place in places if self._blobs.stat(package_key(*place)) is not None]

    def is_known_absent(self, pdb: MirroredPdb) -> bool:
        """Whether its symbol server said lately that it lacks it."""
        return 0 <= self._clock() - pdb.absent < ABSENT_SECONDS

    async def has_server(self, pdb: MirroredPdb) -> bool:
        """Whether there is a symbol server that may be asked for it."""
        return pdb.upstream in self._servers and not await self._is_ours(pdb.lower_id)

    async def fetch(self, pdb: MirroredPdb) -> MirroredPdb:
        """The PDB as it is kept then.

        Raises:
            DocumentAbsent: the symbol server lacks it, or there is none that may be asked.
            UpstreamError: it cannot be fetched now, or the server sent something else.
            StorageUnavailable.
        """
        task = self._running.get(pdb)
        if task is None:
            task = self._running[pdb] = asyncio.create_task(self._fetch(pdb))
            task.add_done_callback(lambda ended: self._ended(pdb, ended))
        return await asyncio.shield(task)

    def _ended(self, pdb: MirroredPdb, task: asyncio.Task[MirroredPdb]) -> None:
        self._running.pop(pdb, None)
        if not task.cancelled():
            task.exception()  # whoever waited may be gone

    async def _fetch(self, wanted: MirroredPdb) -> MirroredPdb:
        if not await self.has_server(wanted) or self._rows.is_read_only:
            raise DocumentAbsent(wanted.lower_name)
        server = self._servers[wanted.upstream]
        url = server.address(wanted)
        async with self._places, self._leases.hold(f"symbols:{wanted.blob}"):
            # Another process may have had the lease until now.
            known = [pdb for pdb in self._rows.of(wanted.package) or [] if pdb.lower_key == wanted.lower_key]
            pdb = known[0] if known else wanted
            if pdb.is_kept and self._blobs.stat(pdb.blob) is not None:
                return pdb
            if self.is_known_absent(pdb):
                raise DocumentAbsent(url)
            spool = await UPKEEP.run(self._copied, pdb)
            if spool is not None:
                return await self._keep(pdb, spool)
            if self._shared is None:
                return await self._asked(server, url, pdb)
            async with self._shared.leading(pdb) as found:
                return await self._shared_or_asked(self._shared, found, server, url, pdb)

    async def _shared_or_asked(
        self,
        shared: FleetSymbols,
        found: SharedPackage | Absence | None,
        server: SymbolServer,
        url: str,
        pdb: MirroredPdb,
    ) -> MirroredPdb:
        if isinstance(found, Absence):
            # Until the others ask again, too.
            await self._rows.note_absent(pdb, int(self._clock() + found.left - ABSENT_SECONDS))
            raise DocumentAbsent(url, found.left)
        if found is not None and (content := await shared.read(pdb, found)) is not None:
            spool = await UPKEEP.run(self._checked, content, pdb)
            if spool is not None:
                return await self._keep(pdb, spool)
        try:
            kept = await self._asked(server, url, pdb)
        except DocumentAbsent:
            await shared.note_absent(pdb)
            raise
        await shared.share(kept, self._blobs.path(kept.blob))
        return kept

    async def _asked(self, server: SymbolServer, url: str, pdb: MirroredPdb) -> MirroredPdb:
        outcome = "failed"
        try:
            kept = await self._keep(pdb, await self._received(server, url, pdb))
            outcome = "fetched"
        except DocumentAbsent:
            outcome = "absent"
            await self._rows.note_absent(pdb, int(self._clock()))
            raise
        finally:
            metrics.SYMBOLS_FETCHED.labels(pdb.upstream, outcome).inc()
        return kept

    def _copied(self, pdb: MirroredPdb) -> Spool | None:
        """From beside another package with the same assembly. Blocks; raises StorageUnavailable."""
        for other in self._rows.find(pdb.lower_name, pdb.lower_key):
            if not other.is_kept or other.upstream != pdb.upstream:
                continue
            try:
                content = self._blobs.path(other.blob).read_bytes()
            except OSError:
                continue
            if (spool := self._checked(content, pdb)) is not None:
                return spool
        return None

    def _checked(self, content: bytes, pdb: MirroredPdb) -> Spool | None:
        """None if this is another PDB. Blocks; raises StorageUnavailable."""
        if fault_of(content, pdb.lower_key, read_symbol_checksums(pdb.checksums)):
            return None
        spool = self._spools.create("pdb", len(content))
        try:
            spool.append(content)
        except BaseException:  # whatever it was, nothing is left in the spool folder
            spool.end()
            raise
        return spool

    async def _received(self, server: SymbolServer, url: str, pdb: MirroredPdb) -> Spool:
        """A verified PDB."""
        name = server.upstream.name
        headers = {"SymbolChecksum": pdb.checksums, "SymbolChecksumValidationSupported": "1"}
        async with server.upstream.download(url, patience=_PATIENCE, headers=headers) as answer:
            if (answer.total or 0) > LARGEST_PDB:
                raise UpstreamNonsense(name, f"{pdb.lower_name} is larger than {LARGEST_PDB} bytes")
            spool = await DISK.run(self._spools.create, "pdb", answer.total)
            try:
                async for chunk in answer.chunks():
                    if spool.size + len(chunk) > LARGEST_PDB:
                        raise UpstreamNonsense(name, f"{pdb.lower_name} is larger than {LARGEST_PDB} bytes")
                    await DISK.run(spool.append, chunk)
                fault = await UPKEEP.run(_fault_in, spool, pdb)
                if fault:
                    metrics.CONTENT_REJECTED.labels(name, "symbols").inc()
                    _log.warning("symbols_rejected", upstream=name, pdb=pdb.lower_name, key=pdb.lower_key, why=fault)
                    raise UpstreamNonsense(name, f"what it sent for {pdb.lower_name} is not that PDB: {fault}")
            except BaseException:  # whatever it was, nothing is left in the spool folder
                spool.end()
                raise
        return spool

    async def _keep(self, pdb: MirroredPdb, spool: Spool) -> MirroredPdb:
        sha512 = base64.b64encode(spool.sha512).decode()
        try:
            # While this lease is held, the package is not evicted.
            async with self._leases.hold(lease_of(package_key(*pdb.package))):
                if self._blobs.stat(package_key(*pdb.package)) is None:
                    raise StorageUnavailable(
                        f"{pdb.lower_id} {pdb.lower_version} was evicted while its PDB was fetched"
                    )
                if self._blobs.stat(pdb.blob) is not None:
                    await DISK.run(self._blobs.delete, pdb.blob)  # without a row, or changed
                info = await DISK.run(self._blobs.commit, pdb.blob, spool)
        finally:
            spool.discard()
        kept = replace(pdb, size=info.size, modified=info.modified, sha512=sha512, absent=0)
        await self._rows.keep(kept)
        return kept


def _fault_in(spool: Spool, pdb: MirroredPdb) -> str:
    return fault_of(spool.read(0, spool.size), pdb.lower_key, read_symbol_checksums(pdb.checksums))
