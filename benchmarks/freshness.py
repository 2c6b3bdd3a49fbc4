"""`scripts/bench freshness`: requests to the upstream with and without following its catalog, for the day's traffic.

The clock is simulated, everything else is the product's: documents, rules, follower, record. The upstream is in memory:
it counts requests, and its documents follow its catalog after some minutes, as on nuget.org.
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

from benchmarks.day.traffic import traffic
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
        body = self._body(url)
        etag = f"{len(body)}-{hash(body)}"
        known = validators is not None and bool(validators.etag)
        kind = "catalog" if "/catalog/" in url else "revalidations" if known else "first fetches"
        self.requests[kind] += 1
        if validators is not None and validators.etag == etag:
            return ReceivedAnswer(304, etag=etag)
        return ReceivedAnswer(200, body, etag, "", "application/json")

    def _body(self, url: str) -> bytes:
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

    def get(self, url: str, *, skip_hot: bool = False) -> StoredResponse | None:
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
    """`restores` are those of an hour; `hours` are measured, after as many as documents live.

    `by_popularity`: an id has as many events as requests, so the most popular one changes every twelve minutes.
    """
    without = asyncio.run(_run("off", restores, by_popularity, warm=1, hours=min(hours, 2)))
    following = asyncio.run(_run("auto", restores, by_popularity, warm=12, hours=hours))
    lines = [
        f"{restores} restores an hour over {World().ids} ids; {EVENTS} events an hour, {OF_OURS} about these ids.",
        "",
        "| an hour | catalog off | catalog followed |",
        "| --- | --- | --- |",
    ]
    rows = [(without, min(hours, 2)), (following, hours)]
    for kind in ("revalidations", "first fetches", "catalog"):
        cells = [f"{result.requests[kind] / over:,.0f}" for result, over in rows]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    lines.append(f"| answers | {' | '.join(f'{result.answers / over:,.0f}' for result, over in rows)} |")
    lines.append(f"| a change is visible after at most | {' | '.join(f'{r.latest:.0f} s' for r, _ in rows)} |")
    ratio = (without.requests["revalidations"] / rows[0][1]) / max(1, following.requests["revalidations"] / rows[1][1])
    return "\n".join([*lines, "", f"Revalidations: {ratio:.1f} times fewer."])


async def _run(catalog: str, restores: int, by_popularity: bool, *, warm: int, hours: int) -> _Result:
    world = World()
    upstream = _Upstream(_events(world, warm + hours, by_popularity))
    config = Config.model_validate({"mirroring": {"catalog": catalog}})
    upstream.move(BEGIN)
    with tempfile.TemporaryDirectory() as folder:
        database = SqliteDatabase(Path(folder) / "ledger.db", "inventory")
        interval = config.mirroring.catalog_poll
        record = CatalogRecord(database, interval, upstream.clock, upstream.clock)
        documents = MirroredDocuments(
            _Memory(), Leases(Path(folder) / "locks"), freshness_rules(config), Mode.ONLINE, upstream.clock,
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
        next_poll = BEGIN
        result = _Result(upstream.requests)
        for hour in range(warm + hours):
            if hour == warm:
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
    first = -24
    found = []
    for number in range((hours - first) * EVENTS):
        is_ours = choose.random() < OF_OURS / EVENTS
        rank = popularity.pick(choose) if by_popularity else choose.randrange(world.ids)
        name = world.names[rank] if is_ours else f"other.{choose.randrange(400_000)}"
        found.append(_Event(BEGIN + first * HOUR + number * HOUR / EVENTS, name))
    return found


def _commit(event: _Event) -> dict[str, str]:
    moment = datetime.fromtimestamp(int(event.time), UTC)
    stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{int(event.time % 1 * 1e7):07d}Z"
    return {"commitId": stamp, "commitTimeStamp": stamp}


async def _mark_nothing(*_: object) -> None: ...
