"""A mirror's documents on disk, an upstream with a catalog whose answers a test may change, and a clock to move."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from nugetproxy.errors import UpstreamUnavailable
from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.decisions import Health, Mode
from nugetproxy.httpcache.freshness import FOLLOWED, DocumentKind
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.httpcache.stored import ReceivedAnswer, Validators
from nugetproxy.mirroring.catalog.backlog import SETTLES
from nugetproxy.mirroring.catalog.follower import CatalogFollower
from nugetproxy.mirroring.catalog.record import CatalogRecord
from nugetproxy.mirroring.documents.mirrored_documents import MirroredDocuments
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.v3.flat_container import read_versions
from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.documents.hot import HotDocuments
from nugetproxy.storage.leases import Leases
from tests.fakes.catalog import FakeCatalog
from tests.httpcache.documents import NOON, a_rule

BASE = "https://upstream.test"
INTERVAL = 60.0
FRESH = 43_200.0


class Upstream:
    """Answers from its packages and its catalog; `faults` by URL replace an answer."""

    name = "up"
    health = Health.GOOD

    def __init__(self) -> None:
        self.catalog = FakeCatalog(BASE)
        self.versions: dict[str, list[str]] = {}
        self.faults: dict[str, ReceivedAnswer | Exception | Callable[[bytes], bytes]] = {}
        self.asked: list[str] = []
        self.limits: list[int] = []

    def allow(self, url: str, *, essential: bool = False) -> None: ...

    def health_of(self, url: str) -> Health:
        return Health.GOOD

    def until_probe(self, url: str) -> float:
        return 0.0

    async def fetch(
        self, url: str, *, validators: Validators | None = None, patience: float, limit: int = 0,
        timeout: float | None = None,
    ) -> ReceivedAnswer:  # fmt: skip
        assert timeout or "catalog" not in url
        self.asked.append(url)
        body = self._bodies().get(url)
        fault = self.faults.get(url)
        if isinstance(fault, Exception):
            raise fault
        if isinstance(fault, ReceivedAnswer):
            return fault
        if body is None:
            return ReceivedAnswer(404)
        if fault is not None:
            body = fault(body)
        etag = str(hash(body))
        if validators is not None and validators.etag == etag:
            return ReceivedAnswer(304, etag=etag)
        return ReceivedAnswer(200, body, etag, "", "application/json")

    def _bodies(self) -> Mapping[str, bytes]:
        resources = [
            {"@type": "PackageBaseAddress/3.0.0", "@id": f"{BASE}/flat/"},
            {"@type": "RegistrationsBaseUrl/3.6.0", "@id": f"{BASE}/registrations/"},
            {"@type": "Catalog/3.0.0", "@id": self.catalog.url},
        ]
        found = {f"{BASE}/index.json": json.dumps({"version": "3.0.0", "resources": resources}).encode()}
        found |= self.catalog.documents()
        for lower_id, versions in self.versions.items():
            found[f"{BASE}/flat/{lower_id}/index.json"] = json.dumps({"versions": versions}).encode()
        return found

    def publish(self, package_id: str, version: str, time: float, *, is_listed: bool = True, **more: Any) -> None:
        """A new version, with its event. The list may follow later (`is_listed`)."""
        if is_listed:
            self.versions.setdefault(package_id.lower(), []).append(version)
        self.catalog.add(time, package_id, version, **more)

    def catalog_requests(self) -> list[str]:
        return [url for url in self.asked if "catalog" in url]


class Process:
    """One worker: its documents, and a follower that only polls when a test says so."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.changed: list[set[str]] = []
        self.gone: list[tuple[str, bool]] = []
        self.database = SqliteDatabase(world.path / "ledger.db", "inventory")
        self.record = CatalogRecord(self.database, INTERVAL, world.clock, world.clock)
        self.disk = DiskDocuments(world.path / "documents", 50_000_000)
        rule = a_rule(fresh=60, on_error=86_400, patience=5)
        self.documents = MirroredDocuments(
            HotDocuments(self.disk, 1_000_000, lambda: world.changes),
            Leases(world.path / "locks"),
            {kind: replace(rule, followed=FRESH if kind in FOLLOWED else 0.0) for kind in DocumentKind},
            Mode.ONLINE,
            world.clock,
            ticks=world.clock,
            followed=self.record.until,
        )
        self.source = MirroredSource(
            world.upstream,  # type: ignore[arg-type]  # the part of it that is used
            service_index=f"{BASE}/index.json", mode=Mode.ONLINE, documents=self.documents,
        )  # fmt: skip
        self.follower = CatalogFollower(
            self.source,
            self.record,
            find_kept=world.kept.get,
            mark_gone=self._mark_gone,
            fresh=FRESH,
            changed=self._announce,
            clock=world.clock,
            ticks=world.clock,
        )

    def _announce(self, ids: Collection[str]) -> None:
        self.changed.append(set(ids))
        self.world.changes += 1

    async def _mark_gone(self, package: PackageIdentity, is_gone: bool) -> None:
        self.gone.append((str(package), is_gone))

    async def versions(self, lower_id: str) -> tuple[list[str], bool]:
        """What a client is told, and whether that was sent without asking the upstream."""
        url = f"{BASE}/flat/{lower_id}/index.json"
        document = await self.source.ask(url, DocumentKind.VERSIONS, read_versions)
        return [each.normalized for each in read_versions(document.body)], document.provenance.outcome is Outcome.HIT

    async def follow(self) -> None:
        """Poll until the catalog was read to its end."""
        while not await self.follower.poll():
            pass

    async def settled(self) -> None:
        """Follow until all events so far have reached every document of the upstream."""
        await self.follow()
        self.world.now += SETTLES
        await self.follow()

    async def close(self) -> None:
        await self.documents.close()
        self.disk.close()
        self.database.close()


class World:
    def __init__(self, path) -> None:
        self.path = path
        self.now = NOON
        self.changes = 0
        """The counter that all processes share."""
        self.upstream = Upstream()
        self.kept: dict[PackageIdentity, LocalFile] = {}
        self.processes: list[Process] = []

    def clock(self) -> float:
        return self.now

    def process(self) -> Process:
        self.processes.append(Process(self))
        return self.processes[-1]

    async def close(self) -> None:
        for process in self.processes:
            await process.close()


DOWN = UpstreamUnavailable("up", "answered 500")
PORTAL = ReceivedAnswer(200, b"<html>please log in</html>", "", "", "text/html")


@asynccontextmanager
async def a_world(path):
    world = World(path)
    try:
        yield world
    finally:
        await world.close()
        await asyncio.sleep(0)
