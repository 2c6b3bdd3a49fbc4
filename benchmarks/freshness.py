"""`scripts/bench freshness`: requests to the upstream with and without following its catalog, for the day's traffic.

The clock is simulated, everything else is the product's: documents, rules, follower, record. The upstream is in memory:
it counts requests, and its documents follow its catalog after some minutes, as on nuget.org. The mirror has every
document already, each as old as it would be after a long time of this traffic.
"""

import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.day.traffic import IDS_OF_A_RESTORE, REGISTRATIONS, traffic
from benchmarks.day.world import Popularity, World
from nugetproxy.config import Config
from nugetproxy.httpcache.decisions import Health, Mode
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.httpcache.stored import ReceivedAnswer, StoredResponse, Validators
from nugetproxy.mirroring.catalog.follower import CatalogFollower
from nugetproxy.mirroring.catalog.record import CatalogRecord
from nugetproxy.mirroring.documents.mirrored_documents import MirroredDocuments
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.runtime.assembly import freshness_rules
from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.leases import Leases

BASE: Final = "https://upstream.test"
BEGIN: Final = 1_780_000_000.0
HOUR: Final = 3_600.0
DOCUMENTS_FOLLOW: Final = 300.0
"""Seconds after its event until a document shows it."""
PAGE: Final = 550
EVENTS: Final = 1_500
"""Events an hour in the whole catalog."""
OF_OURS: Final = 75
"""Of these, about ids that the company uses: one in eleven days for each, unless the popular ones have more."""
_KINDS: Final = {"list": DocumentKind.VERSIONS, "registration": DocumentKind.REGISTRATION}


@dataclass(frozen=True, slots=True)
class _Event:
    time: float
    name: str


class _Upstream:
    """The upstream's documents at the current time, its catalog, and a count of requests."""

    name = "up"
    health = Health.GOOD

    def __init__(self, events: Sequence[_Event]) -> None:
        self.now = BEGIN
        self.events = events
        self.happened = 0
        self.shown: dict[str, list[float]] = {}
        """When documents of an id changed."""
        self._following = 0
        self.requests: Counter[str] = Counter()

    def clock(self) -> float:
        return self.now

    def move(self, now: float) -> None:
        self.now = now
        while self.happened < len(self.events) and self.events[self.happened].time <= now:
            self.happened += 1
        while self._following < self.happened and self.events[self._following].time + DOCUMENTS_FOLLOW <= now:
            event = self.events[self._following]
            self.shown.setdefault(event.name, []).append(event.time + DOCUMENTS_FOLLOW)
            self._following += 1

    def allow(self, url: str, *, essential: bool = False) -> None: ...

    def health_of(self, url: str) -> Health:
        return Health.GOOD

    def until_probe(self, url: str) -> float:
        return 0.0

    async def fetch(
        self, url: str, *, validators: Validators | None = None, patience: float, limit: int = 0,
        timeout: float | None = None,
    ) -> ReceivedAnswer:  # fmt: skip
        body = self.body(url)
        etag = _etag(body)
        self.requests["catalog" if "/catalog/" in url else "revalidations"] += 1
        if validators is not None and validators.etag == etag:
            return ReceivedAnswer(304, etag=etag)
        return ReceivedAnswer(200, body, etag, "", "application/json")

    def body(self, url: str) -> bytes:
        path = url.removeprefix(BASE)
        if path == "/index.json":
            resources = [("PackageBaseAddress/3.0.0", "/flat/"), ("RegistrationsBaseUrl/3.6.0", "/registrations/")]
            resources.append(("Catalog/3.0.0", "/catalog/index.json"))
            entries = [{"@type": name, "@id": BASE + at} for name, at in resources]
            return json.dumps({"version": "3.0.0", "resources": entries}).encode()
        if path == "/catalog/index.json":
            pages = range(0, self.happened, PAGE)
            return json.dumps({"items": [self._page_head(at) for at in pages]}).encode()
        if path.startswith("/catalog/"):
            at = int(path.rpartition("/")[2])
            items = [
                {
                    "@id": f"{BASE}/catalog/leaf",
                    "@type": "nuget:PackageDetails",
                    **_commit(event),
                    "nuget:id": event.name,
                    "nuget:version": "1.0.0",
                }
                for event in self.events[at : min(at + PAGE, self.happened)]
            ]
            return json.dumps({**self._page_head(at), "count": len(items), "items": items}).encode()
        return str(len(self.shown.get(path.split("/")[2], ()))).encode()

    def _page_head(self, at: int) -> dict[str, str]:
        return {"@id": f"{BASE}/catalog/{at}", **_commit(self.events[min(at + PAGE, self.happened) - 1])}


class _Memory:
    """A DocumentStore in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, StoredResponse] = {}

    @property
    def is_shared(self) -> bool:
        return False

    def get(self, url: str, *, skip_hot: bool = False) -> StoredResponse | None:
        return self._kept.get(url)

    async def reread(self, url: str) -> StoredResponse | None:
        return self._kept.get(url)

    async def put(self, stored: StoredResponse, *, useful_for: float | None = None) -> None:
        self._kept[stored.url] = stored

    async def confirm(self, stored: StoredResponse) -> None:
        self._kept[stored.url] = stored

    async def expire(self, starts: Sequence[str]) -> list[str]:
        found = [url for start in starts for url in (start, f"{start}index.json") if url in self._kept]
        fresh = [url for url in found if not self._kept[url].expired]
        for url in fresh:
            self._kept[url] = replace(self._kept[url], expired=True)
        return fresh

    async def delete(self, url: str) -> None:
        self._kept.pop(url, None)

    def size_bytes(self) -> int:
        return 0


@dataclass
class _Result:
    requests: Counter[str]
    answers: int = 0
    latest: float = 0.0
    """Seconds after a document changed at which a client was still sent the one before, at most."""


def measure(*, restores: int, hours: int, by_popularity: bool = False) -> str:
    """`restores` are those of an hour; `hours` are measured.

    `by_popularity`: an id has as many events as requests, so the most popular one changes every twelve minutes.
    """
    without = asyncio.run(_run("off", restores, by_popularity, hours=min(hours, 2)))
    following = asyncio.run(_run("auto", restores, by_popularity, hours=hours))
    lines = [
        f"{restores} restores an hour over {World().ids} ids; {EVENTS} events an hour, {OF_OURS} about these ids.",
        "",
        "| an hour | catalog off | catalog followed |",
        "| --- | --- | --- |",
    ]
    rows = [(without, min(hours, 2)), (following, hours)]
    for kind in ("revalidations", "catalog"):
        cells = [f"{result.requests[kind] / over:,.0f}" for result, over in rows]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    lines.append(f"| answers | {' | '.join(f'{result.answers / over:,.0f}' for result, over in rows)} |")
    lines.append(f"| a change is visible after at most | {' | '.join(f'{r.latest:.0f} s' for r, _ in rows)} |")
    ratio = (without.requests["revalidations"] / rows[0][1]) / max(1, following.requests["revalidations"] / rows[1][1])
    return "\n".join([*lines, "", f"Revalidations: {ratio:.1f} times fewer."])


async def _run(catalog: str, restores: int, by_popularity: bool, *, hours: int) -> _Result:
    world = World()
    upstream = _Upstream(_events(world, 1 + hours, by_popularity))
    config = Config.model_validate({"mirroring": {"catalog": catalog}})
    upstream.move(BEGIN)
    with tempfile.TemporaryDirectory() as folder:
        database = SqliteDatabase(Path(folder) / "ledger.db", "inventory")
        interval = config.mirroring.catalog_poll
        record = CatalogRecord(database, interval, upstream.clock, upstream.clock)
        memory = _Memory()
        documents = MirroredDocuments(
            memory, Leases(Path(folder) / "locks"), freshness_rules(config), Mode.ONLINE, upstream.clock,
            ticks=upstream.clock, followed=record.until,
        )  # fmt: skip
        source = MirroredSource(
            upstream,  # type: ignore[arg-type]  # the part of it that is used
            service_index=f"{BASE}/index.json", mode=Mode.ONLINE, documents=documents,
        )  # fmt: skip
        follower = CatalogFollower(
            source, record, find_kept=lambda _: None, mark_gone=_mark_nothing,
            fresh=config.mirroring.catalog_fresh, changed=lambda _: None, clock=upstream.clock, ticks=upstream.clock,
        )  # fmt: skip
        lives = config.mirroring.catalog_fresh if catalog != "off" else config.mirroring.freshness.versions.fresh
        for stored in _filled(upstream, world, restores, lives):
            await memory.put(stored)
        next_poll = BEGIN
        result = _Result(upstream.requests)
        for hour in range(1 + hours):
            if hour == 1:  # until then no event of this time has settled
                upstream.requests.clear()
                result.answers = 0
            for time, kind, name in _hour(world, hour, restores):
                while catalog != "off" and next_poll <= time:
                    upstream.move(next_poll)
                    await follower.poll()
                    next_poll += interval
                upstream.move(time)
                folder_of = "flat" if kind is DocumentKind.VERSIONS else "registrations"
                url = f"{BASE}/{folder_of}/{name}/index.json"
                document = await documents.get(upstream, url, kind)
                result.answers += 1
                changes = upstream.shown.get(name, [])
                if int(document.body) < len(changes):
                    result.latest = max(result.latest, time - changes[int(document.body)])
        await documents.close()
        database.close()
    return result


def _filled(upstream: _Upstream, world: World, restores: int, lives: float) -> Iterator[StoredResponse]:
    """All documents. One that is requested at random times is fresh with this probability, and then of any age."""
    choose = random.Random("ages")
    whole = sum(1 / (rank + 1) for rank in range(world.ids))
    for rank, name in enumerate(world.names):
        for folder, share in (("flat", 1.0), ("registrations", REGISTRATIONS)):
            lived = restores * IDS_OF_A_RESTORE * share / (rank + 1) / whole / HOUR * lives
            age = choose.random() * lives if choose.random() < lived / (1 + lived) else lives + 1
            url = f"{BASE}/{folder}/{name}/index.json"
            body, since = upstream.body(url), BEGIN - age
            yield StoredResponse(url, 200, body, _etag(body), "", "application/json", fetched=since, confirmed=since)


def _hour(world: World, hour: int, restores: int) -> Iterator[tuple[float, DocumentKind, str]]:
    """When which document is requested. A world of another seed has the same ids under other names."""
    asked = [each for each in traffic(replace(world, seed=1_000 + hour), restores) if each.kind in _KINDS]
    for number, each in enumerate(asked):
        rank = int(each.target.split("/")[3].rpartition(".p")[2])
        yield BEGIN + (hour + number / len(asked)) * HOUR, _KINDS[each.kind], world.names[rank]


def _events(world: World, hours: int, by_popularity: bool) -> list[_Event]:
    """Those of the hours before `BEGIN` that a follower reads first, and of all that follow."""
    choose = random.Random("events")
    popularity = Popularity(world.ids)
    first = -50
    found = []
    for number in range((hours - first) * EVENTS):
        time = BEGIN + first * HOUR + number * HOUR / EVENTS
        is_ours = choose.random() < OF_OURS / EVENTS and time >= BEGIN  # the effect of earlier ones is in the ages
        rank = popularity.pick(choose) if by_popularity else choose.randrange(world.ids)
        name = world.names[rank] if is_ours else f"other.{choose.randrange(400_000)}"
        found.append(_Event(time, name))
    return found


def _etag(body: bytes) -> str:
    return f"{len(body)}-{hash(body)}"


def _commit(event: _Event) -> dict[str, str]:
    moment = datetime.fromtimestamp(int(event.time), UTC)
    stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{int(event.time % 1 * 1e7):07d}Z"
    return {"commitId": stamp, "commitTimeStamp": stamp}


async def _mark_nothing(*_: object) -> None: ...
