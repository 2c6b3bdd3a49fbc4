"""Hosted packages as they are now, read from the database.

Functions that take `fetch` are parts of what a caller reads. What a push, an unlisting or a deletion writes is in
`hosting.package_changes`; permissions and the storage of bytes are handled elsewhere.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from nugetproxy.executors.threads import RENDERING, yielding
from nugetproxy.hosting.events import State
from nugetproxy.hosting.manifests import stored_manifest
from nugetproxy.nuget.identity import PackageIdentity, lower_invariant
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Database, Fetch, Rows
from nugetproxy.storage.database.lists import LONGEST, as_rows, padded

_COLUMNS: Final = """
SELECT p.manifest, p.package_id, p.version, h.listed, h.published, p.pushed, h.last_edited, p.size, p.sha512,
       p.content_hash, p.blob, h.deprecation, h.sequence, e.stamp, e.commit_id, h.push
FROM hosted_packages AS h JOIN hosted_pushes AS p USING (push) JOIN hosted_events AS e ON e.sequence = h.sequence
"""


# How many ids are remembered, with whether they are ours: about 5 MB.
_MOST_KNOWN: Final = 20_000
_UNKNOWN: Final = (-1, False)
# Versions that depend on one id and are looked at.
_MOST_DEPENDENTS: Final = 5_000


@dataclass(frozen=True, slots=True)
class HostedPackage:
    """The current state of one version. Times in unix microseconds, `size` in bytes, hashes in base64.

    `published` is when it was first published, whether it is listed or not. `sequence`, `stamp` and `commit_id` are
    those of the last event about it; `push` is the number of its push.
    """

    manifest: PackageManifest = field(repr=False)
    listed: bool
    published: int
    created: int
    last_edited: int
    size: int
    sha512: str
    content_hash: str
    blob: BlobKey
    deprecation: Deprecation | None
    sequence: int
    stamp: int
    commit_id: str
    push: int

    @property
    def identity(self) -> PackageIdentity:
        return self.manifest.identity

    @property
    def state(self) -> State:
        return State(self.listed, self.published, self.last_edited, self.deprecation)


@dataclass(frozen=True, slots=True)
class RecentPush:
    """One of the most recent pushes. `version` is normalised, `pushed` in microseconds."""

    id: str
    version: str
    pushed: int


@dataclass(frozen=True, slots=True)
class Dependent:
    """A package that depends on another. `version` is normalised, `range` is as written, for one of the frameworks."""

    id: str
    version: str
    range: str


@dataclass(frozen=True, slots=True)
class StoredContent:
    """Where the bytes of a version are stored: all that a download needs. `pushed` in microseconds."""

    blob: BlobKey
    size: int
    sha512: str
    pushed: int


class HostedPackages:
    """Hosted packages, read from one database. Methods may raise StorageUnavailable."""

    def __init__(self, database: Database, revision: Callable[[str], int] | None = None) -> None:
        """`revision` differs after any change of this lower id: until then, whether it is ours is remembered.

        Without it the database is queried every time.
        """
        self._database = database
        self._revision = revision
        # For each lower id its revision, and whether it was ours then.
        self._known: dict[str, tuple[int, bool]] = {}
        self._searching = asyncio.Lock()

    async def knows(self, lower_id: str) -> bool:
        """Whether the id is ours: also when all its versions were deleted, as long as one of them is burnt."""
        if self._revision is not None:
            revision, is_ours = self._known.get(lower_id, _UNKNOWN)
            if revision == self._revision(lower_id):
                return is_ours
        return lower_id in await self.known_among((lower_id,))

    async def known_among(self, lower_ids: Iterable[str]) -> frozenset[str]:
        """Those of these ids that are ours, in at most one query (for each 16,384 ids)."""
        if self._revision is None:
            return await self._ours(lower_ids)
        # The revisions first: what is read after them is as new or newer.
        seen = {lower_id: self._revision(lower_id) for lower_id in lower_ids}
        known = {each: self._known.get(each, _UNKNOWN) for each in seen}
        unknown = [each for each, (revision, _) in known.items() if revision != seen[each]]
        if unknown:
            ours = await self._ours(unknown)
            if len(self._known) + len(unknown) > _MOST_KNOWN:
                self._known.clear()
            known.update((each, (seen[each], each in ours)) for each in unknown)
            self._known.update((each, known[each]) for each in unknown[:_MOST_KNOWN])
        return frozenset(each for each, (_, is_ours) in known.items() if is_ours)

    async def _ours(self, lower_ids: Iterable[str]) -> frozenset[str]:
        left, found = list(lower_ids), set[str]()
        while left:
            wanted, left = padded(left[:LONGEST]), left[LONGEST:]
            rows = await self._database.fetch(
                f"WITH wanted (lower_id) AS (VALUES {as_rows(wanted)}) SELECT lower_id FROM wanted AS w"  # noqa: S608  parameters
                " WHERE EXISTS (SELECT 1 FROM hosted_packages WHERE lower_id = w.lower_id)"
                " OR EXISTS (SELECT 1 FROM burnt_versions WHERE lower_id = w.lower_id)",
                wanted,
            )
            found.update(row[0] for row in rows)
        return frozenset(found)

    async def is_empty(self) -> bool:
        """Whether no id is ours: nothing was ever pushed, or everything was deleted and released."""
        [(is_any,)] = await self._database.fetch(
            "SELECT EXISTS (SELECT 1 FROM hosted_packages) OR EXISTS (SELECT 1 FROM burnt_versions)"
        )
        return not is_any

    async def versions(self, lower_id: str) -> tuple[NuGetVersion, ...]:
        """All versions, unlisted ones too, ascending; empty for an unknown id."""
        rows = await self._database.fetch("SELECT lower_version FROM hosted_packages WHERE lower_id = ?", (lower_id,))
        return tuple(sorted(NuGetVersion.parse(row[0]) for row in rows))

    async def versions_ever(self, lower_id: str) -> frozenset[NuGetVersion]:
        """All versions, and those that were deleted and not released."""
        rows = await self._database.fetch(
            "SELECT lower_version FROM hosted_packages WHERE lower_id = ?1"
            " UNION ALL SELECT lower_version FROM burnt_versions WHERE lower_id = ?1",
            (lower_id,),
        )
        return frozenset(NuGetVersion.parse(row[0]) for row in rows)

    async def of(self, lower_id: str) -> tuple[HostedPackage, ...]:
        """All versions of an id, ascending; empty for an unknown id."""
        rows = await self._database.fetch(f"{_COLUMNS} WHERE h.lower_id = ?", (lower_id,))
        return tuple(sorted(map(package_of_row, rows), key=lambda package: package.manifest.version))

    async def burnt(self, lower_id: str) -> tuple[tuple[NuGetVersion, int], ...]:
        """Deleted versions that were not released, ascending, with the time of deletion in microseconds."""
        rows = await self._database.fetch(
            "SELECT lower_version, burnt FROM burnt_versions WHERE lower_id = ?", (lower_id,)
        )
        return tuple(sorted((NuGetVersion.parse(version), moment) for version, moment in rows))

    async def find(self, package: PackageIdentity) -> HostedPackage | None:
        return await self._database.look(lambda fetch: find_package(fetch, package))

    async def find_content(self, package: PackageIdentity) -> StoredContent | None:
        rows = await self._database.fetch(
            "SELECT p.blob, p.size, p.sha512, p.pushed FROM hosted_packages AS h JOIN hosted_pushes AS p USING (push)"
            " WHERE h.lower_id = ? AND h.lower_version = ?",
            (package.lower_id, package.lower_version),
        )
        return StoredContent(key_of(rows[0][0]), *rows[0][1:]) if rows else None

    async def entries_of(self, push: int) -> bytes:
        """The files in the archive that was pushed, `packed`."""
        [(entries,)] = await self._database.fetch("SELECT entries FROM hosted_pushes WHERE push = ?", (push,))
        return bytes(entries)

    async def recent(self, limit: int) -> tuple[RecentPush, ...]:
        """The listed versions that were pushed last, newest first."""
        rows = await self._database.fetch(
            "SELECT p.package_id, p.version, p.pushed FROM hosted_pushes AS p JOIN hosted_packages AS h USING (push)"
            " WHERE h.listed = 1 ORDER BY p.push DESC LIMIT ?",
            (limit,),
        )
        return tuple(RecentPush(name, NuGetVersion.parse(version).normalized, pushed) for name, version, pushed in rows)

    async def dependents(self, lower_id: str, limit: int) -> tuple[Dependent, ...]:
        """The hosted packages with a listed version that depends on an id: the newest such version of each, by id.

        All manifests are searched, in a thread; of one call at a time, so that calls cannot keep other reads waiting.
        """
        pattern = f'%["{lower_id}",%'  # "_" in it also matches other characters: the manifests are read below
        async with self._searching:
            rows = await self._database.read(
                lambda fetch: fetch(
                    "SELECT p.package_id, p.version, p.manifest FROM hosted_packages AS h"
                    " JOIN hosted_pushes AS p USING (push) WHERE h.listed = 1 AND lower(p.manifest) LIKE ? LIMIT ?",
                    (pattern, _MOST_DEPENDENTS),
                )
            )
        return await RENDERING.run(_dependents, rows, lower_id, limit)

    async def ids(self) -> tuple[str, ...]:
        """All lower ids with a version, in order."""
        rows = await self._database.fetch("SELECT DISTINCT lower_id FROM hosted_packages ORDER BY lower_id")
        return tuple(row[0] for row in rows)

    def blobs(self, fetch: Fetch) -> frozenset[str]:
        """The blobs that hosted versions need, as key texts."""
        rows = fetch("SELECT p.blob FROM hosted_packages AS h JOIN hosted_pushes AS p USING (push)", ())
        return frozenset(row[0] for row in rows)


# --- parts of what a caller reads or writes ---------------------------------------------------------------------------


def knows_id(fetch: Fetch, lower_id: str) -> bool:
    rows = fetch(
        "SELECT EXISTS (SELECT 1 FROM hosted_packages WHERE lower_id = ?1)"
        " OR EXISTS (SELECT 1 FROM burnt_versions WHERE lower_id = ?1)",
        (lower_id,),
    )
    return bool(rows[0][0])


_NEWEST: Final = "SELECT max(sequence) FROM hosted_events WHERE lower_id = ?"


def revision_of(fetch: Fetch, lower_id: str) -> int:
    """The sequence of the last event about an id; 0 if there never was one. Differs after any change."""
    [(newest,)] = fetch(_NEWEST, (lower_id,))
    return int(newest or 0)


async def newest_sequence(database: Database, lower_id: str) -> int:
    """As `revision_of`, as a single query. Raises StorageUnavailable."""
    [(newest,)] = await database.fetch(_NEWEST, (lower_id,))
    return int(newest or 0)


def rows_changed_since(fetch: Fetch, lower_id: str, sequence: int) -> Rows:
    """The versions of an id with an event after `sequence`, unordered, as rows: see `package_of_row`."""
    return fetch(f"{_COLUMNS} WHERE h.lower_id = ? AND h.sequence > ?", (lower_id, sequence))


def rows_of_documents(fetch: Fetch, after: int, last: int) -> Rows:
    """The versions of the search documents with these numbers, unordered, as rows: see `package_of_row`."""
    joined = f"{_COLUMNS} JOIN search_documents AS d ON d.lower_id = h.lower_id AND d.lower_version = h.lower_version"
    return fetch(f"{joined} WHERE d.document > ? AND d.document <= ?", (after, last))


def deleted_at(fetch: Fetch, package: PackageIdentity) -> int | None:
    """When a version that cannot be pushed again was deleted, in microseconds."""
    rows = fetch(
        "SELECT burnt FROM burnt_versions WHERE lower_id = ? AND lower_version = ?",
        (package.lower_id, package.lower_version),
    )
    return int(rows[0][0]) if rows else None


def has_package(fetch: Fetch, package: PackageIdentity) -> bool:
    names = (package.lower_id, package.lower_version)
    return bool(fetch("SELECT 1 FROM hosted_packages WHERE lower_id = ? AND lower_version = ?", names))


def find_package(fetch: Fetch, package: PackageIdentity) -> HostedPackage | None:
    rows = fetch(f"{_COLUMNS} WHERE h.lower_id = ? AND h.lower_version = ?", (package.lower_id, package.lower_version))
    return package_of_row(rows[0]) if rows else None


def _dependents(rows: Rows, lower_id: str, limit: int) -> tuple[Dependent, ...]:
    newest: dict[str, tuple[NuGetVersion, Dependent]] = {}
    for package_id, version_text, manifest in yielding(rows):
        read, version = stored_manifest(manifest, package_id, version_text), NuGetVersion.parse(version_text)
        known = newest.get(lower_invariant(package_id))
        if known is not None and version < known[0]:
            continue
        for group in read.dependency_groups:
            for dependency in group.dependencies:
                if lower_invariant(dependency.id) == lower_id:
                    found = Dependent(package_id, version.normalized, dependency.range)
                    newest[lower_invariant(package_id)] = version, found
    return tuple(newest[each][1] for each in sorted(newest)[:limit])


def key_of(text: str) -> BlobKey:
    """The key of a blob from its text."""
    return BlobKey(tuple(text.split("/")))


def package_of_row(row: tuple[Any, ...]) -> HostedPackage:
    """Parses the manifest, which takes much longer than reading the row."""
    (
        manifest,
        package_id,
        version,
        listed,
        published,
        created,
        last_edited,
        size,
        sha512,
        content_hash,
        blob,
        deprecation,
        *rest,
    ) = row
    return HostedPackage(
        stored_manifest(manifest, package_id, version),
        bool(listed),
        published,
        created,
        last_edited,
        size,
        sha512,
        content_hash,
        key_of(blob),
        Deprecation.from_dict(orjson.loads(deprecation)) if deprecation else None,
        *rest,
    )
