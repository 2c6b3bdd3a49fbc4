"""Fetch one document: exclusively among all processes, checked, kept, and shared by all callers in this one.

When to fetch, and what a caller gets if the fetch fails, is decided in `mirrored_documents`.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, assert_never

from cachetools import TTLCache

from nugetproxy import metrics
from nugetproxy.errors import (
    EmptyDocument,
    StorageUnavailable,
    UnreadableDocument,
    UpstreamError,
    UpstreamNonsense,
)
from nugetproxy.httpcache.decisions import (
    Health,
    Keep,
    Mode,
    Refresh,
    Reject,
    RememberAbsence,
    Serve,
    after_answer,
    after_empty_body,
    before,
)
from nugetproxy.httpcache.freshness import NAMED_BY_UPSTREAM, DocumentKind, FreshnessRule, useful_seconds
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.httpcache.stored import ReceivedAnswer, StoredResponse, Validators
from nugetproxy.logs import logger
from nugetproxy.mirroring.documents.coalescing import SingleFlight
from nugetproxy.mirroring.documents.parsing import parsed
from nugetproxy.mirroring.upstream.breaker import worst
from nugetproxy.storage.documents.base import DocumentStore
from nugetproxy.storage.leases import Rights
from nugetproxy.storage.refusals import Refusals

_log = logger()

Check = Callable[[bytes], object]
Verdict = Keep | Refresh | RememberAbsence | Reject

# Default time in seconds for which a fetch bridges transient faults: well within the 100 s for which NuGet's client
# waits for a response head.
DEFAULT_PATIENCE = 30.0
# Seconds for which a document is not fetched again in the background after a failure: otherwise an upstream that
# answers nonsense immediately would be asked as often as we are.
_REST = 2.0
# After this many failed checks in a row, a document is not fetched at all for a while (seconds). One failure may be due
# to a single CDN edge; persistent nonsense, such as an index of thousands of pages, would be fetched for each client.
_MOST_NONSENSE = 2
_NONSENSE_REST = 10.0
_REMEMBERED_URLS = 10_000


class DocumentUpstream(Protocol):
    """The part of UpstreamClient that is used here."""

    @property
    def name(self) -> str: ...

    @property
    def health(self) -> Health: ...

    def health_of(self, url: str) -> Health: ...

    def until_probe(self, url: str) -> float: ...

    async def fetch(
        self,
        url: str,
        *,
        validators: Validators | None = None,
        patience: float,
        timeout: float | None = None,
    ) -> ReceivedAnswer: ...


@dataclass(frozen=True, slots=True)
class Flight:
    """The parameters of one fetch; callers that join it accept them."""

    upstream: DocumentUpstream
    url: str
    kind: DocumentKind
    rule: FreshnessRule
    doubt: bool
    timeout: float | None
    check: Check | None


@dataclass(frozen=True, slots=True)
class Landed:
    """A fetched document, and whether it could be stored."""

    stored: StoredResponse
    is_kept: bool


class DocumentFlights:
    """The running fetches, for one event loop. `patience` is in seconds, by upstream name."""

    def __init__(
        self,
        store: DocumentStore,
        leases: Rights,
        mode: Mode,
        clock: Callable[[], float],
        ticks: Callable[[], float],
        patience: Mapping[str, float],
    ) -> None:
        self._store = store
        self._leases = leases
        self._mode = mode
        self._clock = clock
        self._patience = patience
        self._flights = SingleFlight(metrics.COALESCED.labels("document").inc)
        self._resting: TTLCache[str, None] = TTLCache(_REMEMBERED_URLS, _REST, timer=ticks)
        self._nonsense: TTLCache[str, list[UpstreamNonsense]] = TTLCache(_REMEMBERED_URLS, _NONSENSE_REST, timer=ticks)
        self._overdue: set[str] = set()
        self.unwritten = -math.inf
        """When a document could last not be written, in seconds since the epoch."""
        self._refusals = Refusals("documents_kept_again")

    async def run(self, flight: Flight) -> Landed:
        """The document, from the running fetch or a new one.

        Raises:
            UpstreamError: it could not be fetched, or failed its check several times recently.
            FlightsClosedError: `close` was called in the meantime.
        """
        if len(nonsense := self._nonsense.get(flight.url, [])) >= _MOST_NONSENSE:
            raise nonsense[-1]
        return await self._flights.run(flight.url, lambda: self._fly(flight))

    def start(self, flight: Flight) -> None:
        """Start a fetch without waiting for it, unless one failed a moment ago.

        Raises:
            FlightsClosedError: `close` was called.
        """
        if flight.url not in self._resting:
            self._flights.start(flight.url, lambda: self._fly(flight))

    def health(self, upstream: DocumentUpstream, url: str) -> Health:
        """The health of the upstream and of the URL's own host, plus what was observed here: an overdue response, or a
        failure with this very URL."""
        health = worst((upstream.health, upstream.health_of(url)))
        if health is Health.GOOD and (upstream.name in self._overdue or url in self._resting):
            return Health.SUSPECT
        return health

    def note_overdue(self, upstream: DocumentUpstream) -> None:
        """A caller gave up waiting: until a response arrives, no other caller needs to wait as long to find out."""
        self._overdue.add(upstream.name)

    async def write(self, writing: Awaitable[None]) -> bool:
        """Store a document. A failure is only counted: the client still gets the response."""
        try:
            await writing
        except StorageUnavailable as error:
            self.unwritten = self._clock()
            metrics.STORE_FAILURES.labels("documents").inc()
            self._refusals.refused("document_not_kept", str(error))
            return False
        self._refusals.kept()
        return True

    async def close(self) -> None:
        """Cancel all running fetches."""
        await self._flights.close()

    async def _fly(self, flight: Flight) -> Landed:
        try:
            landed = await self._fetch(flight)
        except UpstreamError as error:
            self._resting[flight.url] = None
            if isinstance(error, UpstreamNonsense):
                self._nonsense[flight.url] = [*self._nonsense.get(flight.url, []), error]
            _log.info("fetch_failed", url=flight.url, error=str(error))
            raise
        except Exception:  # any bug of ours: nobody may be waiting, so it is logged here
            _log.exception("fetch_broke", url=flight.url)
            raise
        self._overdue.discard(flight.upstream.name)
        self._nonsense.pop(flight.url, None)
        return landed

    async def _fetch(self, flight: Flight) -> Landed:
        upstream, url = flight.upstream, flight.url
        patience = shorter(self._patience.get(upstream.name, DEFAULT_PATIENCE), flight.timeout)
        # The time spent waiting for another process is subtracted from our own tries, so that a caller never waits
        # longer in total than if it were alone, however many processes fail one after another.
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        if self._store.is_shared:
            # In a fleet, another node asked a moment ago in most cases: one query instead of three, and no hint to all.
            found = self._found_by_another(flight, await self._store.reread(url))
            if found is not None:
                return found
        async with self._leased(url, patience / 2):
            stored = await self._store.reread(url)
            found = self._found_by_another(flight, stored)
            if found is not None:
                return found
            return await self._keep(flight, await self._asked(flight, stored, deadline))

    def _found_by_another(self, flight: Flight, stored: StoredResponse | None) -> Landed | None:
        """The document that another process fetched while we waited for the lease."""
        match before(
            stored,
            flight.rule,
            now=self._clock(),
            mode=self._mode,
            health=lambda: flight.upstream.health,
            doubt=flight.doubt,
        ):
            case Serve(kept, Outcome.HIT | Outcome.ABSENT):
                return Landed(kept, is_kept=True)
        return None

    async def _asked(self, flight: Flight, stored: StoredResponse | None, deadline: float) -> Verdict:
        """A body that fails its check is fetched once more: the fault may be that of a single CDN edge."""
        try:
            return await self._asked_once(flight, stored, deadline)
        except UnreadableDocument as error:
            _log.info("document_unreadable", url=flight.url, error=str(error))
        try:
            return await self._asked_once(flight, stored, deadline)
        except UnreadableDocument as error:
            raise UpstreamNonsense(flight.upstream.name, str(error)) from error

    async def _asked_once(self, flight: Flight, stored: StoredResponse | None, deadline: float) -> Verdict:
        answer = await flight.upstream.fetch(
            flight.url,
            validators=stored.validators if stored is not None else None,
            patience=max(0.0, deadline - asyncio.get_running_loop().time()),
            timeout=flight.timeout,
        )
        is_named = flight.kind in NAMED_BY_UPSTREAM
        verdict = after_answer(flight.url, stored, answer, self._clock(), is_named=is_named)
        if isinstance(verdict, Keep) and flight.check is not None:
            try:
                await parsed(flight.check, verdict.stored.body)
            except EmptyDocument:
                if is_named:
                    raise
                return after_empty_body(flight.url, answer, self._clock())
        return verdict

    async def _keep(self, flight: Flight, verdict: Verdict) -> Landed:
        match verdict:
            case Keep(received):
                return Landed(received, await self._put(received, flight.rule))
            case Refresh(confirmed):
                return Landed(confirmed, await self.write(self._store.confirm(confirmed)))
            case RememberAbsence(absence):
                return Landed(absence, await self._put(absence, flight.rule))
            case Reject(why):
                raise UpstreamNonsense(flight.upstream.name, why)
            case _:
                assert_never(verdict)

    async def _put(self, stored: StoredResponse, rule: FreshnessRule) -> bool:
        return await self.write(self._store.put(stored, useful_for=useful_seconds(stored, rule)))

    @contextlib.asynccontextmanager
    async def _leased(self, url: str, patience: float) -> AsyncIterator[None]:
        """Exclusive among processes; after our patience without the lease: a second request is better than none."""
        async with contextlib.AsyncExitStack() as stack:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await stack.enter_async_context(self._leases.hold(f"document {url}"))
            yield


def shorter(one: float, other: float | None) -> float:
    """The shorter of two limits in seconds; None means no limit."""
    return one if other is None else min(one, other)
