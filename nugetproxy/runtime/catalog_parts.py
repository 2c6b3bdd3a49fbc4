"""Following the upstreams' catalogs in the composition: which worker follows, and what the others know of it."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Final

from nugetproxy import metrics
from nugetproxy.config import MirroringSettings
from nugetproxy.mirroring.catalog.follower import CatalogFollower
from nugetproxy.mirroring.catalog.record import CatalogRecord
from nugetproxy.mirroring.catalog.schedule import Schedule
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.leases import Leases

_GAUGE_SECONDS: Final = 5.0


def followers(
    sources: Sequence[MirroredSource],
    settings: MirroringSettings,
    record: CatalogRecord,
    downloads: MirroredDownloads,
    files: KeptFiles,
    leases: Leases,
    *,
    changed: Callable[[Collection[str]], None],
) -> Iterator[asyncio.Task[None]]:
    """The running followers of these upstreams' catalogs; none if that is switched off, and none offline.

    `changed` is called with the lower-case ids whose documents were expired.
    """
    if settings.catalog == "off" or settings.mode == "offline":
        return

    async def mark(upstream: str, package: PackageIdentity, is_gone: bool) -> None:
        await files.mark_gone((upstream, package.lower_id, package.lower_version), gone=is_gone)

    for source in sources:
        follower = CatalogFollower(
            source,
            record,
            find_kept=partial(downloads.find, source.name),
            mark_gone=partial(mark, source.name),
            fresh=settings.catalog_fresh,
            changed=changed,
        )
        yield asyncio.create_task(Schedule(follower, settings.catalog_poll).run(leases))
    yield asyncio.create_task(_gauges(record, [source.name for source in sources]))


async def _gauges(record: CatalogRecord, upstreams: Sequence[str]) -> None:
    while True:
        for upstream in upstreams:
            lag = record.lag(upstream)
            if lag is not None:
                metrics.CATALOG_LAG.labels(upstream).set(lag)
        await asyncio.sleep(_GAUGE_SECONDS)
