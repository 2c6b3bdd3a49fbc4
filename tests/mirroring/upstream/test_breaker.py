"""The breaker's rules, with a clock that is a number."""

import pytest

from nugetproxy.httpcache.decisions import Health
from nugetproxy.mirroring.upstream.breaker import Breaker, worst
from nugetproxy.mirroring.upstream.faults import Pacing


def a_breaker(failures: int = 3, spacing: float = 2.0) -> Breaker:
    return Breaker(failures, spacing=spacing, overdue=1.0)


def fail(breaker: Breaker, *times: float) -> None:
    for now in times:
        breaker.failed(now)


def test_a_new_breaker_trusts():
    assert a_breaker().health(0.0) is Health.GOOD


def test_one_failure_makes_suspect():
    breaker = a_breaker()
    fail(breaker, 0.0)

    assert breaker.health(100.0) is Health.SUSPECT


def test_it_opens_after_so_many_failures():
    breaker = a_breaker(3)
    fail(breaker, 0.0, 2.0)
    assert not breaker.is_open
    fail(breaker, 4.0)

    assert breaker.health(4.0) is Health.DEAD


def test_failures_at_the_same_moment_are_one():
    """
    A restart that breaks fifty requests is one failure.
    """
    breaker = a_breaker(3)
    fail(breaker, *[0.0] * 50, *[1.9] * 50)

    assert breaker.health(2.0) is Health.SUSPECT


@pytest.mark.parametrize(
    ("patience", "failures", "opens"), [(30.0, 5, 30.0), (60.0, 5, 60.0), (0.0, 5, 8.0), (30.0, 1, 0.0)]
)
def test_it_does_not_open_while_callers_still_bridge(patience, failures, opens):
    """
    An upstream that fails every second is considered down when the first caller's patience is spent, and not before.
    """
    breaker = a_breaker(failures, Pacing.within(patience, failures).spacing)
    now = 0.0
    fail(breaker, now)
    while not breaker.is_open:
        now += 0.5
        fail(breaker, now)

    assert now == opens


def test_silence_counts_like_the_failures_that_a_host_that_refuses_would_have_shown():
    """
    Twenty seconds without an answer, twice: with one failure per timeout it took a minute and a half to give up.
    """
    breaker = a_breaker(5, spacing=7.5)
    breaker.failed(20.0, silent_for=20.0)
    assert breaker.health(20.0) is Health.SUSPECT
    breaker.failed(40.2, silent_for=20.0)

    assert breaker.is_open


def test_silence_is_counted_once_for_all_who_waited():
    breaker = a_breaker(5, spacing=7.5)
    for began in range(8):
        breaker.failed(began + 20.0, silent_for=20.0)

    assert breaker.health(30.0) is Health.SUSPECT


@pytest.mark.parametrize(("failures", "opens"), [(1, True), (2, False), (5, False)])
def test_one_silent_request_opens_only_what_one_failure_opens(failures, opens):
    breaker = a_breaker(failures, spacing=2.0)
    breaker.failed(100.0, silent_for=100.0)

    assert opens == breaker.is_open


@pytest.mark.parametrize(("answered_meanwhile", "silent"), [(False, 20.0), (True, 0.0)])
def test_a_host_that_answers_others_is_not_silent(answered_meanwhile, silent):
    breaker = a_breaker()
    number = breaker.began(0.0)
    if answered_meanwhile:
        breaker.succeeded()

    assert breaker.given_up(number, 20.0) == silent


def test_with_one_failure_allowed_none_is_waited_for():
    breaker = a_breaker(1)
    fail(breaker, 0.0)

    assert breaker.is_open


def test_a_success_in_between_restarts_the_count():
    breaker = a_breaker(3)
    fail(breaker, 0.0, 2.0)
    breaker.succeeded()
    fail(breaker, 2.1, 4.1)

    assert breaker.health(4.1) is Health.SUSPECT


def test_a_success_closes_an_open_breaker():
    breaker = a_breaker(1)
    fail(breaker, 0.0)
    breaker.succeeded()

    assert breaker.health(0.0) is Health.GOOD


@pytest.mark.parametrize(("waited", "health"), [(1.0, Health.GOOD), (1.1, Health.SUSPECT)])
def test_an_overdue_head_makes_suspect(waited, health):
    breaker = a_breaker()
    breaker.began(10.0)

    assert breaker.health(10.0 + waited) is health


def test_a_head_that_came_is_not_overdue():
    breaker = a_breaker()
    breaker.answered(breaker.began(0.0))

    assert breaker.health(60.0) is Health.GOOD


def test_a_success_elsewhere_excuses_the_slow():
    breaker = a_breaker()
    breaker.began(0.0)
    breaker.succeeded()

    assert breaker.health(60.0) is Health.GOOD


def test_who_began_after_the_success_is_not_excused():
    breaker = a_breaker()
    breaker.succeeded()
    breaker.began(0.0)

    assert breaker.health(1.5) is Health.SUSPECT


@pytest.mark.parametrize(("waited", "counts"), [(0.5, False), (1.5, True)])
def test_leaving_counts_only_when_overdue(waited, counts):
    breaker = a_breaker()

    assert counts == breaker.left(breaker.began(0.0), waited)
    assert breaker.health(60.0) is Health.GOOD


def test_leaving_does_not_count_after_a_success_elsewhere():
    breaker = a_breaker()
    number = breaker.began(0.0)
    breaker.succeeded()

    assert not breaker.left(number, 60.0)


@pytest.mark.parametrize(
    ("healths", "expected"),
    [
        ([], Health.GOOD),
        ([Health.GOOD, Health.SUSPECT], Health.SUSPECT),
        ([Health.DEAD, Health.SUSPECT, Health.GOOD], Health.DEAD),
    ],
)
def test_the_worst_counts(healths, expected):
    assert worst(healths) is expected


def test_its_repr_tells_its_state():
    breaker = a_breaker(2)
    fail(breaker, 0.0)

    assert "<Breaker closed: 1 of 2 failures, 0 waiting>" == repr(breaker)
