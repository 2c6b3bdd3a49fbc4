"""Prewarm: fetch named packages, and the documents that clients request with them, ahead of time.

It uses the feed as a client would, so it can run next to a server on the same data directory, and a second run finds
what is already there. No client waits for it, so it pauses while an upstream asks for fewer requests or is considered
down, instead of failing. `nuget.lock_files` reads the list of packages; showing progress belongs to the command.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from nugetproxy.errors import NugetproxyError, PackageNotFound, UpstreamError
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.feeds.base import Feed, LocalFile, Part, SmallContent
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.lock_files import Wanted
from nugetproxy.nuget.signature import content_hash

# Enough to fill a fast connection with high latency, few enough not to strain the upstream.
DEFAULT_PARALLEL: Final = 8
# Pauses in a row without any success, and pauses for one package. An upstream may ask for up to five minutes each time.
MOST_RESTS: Final = 4
_SHORTEST_REST = 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that could not be fetched, and why (one line). `package_id` is the id that it belongs to, `kind` the
    class of the error that stopped it.
    """

    what: str
    why: str
    package_id: PackageId
    kind: type[NugetproxyError] | None = None


@dataclass(slots=True)
class PrewarmReport:
    """The result of a prewarm. Every version counts once, however often it was named, and so does every id.

    `bytes_fetched` counts package bytes that were not kept before.
    """

    wanted: int = 0
    kept_before: int = 0
    fetched: int = 0
    bytes_fetched: int = 0
    documents: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return not self.refusals


class Prewarm:
    """One run over a feed. `advanced` is called after each package and each id's documents, for a progress bar;
    `resting` before a pause, with its seconds and the reason.
    """

    def __init__(
        self, feed: Feed, *, parallel: int = DEFAULT_PARALLEL, advanced: Callable[[str], None] = lambda _: None,
        resting: Callable[[float, str], None] = lambda _seconds, _why: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._feed = feed
        self._places = asyncio.Semaphore(parallel)
        self._advanced = advanced
        self._resting = resting
        self._sleep = sleep
        self._rest = asyncio.Lock()
        self._rests_in_vain = 0
        self._report = PrewarmReport()

    async def run(self, wanted: Sequence[Wanted]) -> PrewarmReport:
        """Fetch everything. Failures are listed in the report and do not stop the rest."""
        packages = hashes_by_identity(wanted)
        ids = {package.id for package in packages}
        self._report.wanted = len(packages)
        of_documents: list[Refusal] = []
        await self._feed.offered()
        async with asyncio.TaskGroup() as group:
            for package, hashes in packages.items():
                fetch = partial(self._fetch, package, hashes)
                group.create_task(self._have(str(package), package.id, fetch, self._report.refusals))
            for package_id in ids:
                fetch = partial(self._documents, package_id)
                group.create_task(self._have(f"documents of {package_id.text}", package_id, fetch, of_documents))
        # An id that does not exist, or an upstream that is down, is one problem of the id: not one of its packages and
        # another of its documents. The messages may differ, for example in the seconds until the next try.
        told = {(refusal.package_id, refusal.kind) for refusal in self._report.refusals}
        self._report.refusals += [each for each in of_documents if (each.package_id, each.kind) not in told]
        self._report.refusals = _without_repeats(self._report.refusals)
        self._report.refusals.sort(key=lambda refusal: refusal.what.lower())
        return self._report

    async def _have(
        self, what: str, package_id: PackageId, fetch: Callable[[], Awaitable[None]], refusals: list[Refusal]
    ) -> None:
        async with self._places:
            try:
                await self._patiently(fetch)
            except NugetproxyError as error:
                refusals.append(Refusal(what, str(error), package_id, type(error)))
        self._advanced(what)

    async def _patiently(self, fetch: Callable[[], Awaitable[None]]) -> None:
        """Fetch, and try again after a pause if the upstream may then be asked."""
        for _ in range(MOST_RESTS):
            async with self._rest:
                pass  # others are pausing, so this one does too
            try:
                await fetch()
            except UpstreamError as error:
                if error.retry_after is None or self._rests_in_vain >= MOST_RESTS:
                    raise
                await self._have_a_rest(max(_SHORTEST_REST, error.retry_after), str(error))
            else:
                return
        await fetch()

    async def _have_a_rest(self, seconds: float, why: str) -> None:
        if self._rest.locked():
            return  # requests refused together pause once
        async with self._rest:
            self._rests_in_vain += 1
            self._resting(seconds, why)
            await self._sleep(seconds)

    async def _fetch(self, package: PackageIdentity, hashes: frozenset[str]) -> None:
        content = (await self._feed.content(package, Part.NUPKG)).value
        assert not isinstance(content, SmallContent), "a .nupkg is never a small content"
        file: LocalFile | None
        if isinstance(content, LocalFile):
            self._report.kept_before += 1
            file = content
        else:
            size = 0
            async for chunk in content.chunks():
                size += len(chunk)
            self._report.bytes_fetched += size
            self._report.fetched += 1
            self._rests_in_vain = 0
            file = await self._kept_file(package)
        if hashes and file is not None:
            actual = await UPKEEP.run(_content_hash, file)
            self._refuse(package, *(_other_content(stated, actual) for stated in sorted(hashes - {actual})))

    async def _kept_file(self, package: PackageIdentity) -> LocalFile | None:
        """The stored file of a finished download. Reports a package that was fetched but could not be stored."""
        answer = await self._feed.content(package, Part.NUPKG)
        if isinstance(answer.value, LocalFile):
            return answer.value
        self._refuse(package, "it was fetched but could not be stored: see the log")
        return None

    def _refuse(self, package: PackageIdentity, *reasons: str) -> None:
        self._report.refusals += [Refusal(str(package), why, package.id) for why in reasons]

    async def _documents(self, package_id: PackageId) -> None:
        """The versions list and every registration page of one id."""
        versions = await self._feed.versions(package_id)
        registration = await self._feed.complete_registration(package_id)
        self._report.documents += 1
        if {versions.provenance.outcome, registration.provenance.outcome} & {Outcome.MISS, Outcome.REFRESHED}:
            self._rests_in_vain = 0


def _without_repeats(refusals: Iterable[Refusal]) -> list[Refusal]:
    """An id that does not exist is named once, and not with every version that was wanted of it."""
    absent = {
        each.package_id: Refusal(each.package_id.text, each.why, each.package_id, each.kind)
        for each in refusals
        if each.kind is PackageNotFound
    }
    return [each for each in refusals if each.kind is not PackageNotFound] + list(absent.values())


def _other_content(stated: str, actual: str) -> str:
    return (
        f"the lock file states contentHash {stated}, but the package has {actual}: a locked restore would fail (NU1403)"
    )


def hashes_by_identity(wanted: Iterable[Wanted]) -> dict[PackageIdentity, frozenset[str]]:
    """Each package once, in the order of its first occurrence, with every content hash stated for it."""
    hashes: dict[PackageIdentity, set[str]] = {}
    for want in wanted:
        hashes.setdefault(want.identity, set()).update([want.content_hash] if want.content_hash is not None else [])
    return {package: frozenset(stated) for package, stated in hashes.items()}


def _content_hash(file: LocalFile) -> str:
    with file.path.open("rb") as opened:
        return content_hash(opened)
