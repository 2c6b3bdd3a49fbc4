"""Foresight in the composition: which upstreams may be asked ahead about an id, and how it learns of downloads."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

from nugetproxy.accounts.reservations import protected_prefixes
from nugetproxy.config import Config
from nugetproxy.errors import StorageUnavailable
from nugetproxy.feeds.mapped import MappedSource, sources_for
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.foresight.admission import AheadUpstream
from nugetproxy.mirroring.foresight.foresight import Foresight
from nugetproxy.mirroring.kept.view import KeptPackages
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.runtime.hosting_parts import PrivateFeed
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
    private: PrivateFeed | None,
    config: Config,
    stack: AsyncExitStack,
) -> Foresight | None:
    """Foresight over these upstreams, closed by `stack`; None when it is switched off, or there is nobody to ask."""
    if not config.mirroring.foresight or config.mirroring.mode == "offline":
        return None
    by_name = {upstream.source.name: upstream for upstream in upstreams}
    sources = [upstream.source for upstream in upstreams]
    configured = protected_prefixes(config.feed.protected_prefixes, ())

    def upstreams_of(lower_id: str) -> list[AheadUpstream]:
        """What is hosted is here already, and what is protected is asked of nobody."""
        if private is None:
            is_ours = configured.resembles(lower_id)
        else:
            protected = private.accounts.ownership.protected()
            is_ours = protected.resembles(lower_id) or private.hosting.packages.knows(lower_id)
        return [] if is_ours else [by_name[source.name].client for source in sources_for(sources, lower_id)]

    def has_disk() -> bool:
        try:
            reserve.check(0)
        except StorageUnavailable:
            return False
        return True

    def kept(upstream: str, package_id: PackageId) -> Sequence[NuGetVersion]:
        return by_name[upstream].kept.versions(package_id)

    foresight = Foresight(upstreams_of, kept=kept, has_disk=has_disk)
    stack.push_async_callback(foresight.close)
    downloads.watch = foresight.watch
    downloads.on_commit.append(foresight.committed)
    return foresight
