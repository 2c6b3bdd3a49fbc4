"""When a host has failed so often that requests are pointless, and when to use it again.

Pure: no socket, no task, and the time (seconds of any steady clock) is an argument. Connecting, waiting and probing
belong to `connections`.
"""

from collections.abc import Iterable
from itertools import count

from nugetproxy.httpcache.decisions import Health

_WORSE = {Health.GOOD: 0, Health.SUSPECT: 1, Health.DEAD: 2}


class Breaker:
    """The record of how one host answered: closed while requests may be sent, open once it is considered down.

    It opens after `failures` failures without a success between them. Failures within `spacing` seconds of the last one
    that counted are the same event: a restart that breaks fifty requests is one failure, not fifty.
    """

    def __init__(self, failures: int, *, spacing: float, overdue: float) -> None:
        self._failures = failures
        self._spacing = spacing
        self._overdue = overdue
        self._counted = 0
        self._last_counted = float("-inf")
        # Requests without a head since the last success, oldest first. A success clears them: they may just be slow.
        self._waiting: dict[int, float] = {}
        self._requests = count(1)

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Breaker {state}: {self._counted} of {self._failures} failures, {len(self._waiting)} waiting>"

    @property
    def is_open(self) -> bool:
        return self._counted >= self._failures

    def health(self, now: float) -> Health:
        """GOOD, SUSPECT (a failure since the last success, or a head that is overdue), or DEAD."""
        if self.is_open:
            return Health.DEAD
        oldest = next(iter(self._waiting.values()), now)
        return Health.SUSPECT if self._counted or now - oldest > self._overdue else Health.GOOD

    def began(self, now: float) -> int:
        """A request is sent; the number returned identifies it until it is answered, failed or left."""
        number = next(self._requests)
        self._waiting[number] = now
        return number

    def answered(self, number: int) -> None:
        """Its head arrived. Whether the body is of use is not known yet."""
        self._waiting.pop(number, None)

    def given_up(self, number: int, now: float) -> float:
        """No task waits for its head any more; the seconds that one waited, 0 if the host answered others meanwhile."""
        return now - self._waiting.pop(number, now)

    def left(self, number: int, now: float) -> bool:
        """As `given_up`; whether it counts as a failure because it was overdue."""
        return self.given_up(number, now) > self._overdue

    def succeeded(self) -> None:
        """A complete answer arrived, including a proper 404; this also closes an open breaker."""
        self._counted = 0
        self._last_counted = float("-inf")
        self._waiting.clear()

    def failed(self, now: float, silent_for: float = 0.0) -> None:
        """`silent_for`: the seconds without an answer before the failure. They count as failures one `spacing` apart,
        but one request alone does not open a breaker that allows several."""
        first = max(self._last_counted + self._spacing, now - silent_for)
        if now < first:
            return
        more = int((now - first) / self._spacing) if self._spacing else 0
        more = min(more, max(0, self._failures - 2))
        self._counted += 1 + more
        self._last_counted = first + more * self._spacing


def worst(healths: Iterable[Health]) -> Health:
    """The health of something that needs all of these."""
    return max(healths, key=_WORSE.__getitem__, default=Health.GOOD)
