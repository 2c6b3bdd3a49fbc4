"""A data directory with a private feed, as opened by one process."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.model import Account, AccountKind, Actor
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.hosting.contents import HostedContents
from nugetproxy.hosting.events import HostedEvents
from nugetproxy.hosting.feed import HostedFeed
from nugetproxy.hosting.inspection import Rules, no_rules
from nugetproxy.hosting.packages import HostedPackage, HostedPackages
from nugetproxy.hosting.publish import Publish, Pushed
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.blobs.opening import open_hosted_blobs
from nugetproxy.storage.database.base import Query, Transaction
from nugetproxy.storage.revisions import Revisions
from nugetproxy.storage.spool import MemoryBudget, Spool, SpoolFolder
from tests.builders import make_nupkg
from tests.engines.main_database import open_test_database

NOON = 1_767_355_200_000_000_000
"""2026-01-02T12:00:00Z in unix nanoseconds."""
SECOND = 1_000_000_000


class Index:
    """A search index that records its notifications, in the order of transactions."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool | None]] = []
        self.error: Exception | None = None

    def queries_of(self, lower_id: str) -> tuple[Query, ...]:
        return ()

    def index_package(self, transaction: Transaction, package: HostedPackage) -> None:
        if self.error is not None:
            raise self.error
        self.told.append((str(package.identity), package.listed))

    def forget_package(self, transaction: Transaction, package: PackageIdentity) -> None:
        self.told.append((str(package), None))

    def downloads_counted(self, transaction: Transaction, lower_ids: Iterable[str]) -> None: ...


class Search:
    """Returns what it was given."""

    async def search(self, query: SearchQuery) -> SearchPage:
        return SearchPage(1, (SearchHit("Contoso.Utils", {"q": query.text}),))

    async def complete(self, query: CompletionQuery) -> CompletionPage:
        return CompletionPage(1, ("Contoso.Utils",))


class House:
    """`now` is the clock's time in nanoseconds; it advances by a second with every reading."""

    def __init__(
        self,
        path: Path,
        *,
        protected: Iterable[str] = ("Contoso.",),
        rules: Rules = no_rules,
        now: int = NOON,
        blobs: BlobStore | None = None,
    ) -> None:
        self.path = path
        self.now = now
        self.database = open_test_database(path)
        self.revisions = Revisions(path)
        self.ownership = Ownership(self.database, self.revisions, protected=protected)
        self.audit = AuditLog(self.database)
        self.blobs: BlobStore = blobs or open_hosted_blobs(path)
        self.contents = HostedContents(self.blobs)
        self.packages = HostedPackages(self.database, self.revisions.of_package)
        self.events = HostedEvents(self.database)
        self.index = Index()
        self.publish = Publish(
            self.database,
            self.contents,
            self.ownership,
            self.audit,
            self.revisions,
            rules=rules,
            index=self.index,
            clock=self.tick,
        )
        self.feed = HostedFeed(self.database, self.contents, Search(), self.packages, self.revisions.of_package)
        self.spools = SpoolFolder(path / "spool", MemoryBudget(1_000_000))

    def tick(self) -> int:
        self.now += SECOND
        return self.now

    def close(self) -> None:
        self.database.close()
        self.revisions.close()

    def spool(self, content: bytes) -> Spool:
        spool = self.spools.create("push")
        spool.append(content)
        return spool

    async def push(
        self,
        actor: Actor,
        package_id: str = "Contoso.Utils",
        version: str = "1.0.0",
        **more: Any,
    ) -> Pushed:
        spool = self.spool(make_nupkg(package_id, version, **more))
        return await self.publish.push(actor, spool, address="192.0.2.1")

    async def actor(self, name: str = "alice", *, administrator: bool = False) -> Actor:
        """A user who signed in with a password."""

        def work(transaction: Transaction) -> Account:
            rows = transaction.fetch("SELECT account_id FROM accounts WHERE lower_name = ?", (name,))
            if not rows:
                rows = transaction.fetch(
                    "INSERT INTO accounts (name, lower_name, kind, is_administrator, created)"
                    " VALUES (?, ?, 'user', ?, 0) RETURNING account_id",
                    (name, name, administrator),
                )
            return Account(rows[0][0], name, AccountKind.USER, administrator, False, 0)

        account = await self.database.write(work)
        return Actor(name, account=account, is_administrator=administrator)

    def files(self) -> list[Path]:
        """All package files on disk."""
        return sorted(path for path in (self.path / "hosted").rglob("*") if path.is_file())

    def leftovers(self) -> list[Path]:
        return sorted((self.path / "spool").glob("*"))

    async def audited(self) -> list[tuple[str, str, str]]:
        """Action, subject and result of every line of the audit log."""
        return [(line.action, line.subject, line.result) for line in await self.audit.entries()]
