"""Every decision of the document cache.

Rule 1: whatever decides between serving, asking and refusing lives here.
Rule 2: nothing here knows a socket, a store or what time it is.

`before` is asked with what is kept; when it says Ask, `after_answer` or `after_failure` says what the answer means.
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

# Somebody who doubts a copy that was confirmed so recently (seconds) would only be told the same again; many askers who
# doubt the same document at once cost the upstream one request.
DOUBT_REST = 2.0


class Mode(StrEnum):
    """What the operator wants."""

    ONLINE = "online"
    OFFLINE = "offline"
    """No upstream is ever asked."""


class Health(StrEnum):
    """What we know of an upstream."""

    GOOD = "good"
    SUSPECT = "suspect"
    """A failure or an overdue answer since the last success."""
    DEAD = "dead"
    """Its breaker is open: it is probed in the background and not asked."""


class Refusal(StrEnum):
    """Why nothing can be served and nobody is asked."""

    OFFLINE = "offline"
    DEAD = "upstream-away"


@dataclass(frozen=True, slots=True)
class Serve:
    """Answer with the copy now. It may be a remembered absence (outcome ABSENT)."""

    stored: StoredResponse
    outcome: Outcome
    revalidate_behind: bool = False
    """Have it refreshed for the next asker; this one does not wait."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the upstream."""

    validators: Validators | None = None
    patience: float | None = None
    """Seconds to wait before the stale copy, or what the asker has, is served instead; None: neither is there or will
    do."""


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
    """What to do for an asker, given what is kept.

    `health` is called only when nothing fresh is kept. `doubt`: the asker has a reason to think that even a fresh copy
    is outdated (it lacks what somebody names).
    `may_do_without`: the asker has something of its own to give when there is no answer.
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
    """As `before`, when nothing fresh is kept."""
    if stored is None:
        if health is Health.DEAD:
            return Refuse(Refusal.DEAD)
        return Ask(patience=rule.patience if may_do_without and health is Health.SUSPECT else None)
    if not may_stand_in(stored, rule, now):
        return Refuse(Refusal.DEAD) if health is Health.DEAD else Ask(stored.validators)
    if health is Health.DEAD:
        # No refresh behind: the breaker's own probe finds out when asking makes sense again.
        return Serve(stored, Outcome.STALE)
    if doubted:
        # Without the upstream's word the asker could only be told "not found", which clients take for final. So it
        # waits as long as the upstream is bridged, unless there is reason to fear that this leads nowhere.
        return Ask(stored.validators, rule.patience if health is Health.SUSPECT else None)
    if health is Health.SUSPECT or may_be_revalidated_behind(stored, rule, now):
        return Serve(stored, Outcome.STALE, revalidate_behind=True)
    return Ask(stored.validators, rule.patience)


def _before_offline(stored: StoredResponse | None, rule: FreshnessRule, now: float) -> Serve | Refuse:
    # An absence remembered from online days is not evidence years later, and clients are told the same either way.
    if stored is None or stored.is_absence:
        return Refuse(Refusal.OFFLINE)
    return Serve(stored, Outcome.HIT if is_fresh(stored, rule, now) else Outcome.STALE)


@dataclass(frozen=True, slots=True)
class Keep:
    """A new body: keep it and serve it."""

    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class Refresh:
    """The kept body stands: only its clock moves."""

    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class RememberAbsence:
    """It does not exist: remember that for `rule.absent` seconds."""

    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class Reject:
    """No answer to what was asked: treat it as a failure."""

    why: str


def after_answer(
    url: str, stored: StoredResponse | None, answer: ReceivedAnswer, now: float, *, is_named: bool = False
) -> Keep | Refresh | RememberAbsence | Reject:
    """What an answer means for what is kept under `url`.

    `is_named`: the upstream names this document itself, so its absence never takes the place of a kept body.
    """
    match answer.status:
        case 200:
            return _after_body(url, stored, answer, now)
        case 304 if stored is not None and not stored.is_absence:
            return _after_not_modified(stored, answer, now)
        case 404 | 410 if is_named and stored is not None and not stored.is_absence:
            return Reject("it no longer has what it names")
        case 404 | 410:
            return RememberAbsence(_received(url, answer, now))
        case 304:
            return Reject("not modified, though nothing was there to compare with")
    return Reject(f"status {answer.status}")


def after_empty_body(url: str, answer: ReceivedAnswer, now: float) -> RememberAbsence:
    """What a body means that says that nothing is there."""
    return RememberAbsence(_received(url, replace(answer, status=404), now))


def _after_body(url: str, stored: StoredResponse | None, answer: ReceivedAnswer, now: float) -> Keep | Refresh:
    received = _received(url, answer, now)
    # Some edges of nuget.org ignore conditional requests and send everything again: the same bytes are a 304 in effect.
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
    # A 304 may bring newer validators (RFC 9111 section 4.3.4); those must be written with the body.
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
    """The copy is better than nothing."""

    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class Fail:
    """Nothing can stand in for the answer."""


def after_failure(stored: StoredResponse | None, rule: FreshnessRule, now: float) -> ServeStale | Fail:
    """What to do when the upstream failed, or was late past the asker's patience."""
    if stored is not None and may_stand_in(stored, rule, now):
        return ServeStale(stored)
    return Fail()
