"""Batched counts give the same result as single ones."""

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from nugetproxy import metrics
from nugetproxy.web.telemetry.tally import Tally, observe_many


def histogram(registry: CollectorRegistry) -> Histogram:
    return Histogram("seconds", "s", ["resource"], buckets=metrics.DURATION_BUCKETS, registry=registry)


def samples(registry: CollectorRegistry) -> list[bytes]:
    return [line for line in generate_latest(registry).splitlines() if b"created" not in line]


SECONDS = (0.0001, 0.0005, 0.0006, 0.3, 59.0, 100.0)


def test_many_observations_are_as_each_by_itself():
    """
    If this fails, the library's histogram has changed internally and `observe_many` must follow.
    """
    one_by_one, together = CollectorRegistry(), CollectorRegistry()
    single, batched = histogram(one_by_one).labels("a"), histogram(together).labels("a")
    buckets = [0] * (len(metrics.DURATION_BUCKETS) + 1)
    for seconds in SECONDS:
        single.observe(seconds)
        buckets[sum(bound < seconds for bound in metrics.DURATION_BUCKETS)] += 1
    observe_many(batched, buckets, sum(SECONDS))

    assert samples(one_by_one) == samples(together)


class Unknown:
    def __init__(self) -> None:
        self.observed: list[float] = []

    def observe(self, seconds: float) -> None:
        self.observed.append(seconds)


def test_an_unknown_histogram_still_counts_every_observation():
    found = Unknown()
    buckets = [0] * (len(metrics.DURATION_BUCKETS) + 1)
    buckets[0], buckets[-1] = 2, 1
    observe_many(found, buckets, 1.0)  # type: ignore[arg-type]  # what a changed library would look like

    assert found.observed == [0.0005, 0.0005, 120.0]


async def test_a_flush_of_the_tally_updates_every_instrument():
    def counted() -> tuple[float, float, float, float]:
        value = metrics.REQUESTS.labels("icon", "hit", "200")._value.get()
        size = metrics.BYTES_OUT.labels("icon")._value.get()
        timed = metrics.REQUEST_SECONDS.labels("icon")
        return value, size, timed._sum.get(), sum(bucket.get() for bucket in timed._buckets)

    before = counted()
    tally = Tally()
    for seconds in SECONDS:
        tally.count("icon", "hit", 200, seconds, 10)
    unflushed = counted()
    tally.flush()

    assert unflushed == before
    assert [after - was for after, was in zip(counted(), before, strict=True)] == pytest.approx(
        [len(SECONDS), 10 * len(SECONDS), sum(SECONDS), len(SECONDS)]
    )
