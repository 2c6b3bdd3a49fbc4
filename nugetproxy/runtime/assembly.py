"""The composition root: settings in, the object graph out. The only place that knows which concrete classes are in use.

clients -> web -> Overlay(hosted, below=Protected) -> [Screened, if there are rules of the policy]
        -> [Mapped, if there are several upstreams] -> MirrorFeed
        -> documents, downloads -> upstream
"""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import nugetproxy
from nugetproxy import metrics
from nugetproxy.accounts.reservations import ProtectedPrefixes, protected_prefixes
from nugetproxy.config import Config, FreshnessSettings, UpstreamSettings
from nugetproxy.errors import StorageUnavailable
from nugetproxy.feeds.advised import Advised
from nugetproxy.feeds.base import Feed
from nugetproxy.feeds.mapped import Mapped, MappedSource
from nugetproxy.feeds.protected import IsOurs, Protected
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.httpcache.freshness import FOLLOWED, DocumentKind, FreshnessRule
from nugetproxy.logs import logger
from nugetproxy.mirroring.bundle.imported import newest_created
from nugetproxy.mirroring.catalog.record import CatalogRecord
from nugetproxy.mirroring.documents.mirrored_documents import MirroredDocuments
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.mirroring.downloads.mirrored_downloads import CommittedPackage, MirroredDownloads
from nugetproxy.mirroring.feed import MirrorFeed
from nugetproxy.mirroring.kept.inventory import RECONCILING, Inventory, KeptPackage, open_ledger
from nugetproxy.mirroring.kept.view import KeptPackages
from nugetproxy.mirroring.symbols.mirrored_symbols import SymbolServer
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.mirroring.wanted import Noting
from nugetproxy.runtime.advisory_files import AdvisoryFiles
from nugetproxy.runtime.care_parts import care_over, kept_parts
from nugetproxy.runtime.catalog_parts import followers
from nugetproxy.runtime.fleet_mirror import keep_bucket
from nugetproxy.runtime.foresight_parts import Mirrored, foresight_over
from nugetproxy.runtime.hosting_parts import PrivateFeed, appeared, attempted, over
from nugetproxy.runtime.known_policy import remember_policy
from nugetproxy.runtime.known_upstreams import remember
from nugetproxy.runtime.opened_stores import open_stores
from nugetproxy.runtime.readiness import Readiness
from nugetproxy.runtime.symbols_parts import symbols_over
from nugetproxy.services import Services
from nugetproxy.storage import data_directory, occupants
from nugetproxy.storage.access import access_for
from nugetproxy.storage.data_directory import IMPORTS, MIRROR
from nugetproxy.storage.database.opening import INVENTORY
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.documents.hot import HotDocuments
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.occupants import Occupant
from nugetproxy.storage.reserve import Reserve
from nugetproxy.storage.revisions import ALL, ANY

if TYPE_CHECKING:
    from nugetproxy.runtime.policy_parts import ScreenedFeed

_log = logger()

USER_AGENT: Final = f"nugetproxy/{nugetproxy.__version__} (caching mirror)"
# Parsed documents are small and few compared with packages; the hot tier saves lookups in the disk store.
_HOT_DOCUMENTS: Final = 8_000_000
_GAUGE_SECONDS: Final = 5.0
# Requests still being answered were waited for before; downloads without a reader may be finished next time.
_LAST_SECONDS: Final = 2.0
# The kinds of process that fill the mirror, and so keep it within its budget.
_FILLING: Final = frozenset({"worker", "prewarm"})


@asynccontextmanager
async def assemble(
    config: Config, environ: Mapping[str, str] | None = None, *, what: str = "worker"
) -> AsyncIterator[Services]:
    """Everything a worker or a command needs, running; stopped in reverse order on the way out.

    `environ` is read only for the outgoing proxies (HTTPS_PROXY and similar). `what` describes this process to others
    that need exclusive use of the data directory. Raises StorageUnavailable if the data directory cannot be used.
    """
    path = Path(config.storage.path)
    mode = Mode(config.mirroring.mode)
    async with AsyncExitStack() as stack:
        access = access_for(config.storage.mirror_access)
        read_only = not data_directory.prepare(path, access, offline=mode is Mode.OFFLINE)
        stack.callback(occupants.enter(path, Occupant(what, nugetproxy.__version__, os.getpid())).leave)
        if mode is Mode.ONLINE:
            remember(path, config.mirroring.upstream)
        stores = await open_stores(
            config,
            stack,
            has_main=config.hosting.enabled or bool(config.policy.rule),
            read_only=read_only,
            what=what,
        )
        leases, revisions, main = stores.leases, stores.revisions, stores.main
        packages = revisions.packages
        reserve = Reserve.of(config.storage)
        database = open_ledger(path / INVENTORY, read_only=read_only)
        stack.callback(database.close)
        inventory = Inventory(database)
        disk = DiskDocuments(path / "documents", config.storage.documents_size, reserve, read_only=read_only)
        stack.callback(disk.close)
        patience = {settings.name: settings.patience for settings in config.mirroring.upstream}
        metrics.begin_at_zero(patience)
        record = CatalogRecord(database, config.mirroring.catalog_poll)
        hot = HotDocuments(stores.over_documents(disk), _HOT_DOCUMENTS, lambda: packages[ANY])
        changes = _Changes()
        documents = MirroredDocuments(
            hot,
            stores.flights,
            freshness_rules(config),
            mode,
            patience=patience,
            changed=revisions.bump_packages,
            followed=record.until,
        )
        stack.push_async_callback(documents.close)
        downloads = MirroredDownloads(
            path,
            leases,
            config.storage.memory_relay,
            mode,
            access=access,
            reserve=reserve,
            patience=max(patience.values()),
        )
        stack.push_async_callback(downloads.close, min(_LAST_SECONDS, config.server.stop_timeout))
        downloads.shared = stores.packages
        downloads.on_commit.append(lambda package: inventory.add(_kept(package)))
        parts = kept_parts(database, path, access, leases, downloads, stack, main if stores.packages else None)

        mirrored_sources: list[MirroredSource] = []
        mirrors: list[tuple[UpstreamSettings, MirrorFeed]] = []
        upstreams: list[Mirrored] = []
        servers: dict[str, SymbolServer] = {}
        for settings in config.mirroring.upstream:
            upstream = UpstreamClient(
                settings,
                user_agent=USER_AGENT,
                offline=mode is Mode.OFFLINE,
                environ=environ or {},
                changed=changes.happened,
            )
            await upstream.start()
            if settings.symbol_server and mode is Mode.ONLINE:
                upstream.allow(settings.symbol_server)
                servers[settings.name] = SymbolServer(upstream, settings.symbol_server)
            stack.push_async_callback(upstream.close)
            kept = KeptPackages(settings.name, downloads, inventory, partial(downloads.brought, upstream))
            mirrored_sources.append(
                MirroredSource(upstream, service_index=settings.service_index, mode=mode, documents=documents)
            )
            mirror = MirrorFeed(
                mirrored_sources[-1],
                downloads=downloads,
                kept=kept,
                search_timeout=config.mirroring.search_timeout,
                absent_seconds=config.mirroring.freshness.versions.absent,
                used=parts.last_use.note,
            )
            mirrors.append((settings, mirror))
            upstreams.append(Mirrored(MappedSource(settings.name, mirror, settings.patterns), upstream, kept))

        feed: Feed
        if len(mirrors) == 1 and "*" in mirrors[0][0].patterns:
            feed = mirrors[0][1]
        else:
            feed = Mapped([each.source for each in upstreams])

        advisories = None
        if config.feed.advisories:
            advised = AdvisoryFiles(Path(config.feed.advisories), path, revisions.bump_all)
            stack.push_async_callback(_end, [asyncio.create_task(advised.run())])
            advisories = advised.current
        policy: ScreenedFeed | None = None
        if main is not None and config.policy.rule:
            # Only now: loading cryptography takes 40 ms and 8 MB.
            from nugetproxy.runtime.policy_parts import screened

            policy = screened(
                feed,
                config.policy,
                main,
                revisions,
                facts=feed if advisories is None else Advised(advisories, feed, dated=True),
                kept=[each.kept for each in upstreams],
            )
            feed = policy.feed
        if what == "worker":
            feed = Noting(feed, parts.unmet.note)
        if what == "worker" and not read_only:
            remember_policy(path, config.policy)
        readiness = Readiness(path, MIRROR, stores.degraded)
        background = [
            asyncio.create_task(readiness.run()),
            asyncio.create_task(_gauges(path, reserve, disk, inventory, [mirror for _, mirror in mirrors])),
            asyncio.create_task(parts.last_use.run()),
            asyncio.create_task(parts.unmet.run()),
            asyncio.create_task(_reconcile(inventory, leases, path / MIRROR)),
            *(asyncio.create_task(_warm(mirror)) for _, mirror in mirrors),
        ]
        if what == "worker":
            if not read_only and (path / IMPORTS).is_dir():
                # Only now: most servers never import a bundle, and loading cryptography takes 40 ms and 8 MB.
                from nugetproxy.runtime.imports import finish_imports

                finishing = finish_imports(path, parts.blobs, database, parts.pins, disk, leases, revisions)
                background.append(asyncio.create_task(finishing))
            if config.storage.kind == "embedded":
                # Nodes of a fleet do not follow a catalog yet: each would expire what another has just fetched.
                background += followers(
                    mirrored_sources,
                    config.mirroring,
                    record,
                    downloads,
                    parts.files,
                    leases,
                    changed=revisions.bump_packages,
                )
        stack.push_async_callback(_end, background)

        private: PrivateFeed | None = None
        is_ours: IsOurs
        if main is not None and config.hosting.enabled:
            private = over(
                feed,
                config,
                path,
                stores,
                main,
                stack,
                advisories,
                read_only=read_only,
                user_agent=USER_AGENT,
                environ=environ,
            )
            is_ours = private.is_ours
        else:
            # Protected ids are never requested upstream, whether or not they are hosted here.
            settled = _Settled(protected_prefixes(config.feed.protected_prefixes, ()))
            feed, is_ours = Protected(settled.prefixes, feed, attempted, appeared), settled.is_ours
            if advisories is not None:
                feed = Advised(advisories, feed)
        care = care_over(
            parts,
            {settings.name: mirror for settings, mirror in mirrors},
            is_ours,
            config,
            path,
            leases,
            reserve,
            stack,
            runs=what in _FILLING,
        )
        if what in _FILLING:
            asks = {settings.name: mirror.still_offers for settings, mirror in mirrors}
            keep_bucket(stores, parts.last_use, asks, is_ours, config, stack)
        symbols = symbols_over(
            path,
            parts,
            care,
            servers,
            leases,
            reserve,
            stack,
            stores.packages,
        )
        foresight = foresight_over(upstreams, downloads, reserve, is_ours, config, stack)

        yield Services(
            config=config,
            feed=private.feed if private is not None else feed,
            ready=readiness.ready,
            started=time.time(),
            name=f"nugetproxy/{nugetproxy.__version__}",
            changes=lambda: changes.count + packages[ANY],
            epoch=lambda: changes.count + packages[ALL],
            mirrored=private.mirrored if private is not None else None,
            hosted=private.hosted if private is not None else None,
            hosting=private.hosting if private is not None else None,
            accounts=private.accounts if private is not None else None,
            revisions=revisions,
            may_remember=revisions.may_remember if config.storage.kind == "shared" else None,
            foresight=foresight,
            screening=policy.screening if policy is not None else None,
            care=care,
            symbols=symbols,
        )


class _Settled:
    """The protected ids of a server without a private feed: those that the settings name."""

    def __init__(self, prefixes: ProtectedPrefixes) -> None:
        self._prefixes = prefixes

    async def prefixes(self) -> ProtectedPrefixes:
        return self._prefixes

    async def is_ours(self, lower_id: str) -> bool:
        """Whether the id is protected."""
        return self._prefixes.resembles(lower_id)


class _Changes:
    """Counts events in this process that may invalidate earlier answers: an upstream went down or came back."""

    def __init__(self) -> None:
        self.count = 0

    def happened(self) -> None:
        self.count += 1


def freshness_rules(config: Config) -> dict[DocumentKind, FreshnessRule]:
    """The rule of each kind of document, from the settings of the same name."""
    followed = config.mirroring.catalog_fresh if config.mirroring.catalog != "off" else 0.0
    return {
        kind: _rule(getattr(config.mirroring.freshness, kind.value), followed if kind in FOLLOWED else 0.0)
        for kind in DocumentKind
    }


def _rule(settings: FreshnessSettings, followed: float) -> FreshnessRule:
    return FreshnessRule(
        fresh=settings.fresh,
        stale_while_revalidate=settings.stale_while_revalidate,
        stale_if_error=settings.stale_if_error,
        absent=settings.absent,
        patience=settings.patience,
        followed=followed,
    )


def _kept(package: CommittedPackage) -> KeptPackage:
    return KeptPackage(
        upstream=package.upstream,
        manifest=package.manifest,
        size=package.size,
        content_hash=package.content_hash,
        committed=int(time.time()),
        modified=package.modified,
        sha512=package.sha512,
        fetch_milliseconds=package.milliseconds,
    )


async def _warm(mirror: MirrorFeed) -> None:
    """
    Fetch the documents that every client requests first (service index, signatures, vulnerabilities), so that they
    are stored.
    """
    await mirror.offered()


async def _reconcile(inventory: Inventory, leases: Leases, tree: Path) -> None:
    try:
        async with leases.hold(RECONCILING):
            await inventory.reconcile(tree)
    except StorageUnavailable as error:
        _log.warning("inventory_unavailable", error=str(error))


async def _gauges(
    path: Path, reserve: Reserve, disk: DiskDocuments, inventory: Inventory, mirrors: list[MirrorFeed]
) -> None:
    """Update the gauges that no request would set."""
    metrics.BUILD.labels(nugetproxy.__version__).set(1)
    while True:
        with contextlib.suppress(OSError, StorageUnavailable):
            metrics.DISK_FREE.set(shutil.disk_usage(path).free)
            metrics.DISK_RESERVE.set(reserve.size)
            metrics.STORED_BYTES.labels("documents").set(disk.size_bytes())
            totals = inventory.totals()
            metrics.STORED_BYTES.labels("content").set(totals.bytes)
            metrics.STORED_PACKAGES.set(totals.packages)
            metrics.BUNDLE_CREATED.set(newest_created(path))
        ages = [age for mirror in mirrors if (age := mirror.vulnerability_age()) is not None]
        if ages:
            metrics.VULNERABILITY_AGE.set(max(ages))
        await asyncio.sleep(_GAUGE_SECONDS)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
