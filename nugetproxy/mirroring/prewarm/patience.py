"""Pauses while an upstream asks for fewer requests or is considered down: no client waits for a prewarm."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from nugetproxy.errors import UpstreamError

T = TypeVar("T")

# Pauses in a row without any success, and pauses for one request. An upstream may ask for up to five minutes each time.
MOST_RESTS: Final = 4
_SHORTEST_REST: Final = 1.0


class Patience:
    """The pauses of one run. `resting` is called before each, with its seconds and the reason."""

    def __init__(
        self,
        resting: Callable[[float, str], None] = lambda _seconds, _why: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._resting = resting
        self._sleep = sleep
        self._rest = asyncio.Lock()
        self._rests_in_vain = 0

    async def ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """`await request()`, again after a pause if the upstream may then be asked. Raises what it raises at last."""
        for _ in range(MOST_RESTS):
            async with self._rest:
                pass  # others are pausing, so this one does too
            try:
                return await request()
            except UpstreamError as error:
                if error.retry_after is None or self._rests_in_vain >= MOST_RESTS:
                    raise
                await self._have_a_rest(max(_SHORTEST_REST, error.retry_after), str(error))
        return await request()

    def succeeded(self) -> None:
        """The upstream sent something."""
        self._rests_in_vain = 0

    async def _have_a_rest(self, seconds: float, why: str) -> None:
        if self._rest.locked():
            return  # requests refused together pause once
        async with self._rest:
            self._rests_in_vain += 1
            self._resting(seconds, why)
            await self._sleep(seconds)
