"""What all acts on hosted packages have in common: they run to their end, and whatever is refused is written down.

What each act does is `publish.py`'s affair.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from nugetproxy.accounts.audit import DONE, REFUSED, AuditEntry, AuditLog
from nugetproxy.accounts.model import Actor
from nugetproxy.errors import (
    Busy,
    Forbidden,
    IdReserved,
    NotAuthenticated,
    NugetproxyError,
    PackageExists,
    PackageNotFound,
    StorageUnavailable,
    VersionNotFound,
)
from nugetproxy.hosting.packages import HostedPackage, deleted_at, knows_id
from nugetproxy.logs import logger
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.database.sqlite import Fetch

_log = logger()
T = TypeVar("T")

REFUSALS: Final = (NotAuthenticated, Forbidden, IdReserved, PackageExists)
"""A definite no. Everything else that an act may raise is about the caller's words or about our disk."""


MOST_PUSHES: Final = 64

ANY_PACKAGE: Final = "any package"
"""The subject, in the audit log, of what is refused before it is known which package it is about."""


class SearchIndex(Protocol):
    """What search keeps of hosted packages. All are called inside the transaction of the act."""

    def index_package(self, connection: sqlite3.Connection, package: HostedPackage) -> None:
        """The version is new, or its state is another now."""

    def forget_package(self, connection: sqlite3.Connection, package: PackageIdentity) -> None:
        """The version is gone."""

    def downloads_counted(self, connection: sqlite3.Connection, lower_ids: Iterable[str]) -> None:
        """These ids have other downloads now."""


class NoIndex:
    """For a feed that is not searched."""

    def index_package(self, connection: sqlite3.Connection, package: HostedPackage) -> None: ...

    def forget_package(self, connection: sqlite3.Connection, package: PackageIdentity) -> None: ...

    def downloads_counted(self, connection: sqlite3.Connection, lower_ids: Iterable[str]) -> None: ...


class PushQueue:
    """How many pushed files may be on their way from their upload to their commit, in one process.

    They wait on the disk and cost no memory; but whoever sends one more than can be checked within a client's patience
    is better told so.
    """

    def __init__(self, most: int = MOST_PUSHES) -> None:
        self._most = most
        self._entered = 0

    def require_room(self) -> None:
        """Raises Busy when there is none: asked before a body is read."""
        if self._entered >= self._most:
            raise Busy("pushes")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Hold a place. Raises Busy."""
        self.require_room()
        self._entered += 1
        try:
            yield
        finally:
            self._entered -= 1


class RunningActs:
    """The acts of one process that are under way."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def to_the_end(self, act: Coroutine[Any, Any, T]) -> T:
        """Run an act that its asker's leaving does not stop."""
        task = asyncio.create_task(act)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for the acts that run."""
        await asyncio.gather(*self._running, return_exceptions=True)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked has it, or has left


@asynccontextmanager
async def audited(audit: AuditLog, actor: Actor, act: str, subject: str, address: str) -> AsyncIterator[None]:
    """What is refused inside leaves its line; what succeeds writes its own, in its transaction."""
    try:
        yield
    except REFUSALS as error:
        if not isinstance(error, NotAuthenticated):  # from nobody in particular, and as often as they like
            entry = AuditEntry(actor.name, f"package.{act}", subject, address, REFUSED, str(error))
            try:
                await audit.record_refusal(entry)
            except StorageUnavailable as failure:
                _log.warning("audit_not_written", error=str(failure))
        raise


def done(actor: Actor, act: str, package: PackageIdentity, address: str, detail: str = "") -> AuditEntry:
    """The line of an act that succeeded."""
    return AuditEntry(actor.name, f"package.{act}", str(package), address, DONE, detail)


def exists(package: PackageIdentity) -> PackageExists:
    return PackageExists(package.id.text, package.version.normalized)


def absence(fetch: Fetch, package: PackageIdentity) -> NugetproxyError:
    """Why a version is not there: the id is not ours, lacks it, or had it."""
    if not knows_id(fetch, package.lower_id):
        return PackageNotFound(package.id.text)
    deleted = deleted_at(fetch, package)
    why = f"it was deleted on {datetime.fromtimestamp(deleted / 1e6, UTC):%Y-%m-%d}" if deleted is not None else ""
    return VersionNotFound(package.id.text, package.version.normalized, why)
