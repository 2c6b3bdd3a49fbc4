"""One prewarm: fetch wanted packages, and the documents that clients request with them.

It uses the feed as a client would, so it can run next to a server on the same data directory, and a second run finds
what is already there. Showing progress and results belongs to the command.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from nugetproxy.errors import DocumentNotFound, NotOffered, NugetproxyError, PackageNotFound, UpstreamError
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.feeds.base import Feed, LocalFile
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.mirroring.prewarm.files import PackageFiles
from nugetproxy.mirroring.prewarm.patience import Patience
from nugetproxy.mirroring.prewarm.plan import Wish
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.signature import content_hash

# Enough to fill a fast connection with high latency, few enough not to strain the upstream.
DEFAULT_PARALLEL: Final = 8


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that could not be fetched, and why (one line).

    `package_id` is the id that it belongs to, None for the documents of the whole feed; `package` is None for documents
    and for ids. `kind` is the class of the error that stopped it.
    """

    what: str
    why: str
    package_id: PackageId | None = None
    package: PackageIdentity | None = None
    kind: type[NugetproxyError] | None = None


@dataclass(slots=True)
class PrewarmReport:
    """The result of a prewarm. Every version counts once, however often it was named, and so does every id.

    `files` has the size in bytes of each wanted package that is here now; `fetched` those that were not before, also
    those fetched for resolving.
    """

    wanted: int = 0
    files: dict[PackageIdentity, int] = field(default_factory=dict)
    fetched: dict[PackageIdentity, int] = field(default_factory=dict)
    documents: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def kept_before(self) -> int:
        return len(self.files.keys() - self.fetched.keys())

    @property
    def bytes_fetched(self) -> int:
        return sum(self.fetched.values())

    @property
    def is_complete(self) -> bool:
        return not self.refusals


class Allowance:
    """How many more bytes may be fetched. `to_fetch` states what a package would cost, None if that is unknown.

    Packages are fetched in parallel, so what is begun counts.
    """

    def __init__(self, most: int, to_fetch: Callable[[PackageIdentity], Awaitable[int | None]], taken: int = 0) -> None:
        self._most = most
        self._to_fetch = to_fetch
        self._taken = taken
        self._unknown: set[PackageIdentity] = set()

    async def take(self, package: PackageIdentity) -> bool:
        """Whether the package may be fetched. One of unknown size may while anything is left."""
        size = await self._to_fetch(package)
        if size is None:
            self._unknown.add(package)
            return self._taken < self._most
        if size and self._taken + size > self._most:
            return False
        self._taken += size
        return True

    def settle(self, package: PackageIdentity, size: int) -> None:
        """Count a package whose size was unknown before."""
        if package in self._unknown:
            self._unknown.remove(package)
            self._taken += size


class Prewarm:
    """One run over a feed. `advanced` is called after each package and each id's documents, for a progress bar."""

    def __init__(
        self,
        feed: Feed,
        files: PackageFiles,
        patience: Patience,
        *,
        parallel: int = DEFAULT_PARALLEL,
        advanced: Callable[[str], None] = lambda _: None,
        allowance: Allowance | None = None,
    ) -> None:
        self._feed = feed
        self._files = files
        self._patience = patience
        self._places = asyncio.Semaphore(parallel)
        self._advanced = advanced
        self._allowance = allowance
        self._report = PrewarmReport(fetched=files.fetched)

    async def run(self, wishes: Iterable[Wish]) -> PrewarmReport:
        """Fetch everything. Failures are listed in the report and do not stop the rest."""
        wanted = list(wishes)
        ids = dict.fromkeys(wish.identity.id for wish in wanted)
        self._report.wanted = len(wanted)
        of_documents: list[Refusal] = []
        await self._trust()
        async with asyncio.TaskGroup() as group:
            for wish in wanted:
                fetch = partial(self._fetch, wish)
                refusals = self._report.refusals
                group.create_task(self._have(str(wish.identity), wish.identity.id, fetch, refusals, wish.identity))
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
        self,
        what: str,
        package_id: PackageId,
        fetch: Callable[[], Awaitable[None]],
        refusals: list[Refusal],
        package: PackageIdentity | None = None,
    ) -> None:
        async with self._places:
            try:
                await self._patience.ask(fetch)
            except NugetproxyError as error:
                refusals.append(Refusal(what, str(error), package_id, package, type(error)))
        self._advanced(what)

    async def _fetch(self, wish: Wish) -> None:
        package = wish.identity
        if self._allowance is not None and not await self._allowance.take(package):
            self._refuse(package, "it would exceed --max-bytes")
            return
        file = await self._files.file(package)
        if file is None:
            self._refuse(package, "it was fetched but could not be stored: see the log")
            return
        self._report.files[package] = file.size
        if self._allowance is not None:
            self._allowance.settle(package, file.size)
        if wish.hashes:
            actual = await UPKEEP.run(content_hash_of, file)
            self._refuse(package, *(other_content(stated, actual) for stated in sorted(wish.hashes - {actual})))

    def _refuse(self, package: PackageIdentity, *reasons: str) -> None:
        self._report.refusals += [Refusal(str(package), why, package.id, package) for why in reasons]

    async def _documents(self, package_id: PackageId) -> None:
        """The versions list and every registration page of one id."""
        versions = await self._feed.versions(package_id)
        registration = await self._feed.complete_registration(package_id)
        self._report.documents += 1
        if {versions.provenance.outcome, registration.provenance.outcome} & {Outcome.MISS, Outcome.REFRESHED}:
            self._patience.succeeded()

    async def _trust(self) -> None:
        """The documents that belong to no id: service index, vulnerabilities, signatures and their certificates."""
        await self._feed.offered()
        for what, ask in (
            ("vulnerability data", self._feed.vulnerabilities),
            ("signing certificates", self._certificates),
        ):
            try:
                await self._patience.ask(ask)
            except NotOffered:
                pass  # the upstream has no such documents
            except (DocumentNotFound, UpstreamError) as error:
                self._report.refusals.append(Refusal(what, str(error), kind=type(error)))

    async def _certificates(self) -> None:
        signatures = (await self._feed.signatures()).value
        for fingerprint in signatures.addresses:
            await self._feed.certificate(fingerprint)


def _without_repeats(refusals: Iterable[Refusal]) -> list[Refusal]:
    """An id that does not exist is named once, and not with every version that was wanted of it."""
    absent = {
        each.package_id: Refusal(each.package_id.text, each.why, each.package_id, kind=each.kind)
        for each in refusals
        if each.kind is PackageNotFound and each.package_id is not None
    }
    return [each for each in refusals if each.kind is not PackageNotFound] + list(absent.values())


def other_content(stated: str, actual: str) -> str:
    """The sentence for a package that differs from a lock file."""
    return (
        f"the lock file states contentHash {stated}, but the package has {actual}: a locked restore would fail (NU1403)"
    )


def content_hash_of(file: LocalFile) -> str:
    """As in lock files: base64 SHA-512. Reads the whole file."""
    with file.path.open("rb") as opened:
        return content_hash(opened)
