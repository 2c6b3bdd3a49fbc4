import pytest

from nugetproxy.mirroring.upstream.pace import Pace, Speed


def test_nothing_is_known_before_enough_was_seen():
    pace = Pace()
    assert pace.speed(100.0) is Speed.UNKNOWN
    pace.begin(100.0)
    assert pace.speed(100.2) is Speed.UNKNOWN
    pace.end(100.2, 1_000)
    assert pace.speed(200.0) is Speed.UNKNOWN


@pytest.mark.parametrize(
    ("seconds", "size", "speed"),
    [(1.0, 50_000, Speed.SLOW), (1.0, 200_000, Speed.FAST), (0.01, 300_000, Speed.FAST), (5.0, 300_000, Speed.SLOW)],
)
def test_it_is_bytes_for_the_seconds_of_waiting(seconds, size, speed):
    pace = Pace()
    pace.begin(0.0)
    pace.end(seconds, size)
    assert pace.speed(1_000.0) is speed


def test_bodies_that_arrive_together_share_their_seconds():
    pace = Pace()
    for _ in range(4):
        pace.begin(0.0)
    for _ in range(4):
        pace.end(1.0, 50_000)
    assert pace.speed(1.0) is Speed.FAST


def test_a_wait_under_way_counts():
    pace = Pace()
    pace.begin(0.0)
    assert pace.speed(0.6) is Speed.SLOW
    pace.end(0.6, 0)
    assert pace.speed(0.6) is Speed.SLOW


def test_what_was_is_outweighed_by_what_is():
    pace = Pace()
    for second in range(20):
        pace.begin(second)
        pace.end(second + 1, 10_000)
    assert pace.speed(20) is Speed.SLOW
    for second in range(20, 30):
        pace.begin(second)
        pace.end(second + 1, 1_000_000)
    assert pace.speed(30) is Speed.FAST
