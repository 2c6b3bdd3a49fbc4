"""Foresight: fetch what a restore asks for next while the client is still busy with what it asked for.

A client learns from each package what to ask for next. We see the same bytes first: the nuspec is read from the
beginning of a package that arrives, and the versions and packages of its dependencies are fetched before the client
asks. Everything goes through the feed of the client's own request, so it is answered, or refused, as for the client.

Rule 1: it only warms what is kept. No answer depends on it, and a failure of it is nobody's failure.
Rule 2: it takes nothing from a client that waits, see `admission`; it is bounded in everything.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from cachetools import LRUCache, TTLCache

from nugetproxy.errors import InvalidPackage, InvalidPackageId, InvalidVersion, NugetproxyError
from nugetproxy.executors.threads import PACKAGES
from nugetproxy.feeds.base import Feed, LocalFile, PackageContent, Part, SmallContent
from nugetproxy.feeds.protected import IsOurs
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.logs import logger
from nugetproxy.mirroring.downloads.contents import CommittedPackage, Watcher
from nugetproxy.mirroring.foresight.admission import Admission, AheadUpstream, Verdict
from nugetproxy.mirroring.foresight.ledger import MOST_BYTES_AHEAD, Kind, Ledger
from nugetproxy.mirroring.foresight.needs import MOST_DEPENDENCIES, Need
from nugetproxy.mirroring.foresight.restores import Restore, Restores
from nugetproxy.nuget.first_bytes import LARGEST_NUSPEC, FirstBytes
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.manifest import DependencyGroup, PackageManifest
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.version import NuGetVersion

MOST_QUEUED: Final = 1_000
"""Fetches that wait for room, of all restores; further ones are left to the clients."""

# Seconds after which the client has long asked itself.
_LONGEST_WAIT: Final = 10.0
# Seconds between two looks for room while something waits for it.
_LOOK_AGAIN: Final = 0.025
# Seconds for which what is kept, or was just fetched, is not looked at again.
_SETTLED: Final = 30.0
_MOST_SETTLED: Final = 20_000
_MOST_KNOWN: Final = 4_096
_MOST_INTERESTS: Final = 4_096

_log = logger()


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom something is fetched ahead: a restore, and the feed that it may see."""

    restore: Restore
    feed: Feed


@dataclass(frozen=True, slots=True)
class _Fetch:
    """The package `package`, or without one the versions for `need`; if that is met, they are all that is fetched."""

    asker: Asker
    upstreams: Sequence[AheadUpstream]
    queued: float
    need: Need | None = None
    package: PackageIdentity | None = None
    is_met: bool = False


KeptVersions = Callable[[str, PackageId], Sequence[NuGetVersion]]


def nothing_kept(_upstream: str, _package_id: PackageId) -> Sequence[NuGetVersion]:
    """A `KeptVersions` of nothing."""
    return ()


class Foresight:
    """Fetching ahead, for one event loop."""

    def __init__(
        self, upstreams_of: Callable[[str], Sequence[AheadUpstream]], is_ours: IsOurs, *,
        kept: KeptVersions = nothing_kept, has_disk: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`upstreams_of` gives the upstreams that have a lower id. `is_ours` says whether it is hosted or protected, so
        that they may not be asked about it; it may raise NugetproxyError. `kept` gives the versions of an id that are
        kept of an upstream, by its name.
        """
        self._upstreams_of = upstreams_of
        self._is_ours = is_ours
        self._kept = kept
        self._clock = clock
        self._admission = Admission(has_disk)
        self._ledger = Ledger()
        self._restores = Restores()
        # What is known of packages, whether kept or arriving; a package never changes.
        self._known: LRUCache[PackageIdentity, tuple[DependencyGroup, ...]] = LRUCache(_MOST_KNOWN)
        self._settled: TTLCache[object, None] = TTLCache(_MOST_SETTLED, _SETTLED, timer=clock)
        self._interested: OrderedDict[PackageIdentity, list[Asker]] = OrderedDict()
        self._queue: deque[_Fetch] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Foresight: {len(self._tasks)} running, {len(self._queue)} waiting, {self._ledger!r}>"

    async def close(self) -> None:
        """Forget what waits, and end what runs."""
        self._is_closed = True
        self._queue.clear()
        if self._look is not None:
            self._look.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what clients ask for ---

    def asker(self, session_id: str, client_version: str, feed: Feed) -> Asker | None:
        """Who sent a request with this session id; None if it is not part of a restore."""
        restore = self._restores.of(session_id, client_version, self._clock())
        return Asker(restore, feed) if restore is not None else None

    def versions_asked(self, asker: Asker, package_id: PackageId) -> None:
        """A client asks for the versions of an id."""
        self._ledger.use(package_id.lower)
        self._plan(asker, asker.restore.asked_for_list(package_id.lower), is_kept=False)

    def package_asked(self, asker: Asker, package: PackageIdentity) -> None:
        """A client asks for a package; to be called before the feed is asked."""
        self._ledger.use(package)
        asker.restore.asked_for(package)
        self._expand(asker, package)

    def package_answered(self, asker: Asker, package: PackageIdentity, content: PackageContent) -> None:
        """The feed answered: the dependencies of a package that was kept are read from what is kept.

        Not while everything that the restore asks for is kept: most restores are warm, and reading is expensive.
        """
        if not isinstance(content, LocalFile):
            self.missed(asker)
        elif package not in self._interested or self._is_closed:
            pass
        elif asker.restore.is_cold:
            _ = self._start(self._read_kept(asker, package))
        else:
            asker.restore.read_later(package)

    def missed(self, asker: Asker) -> None:
        """Something that a client asked for was not kept."""
        if asker.restore.is_cold or self._is_closed:
            return
        for package in asker.restore.becomes_cold():
            if package in self._interested:
                _ = self._start(self._read_kept(asker, package))

    # --- what packages need ---

    def watch(self, package: PackageIdentity) -> Watcher | None:
        """A `Watch` of downloads: reads the dependencies from the first bytes of a package that somebody restores."""
        if package not in self._interested:
            return None
        first = FirstBytes()

        def see(block: bytes) -> bool:
            nuspec = first.feed(block)
            if nuspec is not None:
                self._read(package, nuspec, is_kept=False)
            return not first.is_over

        return see

    def committed(self, package: CommittedPackage) -> None:
        """A package was kept: if its first bytes told nothing, its manifest does."""
        if package.identity in self._interested:
            self._learn(package.identity, package.manifest, is_kept=False)

    async def _read_kept(self, asker: Asker, package: PackageIdentity) -> None:
        content = (await asker.feed.content(package, Part.NUSPEC)).value
        if isinstance(content, LocalFile) and content.size <= LARGEST_NUSPEC:
            self._read(package, await PACKAGES.run(content.path.read_bytes), is_kept=True)
        elif isinstance(content, SmallContent):
            self._read(package, content.body, is_kept=True)

    def _read(self, package: PackageIdentity, nuspec: bytes, *, is_kept: bool) -> None:
        if len(nuspec) > LARGEST_NUSPEC:
            return
        try:
            self._learn(package, read_nuspec(nuspec), is_kept=is_kept)
        except (InvalidPackage, InvalidPackageId, InvalidVersion) as error:
            _log.debug("foresight_blind", package=str(package), why=str(error))
        except Exception:  # noqa: BLE001 - a download must not fail because of what reads along
            _log.exception("foresight_failed", package=str(package))

    def _learn(self, package: PackageIdentity, manifest: PackageManifest, *, is_kept: bool) -> None:
        askers = self._interested.pop(package, [])
        groups = manifest.dependency_groups
        if manifest.identity != package or sum(len(group.dependencies) for group in groups) > MOST_DEPENDENCIES:
            groups = ()
        self._known[package] = groups
        for asker in askers:
            self._plan(asker, asker.restore.learn(package, groups), is_kept=is_kept)

    def _expand(self, asker: Asker, package: PackageIdentity) -> None:
        """Plan what the package needs, now or when it is known."""
        groups = self._known.get(package)
        if groups is not None:
            self._plan(asker, asker.restore.learn(package, groups), is_kept=True)
            return
        askers = self._interested.setdefault(package, [])
        if asker not in askers:
            askers.append(asker)
        while len(self._interested) > _MOST_INTERESTS:
            self._interested.popitem(last=False)

    # --- the plan ---

    def _plan(self, asker: Asker, needs: Sequence[Need], *, is_kept: bool) -> None:
        """Queue the versions and the package of each need, and of what is known to be needed by these in turn.

        `is_kept`: the package that has these needs is kept, so an earlier restore may have had them too. Then nothing
        is fetched for a need that a kept version meets: most likely, this restore chooses that version as well.
        """
        if self._is_closed:
            return
        left = deque((need, is_kept) for need in needs)
        while left:
            need, is_old = left.popleft()
            upstreams = self._upstreams_of(need.id.lower)
            if not upstreams:
                continue
            is_met = is_old and self._is_met(need, upstreams)
            if need.id.lower not in self._settled or (need.exact is None and not is_met):
                self._add(_Fetch(asker, upstreams, self._clock(), need=need, is_met=is_met))
            if is_met:
                continue
            # The lowest version that a range names exists nearly always: it is not waited for the list to say so.
            if need.exact is not None and asker.restore.plan(need.exact):
                groups = self._known.get(need.exact)
                if groups is not None:
                    left += ((each, True) for each in asker.restore.learn(need.exact, groups))
                if groups is None or need.exact not in self._settled:
                    self._add(_Fetch(asker, upstreams, self._clock(), package=need.exact))
        self._begin()

    def _is_met(self, need: Need, upstreams: Sequence[AheadUpstream]) -> bool:
        """Whether a version that fits is kept. What is kept is looked up in the file system, so not too often."""
        key = (need.id.lower, need.range.normalized)
        if key in self._settled:
            return True
        is_met = any(
            need.range.satisfies(version) for upstream in upstreams for version in self._kept(upstream.name, need.id)
        )
        if is_met:
            self._settled[key] = None
        return is_met

    def _add(self, fetch: _Fetch) -> None:
        if len(self._queue) < MOST_QUEUED:
            self._queue.append(fetch)

    def _begin(self) -> None:
        """Begin what may begin now."""
        waiting: deque[_Fetch] = deque()
        while self._queue:
            fetch = self._queue.popleft()
            verdict = self._judge(fetch)
            if verdict is Verdict.BEGIN:
                is_package = fetch.package is not None
                self._admission.begin(fetch.upstreams, large=is_package)
                task = self._start(self._run(fetch))
                task.add_done_callback(partial(self._ended, fetch.upstreams, large=is_package))
            elif verdict is Verdict.WAIT:
                waiting.append(fetch)
        self._queue = waiting
        if waiting and self._look is None and not self._is_closed:
            self._look = asyncio.get_running_loop().call_later(_LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._begin()

    def _judge(self, fetch: _Fetch) -> Verdict:
        is_package = fetch.package is not None
        if fetch.queued < self._clock() - _LONGEST_WAIT:
            return Verdict.DROP
        if is_package and self._ledger.bytes_ahead >= MOST_BYTES_AHEAD:
            return Verdict.DROP
        return self._admission.judge(fetch.upstreams, large=is_package)

    # --- one fetch ---

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._quietly(work), name="foresight")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _ended(self, upstreams: Sequence[AheadUpstream], _: asyncio.Task[None], *, large: bool) -> None:
        self._admission.end(upstreams, large=large)
        if self._queue:
            self._begin()

    async def _quietly(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except NugetproxyError as error:
            _log.debug("foresight_in_vain", why=str(error))
        except Exception:  # noqa: BLE001 - nobody waits for it, so it is logged here
            _log.exception("foresight_failed")

    async def _run(self, fetch: _Fetch) -> None:
        if fetch.package is not None and not await self._is_ours(fetch.package.lower_id):
            await self._fetch_package(fetch.asker, fetch.package)
        elif fetch.need is not None and not await self._is_ours(fetch.need.id.lower):
            await self._fetch_versions(fetch.asker, fetch.need, is_met=fetch.is_met)

    async def _fetch_versions(self, asker: Asker, need: Need, *, is_met: bool) -> None:
        key = need.id.lower
        is_new = self._ledger.begin(key, Kind.VERSIONS, self._clock())
        if not is_new and need.exact is not None:
            return
        answer = None
        try:
            answer = await asker.feed.versions(need.id)
        finally:
            if is_new:
                self._settle(key, was_fetched=answer is not None and _was_fetched(answer.provenance.outcome))
        best = need.range.best_match(answer.value)
        if best is None or is_met:
            return
        package = PackageIdentity.parse(need.id.text, best.normalized)
        if asker.restore.plan(package):
            self._add(_Fetch(asker, self._upstreams_of(key), self._clock(), package=package))
            self._begin()

    async def _fetch_package(self, asker: Asker, package: PackageIdentity) -> None:
        self._expand(asker, package)
        if not self._ledger.begin(package, Kind.PACKAGE, self._clock()):
            return
        was_fetched = False
        try:
            answer = await asker.feed.content(package, Part.NUPKG)
            content = answer.value
            was_fetched = _was_fetched(answer.provenance.outcome)
            if isinstance(content, LocalFile):
                self._ledger.announce(package, content.size)
            elif not isinstance(content, SmallContent):
                self._ledger.announce(package, content.size or 0)
                # Its last byte is given out when all of it has arrived and was checked.
                async for _ in content.chunks(max(0, (content.size or 1) - 1)):
                    pass
        except BaseException:
            was_fetched = False
            raise
        finally:
            self._settle(package, was_fetched=was_fetched)
        self.package_answered(asker, package, content)

    def _settle(self, key: object, *, was_fetched: bool) -> None:
        self._settled[key] = None
        if was_fetched:
            self._ledger.land(key)
        else:
            self._ledger.drop(key)


def _was_fetched(outcome: Outcome) -> bool:
    return outcome in (Outcome.MISS, Outcome.REFRESHED)
