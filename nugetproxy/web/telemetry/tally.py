"""The lane's counts: plain numbers while requests are answered, added to the instruments of `metrics` by a timer.

The instruments and labels are those of `web.telemetry.counting`, which counts one request at a time; at the lane's
rates even that would be a tenth of the work. What is counted is not decided here.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Histogram

from nugetproxy import metrics

FLUSH_SECONDS = 0.5

_BOUNDS = metrics.DURATION_BUCKETS


@dataclass(slots=True, eq=False)
class _Counts:
    requests: int = 0
    body_bytes: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))


class Tally:
    """Counts of answers by resource, outcome and status. Only for the event loop's thread."""

    def __init__(self, flushed: Callable[[], None] = lambda: None) -> None:
        """`flushed` is called with each flush, for other code that counts in plain numbers."""
        self._flushed = flushed
        self._counts: dict[tuple[str, str, int], _Counts] = {}
        self._timer: asyncio.TimerHandle | None = None

    def count(self, resource: str, outcome: str, status: int, seconds: float, body_bytes: int) -> None:
        counts = self._counts.get((resource, outcome, status))
        if counts is None:
            counts = self._counts[resource, outcome, status] = _Counts()
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        counts.requests += 1
        counts.body_bytes += body_bytes
        counts.seconds += seconds
        counts.buckets[bisect_left(_BOUNDS, seconds)] += 1

    def flush(self) -> None:
        """Bring the instruments up to date."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flushed()
        counted, self._counts = self._counts, {}
        for (resource, outcome, status), counts in counted.items():
            metrics.REQUESTS.labels(resource, outcome, str(status)).inc(counts.requests)
            if counts.body_bytes:
                metrics.BYTES_OUT.labels(resource).inc(counts.body_bytes)
            observe_many(metrics.REQUEST_SECONDS.labels(resource), counts.buckets, counts.seconds)


def observe_many(histogram: Histogram, buckets: list[int], total: float) -> None:
    """Equivalent to many `observe` calls: `buckets` counts them by upper bound, `total` is their sum.

    The library has no public API for this. If its internals are not as expected, each observation is made on its own,
    at its bucket's bound: slower, and the sum is too high, but the buckets are right.
    """
    parts: Any = histogram
    try:
        children, sum_of = parts._buckets, parts._sum
        is_known = len(children) == len(buckets)
    except (AttributeError, TypeError):
        is_known = False
    if is_known:
        for child, number in zip(children, buckets, strict=True):
            if number:
                child.inc(number)
        sum_of.inc(total)
        return
    for bound, number in zip((*_BOUNDS, _BOUNDS[-1] * 2), buckets, strict=True):
        for _ in range(number):
            histogram.observe(bound)
