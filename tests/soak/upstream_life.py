"""The upstream's own life: new versions, deletions, its catalog, and its bad hours."""

import asyncio
import hashlib
import random
import time
from dataclasses import replace
from typing import Final

from tests.fakes.catalog import Event, FakeCatalog
from tests.fakes.faults import (
    Fault,
    captive_portal,
    corrupt,
    delay,
    reset,
    reset_midway,
    silent,
    slow,
    status,
    truncated,
)
from tests.fakes.gallery import Document
from tests.fakes.upstream import FakeUpstream
from tests.soak.truth import Possible, Truth

_IDS: Final = (*(f"Pack.{number}" for number in range(12)), *(f"Risky.{number}" for number in range(4)))
_FIRST_VERSIONS: Final = 6
_FEW: Final = 4
_MOST: Final = 60
_SETTLING: Final = 4.0
"""Seconds after the last fault until requests must not fail any more: the patience, and the breaker's probe."""

_FAULTS: Final[tuple[tuple[str, Fault], ...]] = (
    ("*", status(500)),
    ("*", status(503, retry_after=1)),
    ("*", reset()),
    ("*", silent()),
    ("*", delay(1.5)),
    ("*.nupkg", slow(30_000)),
    ("*.nupkg", truncated(2_000)),
    ("*.nupkg", reset_midway(5_000)),
    ("*.nupkg", corrupt(700)),
    ("*.nupkg", captive_portal()),
    ("*/index.json", truncated(30)),
    ("*/index.json", captive_portal()),
    ("*/catalog0/*", status(500)),
    ("*/catalog0/*", truncated(100)),
    ("*/catalog0/*", captive_portal()),
    ("*/catalog0/*", slow(20_000)),
)


class UpstreamLife:
    def __init__(self, upstream: FakeUpstream, truth: Truth, chance: random.Random) -> None:
        self._upstream = upstream
        self._truth = truth
        self._chance = chance
        self._faults = random.Random(chance.random())
        self._catalog = FakeCatalog(upstream.base)
        self._made: dict[str, int] = {}

    def begin(self) -> None:
        self._upstream.gallery.states_sha512 = True
        for package_id in _IDS:
            self._truth.lists[package_id.lower()] = Possible(frozenset())
            for _ in range(_FIRST_VERSIONS):
                self._publish(package_id)
            self._truth.lists[package_id.lower()].settle()
        self._truth.policy.settle()

    async def step(self) -> None:
        """Publish a version, or delete one, so that there are never too few."""
        package_id = self._chance.choice(_IDS)
        existing = self._truth.lists[package_id.lower()].now
        if len(existing) < _MOST and (len(existing) <= _FEW or self._chance.random() < 0.7):
            self._publish(package_id)
        else:
            self._delete(package_id, self._chance.choice(sorted(existing)))
        await asyncio.sleep(self._chance.uniform(0.2, 1.5))

    async def trouble(self) -> None:
        """Some seconds with a fault, then some without."""
        pattern, fault = self._faults.choice(_FAULTS)
        self._truth.upstream_trouble.change(True)
        self._upstream.fault(pattern, fault, self._faults.choice((1, 5, 1000)))
        self._truth.counts["faults"] += 1
        await asyncio.sleep(self._faults.uniform(0.5, 5))
        await self.heal()
        await asyncio.sleep(self._faults.uniform(0, 6))

    async def heal(self) -> None:
        """Without faults, until requests must not fail any more."""
        self._upstream.heal()
        await asyncio.sleep(_SETTLING)
        self._truth.upstream_trouble.change(False)
        self._truth.upstream_trouble.settle()

    def _publish(self, package_id: str) -> None:
        number = self._made[package_id] = self._made.get(package_id, -1) + 1
        version = f"{1 + number % 3}.{number // 3}.0"
        lower_id = package_id.lower()
        licence = self._chance.choice(("MIT", "MIT", "GPL-3.0-only"))
        if licence != "MIT":
            policy = self._truth.policy
            policy.change(replace(policy.now, licensed=policy.now.licensed | {(lower_id, version)}))
        versions = self._truth.lists[lower_id]
        versions.change(versions.now | {version})
        dependencies = [(self._chance.choice(_IDS), "1.0.0")] if self._chance.random() < 0.3 else []
        padding = self._chance.choice((2_000, 30_000, 100_000))
        package = self._upstream.add_package(
            package_id, version, dependencies=dependencies, padding=padding, licence=licence
        )
        self._truth.digests[lower_id, version] = hashlib.sha256(package.nupkg).hexdigest()
        self._announce(
            self._catalog.add(time.time(), package_id, version, sha512=package.sha512, size=len(package.nupkg))
        )
        self._truth.counts["published"] += 1

    def _delete(self, package_id: str, version: str) -> None:
        versions = self._truth.lists[package_id.lower()]
        versions.change(versions.now - {version})
        self._upstream.gallery.remove(package_id, version)
        self._announce(self._catalog.add(time.time(), package_id, version, is_delete=True))
        self._truth.counts["deleted upstream"] += 1

    def _announce(self, event: Event) -> None:
        shown = self._upstream.gallery.extra
        for url, body in (
            (self._catalog.url, self._catalog.index()),
            (self._catalog.page_url(0), self._catalog.page(0)),
            (f"{self._catalog.base}/v3/catalog0/data/x/{event.name}", self._catalog.leaf(event)),
        ):
            shown[url.removeprefix(self._upstream.base)] = Document(body)
