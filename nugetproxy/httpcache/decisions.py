"""All decisions of the document cache.

Rule 1: every decision between serving, asking the upstream and refusing is made here.
Rule 2: nothing here knows sockets, stores or the current time.

`before` decides from the stored copy; if it returns Ask, `after_answer` or `after_failure` interprets the result.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from nugetproxy.httpcache.freshness import (
    FreshnessRule,
    age,
    is_fresh,
    may_be_revalidated_behind,
    may_stand_in,
)
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.httpcache.stored import ReceivedAnswer, StoredResponse, Validators

# Seconds. A request that doubts a copy confirmed more recently would get the same answer again; many concurrent
# requests that doubt one document cost the upstream a single request.
DOUBT_REST = 2.0


class Mode(StrEnum):
    """The configured mode."""

    ONLINE = "online"
    OFFLINE = "offline"
    """Never ask an upstream."""


class Health(StrEnum):
    """The state of an upstream."""

    GOOD = "good"
    SUSPECT = "suspect"
    """A failure or a late response since the last success."""
    DEAD = "dead"
    """Its breaker is open: it is only probed in the background."""


class Refusal(StrEnum):
    """Why nothing can be served and no upstream is asked."""

    OFFLINE = "offline"
    DEAD = "upstream-away"


@dataclass(frozen=True, slots=True)
class Serve:
    """Serve the copy now. It may be a cached absence (outcome ABSENT)."""

    stored: StoredResponse
    outcome: Outcome
    revalidate_behind: bool = False
    """Also refresh it in the background, for later requests."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the upstream."""

    validators: Validators | None = None
    patience: float | None = None
    """Seconds to wait before the stale copy, or the caller's fallback, is used instead; None when there is neither, or
    it will not do."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Neither serve nor ask."""

    reason: Refusal


def before(
    stored: StoredResponse | None,
    rule: FreshnessRule,
    *,
    now: float,
    mode: Mode,
    health: Callable[[], Health],
    doubt: bool = False,
    may_do_without: bool = False,
) -> Serve | Ask | Refuse:
    """Decide what to do for a request, given the stored copy.

    `health` is only called if nothing fresh is stored. `doubt`: even a fresh copy may be outdated, because it lacks
    something that the client refers to.
    `may_do_without`: the caller has a fallback if there is no answer.
    """
    if mode is Mode.OFFLINE:
        return _before_offline(stored, rule, now)
    doubted = doubt and stored is not None and age(stored, now) >= DOUBT_REST
    if stored is not None and is_fresh(stored, rule, now) and not doubted:
        return Serve(stored, Outcome.ABSENT if stored.is_absence else Outcome.HIT)
    return _before_asking(stored, rule, now, health(), doubted=doubted, may_do_without=may_do_without)


def _before_asking(
    stored: StoredResponse | None,
    rule: FreshnessRule,
    now: float,
    health: Health,
    *,
    doubted: bool,
    may_do_without: bool,
) -> Serve | Ask | Refuse:
    """As `before`, if nothing fresh is stored."""
    if stored is None:
        if health is Health.DEAD:
            return Refuse(Refusal.DEAD)
        return Ask(patience=rule.patience if may_do_without and health is Health.SUSPECT else None)
    if not may_stand_in(stored, rule, now):
        return Refuse(Refusal.DEAD) if health is Health.DEAD else Ask(stored.validators)
    if health is Health.DEAD:
        # No background refresh: the breaker's probe detects when asking makes sense again.
        return Serve(stored, Outcome.STALE)
    if doubted:
        # Without an answer of the upstream we could only say "not found", which is final to clients. So the request
        # waits as long as the upstream is retried, unless the upstream is already suspect.
        return Ask(stored.validators, rule.patience if health is Health.SUSPECT else None)
    if health is Health.SUSPECT or may_be_revalidated_behind(stored, rule, now):
        return Serve(stored, Outcome.STALE, revalidate_behind=True)
    return Ask(stored.validators, rule.patience)


def _before_offline(stored: StoredResponse | None, rule: FreshnessRule, now: float) -> Serve | Refuse:
    # An absence cached while online proves nothing years later, and clients get the same response either way.
    if stored is None or stored.is_absence:
        return Refuse(Refusal.OFFLINE)
    return Serve(stored, Outcome.HIT if is_fresh(stored, rule, now) else Outcome.STALE)


@dataclass(frozen=True, slots=True)
class Keep:
    """A new body: store it and serve it."""

    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class Refresh:
    """The stored body is still valid: only its timestamps change."""

    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class RememberAbsence:
    """It does not exist: cache that for `rule.absent` seconds."""

    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class Reject:
    """Not a usable answer: treat it as a failure."""

    why: str


def after_answer(
    url: str, stored: StoredResponse | None, answer: ReceivedAnswer, now: float, *, is_named: bool = False
) -> Keep | Refresh | RememberAbsence | Reject:
    """Decide what an answer means for the copy stored under `url`.

    `is_named`: the upstream itself refers to this document, so an absence never replaces a stored body.
    """
    match answer.status:
        case 200:
            return _after_body(url, stored, answer, now)
        case 304 if stored is not None and not stored.is_absence:
            return _after_not_modified(stored, answer, now)
        case 404 | 410 if is_named and stored is not None and not stored.is_absence:
            return Reject("it no longer has a document that it refers to")
        case 404 | 410:
            return RememberAbsence(_received(url, answer, now))
        case 304:
            return Reject("not modified, but nothing is stored")
    return Reject(f"status {answer.status}")


def after_empty_body(url: str, answer: ReceivedAnswer, now: float) -> RememberAbsence:
    """Decide what an empty document means: an absence."""
    return RememberAbsence(_received(url, replace(answer, status=404), now))


def _after_body(url: str, stored: StoredResponse | None, answer: ReceivedAnswer, now: float) -> Keep | Refresh:
    received = _received(url, answer, now)
    # Some CDN edges of nuget.org ignore conditional requests and send the body again: equal bytes mean 304.
    if stored is not None and _differs_only_in_time(stored, received):
        return Refresh(replace(stored, confirmed=now, expired=False))
    return Keep(received)


def _after_not_modified(stored: StoredResponse, answer: ReceivedAnswer, now: float) -> Keep | Refresh:
    refreshed = replace(
        stored,
        confirmed=now,
        expired=False,
        etag=answer.etag or stored.etag,
        last_modified=answer.last_modified or stored.last_modified,
    )
    # A 304 may have newer validators (RFC 9111 section 4.3.4), which must be stored with the body.
    return Refresh(refreshed) if _differs_only_in_time(stored, refreshed) else Keep(refreshed)


def _received(url: str, answer: ReceivedAnswer, now: float) -> StoredResponse:
    body = answer.body if answer.status == 200 else b""
    return StoredResponse(
        url, answer.status, body, answer.etag, answer.last_modified, answer.content_type, fetched=now, confirmed=now
    )


def _differs_only_in_time(one: StoredResponse, other: StoredResponse) -> bool:
    return replace(one, fetched=0.0, confirmed=0.0, expired=False) == replace(
        other, fetched=0.0, confirmed=0.0, expired=False
    )


@dataclass(frozen=True, slots=True)
class ServeStale:
    """Serve the stale copy."""

    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class Fail:
    """There is nothing to serve instead."""


def after_failure(stored: StoredResponse | None, rule: FreshnessRule, now: float) -> ServeStale | Fail:
    """Decide what to do when the upstream failed, or did not answer within the patience."""
    if stored is not None and may_stand_in(stored, rule, now):
        return ServeStale(stored)
    return Fail()
