"""The mirror's upkeep in the composition: what is known of kept files, the guard over them, and eviction."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nugetproxy.config import Config, parse_budget
from nugetproxy.errors import NugetproxyError
from nugetproxy.feeds.base import LocalFile, Part, SmallContent
from nugetproxy.feeds.protected import IsOurs
from nugetproxy.mirroring.care.eviction import REST, Eviction
from nugetproxy.mirroring.care.upkeep import Upkeep
from nugetproxy.mirroring.care.verification import UpstreamSide, Verification
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.feed import MirrorFeed
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.guard import KeptGuard
from nugetproxy.mirroring.kept.inventory import Inventory
from nugetproxy.mirroring.kept.last_use import LastUse
from nugetproxy.mirroring.kept.pins import Pins
from nugetproxy.mirroring.kept.quarantine import Quarantine
from nugetproxy.mirroring.kept.symbols import KeptSymbols
from nugetproxy.mirroring.kept.unmet import UnmetRequests
from nugetproxy.mirroring.symbols.verification import SymbolsVerification
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.services import CareServices
from nugetproxy.storage.access import Access
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.data_directory import MIRROR
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.reserve import Reserve


@dataclass(frozen=True, slots=True)
class KeptParts:
    """What downloads and feeds need of the mirror's upkeep."""

    inventory: Inventory
    files: KeptFiles
    last_use: LastUse
    unmet: UnmetRequests
    pins: Pins
    """Those of all nodes, where there are several."""
    symbols: KeptSymbols
    quarantine: Quarantine
    blobs: FilesystemBlobs


def kept_parts(
    database: SqliteDatabase,
    path: Path,
    access: Access,
    leases: Leases,
    downloads: MirroredDownloads,
    stack: AsyncExitStack,
    fleet: Database | None = None,
) -> KeptParts:
    """The parts over the inventory in `database`; `downloads` is guarded from now on, and `stack` closes them.

    `fleet` is the database that several nodes share.
    """
    files = KeptFiles(database)
    parts = KeptParts(
        Inventory(database),
        files,
        LastUse(files),
        UnmetRequests(database),
        Pins(fleet or database),
        KeptSymbols(database),
        Quarantine(path, files),
        FilesystemBlobs(path / MIRROR, access),
    )
    downloads.guard = KeptGuard(files, parts.blobs, parts.quarantine, leases)
    stack.push_async_callback(parts.last_use.flush)
    stack.push_async_callback(parts.unmet.flush)
    return parts


def care_over(
    parts: KeptParts,
    mirrors: dict[str, MirrorFeed],
    is_ours: IsOurs,
    config: Config,
    path: Path,
    leases: Leases,
    reserve: Reserve,
    stack: AsyncExitStack,
    *,
    runs: bool,
) -> CareServices:
    """Eviction from the mirror, and its verification; in the background too if `runs`, until `stack` ends it.

    Offline nothing is evicted: nothing could be fetched again.
    """
    asks = {name: mirror.still_offers for name, mirror in mirrors.items()}
    eviction = Eviction(
        parts.files,
        parts.blobs,
        leases,
        asks,
        in_use=parts.last_use.is_recent,
        is_ours=is_ours,
        pins=parts.pins if config.storage.kind == "shared" else None,
        rest=REST if runs else 0.0,
    )
    budget = parse_budget(config.mirroring.budget)
    upkeep = Upkeep(path, budget, reserve, parts.inventory, parts.files, eviction, leases)
    sides = {
        name: UpstreamSide(
            partial(_offers, mirror, is_ours), mirror.stated_sha512, partial(_fetch_again, mirror, is_ours)
        )
        for name, mirror in mirrors.items()
    }
    verification = Verification(
        path / MIRROR, parts.inventory, parts.files, parts.blobs, parts.quarantine, leases, sides,
        symbols=SymbolsVerification(parts.symbols, parts.blobs),
    )  # fmt: skip
    if runs and not parts.files.is_read_only:
        jobs = [verification.run()] if config.mirroring.mode == "offline" else [verification.run(), upkeep.run()]
        stack.push_async_callback(_ended, [asyncio.create_task(job) for job in jobs])
    return CareServices(
        parts.inventory, parts.files, parts.last_use, parts.pins, eviction, upkeep, verification, is_ours
    )


async def _offers(mirror: MirrorFeed, is_ours: IsOurs, package: PackageIdentity) -> bool | None:
    return None if await is_ours(package.lower_id) else await mirror.still_offers(package)


async def _fetch_again(mirror: MirrorFeed, is_ours: IsOurs, package: PackageIdentity) -> bool:
    """Whether the package is kept again."""
    if await is_ours(package.lower_id):
        return False
    try:
        found = (await mirror.content(package, Part.NUPKG)).value
        if not isinstance(found, LocalFile | SmallContent):
            async for _ in found.chunks():
                pass
            found = (await mirror.content(package, Part.NUPKG)).value  # waits until it is stored
    except NugetproxyError:
        return False
    return isinstance(found, LocalFile)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
