"""Foresight in the composition: which upstreams may be asked ahead about an id, and how it learns of downloads."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

from nugetproxy.config import Config
from nugetproxy.errors import StorageUnavailable
from nugetproxy.feeds.mapped import MappedSource, sources_for
from nugetproxy.feeds.protected import IsOurs
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.foresight.admission import AheadUpstream
from nugetproxy.mirroring.foresight.foresight import Foresight
from nugetproxy.mirroring.kept.view import KeptPackages
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.reserve import Reserve


class Mirrored(NamedTuple):
    """One upstream: which ids it is asked about, its client, and what is kept of it."""

    source: MappedSource
    client: AheadUpstream
    kept: KeptPackages


def foresight_over(
    upstreams: Sequence[Mirrored],
    downloads: MirroredDownloads,
    reserve: Reserve,
    is_ours: IsOurs,
    config: Config,
    stack: AsyncExitStack,
) -> Foresight | None:
    """Foresight over these upstreams, closed by `stack`; None when it is switched off, or there is nobody to ask."""
    if not config.mirroring.foresight or config.mirroring.mode == "offline":
        return None
    by_name = {upstream.source.name: upstream for upstream in upstreams}
    sources = [upstream.source for upstream in upstreams]

    def upstreams_of(lower_id: str) -> list[AheadUpstream]:
        return [by_name[source.name].client for source in sources_for(sources, lower_id)]

    def has_disk() -> bool:
        try:
            reserve.check(0)
        except StorageUnavailable:
            return False
        return True

    def kept(upstream: str, package_id: PackageId) -> Sequence[NuGetVersion]:
        return by_name[upstream].kept.versions(package_id)

    foresight = Foresight(upstreams_of, is_ours, kept=kept, has_disk=has_disk)
    stack.push_async_callback(foresight.close)
    downloads.watch = foresight.watch
    downloads.on_commit.append(foresight.committed)
    return foresight
