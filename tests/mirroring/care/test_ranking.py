"""The order in which packages are evicted."""

import pytest

from nugetproxy.mirroring.care.ranking import MOST_WEIGHT, ranked, weight
from tests.mirroring.care.packages import DAY, a_file

NOW = 400 * DAY


def order(*files):
    return [file.lower_id for file in ranked(files, NOW)]


def ago(days: float) -> int:
    return int(NOW - days * DAY)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([a_file("new", used=ago(1)), a_file("old", used=ago(2))], ["old", "new"]),
        # As long ago: the large one first, and the one that is fetched quickly.
        ([a_file("small", size=10_000, used=ago(9)), a_file("large", used=ago(9))], ["large", "small"]),
        ([a_file("slow", milliseconds=60_000, used=ago(9)), a_file("quick", used=ago(9))], ["quick", "slow"]),
        # Used much longer ago: neither size nor cost save it, nor condemn the other.
        ([a_file("hot", size=10**10, used=ago(1)), a_file("cold", size=1, used=ago(20))], ["cold", "hot"]),
        ([a_file("hot", used=ago(1)), a_file("cold", milliseconds=10**7, used=ago(20))], ["cold", "hot"]),
        # The clock was set back: uses in the future are the latest ones.
        ([a_file("later", used=NOW + 9), a_file("soon", used=NOW + 5), a_file("past", used=ago(1))],
         ["past", "soon", "later"]),
        ([a_file("b", used=ago(1)), a_file("a", used=ago(1))], ["a", "b"]),
        ([], []),
    ],
)  # fmt: skip
def test_the_order(files, expected):
    assert order(*files) == expected


@pytest.mark.parametrize("size", [0, 1, 10**6, 10**12])
@pytest.mark.parametrize("milliseconds", [0, 1, 10**6, 10**12])
def test_the_weight_is_bounded(size, milliseconds):
    assert 1 / MOST_WEIGHT <= weight(size, milliseconds) <= MOST_WEIGHT


def test_an_average_package_has_weight_one():
    assert weight(1_000_000, 800) == 1
