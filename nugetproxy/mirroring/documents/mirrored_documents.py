"""MirroredDocuments: the small documents of upstreams, kept.

It carries out the decisions of `httpcache.decisions`: look up, serve or fetch, store the response. Any number of
callers cause one upstream request: flights join those of this process, leases those of all processes. The meaning of a
document belongs to its reader; here it is bytes that may be `check`ed before they are kept.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from cachetools import TTLCache

from nugetproxy.errors import (
    DocumentAbsent,
    NotMirrored,
    NugetproxyError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from nugetproxy.httpcache.decisions import Ask, Fail, Mode, Refusal, Refuse, Serve, ServeStale, after_failure, before
from nugetproxy.httpcache.freshness import DocumentKind, FreshnessRule, age, is_fresh, remaining
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.logs import logger
from nugetproxy.mirroring.documents.coalescing import FlightsClosedError
from nugetproxy.mirroring.documents.flights import Check, DocumentFlights, DocumentUpstream, Flight, shorter
from nugetproxy.storage.documents.base import DocumentStore
from nugetproxy.storage.leases import Rights

_log = logger()

# A stale copy in memory is compared with what other processes have written at most this often (seconds).
_LOOK_AGAIN = 1.0
# Maximum number of concurrent background fetches; those that clients wait for come on top.
_AHEAD = 8
# Maximum number that may wait for that. Further ones are dropped and fetched when a client asks for them.
_MOST_AHEAD = 1_000
_REMEMBERED_URLS = 10_000


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """A document and its provenance. Times are in seconds since the epoch."""

    body: bytes
    content_type: str
    url: str
    provenance: Provenance
    digest: str
    """SHA-256 of the body in hex: equal digests mean equal documents."""
    fetched: float
    confirmed: float


class MirroredDocuments:
    """Documents by URL, for one event loop.

    `patience` is in seconds by upstream name: how long a fetch bridges faults. `clock` returns seconds since the epoch;
    `ticks` returns seconds of which only differences matter.
    """

    def __init__(
        self,
        store: DocumentStore,
        leases: Rights,
        rules: Mapping[DocumentKind, FreshnessRule],
        mode: Mode,
        clock: Callable[[], float] = time.time,
        *,
        patience: Mapping[str, float] | None = None,
        ticks: Callable[[], float] = time.monotonic,
        changed: Callable[[Iterable[str]], None] = lambda _: None,
        followed: Callable[[str], float] = lambda _: -math.inf,
    ) -> None:
        """`changed` is called with lowercase ids when what may have been served as fresh no longer is. `followed`
        returns, by upstream name, until when its catalog names every change (see `FreshnessRule.followed_until`).
        """
        self._store = store
        self._changed = changed
        self._rules = rules
        self._mode = mode
        self._clock = clock
        self._flights = DocumentFlights(store, leases, mode, clock, ticks, patience or {})
        self._looked: TTLCache[str, None] = TTLCache(_REMEMBERED_URLS, _LOOK_AGAIN, timer=ticks)
        self._followed = followed
        self._followed_rules: dict[tuple[str, DocumentKind], FreshnessRule] = {}
        self._behind: set[asyncio.Task[None]] = set()
        self._ahead: set[str] = set()
        self._ahead_slots = asyncio.Semaphore(_AHEAD)

    async def get(
        self,
        upstream: DocumentUpstream,
        url: str,
        kind: DocumentKind,
        *,
        doubt: bool = False,
        timeout: float | None = None,
        check: Check | None = None,
    ) -> KeptDocument:
        """The document, kept or fetched.

        `doubt`: ask even if our copy is fresh. `timeout`: the maximum number of seconds to wait, also for one upstream
        request; a caller that gives it can do without the document, and waits no longer than `patience` while the
        upstream is in trouble. `check` is run on a received body before it is kept; if it raises UnreadableDocument,
        the response counts as failed, so that a captive portal's page never replaces a good document.

        Raises:
            DocumentAbsent: the upstream said that it does not exist, now or some seconds ago.
            NotMirrored: offline, and it is not kept.
            UpstreamError: it cannot be fetched now, and no stale copy may be used.
        """
        rule = self._rule(upstream.name, kind)
        stored = self._look(url, rule)
        verdict = before(
            stored,
            rule,
            now=self._clock(),
            mode=self._mode,
            health=lambda: self._flights.health(upstream, url),
            doubt=doubt,
            may_do_without=timeout is not None,
        )
        flight = Flight(upstream, url, kind, rule, doubt, timeout, check)
        match verdict:
            case Serve(kept, outcome, revalidate_behind):
                if revalidate_behind:
                    with contextlib.suppress(FlightsClosedError):
                        self._flights.start(flight)
                return self._document(kept, rule, outcome, detail=self._why_stale(outcome, revalidate_behind))
            case Ask(_, patience):
                return await self._ask(flight, stored, patience)
            case Refuse(reason):
                if reason is Refusal.OFFLINE:
                    raise NotMirrored(url)
                again = upstream.until_probe(url) or None
                raise UpstreamUnavailable(upstream.name, "it is not responding, and no copy is kept", again)
            case _:
                assert_never(verdict)

    def now(self) -> float:
        """The clock by which documents are fresh, in seconds since the epoch."""
        return self._clock()

    def peek(self, url: str, kind: DocumentKind | None = None) -> KeptDocument | None:
        """The kept copy, however old; never asks the upstream. None for an absence; stale if without `kind`."""
        stored = self._store.get(url)
        if stored is None or stored.is_absence:
            return None
        rule = self._rules[kind] if kind is not None else None
        now = self._clock()
        outcome = Outcome.HIT if rule is not None and is_fresh(stored, rule, now) else Outcome.STALE
        return self._document(stored, rule, outcome)

    def prefetch(
        self, upstream: DocumentUpstream, urls: Iterable[str], kind: DocumentKind, *, check: Check | None = None
    ) -> None:
        """Fetch these documents in the background, a few at a time, if they are not fresh. Failures are only logged.

        Best effort: while too many are waiting, further ones are ignored.
        """
        if self._mode is Mode.OFFLINE:
            return
        for url in urls:
            if url not in self._ahead and len(self._ahead) < _MOST_AHEAD:
                self._ahead.add(url)
                self._do_behind(self._fetch_ahead(upstream, url, kind, check))

    def expire(self, url: str, lower_id: str) -> None:
        """A newer version is known to exist: the copy is revalidated at its next use, and remains a fallback.

        `lower_id` is the package that the document is about.
        """
        stored = self._store.get(url)
        if stored is not None and not stored.expired:
            self._do_behind(self._mark_expired(stored, lower_id))

    async def expire_below(self, starts: Sequence[str]) -> list[str]:
        """Expire all documents whose URLs start with one of these, in the store that all processes share.

        Returns the URLs of those that were not expired before. Raises StorageUnavailable.
        """
        return await self._store.expire(starts)

    async def close(self) -> None:
        """Cancel the running fetches; callers still waiting get UpstreamUnavailable."""
        for task in self._behind:
            task.cancel()
        await asyncio.gather(*self._behind, return_exceptions=True)
        await self._flights.close()

    # --- rules --------------------------------------------------------------------------------------------------------

    def _rule(self, upstream: str, kind: DocumentKind) -> FreshnessRule:
        """The rule that holds now: a longer one while the upstream's catalog is followed."""
        rule = self._rules[kind]
        if not rule.followed:
            return rule
        until = self._followed(upstream)
        # A copy that could not be written is in this process only, where the process that follows cannot expire it.
        if until == -math.inf or self._clock() - self._flights.unwritten <= rule.followed:
            return rule
        known = self._followed_rules.get((upstream, kind))
        if known is None or known.followed_until != until:
            known = self._followed_rules[upstream, kind] = replace(rule, followed_until=until)
        return known

    # --- reading ------------------------------------------------------------------------------------------------------

    def _look(self, url: str, rule: FreshnessRule) -> StoredResponse | None:
        stored = self._store.get(url)
        if self._mode is Mode.OFFLINE or stored is None or is_fresh(stored, rule, self._clock()):
            return stored
        if url in self._looked:
            return stored
        self._looked[url] = None
        return self._store.get(url, skip_hot=True)

    def _why_stale(self, outcome: Outcome, revalidate_behind: bool) -> str:
        if outcome is not Outcome.STALE:
            return ""
        if self._mode is Mode.OFFLINE:
            return "offline"
        return "revalidating" if revalidate_behind else "upstream-away"

    def _document(
        self,
        stored: StoredResponse,
        rule: FreshnessRule | None,
        outcome: Outcome,
        *,
        is_kept: bool = False,
        detail: str = "",
    ) -> KeptDocument:
        if stored.is_absence:
            raise DocumentAbsent(stored.url)
        now = self._clock()
        fresh_for = remaining(stored, rule, now) if rule is not None else 0.0
        provenance = Provenance(outcome, age(stored, now), fresh_for, is_kept, detail)
        return KeptDocument(
            stored.body,
            stored.content_type,
            stored.url,
            provenance,
            stored.digest,
            stored.fetched,
            stored.confirmed,
        )

    # --- asking -------------------------------------------------------------------------------------------------------

    async def _ask(self, flight: Flight, stored: StoredResponse | None, patience: float | None) -> KeptDocument:
        """Wait for the flight, within limits; if it fails or is late, use the stale copy if allowed."""
        upstream, rule = flight.upstream, flight.rule
        longest = flight.timeout if patience is None else shorter(patience, flight.timeout)
        failure: UpstreamError
        try:
            async with asyncio.timeout(longest):
                landed = await self._flights.run(flight)
        except TimeoutError:
            # A caller's own limit says nothing about the upstream: a search may simply be slow.
            if flight.timeout is None:
                self._flights.note_overdue(upstream)
            detail = "upstream-late"
            failure = UpstreamTimeout(upstream.name, f"no answer within {longest or 0:g} s")
        except FlightsClosedError:
            detail = "stopping"
            failure = UpstreamUnavailable(upstream.name, "this server is shutting down")
        except UpstreamError as error:
            detail = "upstream-failed"
            failure = error
        else:
            outcome = Outcome.MISS if stored is None else Outcome.REFRESHED
            return self._document(landed.stored, rule, outcome, is_kept=landed.is_kept)
        match after_failure(stored, rule, self._clock()):
            case ServeStale(kept):
                return self._document(kept, rule, Outcome.STALE, detail=detail)
            case Fail():
                raise failure

    # --- in the background --------------------------------------------------------------------------------------------

    def _do_behind(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def _fetch_ahead(self, upstream: DocumentUpstream, url: str, kind: DocumentKind, check: Check | None) -> None:
        try:
            async with self._ahead_slots:
                await self.get(upstream, url, kind, check=check)
        except NugetproxyError as error:
            _log.debug("fetch_ahead_failed", url=url, error=str(error))
        finally:
            self._ahead.discard(url)

    async def _mark_expired(self, stored: StoredResponse, lower_id: str) -> None:
        await self._flights.write(self._store.confirm(replace(stored, expired=True)))
        self._changed((lower_id,))
