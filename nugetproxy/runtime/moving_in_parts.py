"""The parts of a data directory that receive the packages of another server, put together for `import-packages`."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import nugetproxy
from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.config import Config
from nugetproxy.executors.processes import ProcessExecutor
from nugetproxy.hosting.acts import PushQueue
from nugetproxy.hosting.contents import HostedContents
from nugetproxy.hosting.moving_in.rules import check_import
from nugetproxy.hosting.moving_in.run import ImportLimits, Receiver
from nugetproxy.hosting.packages import HostedPackages
from nugetproxy.hosting.publish import Publish
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.hosting.symbols import Symbols
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.push_rules_archive import PushLimits
from nugetproxy.nuget.symbols_package import SymbolsLimits
from nugetproxy.storage import occupants
from nugetproxy.storage.blobs.opening import open_hosted_blobs
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.occupants import Occupant
from nugetproxy.storage.revisions import Revisions
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder


@asynccontextmanager
async def receiver(
    config: Config, path: Path, database: Database, revisions: Revisions, ownership: Ownership, audit: AuditLog,
    *, parallel: int,
) -> AsyncIterator[Receiver]:  # fmt: skip
    """`parallel`: files that are imported at the same time."""
    hosting = config.hosting
    limits = ArchiveLimits(max_entries=hosting.max_entries)
    push_limits = PushLimits(max_ratio=hosting.max_ratio, max_unpacked_size=hosting.max_unpacked_size)
    rules = partial(check_import, limits=push_limits)
    async with AsyncExitStack() as stack:
        stack.callback(occupants.enter(path, Occupant("import-packages", nugetproxy.__version__, os.getpid())).leave)
        blobs = open_hosted_blobs(path)
        blobs.apply_access()
        spools = SpoolFolder(path / "spool", MemoryBudget(0))
        packages = HostedPackages(database)
        # Never busy: the import waits for its own turns.
        inspection, queue = ProcessExecutor("inspection", os.cpu_count() or 1), PushQueue(parallel)
        stack.push_async_callback(inspection.close)
        publish = Publish(
            database,
            HostedContents(blobs),
            ownership,
            audit,
            revisions,
            rules=rules,
            index=HostedSearch(database),
            inspection=inspection,
            queue=queue,
            limits=limits,
        )
        stack.push_async_callback(publish.close)
        symbols = Symbols(
            database,
            blobs,
            ownership,
            audit,
            revisions,
            spools,
            inspection=inspection,
            queue=queue,
            limits=SymbolsLimits(limits, push_limits),
        )
        stack.push_async_callback(symbols.close)
        yield Receiver(
            publish,
            symbols,
            packages,
            spools,
            inspection,
            ImportLimits(limits, hosting.max_package_size, hosting.max_symbols_size),
            rules,
        )
