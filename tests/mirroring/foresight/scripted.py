"""A feed over a made graph, and an upstream whose state a test sets."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from nugetproxy.errors import PackageNotFound, VersionNotFound
from nugetproxy.feeds.base import Answer, Feed, GrowingContent, LocalFile, PackageContent, Part, SmallContent
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.mirroring.foresight.foresight import Foresight
from nugetproxy.mirroring.upstream.pace import Speed
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from tests.builders import make_nupkg, make_nuspec
from tests.fakes.feed import Growing


@dataclass
class ScriptedUpstream:
    name: str = "up"
    is_calm: bool = True
    speed: Speed = Speed.FAST
    connections: int = 32
    asking: int = 0

    def most_ahead(self, *, large: bool) -> int:
        return (self.connections * 3 // 4 if large else self.connections) // 2

    def room(self, *, large: bool) -> int:
        return (self.connections * 3 // 4 if large else self.connections) - self.asking


Graph = Mapping[str, Sequence[tuple[str, str]]]


@dataclass
class GraphFeed:
    """Packages by `Id version`, with their dependencies. One that is not `kept` is shown to `foresight` when it is
    fetched, which takes until `open` is set."""

    graph: Graph
    foresight: Foresight | None = None
    open: asyncio.Event = field(default_factory=asyncio.Event)
    kept: set[str] = field(default_factory=set)
    lists: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    running: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0

    def __post_init__(self) -> None:
        self.open.set()

    @property
    def feed(self) -> Feed:
        return cast(Feed, self)

    async def versions(self, package_id: PackageId) -> Answer[tuple[NuGetVersion, ...]]:
        self.lists.append(package_id.text)
        await self._wait("lists")
        found = [NuGetVersion.parse(name.split()[1]) for name in self.graph if name.split()[0] == package_id.text]
        if not found:
            raise PackageNotFound(package_id.text)
        return Answer(tuple(sorted(found)), Provenance(Outcome.MISS))

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        name = str(package)
        if part is Part.NUSPEC:
            nuspec = make_nuspec(*name.split(), dependencies=self.graph[name])
            return Answer(SmallContent(nuspec, "", ""), Provenance(Outcome.HIT))
        self.packages.append(name)
        if name in self.kept:
            return Answer(LocalFile(Path("kept"), 1, 0, "etag"), Provenance(Outcome.HIT))
        await self._wait("packages")
        if name not in self.graph:
            raise VersionNotFound(*name.split())
        nupkg = make_nupkg(*name.split(), dependencies=self.graph[name])
        watcher = self.foresight.watch(package) if self.foresight is not None else None
        if watcher is not None:
            watcher(nupkg)
        content: GrowingContent = Growing([nupkg], size=len(nupkg))
        return Answer(content, Provenance(Outcome.MISS))

    def kept_versions(self, package_id: PackageId) -> list[NuGetVersion]:
        return [NuGetVersion.parse(name.split()[1]) for name in self.kept if name.split()[0] == package_id.text]

    async def _wait(self, what: str) -> None:
        self.running[what] += 1
        try:
            await self.open.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running[what] -= 1


async def settled(foresight: Foresight) -> None:
    """Wait until nothing is fetched, nor waits for room."""
    async with asyncio.timeout(5):
        while foresight._tasks or foresight._queue:
            await asyncio.sleep(0.001)
