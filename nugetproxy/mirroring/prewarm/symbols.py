"""The symbols of a prewarm: fetch the PDBs that the assemblies of the wanted packages name.

Runs after the packages, over what is kept then. Most packages of nuget.org have no symbols there, which is counted and
is no failure of the run; a PDB that could not be fetched is.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from nugetproxy.errors import DocumentAbsent, NugetproxyError
from nugetproxy.mirroring.kept.symbols import MirroredPdb
from nugetproxy.mirroring.prewarm.patience import Patience
from nugetproxy.mirroring.prewarm.run import DEFAULT_PARALLEL
from nugetproxy.mirroring.symbols.mirrored_symbols import MirroredSymbols
from nugetproxy.nuget.identity import PackageIdentity


@dataclass(frozen=True, slots=True)
class MissingPdb:
    """A PDB that is not kept, and why. `is_absent`: the symbol server lacks it."""

    package: PackageIdentity
    file: str
    key: str
    why: str
    is_absent: bool


@dataclass(slots=True)
class SymbolsReport:
    """PDBs by number: `kept_before` and `fetched` are here now. `bytes_fetched` in bytes."""

    kept_before: int = 0
    fetched: int = 0
    bytes_fetched: int = 0
    missing: list[MissingPdb] = field(default_factory=list)

    @property
    def wanted(self) -> int:
        return self.kept_before + self.fetched + len(self.missing)

    @property
    def absent(self) -> int:
        return sum(each.is_absent for each in self.missing)


@dataclass(frozen=True, slots=True)
class SymbolsForecast:
    """What a run would do: `kept` and `to_fetch` are PDBs of kept packages; those of `unread` packages, which are not
    kept yet, are unknown. Sizes are not stated by symbol servers."""

    kept: int
    to_fetch: int
    unread: int


class PrewarmSymbols:
    """One run. `advanced` is called after each package, `received` with the size of each PDB.

    `most`: bytes that may be fetched, None for any number. Sizes are unknown beforehand: a PDB is not begun when they
    are used up.
    """

    def __init__(
        self,
        symbols: MirroredSymbols,
        patience: Patience,
        *,
        parallel: int = DEFAULT_PARALLEL,
        most: int | None = None,
        advanced: Callable[[str], None] = lambda _: None,
        received: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._symbols = symbols
        self._patience = patience
        self._places = asyncio.Semaphore(parallel)
        self._most = most
        self._advanced = advanced
        self._received = received
        self._report = SymbolsReport()

    async def run(self, packages: Iterable[PackageIdentity]) -> SymbolsReport:
        """Fetch the PDBs of those packages that are kept. Raises StorageUnavailable."""
        async with asyncio.TaskGroup() as group:
            for package in packages:
                group.create_task(self._of_package(package))
        self._report.missing.sort(key=lambda each: (str(each.package).lower(), each.file, each.key))
        return self._report

    async def forecast(self, packages: Iterable[PackageIdentity]) -> SymbolsForecast:
        """What `run` would do now. Raises StorageUnavailable."""
        kept = to_fetch = unread = 0
        for package in packages:
            places = await self._symbols.places_of(package)
            unread += not places
            for place in places:
                for pdb in await self._symbols.of(place):
                    kept += pdb.is_kept
                    to_fetch += not pdb.is_kept and not self._symbols.is_known_absent(pdb)
        return SymbolsForecast(kept, to_fetch, unread)

    async def _of_package(self, package: PackageIdentity) -> None:
        async with self._places:
            for place in await self._symbols.places_of(package):
                for pdb in await self._symbols.of(place):
                    await self._have(package, pdb)
        self._advanced(f"symbols of {package}")

    async def _have(self, package: PackageIdentity, pdb: MirroredPdb) -> None:
        report = self._report
        if pdb.is_kept:
            report.kept_before += 1
            return
        why, is_absent = "it would exceed --max-bytes", False
        if self._most is None or report.bytes_fetched < self._most:
            try:
                kept = await self._patience.ask(partial(self._symbols.fetch, pdb))
            except DocumentAbsent:
                why, is_absent = "the symbol server does not have it", True
            except NugetproxyError as error:
                why = str(error)
            else:
                report.fetched += 1
                report.bytes_fetched += kept.size
                self._patience.succeeded()
                self._received(kept.size)
                return
        report.missing.append(MissingPdb(package, pdb.lower_name, pdb.lower_key, why, is_absent))
