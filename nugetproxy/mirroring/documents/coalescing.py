"""SingleFlight: at most one running task per key, however many callers wait for its result.

The task belongs to the SingleFlight, not to the first caller: a caller that is cancelled cancels only its own waiting.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class FlightsClosedError(RuntimeError):
    """The work was cancelled, or not started, because its owner is closing."""


class SingleFlight:
    """Flights by key. `joined` is called once for each caller that joins a running one. For one event loop."""

    def __init__(self, joined: Callable[[], None] = lambda: None) -> None:
        self._joined = joined
        self._flights: dict[Hashable, asyncio.Task[Any]] = {}
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<SingleFlight: {len(self._flights)} running>"

    def __contains__(self, key: Hashable) -> bool:
        """Whether a flight for this key is running."""
        return key in self._flights

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """The result of the running flight, or of one started now. If the work raises, every caller gets the exception.

        Raises:
            FlightsClosedError: `close` was called in the meantime.
        """
        if key in self._flights:
            self._joined()
        self.start(key, work)
        flight: asyncio.Task[T] = self._flights[key]
        # Waiting on the task, instead of awaiting it, keeps our cancellation from cancelling it.
        await asyncio.wait((flight,))
        if flight.cancelled():
            raise FlightsClosedError("closed while it was running")
        return flight.result()

    def start(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> None:
        """Start the work without waiting for it; does nothing if it is already running.

        Raises:
            FlightsClosedError: `close` was called.
        """
        if self._is_closed:
            raise FlightsClosedError("closed")
        if key not in self._flights:
            flight = asyncio.ensure_future(_as_coroutine(work))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))

    async def close(self) -> None:
        """Cancel all running work and wait until it has ended."""
        self._is_closed = True
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _land(self, key: Hashable, flight: "asyncio.Task[Any]") -> None:
        del self._flights[key]
        # Retrieved, so that a failure that nobody awaited is not reported by asyncio: logging it belongs to the work.
        if not flight.cancelled():
            flight.exception()


async def _as_coroutine(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
