"""Prewarm: fetch named packages, and the documents a client asks for with them, before anyone asks.

It uses the feed as any client would, so it can run beside a server on the same data directory, and running it again
finds what is already there. Nobody waits at the other end, so it rests while an upstream wants to be left alone or is
held to be dead, where a client would be told to come again. What is wanted is read in `nuget.lock_files`; how progress
is shown is the command's affair.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from nugetproxy.errors import NugetproxyError, UpstreamError
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.feeds.base import Feed, LocalFile, Part, SmallContent
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.lock_files import Wanted
from nugetproxy.nuget.signature import content_hash

# Enough to fill a long fat line, few enough to stay a polite guest of the upstream.
DEFAULT_PARALLEL: Final = 8
# How often in a row it rests while nothing comes, and how often for one package. An upstream may ask for five minutes.
MOST_RESTS: Final = 4
_SHORTEST_REST = 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that could not be had, and why (one line)."""

    what: str
    why: str


@dataclass(slots=True)
class PrewarmReport:
    """How a prewarm ended. `bytes_fetched` counts package bytes that were not kept before."""

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
    `resting` before nothing is asked for so many seconds, with the reason."""

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
        """Fetch everything, going on past what cannot be had; the report says what that was."""
        self._report.wanted = len(wanted)
        ids = {want.identity.id for want in wanted}
        await self._feed.offered()
        async with asyncio.TaskGroup() as group:
            for want in wanted:
                group.create_task(self._have(str(want.identity), partial(self._fetch, want)))
            for package_id in ids:
                group.create_task(self._have(f"documents of {package_id.text}", partial(self._documents, package_id)))
        self._report.refusals.sort(key=lambda refusal: refusal.what.lower())
        return self._report

    async def _have(self, what: str, fetch: Callable[[], Awaitable[None]]) -> None:
        async with self._places:
            try:
                await self._patiently(fetch)
            except NugetproxyError as error:
                self._report.refusals.append(Refusal(what, str(error)))
        self._advanced(what)

    async def _patiently(self, fetch: Callable[[], Awaitable[None]]) -> None:
        """Fetch, and again after a rest when the upstream may then be asked."""
        for _ in range(MOST_RESTS):
            async with self._rest:
                pass  # others rest: so does everybody
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
            return  # those who were refused together rest once
        async with self._rest:
            self._rests_in_vain += 1
            self._resting(seconds, why)
            await self._sleep(seconds)

    async def _fetch(self, want: Wanted) -> None:
        content = (await self._feed.content(want.identity, Part.NUPKG)).value
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
            file = await self._kept_file(want.identity)
        if want.content_hash is not None and file is not None:
            actual = await UPKEEP.run(_content_hash, file)
            if actual != want.content_hash:
                self._report.refusals.append(Refusal(str(want.identity), _other_content(want.content_hash, actual)))

    async def _kept_file(self, package: PackageIdentity) -> LocalFile | None:
        """The file that a finished download left; a refusal when it could be fetched and not be kept."""
        answer = await self._feed.content(package, Part.NUPKG)
        if isinstance(answer.value, LocalFile):
            return answer.value
        self._report.refusals.append(Refusal(str(package), "it was fetched and could not be kept: see the log"))
        return None

    async def _documents(self, package_id: PackageId) -> None:
        """The versions list and every registration page of one id."""
        versions = await self._feed.versions(package_id)
        registration = await self._feed.complete_registration(package_id)
        self._report.documents += 1
        if {versions.provenance.outcome, registration.provenance.outcome} & {Outcome.MISS, Outcome.REFRESHED}:
            self._rests_in_vain = 0


def _other_content(stated: str, actual: str) -> str:
    return (
        f"the lock file's contentHash is {stated}, the package's is {actual}: a locked restore would fail with NU1403"
    )


def distinct(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Each identity once, with a hash where any of its mentions had one; two different hashes both stay."""
    chosen: dict[tuple[PackageIdentity, str | None], Wanted] = {}
    for want in wanted:
        chosen.setdefault((want.identity, want.content_hash), want)
    hashed = {identity for identity, digest in chosen if digest is not None}
    return [want for (identity, digest), want in chosen.items() if digest is not None or identity not in hashed]


def _content_hash(file: LocalFile) -> str:
    with file.path.open("rb") as opened:
        return content_hash(opened)
