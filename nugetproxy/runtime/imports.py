"""Importing bundles in the composition: for the command, and for a server that finishes what one began.

A server needs nothing of this while it serves; the command opens the stores that it shares with a running one.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import nugetproxy
from nugetproxy.config import Config, UpstreamSettings, parse_budget
from nugetproxy.errors import NugetproxyError
from nugetproxy.logs import logger
from nugetproxy.mirroring.bundle.committing import Committing
from nugetproxy.mirroring.bundle.importing import Importing, Placed
from nugetproxy.mirroring.bundle.symbols_arriving import SymbolsCommitting
from nugetproxy.mirroring.care.budget import Disk, limit_of
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.inventory import Inventory, open_ledger
from nugetproxy.mirroring.kept.pins import Pins
from nugetproxy.mirroring.kept.symbols import KeptSymbols
from nugetproxy.runtime.known_upstreams import known, remember
from nugetproxy.runtime.opened_stores import opened_main
from nugetproxy.storage import data_directory, occupants
from nugetproxy.storage.access import access_for
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.data_directory import IMPORTS, MIRROR
from nugetproxy.storage.database.opening import INVENTORY
from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.documents.base import DocumentStore
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.occupants import Occupant
from nugetproxy.storage.reserve import Reserve
from nugetproxy.storage.revisions import Revisions

_log = logger()

REPLACED_WITHIN: Final = 20.0
"""Seconds that servers get to serve a new upstream: they notice it within half a second, and start workers."""
_LOOK_SECONDS: Final = 0.1


@asynccontextmanager
async def importing_into(config: Config) -> AsyncIterator[Importing]:
    """The import into the data directory of these settings, which is created if it is missing.

    Raises StorageUnavailable if it cannot be used.
    """
    path = Path(config.storage.path)
    access = access_for(config.storage.mirror_access)
    async with AsyncExitStack() as stack:
        data_directory.prepare(path, access)
        stack.callback(occupants.enter(path, Occupant("import", nugetproxy.__version__, os.getpid())).leave)
        leases = Leases(path / "locks")
        revisions = Revisions(path)
        stack.callback(revisions.close)
        reserve = Reserve.of(config.storage)
        database = open_ledger(path / INVENTORY)
        stack.callback(database.close)
        documents = DiskDocuments(path / "documents", config.storage.documents_size, reserve)
        stack.callback(documents.close)
        blobs = FilesystemBlobs(path / MIRROR, access)
        inventory = Inventory(database)
        pins = Pins(database)
        if config.storage.kind == "shared":
            pins = Pins(stack.enter_context(opened_main(config, path)).database)
        yield Importing(
            path,
            _committing(path, blobs, database, pins, documents, leases, revisions),
            KeptFiles(database),
            KeptSymbols(database),
            blobs,
            partial(_placed, (*config.mirroring.upstream, *known(path))),
            partial(_too_large, path, inventory, parse_budget(config.mirroring.budget), reserve),
        )


async def finish_imports(
    path: Path,
    blobs: FilesystemBlobs,
    database: SqliteDatabase,
    pins: Pins,
    documents: DocumentStore,
    leases: Leases,
    revisions: Revisions,
) -> None:
    """Commit the bundles that a killed import had verified. Never raises: the next start tries again."""
    if not (path / IMPORTS).is_dir():
        return
    committing = _committing(path, blobs, database, pins, documents, leases, revisions)
    lease = committing.try_alone()
    if lease is None:
        return  # an import is running
    with lease:
        try:
            await committing.finish_interrupted()
        except NugetproxyError as error:
            _log.error("bundle_import_failed", why=str(error))


def workers_of(path: Path) -> set[int]:
    """The processes that serve the data directory."""
    try:
        return {each.pid for each in occupants.occupants(path) if each.what == "worker"}
    except OSError:
        return set()


async def are_replaced(path: Path, workers: set[int]) -> bool:
    """Wait until none of these workers serves any more, which is so once their server has read the settings again."""
    loop = asyncio.get_running_loop()
    end = loop.time() + REPLACED_WITHIN
    while workers & workers_of(path):
        if loop.time() >= end:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
    return True


def _committing(
    path: Path,
    blobs: FilesystemBlobs,
    database: SqliteDatabase,
    pins: Pins,
    documents: DocumentStore,
    leases: Leases,
    revisions: Revisions,
) -> Committing:
    return Committing(
        path,
        blobs=blobs,
        inventory=Inventory(database),
        symbols=SymbolsCommitting(KeptSymbols(database), blobs, leases),
        pins=pins,
        documents=documents,
        leases=leases,
        revisions=revisions,
        remember=partial(_remember, path),
    )


def _placed(ours: tuple[UpstreamSettings, ...], upstreams: Mapping[str, str]) -> Placed:
    """An upstream that we know by its address keeps our name; one that is unknown here keeps its own."""
    places, theirs, new = {}, {}, []
    for name, service_index in upstreams.items():
        given = UpstreamSettings.model_validate({"name": name, "service_index": service_index})
        same = next((each for each in ours if each.service_index == given.service_index), None)
        same = same or next((each for each in ours if each.name.lower() == given.name.lower()), None)
        if same is None:
            new.append(given.name)
        places[name] = (same or given).name
        theirs[places[name]] = given.service_index
    return Placed(places, theirs, new)


def _remember(path: Path, upstreams: Mapping[str, str]) -> None:
    """After those that are known: a server without settings serves these, too."""
    found = known(path)
    names = {each.name.lower() for each in found}
    new = [
        UpstreamSettings.model_validate({"name": name, "service_index": service_index})
        for name, service_index in upstreams.items()
        if name.lower() not in names
    ]
    if new:
        remember(path, (*found, *new))


def _too_large(
    path: Path,
    inventory: Inventory,
    budget: int | float | None,
    reserve: Reserve,
    package_bytes: int,
    disk_bytes: int,
) -> str:
    """See `CheckRoom`."""
    usage = shutil.disk_usage(path)
    disk = Disk(usage.total, usage.free, reserve.size)
    kept, limit = inventory.totals().bytes, limit_of(budget, disk)
    if limit is not None and package_bytes and kept + package_bytes > limit:
        return (
            f"its new packages have {_megabytes(package_bytes)}, and the mirror has {_megabytes(max(0, limit - kept))}"
            f" left of its budget of {_megabytes(limit)} (mirroring.budget)"
        )
    free = max(0, disk.free - disk.reserve)
    if disk_bytes > free:
        return (
            f"it needs {_megabytes(disk_bytes)} of disk space, and {_megabytes(free)} are free beside the reserve of"
            f" {_megabytes(disk.reserve)} (storage.reserve)"
        )
    return ""


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
