"""When a host has failed so often that asking it is pointless, and when to trust it again.

Pure: no socket, no task, and the time (seconds of any steady clock) is an argument. Who opens connections, waits and
probes is `connections`.
"""

from collections.abc import Iterable
from itertools import count

from nugetproxy.httpcache.decisions import Health


class Breaker:
    """The memory of how one host answered: closed while it may be asked, open once it is held to be dead.

    It opens after `failures` failures without a success between them. Failures within `spacing` seconds of the last one
    that counted are the same event: a restart breaks fifty requests at once, which is one reason to doubt, not fifty.
    """

    def __init__(self, failures: int, *, spacing: float, overdue: float) -> None:
        self._failures = failures
        self._spacing = spacing
        self._overdue = overdue
        self._counted = 0
        self._last_counted = float("-inf")
        # Heads not yet there of requests begun since the last success, oldest first: a success clears the older ones of
        # suspicion, as they may just be slow.
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
        """A request is sent; the number returned stands for it until it is answered, failed or left."""
        number = next(self._requests)
        self._waiting[number] = now
        return number

    def answered(self, number: int) -> None:
        """Its head is there. Whether the body is any good is still open."""
        self._waiting.pop(number, None)

    def given_up(self, number: int, now: float) -> float:
        """Nobody waits for its head any more; the seconds waited in vain, 0 if the host answered others meanwhile."""
        return now - self._waiting.pop(number, now)

    def left(self, number: int, now: float) -> bool:
        """As `given_up`; whether that is to be counted as a failure, because it was overdue."""
        return self.given_up(number, now) > self._overdue

    def succeeded(self) -> None:
        """A complete answer came, an honest "does not exist" included; this also closes an open breaker."""
        self._counted = 0
        self._last_counted = float("-inf")
        self._waiting.clear()

    def failed(self, now: float, silent_for: float = 0.0) -> None:
        """`silent_for` so many seconds before the failure, the host did not answer: that says as much as failures that
        came as quickly as they are counted. Yet one request alone does not open a breaker that allows several."""
        first = max(self._last_counted + self._spacing, now - silent_for)
        if now < first:
            return
        more = int((now - first) / self._spacing) if self._spacing else 0
        more = min(more, max(0, self._failures - 2))
        self._counted += 1 + more
        self._last_counted = first + more * self._spacing


def worst(healths: Iterable[Health]) -> Health:
    """The health of something that needs all of these."""
    order = (Health.GOOD, Health.SUSPECT, Health.DEAD)
    return max(healths, key=order.index, default=Health.GOOD)
