"""The parts that take packages and symbols into the hosted feed: for pushes to a worker, and for imports by a command.

Which rules apply, and how many files are inspected at the same time, is up to those who use them.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.config import HostingSettings
from nugetproxy.executors.processes import ProcessExecutor
from nugetproxy.hosting.acts import PushQueue
from nugetproxy.hosting.contents import HostedContents
from nugetproxy.hosting.inspection import Rules
from nugetproxy.hosting.publish import Publish
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.hosting.symbols import Symbols
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.push_rules_archive import PushLimits
from nugetproxy.nuget.symbols_package import SymbolsLimits
from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.revisions import Revisions
from nugetproxy.storage.spool import SpoolFolder


class LimitedRules(Protocol):
    def __call__(self, nupkg: Nupkg, limits: PushLimits) -> tuple[str, ...]:
        """Remarks about a package. Raises InvalidPackage."""


@dataclass(frozen=True, slots=True)
class PublishParts:
    """`rules` are those that `publish` applies, `limits` those of archives."""

    publish: Publish
    symbols: Symbols
    inspection: ProcessExecutor
    rules: Rules
    limits: ArchiveLimits


def publish_parts(
    settings: HostingSettings,
    rules: LimitedRules,
    database: Database,
    revisions: Revisions,
    ownership: Ownership,
    audit: AuditLog,
    *,
    blobs: BlobStore,
    search: HostedSearch,
    spools: SpoolFolder,
    queue: PushQueue,
    inspections: int,
    stack: AsyncExitStack,
) -> PublishParts:
    """Closed by `stack`. `inspections`: processes that inspect files."""
    limits = ArchiveLimits(max_entries=settings.max_entries)
    push_limits = PushLimits(max_ratio=settings.max_ratio, max_unpacked_size=settings.max_unpacked_size)
    limited = partial(rules, limits=push_limits)
    inspection = ProcessExecutor("inspection", inspections)
    stack.push_async_callback(inspection.close)
    publish = Publish(
        database, HostedContents(blobs), ownership, audit, revisions, rules=limited, index=search,
        inspection=inspection, queue=queue, limits=limits,
    )  # fmt: skip
    stack.push_async_callback(publish.close)
    symbols = Symbols(
        database, blobs, ownership, audit, revisions, spools, inspection=inspection, queue=queue,
        limits=SymbolsLimits(limits, push_limits),
    )  # fmt: skip
    stack.push_async_callback(symbols.close)
    return PublishParts(publish, symbols, inspection, limited, limits)
