import math
from dataclasses import replace

import pytest

from nugetproxy.config import Freshness
from nugetproxy.httpcache.freshness import (
    DocumentKind,
    age,
    followed_until,
    is_fresh,
    may_be_revalidated_behind,
    may_stand_in,
    remaining,
    useful_seconds,
)
from tests.httpcache.documents import NOON, a_document, a_rule, an_absence

_RULE = a_rule(fresh=60, behind=30, on_error=3600, absent=10)


@pytest.mark.parametrize(("years_old", "expected"), [(0, 0.0), (5, 5.0), (-5, 0.0), (-1e9, 0.0)])
def test_age_is_never_negative(years_old, expected):
    """
    A clock that was set back makes a copy new, never of negative age.
    """
    assert expected == age(a_document(age=years_old), NOON)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (a_document(age=0), True),
        (a_document(age=59.9), True),
        (a_document(age=60), False),
        (a_document(age=0, expired=True), False),
        (a_document(age=-60), True),
        # Written by a clock that was wrong by more than CLOCK_SKEW: its age is unknown.
        (a_document(age=-61), False),
        (a_document(age=-1e9), False),
        (an_absence(age=9.9), True),
        (an_absence(age=10), False),
        (an_absence(age=0, expired=True), False),
    ],
)
def test_freshness(stored, expected):
    assert expected is is_fresh(stored, _RULE, NOON)


def test_nothing_is_fresh_under_a_rule_of_zero_seconds():
    assert not is_fresh(a_document(age=0), a_rule(fresh=0), NOON)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (a_document(age=20), 40.0),
        (a_document(age=80), -20.0),
        (a_document(age=20, expired=True), 0.0),
        (an_absence(age=4), 6.0),
    ],
)
def test_how_long_a_copy_stays_fresh(stored, expected):
    assert expected == remaining(stored, _RULE, NOON)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (a_document(age=60), True),
        (a_document(age=89.9), True),
        (a_document(age=90), False),
        (a_document(age=10, expired=True), False),
        (a_document(age=-61), False),
    ],
)
def test_what_may_be_refreshed_in_the_background(stored, expected):
    assert expected is may_be_revalidated_behind(stored, _RULE, NOON)


@pytest.mark.parametrize(
    ("stored", "rule", "expected"),
    [
        (a_document(age=3600), _RULE, True),
        (a_document(age=3601), _RULE, False),
        (a_document(age=10, expired=True), _RULE, True),
        (a_document(age=-1e9), _RULE, True),
        (an_absence(age=0), _RULE, False),
        # A short stale_if_error does not limit what may be served anyway.
        (a_document(age=90), a_rule(fresh=60, behind=30, on_error=0), True),
        (a_document(age=91), a_rule(fresh=60, behind=30, on_error=0), False),
    ],
)
def test_what_may_be_served_if_the_upstream_fails(stored, rule, expected):
    assert expected is may_stand_in(stored, rule, NOON)


@pytest.mark.parametrize(
    ("stored", "rule", "expected"),
    [
        (a_document(), a_rule(fresh=60, behind=30, on_error=3600), 3600),
        (a_document(), a_rule(fresh=60, behind=30, on_error=0), 90),
        (an_absence(), a_rule(absent=10), 10),
    ],
)
def test_how_long_a_copy_is_useful(stored, rule, expected):
    assert expected == useful_seconds(stored, rule)


def test_kinds_are_named_as_in_the_settings():
    assert set(Freshness.model_fields) == {kind.value for kind in DocumentKind}


@pytest.mark.parametrize(
    ("stored", "until", "expected"),
    [
        (a_document(age=600), NOON + 180, 180.0),
        (a_document(age=3500), NOON + 180, 100.0),
        (a_document(age=3700), NOON + 180, -100.0),
        (a_document(age=20), NOON + 10, 40.0),
        (a_document(age=600), NOON - 5, -5.0),
        (a_document(age=600), -math.inf, -540.0),
        (a_document(age=600, expired=True), NOON + 180, 0.0),
        (a_document(age=-3600), NOON + 180, 0.0),
        (an_absence(age=600), NOON + 180, -590.0),
    ],
)
def test_how_long_a_copy_stays_fresh_while_a_catalog_is_followed(stored, until, expected):
    """
    As long as the rule says and the catalog was read lately; an absence no longer than without a catalog.
    """
    assert expected == remaining(stored, replace(_RULE, followed=3600, followed_until=until), NOON)


@pytest.mark.parametrize(
    ("polled", "expected"),
    [
        (NOON - 10, NOON + 170),
        (NOON - 1000, NOON - 820),
        (NOON + 50, NOON + 230),
        (NOON + 70, -math.inf),
        (None, -math.inf),
    ],
)
def test_how_long_a_poll_is_relied_on(polled, expected):
    assert expected == followed_until(polled, 60, NOON)
