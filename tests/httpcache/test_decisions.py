import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.httpcache.decisions import (
    DOUBT_REST,
    Ask,
    Fail,
    Health,
    Keep,
    Mode,
    Refresh,
    Refusal,
    Refuse,
    Reject,
    RememberAbsence,
    Serve,
    ServeStale,
    after_answer,
    after_failure,
    before,
)
from nugetproxy.httpcache.freshness import FreshnessRule, age, is_fresh
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.httpcache.stored import ReceivedAnswer, StoredResponse, Validators
from tests.httpcache.documents import NOON, URL, a_document, a_rule, an_absence, an_answer

_RULE = a_rule(fresh=60, behind=30, on_error=3600, absent=10, patience=1)

FRESH = a_document(age=30)
JUST_CONFIRMED = a_document(age=1)
NEARLY = a_document(age=80)
"""Stale, within stale_while_revalidate."""
STALE = a_document(age=600)
OLD = a_document(age=3601)
"""Beyond stale_if_error."""
EXPIRED = a_document(age=5, expired=True)
BARE = a_document(age=600, etag="", last_modified="")
ABSENT = an_absence(age=5)
FORGOTTEN = an_absence(age=11)
V = STALE.validators


def decide(stored, health=Health.GOOD, *, mode=Mode.ONLINE, doubt=False, rule=_RULE):
    return before(stored, rule, now=NOON, mode=mode, health=lambda: health, doubt=doubt)


@pytest.mark.parametrize(
    ("stored", "health", "expected"),
    [
        (None, Health.GOOD, Ask()),
        (None, Health.SUSPECT, Ask()),
        (None, Health.DEAD, Refuse(Refusal.DEAD)),
        (FRESH, Health.GOOD, Serve(FRESH, Outcome.HIT)),
        (FRESH, Health.SUSPECT, Serve(FRESH, Outcome.HIT)),
        (FRESH, Health.DEAD, Serve(FRESH, Outcome.HIT)),
        (NEARLY, Health.GOOD, Serve(NEARLY, Outcome.STALE, revalidate_behind=True)),
        (NEARLY, Health.SUSPECT, Serve(NEARLY, Outcome.STALE, revalidate_behind=True)),
        (NEARLY, Health.DEAD, Serve(NEARLY, Outcome.STALE)),
        (STALE, Health.GOOD, Ask(V, 1)),
        (STALE, Health.SUSPECT, Serve(STALE, Outcome.STALE, revalidate_behind=True)),
        (STALE, Health.DEAD, Serve(STALE, Outcome.STALE)),
        (BARE, Health.GOOD, Ask(None, 1)),
        (OLD, Health.GOOD, Ask(V)),
        (OLD, Health.SUSPECT, Ask(V)),
        (OLD, Health.DEAD, Refuse(Refusal.DEAD)),
        (EXPIRED, Health.GOOD, Ask(V, 1)),
        (EXPIRED, Health.SUSPECT, Serve(EXPIRED, Outcome.STALE, revalidate_behind=True)),
        (EXPIRED, Health.DEAD, Serve(EXPIRED, Outcome.STALE)),
        (ABSENT, Health.GOOD, Serve(ABSENT, Outcome.ABSENT)),
        (ABSENT, Health.SUSPECT, Serve(ABSENT, Outcome.ABSENT)),
        (ABSENT, Health.DEAD, Serve(ABSENT, Outcome.ABSENT)),
        (FORGOTTEN, Health.GOOD, Ask()),
        (FORGOTTEN, Health.SUSPECT, Ask()),
        (FORGOTTEN, Health.DEAD, Refuse(Refusal.DEAD)),
    ],
    ids=str,
)
def test_online(stored, health, expected):
    assert expected == decide(stored, health)


@pytest.mark.parametrize(
    ("stored", "health", "expected"),
    [
        (None, Health.GOOD, Ask()),
        # No limit on the wait: without an answer of the upstream we could only say "not found".
        (FRESH, Health.GOOD, Ask(V)),
        (STALE, Health.GOOD, Ask(V)),
        (NEARLY, Health.GOOD, Ask(V)),
        (FRESH, Health.SUSPECT, Ask(V, 1)),
        # Marked stale, because the upstream did not confirm it.
        (FRESH, Health.DEAD, Serve(FRESH, Outcome.STALE)),
        (JUST_CONFIRMED, Health.GOOD, Serve(JUST_CONFIRMED, Outcome.HIT)),
        (EXPIRED, Health.GOOD, Ask(V)),
        (ABSENT, Health.GOOD, Ask()),
        (an_absence(age=1), Health.GOOD, Serve(an_absence(age=1), Outcome.ABSENT)),
        (ABSENT, Health.DEAD, Refuse(Refusal.DEAD)),
    ],
    ids=str,
)
def test_in_doubt(stored, health, expected):
    assert expected == decide(stored, health, doubt=True)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, Refuse(Refusal.OFFLINE)),
        (FRESH, Serve(FRESH, Outcome.HIT)),
        (STALE, Serve(STALE, Outcome.STALE)),
        (OLD, Serve(OLD, Outcome.STALE)),
        (EXPIRED, Serve(EXPIRED, Outcome.STALE)),
        (ABSENT, Refuse(Refusal.OFFLINE)),
        (FORGOTTEN, Refuse(Refusal.OFFLINE)),
    ],
    ids=str,
)
def test_offline(stored, expected):
    """
    Offline, stored documents of any age are served, independent of health and doubt.
    """
    for health, doubt in itertools.product(Health, (False, True)):
        assert expected == decide(stored, health, mode=Mode.OFFLINE, doubt=doubt)


@pytest.mark.parametrize(
    ("health", "expected"),
    [(Health.GOOD, Ask()), (Health.SUSPECT, Ask(patience=_RULE.patience)), (Health.DEAD, Refuse(Refusal.DEAD))],
)
def test_a_caller_with_a_fallback_does_not_wait_long_for_a_troubled_upstream(health, expected):
    assert before(None, _RULE, now=NOON, mode=Mode.ONLINE, health=lambda: health, may_do_without=True) == expected


def test_many_doubting_requests_cost_one_upstream_request():
    """
    A copy confirmed less than two seconds ago is not doubted again.
    """
    assert isinstance(decide(a_document(age=DOUBT_REST), doubt=True), Ask)
    assert isinstance(decide(a_document(age=DOUBT_REST - 0.01), doubt=True), Serve)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_a_new_body_replaces_the_old():
    expected = StoredResponse(
        URL,
        200,
        b'{"versions":["1.0.0","2.0.0"]}',
        "0x8D764B46B9CE393",
        "Wed, 15 Nov 2023 11:00:00 GMT",
        "application/json",
        NOON,
        NOON,
    )

    assert Keep(expected) == after_answer(URL, STALE, an_answer(), NOON)
    assert Keep(expected) == after_answer(URL, None, an_answer(), NOON)
    assert Keep(expected) == after_answer(URL, ABSENT, an_answer(), NOON)


def test_not_modified_renews_the_confirmation():
    assert Refresh(replace(STALE, confirmed=NOON)) == after_answer(URL, STALE, ReceivedAnswer(304), NOON)


def test_not_modified_ends_an_expiry():
    assert Refresh(replace(EXPIRED, confirmed=NOON, expired=False)) == after_answer(
        URL, EXPIRED, ReceivedAnswer(304), NOON
    )


@pytest.mark.parametrize(("etag", "last_modified"), [("new", ""), ("", "new"), ("new", "new")])
def test_newer_validators_of_a_304_are_stored(etag, last_modified):
    """
    RFC 9111 section 4.3.4: the next request must use the validators of the 304.
    """
    verdict = after_answer(URL, STALE, ReceivedAnswer(304, etag=etag, last_modified=last_modified), NOON)

    assert (
        Keep(
            replace(STALE, confirmed=NOON, etag=etag or STALE.etag, last_modified=last_modified or STALE.last_modified)
        )
        == verdict
    )


def test_the_same_bytes_again_count_as_not_modified():
    """
    An edge that ignores conditional requests costs bandwidth, but no disk writes.
    """
    again = an_answer(body=STALE.body, etag=STALE.etag, last_modified=STALE.last_modified)

    assert Refresh(replace(STALE, confirmed=NOON)) == after_answer(URL, STALE, again, NOON)


@pytest.mark.parametrize("changed", [{"body": b"other"}, {"etag": "other"}, {"content_type": "text/json"}], ids=str)
def test_any_difference_makes_a_new_document(changed):
    same = {"body": STALE.body, "etag": STALE.etag, "last_modified": STALE.last_modified}

    assert isinstance(after_answer(URL, STALE, an_answer(**(same | changed)), NOON), Keep)


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("stored", [FRESH, STALE, EXPIRED, OLD], ids=str)
def test_an_absence_does_not_replace_a_document_that_the_upstream_refers_to(stored, status):
    assert isinstance(after_answer(URL, stored, an_answer(status), NOON, is_named=True), Reject)


@pytest.mark.parametrize("stored", [None, ABSENT], ids=str)
def test_an_absence_is_accepted_if_nothing_is_stored(stored):
    assert isinstance(after_answer(URL, stored, an_answer(404), NOON, is_named=True), RememberAbsence)


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("stored", [None, STALE, FORGOTTEN], ids=str)
def test_an_absence_is_cached_without_the_error_page(stored, status):
    verdict = after_answer(URL, stored, an_answer(status, body=b"<html>gone</html>", etag="", last_modified=""), NOON)

    assert isinstance(verdict, RememberAbsence)
    assert (verdict.stored.body, verdict.stored.confirmed, verdict.stored.is_absence) == (b"", NOON, True)


@pytest.mark.parametrize(
    ("stored", "status"), [(None, 304), (ABSENT, 304), (STALE, 500), (STALE, 206), (None, 302)], ids=str
)
def test_unusable_answers_are_rejected(stored, status):
    assert isinstance(after_answer(URL, stored, an_answer(status), NOON), Reject)


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, Fail()),
        (FRESH, ServeStale(FRESH)),
        (STALE, ServeStale(STALE)),
        (EXPIRED, ServeStale(EXPIRED)),
        (OLD, Fail()),
        # "Does not exist" is final to clients: it needs a definite answer.
        (ABSENT, Fail()),
        (FORGOTTEN, Fail()),
    ],
    ids=str,
)
def test_after_a_failure(stored, expected):
    assert expected == after_failure(stored, _RULE, NOON)


# --- what holds for all -----------------------------------------------------------------------------------------------

_seconds = st.floats(0, 1e9) | st.sampled_from([0.0, 1.0, 10.0, 60.0])
_rules = st.builds(FreshnessRule, _seconds, _seconds, _seconds, _seconds, _seconds)
_documents = st.builds(
    StoredResponse,
    url=st.just(URL),
    status=st.sampled_from([200, 200, 200, 404, 410]),
    body=st.just(b"body"),
    etag=st.sampled_from(["", "e"]),
    last_modified=st.sampled_from(["", "d"]),
    content_type=st.just(""),
    fetched=_seconds,
    confirmed=_seconds,
    expired=st.booleans(),
)


def _told(health: Health) -> Callable[[], Health]:
    return lambda: health


_situations = {
    "stored": st.none() | _documents,
    "rule": _rules,
    "now": _seconds,
    "mode": st.sampled_from(Mode),
    "health": st.sampled_from(Health).map(_told),
    "doubt": st.booleans(),
}


@given(**_situations)
def test_a_hit_is_never_older_than_allowed(stored, rule, **situation):
    match before(stored, rule, **situation):
        case Serve(kept, Outcome.HIT):
            assert age(kept, situation["now"]) < rule.fresh
            assert not kept.expired


@given(**_situations)
def test_an_absence_is_never_served_after_it_expires(stored, rule, **situation):
    match before(stored, rule, **situation):
        case Serve(kept, outcome) if kept.is_absence or outcome is Outcome.ABSENT:
            assert kept.is_absence
            assert outcome is Outcome.ABSENT
            assert age(kept, situation["now"]) < rule.absent


@given(**(_situations | {"mode": st.just(Mode.OFFLINE)}))
def test_offline_never_asks(stored, rule, **situation):
    match before(stored, rule, **situation):
        case Ask() | Serve(_, _, True):
            pytest.fail("asked")


@given(**(_situations | {"health": st.just(_told(Health.DEAD))}))
def test_a_dead_upstream_is_never_asked(stored, rule, **situation):
    match before(stored, rule, **situation):
        case Ask() | Serve(_, _, True):
            pytest.fail("asked")


@given(**_situations)
def test_a_limited_wait_implies_a_usable_stale_copy(stored, rule, now, **situation):
    match before(stored, rule, now=now, **situation):
        case Ask(_, float()):
            assert ServeStale(stored) == after_failure(stored, rule, now)


@given(**_situations)
def test_only_an_absence_has_no_validators(stored, rule, **situation):
    match before(stored, rule, **situation):
        case Ask(Validators()):
            assert stored is not None
            assert not stored.is_absence


_statuses = st.sampled_from([200, 304, 404])
_steps = st.lists(st.tuples(st.floats(0, 100), _statuses | st.just("failed"), st.booleans()), max_size=30)


@given(_steps, _rules, st.sampled_from([Health.GOOD, Health.SUSPECT]))
def test_the_rules_hold_over_any_history(steps, rule, health):
    """
    For any sequence of answers, failures and waits: a fresh document was confirmed within `fresh`, the body is the last
    one received, and the upstream said "does not exist" within `absent`.
    """
    now, asked, last_body = 0.0, 0, b""
    stored: StoredResponse | None = None
    word, word_at = "nothing", 0.0
    for wait, answer, doubt in steps:
        now += wait
        match before(stored, rule, now=now, mode=Mode.ONLINE, health=lambda: health, doubt=doubt):
            case Serve(_, Outcome.ABSENT):
                assert word == "absent"
                assert now - word_at < rule.absent
            case Serve(kept, outcome):
                assert (word, last_body) == ("there", kept.body)
                assert outcome is Outcome.STALE or now - word_at < rule.fresh
            case Ask(validators) if answer == "failed" or (answer == 304 and validators is None):
                match after_failure(stored, rule, now):
                    case ServeStale(kept):
                        assert (word, last_body) == ("there", kept.body)
            case Ask():
                asked += 1
                body = f"body {asked}".encode()
                stored = kept_after(stored, an_answer(answer, body=body, etag="e", last_modified=""), now)
                word, word_at = "absent" if answer == 404 else "there", now
                last_body = body if answer == 200 else last_body
                assert stored.is_absence or stored.body == last_body
                assert is_fresh(stored, rule, now) == ((rule.absent if stored.is_absence else rule.fresh) > 0)


def kept_after(stored: StoredResponse | None, answer: ReceivedAnswer, now: float) -> StoredResponse:
    match after_answer(URL, stored, answer, now):
        case Keep(kept) | Refresh(kept) | RememberAbsence(kept):
            return kept
        case Reject(why):
            pytest.fail(why)
