"""Push, unlist, relist, deprecate, delete: the complete rules of each act in one place.

Rule 1: an act is complete when its coroutine returns: its bytes, rows and event are on disk, and every process has been
notified. An act that raises has changed nothing that anyone can see.
Rule 2: an act continues even if its caller is cancelled: a push is stored as a whole or not at all, never half.
`accounts.permissions` decides who may act; the rules for packages are a parameter.
"""

import asyncio
import base64
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from nugetproxy.accounts.audit import AuditLog, insert_audit
from nugetproxy.accounts.keys import actor_now
from nugetproxy.accounts.model import Actor
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.accounts.permissions import (
    PackageFacts,
    first_owner,
    may_hard_delete,
    may_push,
    may_push_anything,
    may_unlist,
    require,
)
from nugetproxy.accounts.records import query_of_key
from nugetproxy.errors import ConstraintViolated, InvalidRequest, PackageExists, PackageNotFound, StorageUnavailable
from nugetproxy.executors.base import Executor
from nugetproxy.executors.threads import COMMITS, INSPECTION
from nugetproxy.feeds.offers import History
from nugetproxy.hosting.acts import (
    ANY_PACKAGE,
    REFUSALS,
    NoIndex,
    PushQueue,
    RunningActs,
    SearchIndex,
    absence,
    audited,
    done,
    exists,
)
from nugetproxy.hosting.contents import FOLDER, HostedContents, claim_of, new_key, require_wanted
from nugetproxy.hosting.events import NEWEST_EVENT, State
from nugetproxy.hosting.inspection import Inspected, Rules, identify, inspect, no_rules, refuse_symbols
from nugetproxy.hosting.package_changes import (
    PushedPackage,
    change_package,
    free_version,
    insert_package,
    remove_package,
    require_free,
)
from nugetproxy.hosting.packages import HostedPackage, find_package, has_package, knows_id
from nugetproxy.hosting.statistics import add_downloads
from nugetproxy.logs import logger
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.deprecation import LONGEST_MESSAGE, Deprecation
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Database, Fetch, Noting, Query, Transaction
from nugetproxy.storage.database.holds import require_no_hold
from nugetproxy.storage.revisions import Change, Revisions
from nugetproxy.storage.spool import Spool
from nugetproxy.storage.telling import write_and_tell

_log = logger()

# Inspecting a large package takes seconds, at worst minutes. One at a time, so that small ones are not held up.
_LARGE: Final = 8 * 1024 * 1024


class ListedVerb(StrEnum):
    """How a deprecation changes the listing; the words are nuget.org's."""

    UNCHANGED = "Unchanged"
    UNLIST = "Unlist"
    RELIST = "Relist"


@dataclass(frozen=True, slots=True)
class Pushed:
    """The result of a push. `warnings` are one line each, for the person who pushed."""

    identity: PackageIdentity
    warnings: tuple[str, ...]


class Publish:
    """The acts on hosted packages, for one process. `close` waits for the running ones."""

    def __init__(
        self,
        database: Database,
        contents: HostedContents,
        ownership: Ownership,
        audit: AuditLog,
        revisions: Revisions,
        *,
        rules: Rules = no_rules,
        index: SearchIndex | None = None,
        inspection: Executor = INSPECTION,
        queue: PushQueue | None = None,
        limits: ArchiveLimits = ArchiveLimits(),  # noqa: B008 - frozen
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`rules` check a pushed file, in `inspection`: they can be pickled where that has processes. `index` is
        notified of every change. `clock` returns nanoseconds since 1970.
        """
        self._database = database
        self._contents = contents
        self._ownership = ownership
        self._audit = audit
        self._revisions = revisions
        self._rules = rules
        self._index: SearchIndex = index or NoIndex()
        self._limits = limits
        self._clock = clock
        self._running = RunningActs()
        self._inspection = inspection
        self._queue = queue or PushQueue()
        self._inspecting_large = asyncio.Lock()

    async def close(self) -> None:
        """Wait for the running acts."""
        await self._running.close()

    # --- before a body is read ----------------------------------------------------------------------------------------

    async def admit_push(self, actor: Actor, *, address: str) -> None:
        """Refuse an actor who can push nothing at all, whatever the package is. Raises NotAuthenticated, Forbidden,
        TakesNoChanges.
        """
        async with audited(self._audit, actor, "push", ANY_PACKAGE, address):
            now = self._microseconds()
            require(
                await self._database.look(
                    lambda fetch: may_push_anything(actor, self._ownership.reach(fetch, actor), now)
                )
            )
        await self._database.look(lambda fetch: require_no_hold(fetch, self._database.dialect))

    async def admit_change(self, actor: Actor, act: str, package_id: PackageId, *, address: str) -> None:
        """Refuse an actor who may change no version of this id. Raises PackageNotFound, NotAuthenticated, Forbidden."""

        def look(fetch: Fetch) -> PackageFacts | None:
            known = knows_id(fetch, package_id.lower)
            return self._ownership.facts(fetch, package_id, exists=True) if known else None

        facts = await self._database.look(look)
        if facts is None:
            raise PackageNotFound(package_id.text)
        async with audited(self._audit, actor, act, str(package_id), address):
            require(may_unlist(actor, facts, self._microseconds()))

    # --- push ---------------------------------------------------------------------------------------------------------

    async def judge_push(self, actor: Actor, package: PackageIdentity) -> None:
        """Raises what `push` would raise before it reads the whole file. Nothing is written to the audit log."""
        await self._judged_push(actor, package)

    async def push(
        self, actor: Actor, spool: Spool, *, address: str, history: History | None = None, origin: str = ""
    ) -> Pushed:
        """Publish the package in `spool`, which is ours from here on: committed or discarded. `address`: the client's.

        The first push of an id makes the actor's account its owner. A version that comes from another server brings its
        `history`; `origin` is then that server, for the audit log.

        Raises:
            Busy: too many pushes are waiting to be checked.
            InvalidPackage: the file is not a package that we accept.
            NotAuthenticated, Forbidden, IdReserved: this actor may not push this id.
            PackageExists: the version exists.
            VersionBurnt: it was deleted and not released.
            StorageUnavailable: nothing was published.
        """
        return await self._running.to_the_end(self._push(actor, spool, address, history, origin))

    async def _push(self, actor: Actor, spool: Spool, address: str, history: History | None, origin: str) -> Pushed:
        try:
            with self._queue.entered():
                found, asked = await self._inspected(actor, spool, address)
            async with audited(self._audit, actor, "push", str(found.identity), address):
                key = new_key(FOLDER, found.identity, spool.sha512, ".nupkg")
                await COMMITS.run(self._contents.commit, key, spool)
                try:
                    package = await self._enter(actor, found, spool, key, address, history, origin, asked)
                except REFUSALS:
                    # Only for a definite refusal: after a disk failure it is unknown what a restart will find in the
                    # database, so the bytes are left for the sweep, which checks there first.
                    await COMMITS.run(self._contents.discard, key)
                    raise
        finally:
            spool.end()
        _log.info("package_pushed", package=str(package.identity), bytes=package.size, by=actor.name)
        return Pushed(package.identity, found.warnings)

    async def _inspected(self, actor: Actor, spool: Spool, address: str) -> tuple[Inspected, list[Query]]:
        """What is in the spool, if this actor may push it: that is decided as soon as its id and version are known,
        and only then is everything unpacked, parsed and checked. And what the database was asked for that.
        """
        path = spool.path
        assert path is not None, "a push is spooled on disk"
        package = await self._inspection.run(identify, path, self._limits)
        async with audited(self._audit, actor, "push", str(package), address):
            try:
                asked = await self._judged_push(actor, package)
            except PackageExists:
                # Symbols sent to the wrong address belong to a version that exists.
                await self._inspection.run(refuse_symbols, path, self._limits)
                raise
        async with self._inspecting_large if spool.size > _LARGE else nullcontext():
            return await self._inspection.run(inspect, path, self._limits, self._rules), asked

    async def _judged_push(self, actor: Actor, package: PackageIdentity) -> list[Query]:
        """As `judge_push`; returns what was asked, because the transaction asks it again."""

        def look(fetch: Fetch) -> list[Query]:
            noting = Noting(fetch)
            self._judge_push(actor, package, noting)
            return noting.asked

        return await self._database.look(look)

    def _judge_push(self, actor: Actor, package: PackageIdentity, fetch: Fetch) -> PackageFacts:
        """The facts under which the push is allowed; raises when it is not, or the version is taken."""
        facts = self._ownership.facts(fetch, package.id, knows_id(fetch, package.lower_id))
        require(may_push(actor, facts, self._microseconds()))
        require_free(fetch, package)
        return facts

    async def _enter(
        self, actor: Actor, found: Inspected, spool: Spool, key: BlobKey, address: str, history: History | None,
        origin: str, asked: Sequence[Query],
    ) -> HostedPackage:  # fmt: skip
        """The one transaction of a push. `asked` before it, and asked again."""
        sha512 = base64.b64encode(spool.sha512).decode()
        ahead = [*asked, claim_of(key), NEWEST_EVENT, *self._index.queries_of(found.identity.lower_id)]
        if actor.key is not None:
            ahead.append(query_of_key(actor.key.key_id))

        def enter(transaction: Transaction) -> HostedPackage:
            transaction.fetch_ahead(ahead)
            # Checked again, now that no other process can write: others may have pushed, or have become owners of the
            # id, and the actor may have lost the right to push.
            current = actor_now(transaction.fetch, actor, self._microseconds())
            facts = self._judge_push(current, found.identity, transaction.fetch)
            require_wanted(transaction.fetch, (key,))
            if self._contents.blobs.stat(key) is None:
                raise StorageUnavailable("the file of the package vanished while it was being published")
            now = self._clock()
            pushed = PushedPackage(
                found.manifest, found.entries, spool.size, sha512, found.content_hash, key, now // 1000
            )
            package = insert_package(transaction, pushed, now // 100, _state(history, now // 1000))
            if not facts.exists:
                self._ownership.add_first_owner(transaction, facts.package_id.lower, first_owner(current, facts))
            self._index.index_package(transaction, package)
            if history is not None and history.downloads:
                key_of_counts = (package.identity.lower_id, package.identity.lower_version)
                add_downloads(transaction, {key_of_counts: history.downloads}, self._index)
            insert_audit(transaction, done(actor, "push", package.identity, address, origin))
            return package

        try:
            package = await write_and_tell(
                self._database, enter, self._revisions, Change.of_hosting(found.identity.lower_id)
            )
        except ConstraintViolated as error:
            # The table's primary key decides in the end, whatever was looked up before.
            raise exists(found.identity) from error
        return package

    # --- listing and deprecation --------------------------------------------------------------------------------------

    async def unlist(self, actor: Actor, package: PackageIdentity, *, address: str) -> None:
        """Hide a version from searches. It can still be downloaded. An unlisted version stays unlisted.

        Raises:
            PackageNotFound, VersionNotFound: there is no such version.
            NotAuthenticated, Forbidden: this actor may not.
        """
        await self._set_listed(actor, package, address, listed=False)

    async def relist(self, actor: Actor, package: PackageIdentity, *, address: str) -> None:
        """Show a version again, with its original publication date. Raises as `unlist`."""
        await self._set_listed(actor, package, address, listed=True)

    async def _set_listed(self, actor: Actor, package: PackageIdentity, address: str, *, listed: bool) -> None:
        verb = ListedVerb.RELIST if listed else ListedVerb.UNLIST
        act = "relist" if listed else "unlist"
        await self._running.to_the_end(
            self._change(actor, act, package.id, (package.version,), address, lambda before: _listed(before, verb))
        )

    async def deprecate(
        self,
        actor: Actor,
        package_id: PackageId,
        versions: Sequence[NuGetVersion],
        deprecation: Deprecation | None,
        listed_verb: ListedVerb = ListedVerb.UNCHANGED,
        *,
        address: str,
    ) -> None:
        """Mark all these versions as deprecated, or none; None removes the mark.

        Raises as `unlist`; InvalidRequest when no version is named, or the message is too long.
        """
        if not versions:
            raise InvalidRequest("name the versions to deprecate")
        if deprecation is not None and len(deprecation.message) > LONGEST_MESSAGE:
            raise InvalidRequest(
                f"the message of a deprecation has at most {LONGEST_MESSAGE} characters; this one has "
                f"{len(deprecation.message)}"
            )
        act = "deprecate" if deprecation is not None else "undeprecate"

        def change(before: HostedPackage) -> HostedPackage:
            return replace(_listed(before, listed_verb), deprecation=deprecation)

        await self._running.to_the_end(self._change(actor, act, package_id, versions, address, change))

    async def _change(
        self,
        actor: Actor,
        act: str,
        package_id: PackageId,
        versions: Sequence[NuGetVersion],
        address: str,
        change: Callable[[HostedPackage], HostedPackage],
    ) -> None:
        """One transaction for all versions; a version that would not change gets no event."""
        wanted = [PackageIdentity(package_id, version) for version in dict.fromkeys(versions)]
        await self._database.look(lambda fetch: _require_existing(fetch, wanted))
        subject = f"{package_id} {', '.join(package.version.normalized for package in wanted)}"
        async with audited(self._audit, actor, act, subject, address):

            def enter(transaction: Transaction) -> None:
                # Inside the write lock, so owners, keys and members are those at the time of the commit.
                fetch = transaction.fetch
                facts = self._ownership.facts(fetch, package_id, knows_id(fetch, package_id.lower))
                require(may_unlist(actor_now(fetch, actor, self._microseconds()), facts, self._microseconds()))
                now = self._clock()
                for package in wanted:
                    before = find_package(fetch, package)
                    if before is None:
                        raise absence(fetch, package)
                    after = change(before)
                    if after == before:
                        continue
                    state = replace(after.state, last_edited=now // 1000)
                    self._index.index_package(transaction, change_package(transaction, package, state, now // 100))
                    insert_audit(transaction, done(actor, act, before.identity, address))

            await write_and_tell(self._database, enter, self._revisions, Change.of_hosting(package_id.lower))

    # --- delete -------------------------------------------------------------------------------------------------------

    async def delete(self, actor: Actor, package: PackageIdentity, *, address: str, allow_reuse: bool = False) -> None:
        """Delete a version permanently, including its bytes. It stays burnt: only with `allow_reuse` can other bytes
        be pushed under its name, and only then does an id without versions go back to the feeds below.

        With `allow_reuse` a version that was deleted before is released.

        Raises:
            PackageNotFound, VersionNotFound: there is no such version.
            NotAuthenticated, Forbidden: only administrators may.
        """
        await self._running.to_the_end(self._delete(actor, package, address, allow_reuse))

    async def _delete(self, actor: Actor, package: PackageIdentity, address: str, allow_reuse: bool) -> None:
        async with audited(self._audit, actor, "delete", str(package), address):

            def enter(transaction: Transaction) -> HostedPackage | None:
                fetch = transaction.fetch
                moment = self._microseconds()
                require(may_hard_delete(actor_now(fetch, actor, moment), package.id, moment))
                now = self._clock()
                before = find_package(fetch, package)
                if before is not None:
                    remove_package(transaction, before, burn=not allow_reuse, moment=now // 1000, now=now // 100)
                    self._index.forget_package(transaction, package)
                elif not (allow_reuse and free_version(transaction, package)):
                    raise absence(fetch, package)
                detail = "may be pushed again" if allow_reuse else ""
                insert_audit(transaction, done(actor, "delete", package, address, detail))
                return before

            removed = await write_and_tell(self._database, enter, self._revisions, Change.of_hosting(package.lower_id))
        if removed is not None:
            await COMMITS.run(self._contents.discard, removed.blob)

    # --- shared -------------------------------------------------------------------------------------------------------

    def _microseconds(self) -> int:
        return self._clock() // 1000


def _require_existing(fetch: Fetch, packages: Iterable[PackageIdentity]) -> None:
    """Raises PackageNotFound or VersionNotFound. Checked before any permission, as at nuget.org."""
    for package in packages:
        if not has_package(fetch, package):
            raise absence(fetch, package)


def _state(history: History | None, now: int) -> State:
    """The state of a new version. `now` in microseconds."""
    if history is None:
        return State(listed=True, published=now, last_edited=now, deprecation=None)
    published = now if history.published is None else min(history.published, now)
    return State(history.listed, published, now, history.deprecation)


def _listed(package: HostedPackage, verb: ListedVerb) -> HostedPackage:
    if verb is ListedVerb.UNCHANGED:
        return package
    return replace(package, listed=verb is ListedVerb.RELIST)
