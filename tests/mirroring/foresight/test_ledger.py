import pytest

from nugetproxy.metrics import FORESIGHT_FETCHED, FORESIGHT_USED, FORESIGHT_WASTED_BYTES
from nugetproxy.mirroring.foresight.ledger import WASTED_AFTER, Kind, Ledger


class Counted:
    """What the metrics of packages rose by since this was created."""

    def __init__(self) -> None:
        self._before = self._now()

    def _now(self) -> tuple[float, float, float]:
        of_packages = (metric.labels(Kind.PACKAGE)._value.get() for metric in (FORESIGHT_FETCHED, FORESIGHT_USED))
        return (*of_packages, FORESIGHT_WASTED_BYTES._value.get())

    @property
    def fetched_used_wasted(self) -> tuple[float, float, float]:
        now = self._now()
        return now[0] - self._before[0], now[1] - self._before[1], now[2] - self._before[2]


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def fetch(ledger: Ledger, key: str, now: float = 0.0, size: int = 1000) -> None:
    assert ledger.begin(key, Kind.PACKAGE, now)
    ledger.announce(key, size)
    ledger.land(key)


def test_what_a_client_comes_for_was_of_use(ledger, counted):
    fetch(ledger, "a")
    assert ledger.bytes_ahead == 1000
    ledger.use("a")
    ledger.use("a")
    assert ledger.bytes_ahead == 0
    assert counted.fetched_used_wasted == (1, 1, 0)


def test_a_client_may_come_while_it_is_on_its_way(ledger, counted):
    ledger.begin("a", Kind.PACKAGE, 0.0)
    ledger.use("a")
    ledger.announce("a", 1000)
    assert ledger.bytes_ahead == 0
    ledger.land("a")
    assert counted.fetched_used_wasted == (1, 1, 0)


def test_what_nobody_comes_for_is_wasted(ledger, counted):
    fetch(ledger, "a", now=0.0)
    fetch(ledger, "b", now=WASTED_AFTER / 2)
    ledger.begin("c", Kind.PACKAGE, WASTED_AFTER)
    assert counted.fetched_used_wasted == (2, 0, 1000)
    ledger.use("a")
    ledger.use("b")
    assert counted.fetched_used_wasted == (2, 1, 1000)
    assert ledger.bytes_ahead == 0


def test_what_was_kept_or_failed_does_not_count(ledger, counted):
    ledger.begin("a", Kind.PACKAGE, 0.0)
    ledger.announce("a", 1000)
    ledger.drop("a")
    assert ledger.bytes_ahead == 0
    ledger.begin("b", Kind.PACKAGE, 2 * WASTED_AFTER)
    assert counted.fetched_used_wasted == (0, 0, 0)


def test_the_same_is_not_fetched_twice_in_a_row(ledger):
    fetch(ledger, "a")
    assert not ledger.begin("a", Kind.PACKAGE, 1.0)
    ledger.use("a")
    assert ledger.begin("a", Kind.PACKAGE, 2.0)


def test_what_is_unknown_changes_nothing(ledger, counted):
    for change in (ledger.use, ledger.land, ledger.drop):
        change("a")
    ledger.announce("a", 5)
    assert ledger.bytes_ahead == 0
    assert counted.fetched_used_wasted == (0, 0, 0)
