"""Importing a bundle: all of it is verified and staged, then committed; before that, nothing of it is visible.

A bundle that is damaged, or not signed by a trusted key, leaves nothing behind. An import that was interrupted leaves
its staging area, where the next import of the same bundle continues; the import of another bundle removes it.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nugetproxy.errors import BundleRefused, InvalidBundle, NugetproxyError, StorageUnavailable
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.logs import logger
from nugetproxy.mirroring.bundle.committing import Committing
from nugetproxy.mirroring.bundle.head import Head
from nugetproxy.mirroring.bundle.imported import read_imported, refuse_out_of_order
from nugetproxy.mirroring.bundle.reading import BundleReader
from nugetproxy.mirroring.bundle.receiving import Contents, HostedFile, Receiving
from nugetproxy.mirroring.bundle.staging import Seal, Staging, areas
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.symbols import KeptSymbols
from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.leases import Lease

_log = logger()


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the packages of a bundle's upstreams are kept: `places` are our names by the bundle's, `upstreams` their
    service indexes by our name, `new` the names of those that were unknown here."""

    places: Mapping[str, str]
    upstreams: Mapping[str, str]
    new: Sequence[str]


class Place(Protocol):
    def __call__(self, upstreams: Mapping[str, str], /) -> Placed:
        """For the service indexes of a bundle, by name. Raises ValueError for a name that cannot be used."""


class CheckRoom(Protocol):
    def __call__(self, package_bytes: int, disk_bytes: int, /) -> str:
        """Why the mirror cannot grow by so many bytes of packages, using so much of the disk; empty if it can."""


TakeHosted = Callable[[Sequence[HostedFile]], Awaitable[None]]
"""Publishes hosted packages. Called when all of the bundle is verified, before anything of the mirror changes."""


@dataclass(frozen=True, slots=True)
class Options:
    """`allow_older`: also a bundle older than one imported from its source. `pin_as`: a name under which all packages
    of the bundle are pinned, besides those of the bundle itself. `take_hosted`: None leaves hosted packages out."""

    allow_older: bool = False
    pin_as: str = ""
    take_hosted: TakeHosted | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """What to call while an import runs, in a thread or on the event loop, never both at the same time.

    `verified` with the size of each piece that was read and that of all content, in bytes; `placed` with the number of
    packages that were put in place together, and that of all.
    """

    verified: Callable[[int, int], None] = lambda _size, _total: None
    placed: Callable[[int, int], None] = lambda _count, _total: None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import changed. `packages`, `symbols` (PDBs) and `documents` are new; `had` and `older_documents` were
    here, and stay.

    `conflicts` are packages kept with another content, which were left out; `missing` those that the bundle assumes to
    be here and are not.
    """

    head: Head
    packages: int
    package_bytes: int
    symbols: int
    symbols_bytes: int
    documents: int
    had: int
    older_documents: int
    conflicts: Sequence[str]
    missing: Sequence[str]
    upstreams: Sequence[str]
    """Those that are new here, by name."""
    hosted: int
    """Files of hosted packages in the bundle."""


class Importing:
    """Imports bundles into the data directory `data`."""

    def __init__(
        self,
        data: Path,
        committing: Committing,
        files: KeptFiles,
        symbols: KeptSymbols,
        blobs: BlobStore,
        place: Place,
        check_room: CheckRoom,
    ) -> None:
        self._data = data
        self._committing = committing
        self._files = files
        self._symbols = symbols
        self._blobs = blobs
        self._place = place
        self._check_room = check_room

    @contextlib.contextmanager
    def alone(self) -> Iterator[Lease]:
        """Raises StorageUnavailable while another process imports."""
        lease = self._committing.try_alone()
        if lease is None:
            raise StorageUnavailable("another import is running; try again when it has ended")
        with lease:
            yield lease

    async def finish(self) -> int:
        """Commit what killed imports had sealed; returns the number of bundles. The caller holds `alone`.

        Raises StorageUnavailable.
        """
        return await self._committing.finish_interrupted()

    async def run(
        self,
        bundle: BundleReader,
        where: str,
        options: Options = Options(),
        steps: Steps = Steps(),
    ) -> Imported:
        """Import a bundle of which the beginning is verified. The caller holds `alone`.

        Raises BundleRefused, InvalidBundle, StorageUnavailable: nothing of the bundle is visible. If it was sealed
        before a StorageUnavailable, the next import or start of a server finishes it.
        """
        head = bundle.head
        await self.finish()
        refuse_out_of_order(head, read_imported(self._data), where, allow_older=options.allow_older)
        try:
            placed = self._place(head.upstreams)
        except ValueError as error:
            raise InvalidBundle(where, f"the name of an upstream cannot be used: {error}") from None
        takes_hosted = options.take_hosted is not None
        receiving = Receiving(
            self._files, self._symbols, self._blobs, placed.places, where, hosted=takes_hosted
        )  # fmt: skip
        staging = Staging.of(self._data, bundle.beginning.content)
        contents = await UPKEEP.run(receiving.look, bundle.manifest())
        self._refuse_without_room(staging, contents, where)
        for other in areas(self._data):
            if other.folder != staging.folder:
                await UPKEEP.run(other.discard)
        missing = await self._receive(receiving, bundle, where, staging, steps)
        if options.take_hosted is not None:
            try:
                await options.take_hosted(receiving.hosted)
            except NugetproxyError:
                await UPKEEP.run(staging.discard)
                raise
        names = (*(head.holds.names if head.holds.what == "pinned" else ()), *filter(None, (options.pin_as,)))
        seal = Seal(bundle.beginning.content.decode(), head.key, dict(placed.upstreams), list(dict.fromkeys(names)))
        await UPKEEP.run(staging.seal, seal)
        committed = await self._committing.commit(staging, lambda count: steps.placed(count, contents.packages))
        for each in contents.conflicts:
            _log.error(
                "bundle_package_refused", bundle=head.bundle, package=each, why="it is kept with another content"
            )
        return Imported(
            head,
            packages=committed.packages,
            package_bytes=contents.package_bytes,
            symbols=committed.symbols,
            symbols_bytes=contents.symbols_bytes,
            documents=committed.documents,
            had=contents.had,
            older_documents=committed.older_documents,
            conflicts=contents.conflicts,
            missing=missing,
            upstreams=placed.new,
            hosted=contents.hosted,
        )

    def _refuse_without_room(self, staging: Staging, contents: Contents, where: str) -> None:
        needed = max(0, contents.disk_bytes - staging.size())
        if why := self._check_room(contents.package_bytes + contents.symbols_bytes, needed):
            raise BundleRefused(where, why)

    async def _receive(
        self,
        receiving: Receiving,
        bundle: BundleReader,
        where: str,
        staging: Staging,
        steps: Steps,
    ) -> list[str]:
        stopped = threading.Event()

        def go_on(size: int) -> None:
            if stopped.is_set():
                raise _StoppedError
            steps.verified(size, bundle.head.size)

        reading = asyncio.ensure_future(UPKEEP.run(receiving.receive, bundle, staging, go_on))
        try:
            missing = await asyncio.shield(reading)
            since = bundle.head.since
            if missing and since is not None and since.kind == "inventory":
                raise BundleRefused(
                    where,
                    f"it holds only what is new since an inventory of another mirror: {missing[0]} is not here, nor are"
                    f" {len(missing) - 1} others; export with an inventory of this mirror, or without --since",
                )
            return missing
        except asyncio.CancelledError:
            stopped.set()
            with contextlib.suppress(_StoppedError, InvalidBundle, StorageUnavailable):
                await reading
            await UPKEEP.run(staging.keep)
            raise
        except (InvalidBundle, BundleRefused, StorageUnavailable) as error:
            if isinstance(error.__cause__, OSError) and isinstance(error, InvalidBundle):
                # The stick was pulled out: what was verified stays, for the next run.
                await UPKEEP.run(staging.keep)
            else:
                await UPKEEP.run(staging.discard)
            raise


class _StoppedError(Exception):
    """The import was interrupted by its user."""
