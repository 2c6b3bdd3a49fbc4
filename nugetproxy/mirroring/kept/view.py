"""The view of one mirrored upstream that consists of kept packages only.

Clients see it offline and while the upstream is considered down: lists, registrations and searches name only versions
that can be downloaded, so a range always resolves to something installable. What the upstream once stated about a
kept version (listed, deprecated, vulnerable) is taken from the kept registration; a package without one is described
from its own nuspec. In a fleet, what another node has left in the bucket is kept, too, but searches know only the ids
that this node has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from nugetproxy.errors import InvalidPackage, InvalidVersion, StorageUnavailable
from nugetproxy.executors.threads import SEARCHES
from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.kept.inventory import Inventory
from nugetproxy.mirroring.kept.parts import kept_manifest
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration, leaf_from_manifest, registration_of
from nugetproxy.protocol.v3.search import (
    CompletionPage,
    CompletionQuery,
    SearchHit,
    SearchPage,
    SearchQuery,
    hit_from_leaves,
    visible_leaves,
)

# Seconds that answers of this view are fresh. They are read from disk unless hot; a short time helps a busy build farm.
_KEPT_VIEW_SECONDS: Final = 2.0


def kept_provenance(source: MirroredSource) -> Provenance:
    """The caching data of an answer of this view: why it is not the upstream's own."""
    if source.is_offline:
        return Provenance(Outcome.HIT, fresh_for=_KEPT_VIEW_SECONDS, detail="offline")
    return Provenance(Outcome.STALE, fresh_for=_KEPT_VIEW_SECONDS, detail="upstream-away")


StatedLeaves = Callable[[PackageId], Awaitable[Iterable[Leaf]]]
"""The leaves that the upstream is known to have stated for an id; sends no request."""


Bring = Callable[[PackageIdentity], Awaitable[LocalFile | None]]
"""Fetches a package that is kept elsewhere, so that it is on this disk; None if it is not available."""


class KeptPackages:
    """The kept packages of one upstream, by its name."""

    def __init__(self, upstream: str, downloads: MirroredDownloads, inventory: Inventory, bring: Bring) -> None:
        self._upstream = upstream
        self._downloads = downloads
        self._inventory = inventory
        self._bring = bring

    def versions(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        """The versions kept on this disk, ascending; empty if there are none."""
        return _sorted(self._downloads.kept_versions(self._upstream, package_id.lower))

    async def versions_in_fleet(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        """All kept versions, ascending; empty if there are none."""
        return _sorted(await self._downloads.versions_in_fleet(self._upstream, package_id.lower))

    async def registration(self, package_id: PackageId, stated: StatedLeaves) -> Registration | None:
        """All kept versions as a complete registration, None if there are none.

        `stated` gives the leaves known from the upstream; those of kept versions are shown unchanged.
        """
        versions = await self.versions_in_fleet(package_id)
        if not versions:
            return None  # the upstream's leaves may be thousands
        known = {leaf.version: leaf for leaf in await stated(package_id)}
        leaves = []
        for version in versions:
            leaf = known.get(version) or await self._leaf_from_nuspec(PackageIdentity(package_id, version))
            if leaf is not None:
                leaves.append(leaf)
        return registration_of(leaves[-1].package_id, leaves) if leaves else None

    async def search(self, query: SearchQuery, stated: StatedLeaves) -> SearchPage:
        """Kept packages that match, one hit per id, paged as requested. Never raises.

        An unreadable inventory finds nothing. `stated` gives the leaves known from the upstream for an id, as for
        `registration`.
        """
        hits: list[SearchHit] = []
        try:
            ids = await SEARCHES.run(
                self._inventory.search, self._upstream, query.text, (query.package_type or "").lower() or None
            )
        except StorageUnavailable:
            ids = []
        # Whether a version is visible depends on the query's SemVer level, which requires its files. They are read up
        # to the wanted page; after that every id is counted, because reading a hundred thousand would block the
        # server.
        looked_at = 0
        for text in ids:
            if len(hits) >= query.skip + query.take:
                break
            looked_at += 1
            # Each id means reading some files, and a deep page thousands of ids: other requests are answered in
            # between.
            await asyncio.sleep(0)
            package_id = PackageId.parse(text)
            registration = await self.registration(package_id, stated)
            hit = hit_from_leaves(registration.leaves, query) if registration is not None else None
            if hit is not None:
                hits.append(hit)
        return SearchPage(len(hits) + len(ids) - looked_at, tuple(hits[query.skip :]))

    async def complete(self, query: CompletionQuery, stated: StatedLeaves) -> CompletionPage:
        """Ids of kept packages that start with the query's text, or the listed versions of its id."""
        if query.asks_versions:
            package_id = PackageId.parse(query.package_id or "")
            registration = await self.registration(package_id, stated)
            leaves = registration.leaves if registration is not None else ()
            return CompletionPage(None, tuple(leaf.version.full for leaf in visible_leaves(leaves, query)))
        try:
            ids = await SEARCHES.run(self._inventory.ids_starting_with, self._upstream, query.text or "")
        except StorageUnavailable:
            ids = []
        return CompletionPage(len(ids), tuple(ids[query.skip : query.skip + query.take]))

    async def _leaf_from_nuspec(self, package: PackageIdentity) -> Leaf | None:
        file = self._downloads.find(self._upstream, package) or await self._bring(package)
        if file is None:
            return None
        try:
            manifest = kept_manifest(file.path, file.path.parent / package.nuspec_name)
        except (OSError, InvalidPackage):
            return None
        published = datetime.fromtimestamp(file.modified, UTC).isoformat()
        return leaf_from_manifest(manifest, published=published)


def _sorted(texts: Iterable[str]) -> tuple[NuGetVersion, ...]:
    found = []
    for text in texts:
        try:
            found.append(NuGetVersion.parse(text))
        except InvalidVersion:
            continue  # a directory created by hand
    return tuple(sorted(found))
