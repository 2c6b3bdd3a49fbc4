"""Hosted packages as registrations and catalog documents: how our rows become the values that `protocol` writes.

The registration of an id is kept in memory and updated incrementally: while nothing changes, an id of thousands of
versions costs as little as a small one, and after a push it costs one version.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from cachetools import LRUCache

from nugetproxy.executors.threads import RENDERING
from nugetproxy.hosting.events import unpacked
from nugetproxy.hosting.packages import HostedPackage, newest_sequence, package_of_row, revision_of, rows_changed_since
from nugetproxy.logs import logger
from nugetproxy.protocol.times import text_of_microseconds, text_of_ticks
from nugetproxy.protocol.v3.catalog import CatalogDetails, CatalogItem, details_document
from nugetproxy.protocol.v3.registration import Leaf, Registration, leaf_from_manifest, registration_of
from nugetproxy.protocol.v3.registration_values import newest_commit
from nugetproxy.storage.database.base import Database, Fetch, Rows

_log = logger()

# Registrations kept in memory, in bytes of their rendered form; as objects they use about five times as much.
_KEPT_BYTES: Final = 50_000_000
# Creating this many leaves would block an event loop too long: with two thousand dependencies each takes 20 ms.
_FEW: Final = 4


@dataclass(slots=True)
class _Kept:
    """The registration of an id at `revision`; `by_version` are its leaves by lower version."""

    revision: int
    by_version: dict[str, Leaf]
    registration: Registration
    seen: int = -1
    """The shared counter of the id when `revision` was last found to be the newest."""

    @property
    def size(self) -> int:
        """Approximate bytes."""
        return sum(page.size for page in self.registration.pages)


class HostedRegistrations:
    """Registrations of hosted ids, hot ones in memory. May raise StorageUnavailable."""

    def __init__(self, database: Database, revision: Callable[[str], int] | None = None) -> None:
        """`revision` differs after any change of this lower id: until then the database is not queried for one that is
        in memory. Without it, it is queried every time.
        """
        self._database = database
        never = itertools.count(-2, -1)
        self._counter = revision or (lambda _: next(never))
        self._kept: LRUCache[str, _Kept] = LRUCache(_KEPT_BYTES, getsizeof=lambda kept: kept.size)
        self._making = asyncio.Lock()

    async def find(self, lower_id: str) -> Registration | None:
        """All versions of an id, every page loaded; None when it has no versions."""
        # The counter first: what is read after it is as new or newer.
        seen = self._counter(lower_id)
        kept: _Kept | None = self._kept.get(lower_id)
        if kept is None or kept.seen != seen:
            kept = await self._checked(lower_id)
            if kept is not None:
                kept.seen = seen
        return kept.registration if kept is not None and kept.by_version else None

    async def _checked(self, lower_id: str) -> _Kept | None:
        kept: _Kept | None = self._kept.get(lower_id)
        if kept is not None and kept.revision == await newest_sequence(self._database, lower_id):
            return kept
        async with self._making:
            return await self._up_to_date(lower_id)

    async def _up_to_date(self, lower_id: str) -> _Kept | None:
        # The revision first: rows read after it are as new or newer, and in that case are checked again next time.
        revision, there = await self._database.look(lambda fetch: _versions_now(fetch, lower_id))
        if revision == 0:
            return None
        kept: _Kept | None = self._kept.get(lower_id)
        if kept is not None and kept.revision == revision:
            return kept  # built while we waited for our turn
        before = {} if kept is None else kept.by_version
        since = 0 if kept is None else kept.revision

        def changed(fetch: Fetch) -> Rows:
            return rows_changed_since(fetch, lower_id, since)

        if len(there) - len(before) > _FEW:
            made = await RENDERING.run(_made, lower_id, await self._database.read(changed), before, there, revision)
        else:
            made = _made(lower_id, await self._database.look(changed), before, there, revision)
        if made.size <= _KEPT_BYTES:
            self._kept[lower_id] = made
        return made


def _versions_now(fetch: Fetch, lower_id: str) -> tuple[int, set[str]]:
    revision = revision_of(fetch, lower_id)
    return revision, {
        row[0] for row in fetch("SELECT lower_version FROM hosted_packages WHERE lower_id = ?", (lower_id,))
    }


def _made(lower_id: str, rows: Rows, before: dict[str, Leaf], there: set[str], revision: int) -> _Kept:
    """`rows` are those that have changed since the leaves `before` were made."""
    packages = map(package_of_row, rows)
    changed = {package.identity.lower_version: leaf_of(package) for package in packages}
    for leaf in changed.values():
        if not leaf.fits:
            _log.warning("version_left_out", package=f"{leaf.package_id} {leaf.version}", reason="too large")
    by_version = {version: leaf for version, leaf in (before | changed).items() if version in there}
    leaves = sorted(by_version.values(), key=lambda leaf: leaf.version)
    name = leaves[-1].package_id if leaves else lower_id
    registration = replace(registration_of(name, leaves), raw=newest_commit(leaves))
    return _Kept(revision, by_version, registration)


def leaf_of(package: HostedPackage) -> Leaf:
    """The leaf of a version in its registration."""
    published = text_of_microseconds(package.published, "+00:00")
    leaf = leaf_from_manifest(package.manifest, published=published, listed=package.listed)
    if package.deprecation is not None:
        leaf.entry["deprecation"] = package.deprecation.document()
    commit = {"commitId": package.commit_id, "commitTimeStamp": text_of_ticks(package.stamp, "+00:00")}
    return replace(leaf, raw={**leaf.raw, **commit})


def catalog_item_of(package: HostedPackage) -> CatalogItem:
    """The last event about a version."""
    identity = package.identity
    return CatalogItem(
        package.stamp,
        package.commit_id,
        is_delete=False,
        package_id=identity.id.text,
        version=identity.version.full,
        lower_id=identity.lower_id,
        lower_version=identity.lower_version,
    )


def catalog_document_of(package: HostedPackage, entries: bytes) -> dict[str, Any]:
    """The catalog's document about the current state of a version. `entries` are `packed`."""
    details = CatalogDetails(
        package.manifest,
        package.listed,
        package.created,
        package.published,
        package.last_edited,
        package.size,
        package.sha512,
        package.deprecation,
        unpacked(entries),
    )
    return details_document(catalog_item_of(package), details)
