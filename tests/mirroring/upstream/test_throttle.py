"""For how long a host is left alone, and which request goes first afterwards."""

import pytest

from nugetproxy.mirroring.upstream.throttle import LONGEST_UNTOLD, Throttle

PAUSE = 0.2
LOOK = 3.0
PATIENCE = 30.0


def new_throttle() -> Throttle:
    return Throttle(PAUSE, second_look=LOOK, patience=PATIENCE)


def a_throttle(*, refused_at: float = 100.0, retry_after: float = 10.0) -> Throttle:
    throttle = new_throttle()
    throttle.refused(refused_at, refused_at, retry_after, "answered 429")
    return throttle


def test_at_first_everybody_may_ask():
    throttle = new_throttle()

    assert (throttle.left(0.0), throttle.begin()) == (None, False)


@pytest.mark.parametrize(("now", "left"), [(100.0, 10.0), (104.0, 6.0), (110.0, None), (1e9, None)])
def test_no_request_is_sent_until_the_time_is_over(now, left):
    assert left == a_throttle().left(now)


def test_then_one_goes_first():
    throttle = a_throttle()

    assert (throttle.begin(), throttle.left(110.0)) == (True, 0.0)


def test_when_it_was_not_refused_all_may_follow():
    throttle = a_throttle()
    throttle.begin()
    throttle.over()
    throttle.end()

    assert (throttle.left(110.0), throttle.begin()) == (None, False)


def test_when_it_left_without_an_answer_the_next_goes_first():
    throttle = a_throttle()
    throttle.begin()
    throttle.end()

    assert (throttle.left(110.0), throttle.begin()) == (None, True)


def test_after_a_refusal_the_time_starts_again():
    throttle = a_throttle()
    throttle.begin()
    throttle.end()
    throttle.refused(110.0, 111.0, 10.0, "answered 429")

    assert throttle.left(112.0) == 9.0


def test_the_last_wait_is_returned():
    assert a_throttle(retry_after=10.0).over() == 10.0


@pytest.mark.parametrize(("times", "wait"), [(1, 0.2), (2, 0.4), (5, 3.2), (50, LONGEST_UNTOLD)])
def test_who_names_no_time_is_left_alone_for_twice_as_long_each_time(times, wait):
    throttle = new_throttle()
    waits = [throttle.refused(100.0 * n, 100.0 * n, 0.0, "answered 429") for n in range(times)]

    assert waits[-1] == pytest.approx(wait)


def test_who_names_a_time_is_left_alone_no_longer():
    throttle = new_throttle()
    waits = [throttle.refused(100.0 * n, 100.0 * n, 3.0, "answered 429") for n in range(50)]

    assert waits == [3.0] * 50


def test_refusals_of_requests_sent_together_are_one():
    throttle = new_throttle()
    waits = [throttle.refused(100.0, 101.0 + n / 1000, 0.0, "answered 429") for n in range(50)]

    assert waits == [pytest.approx(PAUSE)] + [None] * 49


def test_a_shorter_wait_does_not_end_a_longer_one():
    throttle = a_throttle(retry_after=20.0)
    throttle.refused(99.0, 101.0, 1.0, "answered 429")

    assert throttle.left(110.0) == 10.0


def test_a_late_refusal_after_all_was_over_counts():
    throttle = a_throttle()
    throttle.begin()
    throttle.over()
    throttle.end()
    throttle.refused(99.0, 111.0, 0.0, "answered 429")

    assert throttle.left(111.0) == pytest.approx(PAUSE)


def test_a_wait_beyond_patience_must_be_confirmed():
    assert a_throttle(retry_after=120.0).left(100.0) == LOOK


def test_it_is_confirmed_by_the_same_answer_to_the_first():
    throttle = a_throttle(retry_after=120.0)
    throttle.begin()
    throttle.end()
    throttle.refused(103.0, 104.0, 120.0, "answered 429")

    assert throttle.left(104.0) == 120.0


@pytest.mark.parametrize(("first", "second", "wait"), [("/a", "/a", LOOK), ("/a", "/b", 120.0), ("/a", "", 120.0)],
                         ids=["one document", "another", "too many"])  # fmt: skip
def test_that_a_host_is_ill_must_be_told_for_two_documents(first, second, wait):
    throttle = new_throttle()
    throttle.refused(100.0, 100.0, 120.0, "answered 503", ill=first)
    throttle.refused(103.0, 104.0, 120.0, "answered 503", ill=second)

    assert throttle.left(104.0) == wait


def test_many_who_were_under_way_together_are_one_who_tells():
    throttle = a_throttle(retry_after=120.0)
    throttle.refused(99.5, 100.5, 120.0, "answered 429")

    assert throttle.left(101.0) == pytest.approx(LOOK - 0.5)


def test_they_do_not_cut_short_what_was_told_twice():
    throttle = a_throttle(retry_after=120.0)
    throttle.refused(103.0, 104.0, 120.0, "answered 429")
    throttle.refused(99.0, 105.0, 200.0, "answered 429")

    assert throttle.left(105.0) == 200.0


def test_after_all_was_over_it_must_be_told_twice_again():
    throttle = a_throttle(retry_after=120.0)
    throttle.refused(103.0, 104.0, 120.0, "answered 429")
    throttle.begin()
    throttle.over()
    throttle.end()
    throttle.refused(300.0, 300.0, 120.0, "answered 429")

    assert throttle.left(300.0) == LOOK
