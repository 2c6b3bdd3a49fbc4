"""Who may answer from memory, and until when: tables of the rules."""

import pytest

from nugetproxy.storage.fleet.rules import (
    Position,
    Timing,
    memory_until,
    memory_without_database,
    pause_between_looks,
    unseen,
)

TIMING = Timing()
OLD, NEWER, NEWEST = Position(7, 1), Position(9, 2), Position(10, 3)


def test_the_right_counts_from_before_the_confirmation_was_sent():
    assert memory_until(100.0, TIMING) == 104.0


@pytest.mark.parametrize("rate", [0.91, 1.0, 1.09])
def test_it_has_ended_everywhere_once_a_writer_has_waited(rate):
    """
    Even if the confirmation was sent right before the commit, by a machine whose clock runs slower or faster.
    """
    assert TIMING.right / rate < TIMING.wait


@pytest.mark.parametrize(
    ("until", "confirmed", "failed", "expected"),
    [
        (104.0, 100.0, 102.0, 104.0),  # the right still lasts
        (104.0, 100.0, 103.0, 105.0),
        (104.0, 100.0, 150.0, 152.0),
        (219.0, 100.0, 219.0, 220.0),  # the outage has lasted for too long
        (220.0, 100.0, 221.0, 220.0),
        (0.0, None, 50.0, 0.0),  # nothing is known since the boot
    ],
)
def test_what_is_known_is_used_while_the_database_cannot_be_reached(until, confirmed, failed, expected):
    assert memory_without_database(until, confirmed, failed - 1, failed, TIMING) == expected


@pytest.mark.parametrize(("took", "expected"), [(0.0, 105.0), (1.9, 105.0), (2.1, 104.0), (60.0, 104.0)])
def test_an_attempt_during_which_the_node_was_stopped_proves_nothing(took, expected):
    """
    The answer may have been there, and a writer may have waited in vain meanwhile.
    """
    assert memory_without_database(104.0, 100.0, 103.0 - took, 103.0, TIMING) == expected


def test_an_excuse_lasts_until_the_next_attempt_has_ended():
    assert TIMING.excuse > TIMING.retry + TIMING.attempt


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([OLD], []),
        ([OLD, NEWER, NEWEST], [NEWER, NEWEST]),
        ([], None),  # lost: the database is behind
        ([Position(7, 8)], None),  # lost, and its number was used again
        ([NEWER], None),  # removed long ago
    ],
)
def test_only_a_log_that_contains_what_is_known_says_what_changed(found, expected):
    assert unseen(OLD, found) == expected


@pytest.mark.parametrize("wrong", [{"right": 4.5}, {"wait": 4.0}, {"beat": 3.5}, {"attempt": 3.5}])
def test_times_that_prove_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="right"):
        Timing(**wrong)


def test_a_writer_looks_often_at_first():
    assert [pause_between_looks(waited) for waited in (0.0, 0.04, 3.0)] == [0.002, 0.01, 0.1]
