"""What all acts on hosted packages have in common: they run to completion, and every refusal is audited.

What each act does belongs to `publish.py`.
"""

import asyncio
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
from nugetproxy.storage.database.base import Fetch, Query, Transaction

_log = logger()
T = TypeVar("T")

REFUSALS: Final = (NotAuthenticated, Forbidden, IdReserved, PackageExists)
"""Definite refusals. All other errors of an act are about invalid input or our disk."""


MOST_PUSHES: Final = 64

ANY_PACKAGE: Final = "any package"
"""The subject, in the audit log, of a refusal before the package is known."""


class SearchIndex(Protocol):
    """The search index of hosted packages. All that write are called inside the transaction of the act."""

    def queries_of(self, lower_id: str) -> tuple[Query, ...]:
        """What `index_package` will ask about an id, so that it can be asked ahead."""

    def index_package(self, transaction: Transaction, package: HostedPackage) -> None:
        """The version is new, or its state has changed."""

    def forget_package(self, transaction: Transaction, package: PackageIdentity) -> None:
        """The version is gone."""

    def downloads_counted(self, transaction: Transaction, lower_ids: Iterable[str]) -> None:
        """The download counts of these ids have changed."""


class NoIndex:
    """For a feed without search."""

    def queries_of(self, lower_id: str) -> tuple[Query, ...]:
        return ()

    def index_package(self, transaction: Transaction, package: HostedPackage) -> None: ...

    def forget_package(self, transaction: Transaction, package: PackageIdentity) -> None: ...

    def downloads_counted(self, transaction: Transaction, lower_ids: Iterable[str]) -> None: ...


class PushQueue:
    """Limits how many pushed files may be between upload and commit, in one process.

    They wait on disk and use no memory; but a client whose push cannot be checked within its timeout should be refused
    early.
    """

    def __init__(self, most: int = MOST_PUSHES) -> None:
        self._most = most
        self._entered = 0

    def require_room(self) -> None:
        """Raises Busy when the queue is full: called before a body is read."""
        if self._entered >= self._most:
            raise Busy("pushes")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Occupy a place. Raises Busy."""
        self.require_room()
        self._entered += 1
        try:
            yield
        finally:
            self._entered -= 1


class RunningActs:
    """The running acts of one process."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def to_the_end(self, act: Coroutine[Any, Any, T]) -> T:
        """Run an act that continues even if its caller is cancelled."""
        task = asyncio.create_task(act)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for the running acts."""
        await asyncio.gather(*self._running, return_exceptions=True)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # the caller has received it, or was cancelled


@asynccontextmanager
async def audited(audit: AuditLog, actor: Actor, act: str, subject: str, address: str) -> AsyncIterator[None]:
    """Writes an audit line for a refusal inside; a successful act writes its own, in its transaction."""
    try:
        yield
    except REFUSALS as error:
        if not isinstance(error, NotAuthenticated):  # an unknown sender, who may repeat it any number of times
            entry = AuditEntry(actor.name, f"package.{act}", subject, address, REFUSED, str(error))
            try:
                await audit.record_refusal(entry)
            except StorageUnavailable as failure:
                _log.warning("audit_not_written", error=str(failure))
        raise


def done(actor: Actor, act: str, package: PackageIdentity, address: str, detail: str = "") -> AuditEntry:
    """The audit line of a successful act."""
    return AuditEntry(actor.name, f"package.{act}", str(package), address, DONE, detail)


def exists(package: PackageIdentity) -> PackageExists:
    return PackageExists(package.id.text, package.version.normalized)


def absence(fetch: Fetch, package: PackageIdentity) -> NugetproxyError:
    """Why a version does not exist: the id is not hosted here, or lacks this version, or it was deleted."""
    if not knows_id(fetch, package.lower_id):
        return PackageNotFound(package.id.text)
    deleted = deleted_at(fetch, package)
    why = f"it was deleted on {datetime.fromtimestamp(deleted / 1e6, UTC):%Y-%m-%d}" if deleted is not None else ""
    return VersionNotFound(package.id.text, package.version.normalized, why)
