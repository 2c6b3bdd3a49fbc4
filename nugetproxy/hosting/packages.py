"""Storage of hosted packages: the current state, and the rows that a push, an unlisting or a deletion writes.

Functions that take a connection are parts of a caller's transaction (see `publish`); the class only reads. Permissions
and the storage of bytes are handled elsewhere.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from nugetproxy.errors import PackageExists, VersionBurnt
from nugetproxy.hosting.events import EventKind, HostedEvent, State, insert_event, unpacked
from nugetproxy.hosting.manifests import stored_manifest, written_manifest
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.catalog import PackageEntry
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Fetch, Transaction
from nugetproxy.storage.database.sqlite import SqliteDatabase

_COLUMNS: Final = """
SELECT p.manifest, p.package_id, p.version, h.listed, h.published, p.pushed, h.last_edited, p.size, p.sha512,
       p.content_hash, p.blob, h.deprecation, h.sequence, e.stamp, e.commit_id, h.push
FROM hosted_packages AS h JOIN hosted_pushes AS p USING (push) JOIN hosted_events AS e ON e.sequence = h.sequence
"""


# How many ids are remembered, with whether they are ours: about 3 MB.
_MOST_KNOWN: Final = 20_000


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
class PushedPackage:
    """What a push adds: the package as inspected, and where its bytes are stored. Times and sizes as above.

    `entries` are `packed`.
    """

    manifest: PackageManifest
    entries: bytes = field(repr=False)
    size: int
    sha512: str
    content_hash: str
    blob: BlobKey
    pushed: int


@dataclass(frozen=True, slots=True)
class StoredContent:
    """Where the bytes of a version are stored: all that a download needs. `pushed` in microseconds."""

    blob: BlobKey
    size: int
    sha512: str
    pushed: int


class HostedPackages:
    """Hosted packages, read from one database. Methods may raise StorageUnavailable and take microseconds per row."""

    def __init__(self, database: SqliteDatabase, revision: Callable[[], int] | None = None) -> None:
        """`revision` differs after any change in the database: until then, which ids are ours is remembered.

        Without it the database is queried every time.
        """
        self._fetch: Fetch = database.fetch_now
        self._revision = revision
        self._seen = -1
        self._known: dict[str, bool] = {}

    def knows(self, lower_id: str) -> bool:
        """Whether the id is ours: also when all its versions were deleted, as long as one of them is burnt."""
        if self._revision is None:
            return knows_id(self._fetch, lower_id)
        # The revision first: what is read after it is as new or newer.
        seen = self._revision()
        if seen != self._seen or len(self._known) >= _MOST_KNOWN:
            self._known.clear()
            self._seen = seen
        is_ours = self._known.get(lower_id)
        if is_ours is None:
            is_ours = self._known[lower_id] = knows_id(self._fetch, lower_id)
        return is_ours

    def is_empty(self) -> bool:
        """Whether no id is ours: nothing was ever pushed, or everything was deleted and released."""
        rows = self._fetch("SELECT EXISTS (SELECT 1 FROM hosted_packages) OR EXISTS (SELECT 1 FROM burnt_versions)", ())
        return not rows[0][0]

    def known_among(self, lower_ids: Iterable[str]) -> frozenset[str]:
        """Those of these ids that are ours."""
        wanted = orjson.dumps(list(lower_ids)).decode()
        rows = self._fetch(
            "SELECT value FROM json_each(?) AS w WHERE EXISTS (SELECT 1 FROM hosted_packages WHERE lower_id = w.value)"
            " OR EXISTS (SELECT 1 FROM burnt_versions WHERE lower_id = w.value)",
            (wanted,),
        )
        return frozenset(str(row[0]) for row in rows)

    def versions(self, lower_id: str) -> tuple[NuGetVersion, ...]:
        """All versions, unlisted ones too, ascending; empty for an unknown id."""
        rows = self._fetch("SELECT lower_version FROM hosted_packages WHERE lower_id = ?", (lower_id,))
        return tuple(sorted(NuGetVersion.parse(row[0]) for row in rows))

    def of(self, lower_id: str) -> tuple[HostedPackage, ...]:
        """All versions of an id, ascending; empty for an unknown id."""
        return self._ascending("WHERE h.lower_id = ?", (lower_id,))

    def changed_since(self, lower_id: str, sequence: int) -> tuple[HostedPackage, ...]:
        """As `of`, but only those with an event after `sequence`."""
        return self._ascending("WHERE h.lower_id = ? AND h.sequence > ?", (lower_id, sequence))

    def burnt(self, lower_id: str) -> tuple[tuple[NuGetVersion, int], ...]:
        """Deleted versions that were not released, ascending, with the time of deletion in microseconds."""
        rows = self._fetch("SELECT lower_version, burnt FROM burnt_versions WHERE lower_id = ?", (lower_id,))
        return tuple(sorted((NuGetVersion.parse(version), moment) for version, moment in rows))

    def find(self, package: PackageIdentity) -> HostedPackage | None:
        return find_package(self._fetch, package)

    def find_content(self, package: PackageIdentity) -> StoredContent | None:
        rows = self._fetch(
            "SELECT p.blob, p.size, p.sha512, p.pushed FROM hosted_packages AS h JOIN hosted_pushes AS p USING (push)"
            " WHERE h.lower_id = ? AND h.lower_version = ?",
            (package.lower_id, package.lower_version),
        )
        return StoredContent(key_of(rows[0][0]), *rows[0][1:]) if rows else None

    def entries_of(self, push: int) -> tuple[PackageEntry, ...]:
        """The files in the archive that was pushed."""
        rows = self._fetch("SELECT entries FROM hosted_pushes WHERE push = ?", (push,))
        return unpacked(rows[0][0])

    def revision_of(self, lower_id: str) -> int:
        """The sequence of the last event about an id; 0 if there never was one. Differs after any change."""
        rows = self._fetch("SELECT max(sequence) FROM hosted_events WHERE lower_id = ?", (lower_id,))
        return int(rows[0][0] or 0)

    def ids(self) -> tuple[str, ...]:
        """All lower ids with a version, in order."""
        return tuple(row[0] for row in self._fetch("SELECT DISTINCT lower_id FROM hosted_packages ORDER BY 1", ()))

    def blobs(self, fetch: Fetch | None = None) -> frozenset[str]:
        """The blobs that hosted versions need, as key texts; read with `fetch` inside a transaction."""
        rows = (fetch or self._fetch)(
            "SELECT p.blob FROM hosted_packages AS h JOIN hosted_pushes AS p USING (push)", ()
        )
        return frozenset(row[0] for row in rows)

    def _ascending(self, condition: str, parameters: Sequence[object]) -> tuple[HostedPackage, ...]:
        found = [_package(row) for row in self._fetch(f"{_COLUMNS} {condition}", parameters)]
        return tuple(sorted(found, key=lambda package: package.manifest.version))


# --- parts of a transaction -------------------------------------------------------------------------------------------


def knows_id(fetch: Fetch, lower_id: str) -> bool:
    rows = fetch(
        "SELECT EXISTS (SELECT 1 FROM hosted_packages WHERE lower_id = ?1)"
        " OR EXISTS (SELECT 1 FROM burnt_versions WHERE lower_id = ?1)",
        (lower_id,),
    )
    return bool(rows[0][0])


def deleted_at(fetch: Fetch, package: PackageIdentity) -> int | None:
    """When a version that cannot be pushed again was deleted, in microseconds."""
    rows = fetch(
        "SELECT burnt FROM burnt_versions WHERE lower_id = ? AND lower_version = ?",
        (package.lower_id, package.lower_version),
    )
    return int(rows[0][0]) if rows else None


def require_free(fetch: Fetch, package: PackageIdentity) -> None:
    """Raises PackageExists when the version exists; VersionBurnt when it was deleted and not released."""
    rows = fetch(
        "SELECT EXISTS (SELECT 1 FROM hosted_packages WHERE lower_id = ?1 AND lower_version = ?2),"
        " EXISTS (SELECT 1 FROM burnt_versions WHERE lower_id = ?1 AND lower_version = ?2)",
        (package.lower_id, package.lower_version),
    )
    is_there, is_burnt = rows[0]
    if is_there:
        raise PackageExists(package.id.text, package.version.normalized)
    if is_burnt:
        raise VersionBurnt(package.id.text, package.version.normalized)


def find_package(fetch: Fetch, package: PackageIdentity) -> HostedPackage | None:
    rows = fetch(f"{_COLUMNS} WHERE h.lower_id = ? AND h.lower_version = ?", (package.lower_id, package.lower_version))
    return _package(rows[0]) if rows else None


def insert_package(
    transaction: Transaction, pushed: PushedPackage, now: int, state: State | None = None
) -> HostedPackage:
    """Insert a new version and its event. `now` in ticks. Raises ConstraintViolated when it exists.

    Without `state` it is listed, and was published now.
    """
    manifest = pushed.manifest
    names = (manifest.identity.lower_id, manifest.identity.lower_version)
    push = transaction.insert(
        "INSERT INTO hosted_pushes (lower_id, lower_version, package_id, version, manifest, entries, size, sha512,"
        " content_hash, blob, pushed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *names,
            manifest.id.text,
            manifest.version.full,
            written_manifest(manifest),
            pushed.entries,
            pushed.size,
            pushed.sha512,
            pushed.content_hash,
            str(pushed.blob),
            pushed.pushed,
        ),
        key="push",
    )
    if state is None:
        state = State(listed=True, published=pushed.pushed, last_edited=pushed.pushed, deprecation=None)
    event = insert_event(transaction, EventKind.DETAILS, names[0], push, state, now)
    transaction.change(
        "INSERT INTO hosted_packages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*names, push, *state.row(), event.sequence)
    )
    transaction.change("UPDATE hosted_times SET created = ?1, edited = ?1", (pushed.pushed,))
    return _with(pushed, state, event, push)


def change_package(transaction: Transaction, package: PackageIdentity, state: State, now: int) -> HostedPackage:
    """Give an existing version another state, and record an event. `now` in ticks."""
    before = find_package(transaction.fetch, package)
    assert before is not None
    event = insert_event(transaction, EventKind.DETAILS, package.lower_id, before.push, state, now)
    transaction.change(
        "UPDATE hosted_packages SET listed = ?, published = ?, last_edited = ?, deprecation = ?, sequence = ?"
        " WHERE lower_id = ? AND lower_version = ?",
        (*state.row(), event.sequence, package.lower_id, package.lower_version),
    )
    transaction.change("UPDATE hosted_times SET edited = ?", (state.last_edited,))
    after = find_package(transaction.fetch, package)
    assert after is not None
    return after


def remove_package(
    transaction: Transaction, package: HostedPackage, *, burn: bool, moment: int, now: int
) -> HostedEvent:
    """Remove a version, and record an event. `burn`: it cannot be pushed again. `moment` in microseconds."""
    names = (package.identity.lower_id, package.identity.lower_version)
    event = insert_event(transaction, EventKind.DELETE, names[0], package.push, package.state, now)
    transaction.change("DELETE FROM hosted_packages WHERE lower_id = ? AND lower_version = ?", names)
    if burn:
        transaction.change("INSERT INTO burnt_versions VALUES (?, ?, ?)", (*names, moment))
    transaction.change("UPDATE hosted_times SET deleted = ?", (moment,))
    return event


def free_version(transaction: Transaction, package: PackageIdentity) -> bool:
    """Let a burnt version be pushed again; False when it is not burnt."""
    freed = transaction.change(
        "DELETE FROM burnt_versions WHERE lower_id = ? AND lower_version = ?", (package.lower_id, package.lower_version)
    )
    return freed > 0


def key_of(text: str) -> BlobKey:
    """The key of a blob from its text."""
    return BlobKey(tuple(text.split("/")))


def _with(pushed: PushedPackage, state: State, event: HostedEvent, push: int) -> HostedPackage:
    return HostedPackage(
        pushed.manifest,
        state.listed,
        state.published,
        pushed.pushed,
        state.last_edited,
        pushed.size,
        pushed.sha512,
        pushed.content_hash,
        pushed.blob,
        state.deprecation,
        event.sequence,
        event.stamp,
        event.commit_id,
        push,
    )


def _package(row: tuple[Any, ...]) -> HostedPackage:
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
