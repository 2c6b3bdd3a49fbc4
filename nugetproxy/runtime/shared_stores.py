"""The stores of a node: PostgreSQL for what is decided once, a bucket for bytes, the node's own disk as a cache.

Loaded only with `storage.kind = "shared"`: it imports the drivers of both.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from nugetproxy.accounts.audit import AuditEntry, insert_audit
from nugetproxy.config import Config
from nugetproxy.errors import StorageUnavailable
from nugetproxy.executors.threads import BUCKET
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.sharing import FleetPackages
from nugetproxy.runtime.background_jobs import AFTER_A_FAILURE, run_until_closed
from nugetproxy.runtime.bucket_address import bucket_address
from nugetproxy.runtime.fleet_metrics import counted, watch
from nugetproxy.runtime.shared_database import shared_dsn, shared_limits
from nugetproxy.runtime.stores import Stores
from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.blobs.node_cache import NodeCache
from nugetproxy.storage.blobs.s3 import BucketBlobs
from nugetproxy.storage.blobs.s3_client import BucketAddress, BucketClient
from nugetproxy.storage.database.base import Database, Rows
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.documents.shared import SharedDocuments, sweep_documents
from nugetproxy.storage.fleet.duty import do_for_all
from nugetproxy.storage.fleet.follower import Follower
from nugetproxy.storage.fleet.leases import FleetLeases
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.fleet.postgres_log import PostgresFleetLog, note
from nugetproxy.storage.fleet.revisions import FleetRevisions
from nugetproxy.storage.fleet.rules import Timing
from nugetproxy.storage.fleet.standing import Standing
from nugetproxy.storage.leases import Leases, pause_after
from nugetproxy.storage.reserve import Reserve
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder

HOSTED: Final = "hosted-cache"
"""The folder of the data directory with copies of hosted packages. Not that of the embedded storage: its files may be
the only ones."""

# Seconds until a lease that the database does not answer about is granted on this node alone. Longer than confirmations
# may take: a second request to the upstream costs more than a wait.
_LEASE_PATIENCE: Final = 5.0

_SWEEP_SECONDS: Final = 3600.0
_NOTE_AGAIN_SECONDS: Final = 1.0

# Seconds for one statement of a command that copies everything.
_PATIENT_STATEMENT: Final = 120.0

_log = logger()


async def open_shared_stores(config: Config, leases: Leases, stack: AsyncExitStack, *, what: str) -> Stores:
    """See `opened_stores.open_stores`."""
    path, timing = Path(config.storage.path), Timing(outage=config.storage.shared.outage)
    database = PostgresDatabase(shared_dsn(config), shared_limits(config), counted())
    stack.callback(database.close)
    database.ask_directly()
    standing = Standing(path)
    stack.callback(standing.close)
    confirming, leasing = Line(shared_dsn(config), timing.attempt), Line(shared_dsn(config), _LEASE_PATIENCE)
    stack.push_async_callback(confirming.close)
    log = PostgresFleetLog(confirming)
    revisions = FleetRevisions(path, standing, log, note, timing)
    stack.callback(revisions.close)
    fleet = FleetLeases(leases, leasing)
    stack.push_async_callback(fleet.close)
    bucket = _bucket(config)
    hosted = _hosted(config, path, leases, bucket)
    stack.push_async_callback(hosted.close)
    if what == "worker":
        name = _name(path)
        losses = _Losses(database, name)
        follower = Follower(log, standing, revisions.bump, name, timing, went_back=losses.happened)
        log.listen(follower.hint)
        run_until_closed(
            stack,
            follower.run(leases),
            losses.run(),
            _sweep(fleet, database, config.storage.documents_size),
            watch(standing, bucket),
        )
    flights = Flights(fleet)
    return Stores(
        leases=leases,
        flights=flights,
        jobs=fleet,
        revisions=revisions,
        main=database,
        hosted=hosted,
        over_documents=lambda local: SharedDocuments(local, database),
        packages=FleetPackages(database, bucket, flights, BUCKET, config.mirroring.freshness.versions.absent),
        for_all=partial(do_for_all, fleet),
        degraded=lambda: _degraded(standing, bucket),
    )


@contextmanager
def opened_whole(
    config: Config,
) -> Iterator[tuple[PostgresDatabase, FleetRevisions, BucketBlobs, BucketAddress]]:
    """For the commands of `whole_feeds`: the bucket itself, and a database with patience for many rows."""
    with ExitStack() as stack:
        limits = replace(shared_limits(config), statement=_PATIENT_STATEMENT)
        database = PostgresDatabase(shared_dsn(config), limits, always_writes=True)
        bucket = _bucket(config)
        yield database, _command_revisions(database, stack), bucket, bucket.address


@contextmanager
def opened_shared_main(config: Config, path: Path) -> Iterator[tuple[PostgresDatabase, FleetRevisions, BlobStore]]:
    """See `opened_stores.opened_main`."""
    with ExitStack() as stack:
        database = PostgresDatabase(shared_dsn(config), shared_limits(config))
        revisions = _command_revisions(database, stack)
        yield database, revisions, _hosted(config, path, Leases(path / "locks"), _bucket(config))


class Flights:
    """Fleet leases for work that is better done twice than not at all: asking an upstream.

    Nothing is broken off when such a lease is lost. While the database cannot be reached, they hold on this node.
    """

    def __init__(self, leases: FleetLeases) -> None:
        self._leases = leases

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for the lease, however long; limit the wait with `asyncio.timeout`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (lease := await self._leases.try_hold(key)) is None:
            await asyncio.sleep(pause_after(loop.time() - began))
        async with lease:
            yield


class _Losses:
    """Adds a line to the audit log, where an administrator looks for what happened to packages, when changes are lost.

    The database has just come back then, and not every connection may reach it yet.
    """

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node
        self._has_happened = asyncio.Event()

    def happened(self) -> None:
        """Changes that this node had seen are missing."""
        self._has_happened.set()

    async def run(self) -> None:
        """Until cancelled."""
        why = "changes that this node had seen are missing: a failover or a restore lost the last commits"
        entry = AuditEntry("fleet", "database.went-back", self._node, detail=why)
        while True:
            await self._has_happened.wait()
            try:
                await self._database.write(lambda transaction: insert_audit(transaction, entry))
                self._has_happened.clear()
            except StorageUnavailable:
                await asyncio.sleep(_NOTE_AGAIN_SECONDS)


class _Asking(Line):
    """A line of a command, whose event loops are short: each statement is a transaction of the database."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__("", 0.0)
        self._database = database

    async def ask(self, sql: str, *parameters: object) -> Rows:
        return await self._database.write(lambda transaction: transaction.fetch(sql, parameters))


def _command_revisions(database: PostgresDatabase, stack: ExitStack) -> FleetRevisions:
    """`stack` closes both. The command is no node: nobody waits for it, and it remembers nothing."""
    stack.callback(database.close)
    standing = Standing(None)
    stack.callback(standing.close)
    revisions = FleetRevisions(None, standing, PostgresFleetLog(_Asking(database)), note, Timing())
    stack.callback(revisions.close)
    return revisions


def _hosted(config: Config, path: Path, leases: Leases, bucket: BucketBlobs) -> NodeCache:
    spools = SpoolFolder(path / "spool", MemoryBudget(0), Reserve.of(config.storage))
    return NodeCache(bucket, path / HOSTED, spools, leases, config.storage.shared.cache_size or None)


def _degraded(standing: Standing, bucket: BucketBlobs) -> str:
    """What cannot be reached, in words. Costs nothing."""
    return " and ".join(
        (
            *(["PostgreSQL cannot be reached"] if standing.failing_since is not None else []),
            *(["the bucket cannot be reached"] if bucket.is_down else []),
        )
    )


def _bucket(config: Config) -> BucketBlobs:
    return BucketBlobs(BucketClient(bucket_address(config)))


def _name(path: Path) -> str:
    """This node, for people who look at the table of nodes."""
    return f"{socket.gethostname()} {path.absolute()}"


async def _sweep(leases: FleetLeases, database: PostgresDatabase, budget: int) -> None:
    """Keep the shared documents within their budget, on one node for all."""
    while True:
        try:
            async with leases.hold("sweep documents"):
                while True:
                    await asyncio.sleep(_SWEEP_SECONDS)
                    await sweep_documents(database, budget)
        except StorageUnavailable as error:
            _log.warning("documents_not_swept", error=str(error))
            await asyncio.sleep(AFTER_A_FAILURE)
