"""The private feed's part of the composition: accounts, hosted packages, and the overlay over mirrored packages.

Separate from `assembly` because a mirror without hosting needs none of this.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nugetproxy import metrics
from nugetproxy.accounts.attempts import Attempts
from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.device_grants import DeviceGrants
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.accounts.sessions import Sessions
from nugetproxy.accounts.trusted_publishing.acts import TokenExchange
from nugetproxy.config import Config
from nugetproxy.errors import StorageUnavailable
from nugetproxy.feeds.advised import Advised
from nugetproxy.feeds.base import Feed
from nugetproxy.feeds.overlay import Overlay
from nugetproxy.feeds.protected import Protected
from nugetproxy.hosting.acts import PushQueue
from nugetproxy.hosting.contents import FOLDER, HostedContents
from nugetproxy.hosting.events import HostedEvents
from nugetproxy.hosting.feed import HostedFeed
from nugetproxy.hosting.packages import HostedPackages
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.hosting.statistics import Statistics
from nugetproxy.hosting.symbols import FOLDER as SYMBOLS_FOLDER
from nugetproxy.hosting.symbols import Symbols
from nugetproxy.hosting.upkeep import check_blobs, sweep_unreferenced_blobs
from nugetproxy.hosting.verification import VerificationKeys
from nugetproxy.logs import logger
from nugetproxy.mirroring.issuers import Issuers
from nugetproxy.nuget.globs import any_glob_matches
from nugetproxy.nuget.push_rules import check_push
from nugetproxy.protocol.advisories.values import Advisories
from nugetproxy.runtime.background_jobs import AFTER_A_FAILURE, run_until_closed
from nugetproxy.runtime.publish_parts import publish_parts
from nugetproxy.runtime.retention_job import keep_retiring
from nugetproxy.runtime.stores import Stores
from nugetproxy.services import AccountServices, HostingServices
from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.leases import Rights
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder

_log = logger()

# Processes that inspect pushes, for each worker; the second starts while the first is busy.
_INSPECTIONS: Final = 2
_UPKEEP_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class PrivateFeed:
    """What the private feed adds. `feed` is everything, `mirrored` what readers without access to hosted packages may
    see, `hosted` only what was pushed here.
    """

    feed: Feed
    mirrored: Feed
    hosted: Feed
    accounts: AccountServices
    hosting: HostingServices

    async def is_ours(self, lower_id: str) -> bool:
        """Whether the id is protected or hosted: no upstream is asked about it. Raises StorageUnavailable."""
        protected = await self.accounts.ownership.protected()
        return protected.resembles(lower_id) or await self.hosting.packages.knows(lower_id)


def over(
    below: Feed,
    config: Config,
    path: Path,
    stores: Stores,
    database: Database,
    stack: AsyncExitStack,
    advisories: Callable[[], Advisories] | None,
    *,
    read_only: bool = False,
    user_agent: str = "",
    environ: Mapping[str, str] | None = None,
) -> PrivateFeed:
    """The private feed over `below`; its parts are closed by `stack`, its jobs run until then.

    `advisories` are our own, None if the settings name none.

    `read_only`: nothing can be written below `path`. Hosted packages are served, and every act is refused.
    `user_agent`, `environ` (for the outgoing proxies): for requests to issuers of identity tokens.
    """
    revisions, blobs = stores.revisions, stores.hosted
    directory = Directory(database, revisions)
    stack.callback(directory.close)
    ownership = Ownership(
        database, revisions, protected=config.feed.protected_prefixes, allowed_ids=config.hosting.allowed_ids
    )
    audit = AuditLog(database)
    contents = HostedContents(blobs)
    packages = HostedPackages(database, revisions.of_package)
    search = HostedSearch(database, ownership.verified_among)
    statistics = Statistics(database, search, is_read_only=read_only)
    spools = SpoolFolder(path / "spool", MemoryBudget(0))
    queue = PushQueue()
    parts = publish_parts(
        config.hosting, check_push, database, revisions, ownership, audit, blobs=blobs,
        search=search, spools=spools, queue=queue, inspections=_INSPECTIONS, stack=stack,
    )  # fmt: skip
    publish, symbols = parts.publish, parts.symbols
    protected = Protected(ownership.protected, below, attempted, appeared)
    hosted = HostedFeed(database, contents, search, packages, revisions.of_package)
    stack.push_async_callback(statistics.flush)
    if not read_only:
        run_until_closed(
            stack, _keep_up(stores.jobs, database, packages, symbols, blobs), statistics.run(), _catch_up(search)
        )
        if config.hosting.retention:
            run_until_closed(stack, keep_retiring(database, publish, stores.jobs, config.hosting.retention))
    merged = _merged(config.feed.merged_ids)
    feed: Feed = Overlay(hosted, protected, merged)
    mirrored: Feed = protected
    if advisories is not None:

        async def ours_alone(lower_ids: Collection[str]) -> Collection[str]:
            prefixes, known = await ownership.protected(), await packages.known_among(lower_ids)
            return {each for each in lower_ids if prefixes.resembles(each) or (each in known and not merged(each))}

        feed, mirrored = Advised(advisories, feed), Advised(advisories, protected, ours_alone)
    return PrivateFeed(
        feed=feed,
        mirrored=mirrored,
        hosted=hosted,
        accounts=AccountServices(
            directory,
            ownership,
            audit,
            Attempts(config.accounts.failed_logins_per_minute),
            Sessions(database, idle=config.accounts.session_idle, lifetime=config.accounts.session_lifetime),
            DeviceGrants(database),
            _exchange(config, database, audit, stack, user_agent, environ or {}),
        ),
        hosting=HostingServices(
            publish=publish,
            packages=packages,
            events=HostedEvents(database),
            statistics=statistics,
            symbols=symbols,
            verification_keys=VerificationKeys(database, directory, ownership),
            spools=spools,
            queue=queue,
            max_package_size=config.hosting.max_package_size,
            max_symbols_size=config.hosting.max_symbols_size,
            is_read_only=read_only,
        ),
    )


def _exchange(
    config: Config,
    database: Database,
    audit: AuditLog,
    stack: AsyncExitStack,
    user_agent: str,
    environ: Mapping[str, str],
) -> TokenExchange | None:
    settings = config.trusted_publishing
    if not settings.enabled:
        return None
    issuers = Issuers(user_agent=user_agent, environ=environ, ca_file=settings.ca_file)
    stack.push_async_callback(issuers.close)
    # Never from the request's Host: its sender chooses that, and so could use tokens meant for others.
    audiences = settings.audiences or ((config.server.public_url,) if config.server.public_url else ())
    return TokenExchange(database, audit, issuers, audiences)


def _merged(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    lower = tuple(pattern.lower() for pattern in patterns)
    return lambda lower_id: any_glob_matches(lower, lower_id)


def attempted(what: str) -> None:
    """A protected id that is not hosted here was requested: the upstream was not asked."""
    metrics.PROTECTED_ATTEMPTS.inc()
    _log.info("protected_not_asked", what=what)


def appeared(lower_id: str) -> None:
    """The upstream offers a protected id: somebody may be trying to get into our builds."""
    metrics.PROTECTED_APPEARED.inc()
    _log.warning("protected_id_at_upstream", package=lower_id)


async def _keep_up(
    jobs: Rights, database: Database, packages: HostedPackages, symbols: Symbols, blobs: BlobStore
) -> None:
    """Remove files left by killed pushes, and report missing ones; in one process of all, until it ends."""
    while True:
        try:
            async with jobs.hold("hosting upkeep"):
                while True:
                    await _look_after(database, packages, symbols, blobs)
                    await asyncio.sleep(_UPKEEP_SECONDS)
        except StorageUnavailable as error:  # another node may have taken over
            _log.warning("hosting_upkeep_failed", error=str(error))
            await asyncio.sleep(AFTER_A_FAILURE)


async def _look_after(database: Database, packages: HostedPackages, symbols: Symbols, blobs: BlobStore) -> None:
    try:
        for what, folder in ((packages, FOLDER), (symbols, SYMBOLS_FOLDER)):
            await sweep_unreferenced_blobs(database, what, blobs, folder)
            await check_blobs(database, what, blobs)
    except StorageUnavailable as error:
        _log.warning("hosting_upkeep_failed", error=str(error))
    except Exception:  # noqa: BLE001 - whatever it was, in an hour it is tried again
        _log.exception("hosting_upkeep_failed")


async def _catch_up(search: HostedSearch) -> None:
    """Index versions stored before the current rules of the index."""
    try:
        await search.catch_up()
    except StorageUnavailable as error:
        _log.warning("search_index_behind", error=str(error))
