"""The rows that a push, an unlisting or a deletion of a hosted package writes.

Each function is a part of one transaction. Who may do it, and the bytes of packages, are handled elsewhere; reading is
in `hosting.packages`.
"""

from dataclasses import dataclass, field

from nugetproxy.errors import PackageExists, VersionBurnt
from nugetproxy.hosting.events import EventKind, HostedEvent, State, insert_event
from nugetproxy.hosting.manifests import written_manifest
from nugetproxy.hosting.packages import HostedPackage, find_package
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Fetch, Transaction


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


def insert_package(
    transaction: Transaction, pushed: PushedPackage, now: int, state: State | None = None
) -> HostedPackage:
    """Insert a new version and its event. `now` in ticks. If it exists, this or the commit raises ConstraintViolated.

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
    transaction.change_later(
        "INSERT INTO hosted_packages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*names, push, *state.row(), event.sequence)
    )
    transaction.change_later("UPDATE hosted_times SET created = ?1, edited = ?1", (pushed.pushed,))
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
