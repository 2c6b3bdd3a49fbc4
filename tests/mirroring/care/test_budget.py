"""How much has to go, and when the disk will be full."""

import math

import pytest

from nugetproxy.mirroring.care.budget import Disk, days_until_full, limit_of, to_free

ROOMY = Disk(total=1_000, free=500, reserve=100)
TIGHT = Disk(total=1_000, free=105, reserve=100)


@pytest.mark.parametrize(("budget", "limit"), [(None, None), (700, 700), (0.5, 500), (1.0, 1_000)])
def test_the_limit(budget, limit):
    assert limit_of(budget, ROOMY) == limit


@pytest.mark.parametrize(
    ("kept", "limit", "disk", "freed"),
    [
        (400, None, TIGHT, 0),
        (400, 400, ROOMY, 0),
        (401, 400, ROOMY, 41),
        (800, 400, ROOMY, 440),
        (100, 400, TIGHT, 20),  # until the reserve is clear again
        (10, 400, TIGHT, 10),
        (800, 400, TIGHT, 440),
        (0, 400, TIGHT, 0),
        (400, 400, Disk(1_000, 0, 0), 0),
    ],
)
def test_what_has_to_go(kept, limit, disk, freed):
    assert to_free(kept, limit, disk) == freed


@pytest.mark.parametrize(
    ("kept", "limit", "disk", "per_day", "days"),
    [
        (300, None, ROOMY, 40, 10),
        (300, None, ROOMY, 0, math.inf),
        (300, 600, ROOMY, 40, math.inf),  # the budget is reached first
        (300, 900, ROOMY, 40, 10),
        (300, None, Disk(1_000, 90, 100), 40, 0),
    ],
)
def test_the_forecast(kept, limit, disk, per_day, days):
    assert days_until_full(kept, limit, disk, per_day) == days
