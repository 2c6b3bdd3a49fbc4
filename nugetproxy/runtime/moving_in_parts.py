"""The parts of a data directory that receive the packages of another server, put together for `import-packages`."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import nugetproxy
from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.config import Config
from nugetproxy.hosting.acts import PushQueue
from nugetproxy.hosting.moving_in.rules import check_import
from nugetproxy.hosting.moving_in.run import ImportLimits, Receiver
from nugetproxy.hosting.packages import HostedPackages
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.runtime.publish_parts import publish_parts
from nugetproxy.runtime.stores import MainStores
from nugetproxy.storage import occupants
from nugetproxy.storage.occupants import Occupant
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder


@asynccontextmanager
async def receiver(
    config: Config, path: Path, stores: MainStores, ownership: Ownership, audit: AuditLog, *, parallel: int,
) -> AsyncIterator[Receiver]:  # fmt: skip
    """`parallel`: files that are imported at the same time."""
    hosting, database, revisions, blobs = config.hosting, stores.database, stores.revisions, stores.hosted
    async with AsyncExitStack() as stack:
        stack.callback(occupants.enter(path, Occupant("import-packages", nugetproxy.__version__, os.getpid())).leave)
        spools = SpoolFolder(path / "spool", MemoryBudget(0))
        packages = HostedPackages(database)
        parts = publish_parts(
            hosting, check_import, database, revisions, ownership, audit, blobs=blobs,
            search=HostedSearch(database), spools=spools,
            # Never busy: the import waits for its own turns.
            queue=PushQueue(parallel),
            inspections=os.cpu_count() or 1, stack=stack,
        )  # fmt: skip
        yield Receiver(
            parts.publish,
            parts.symbols,
            packages,
            spools,
            parts.inspection,
            ImportLimits(parts.limits, hosting.max_package_size, hosting.max_symbols_size),
            parts.rules,
        )
