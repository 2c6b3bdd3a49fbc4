"""A value read from the database, remembered until a revision differs.

After a change, many requests need it at the same time: one of them reads it, the others wait for that one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """For one event loop. Costs nothing but a look at the revision while that is the same."""

    def __init__(self, revision: Callable[[], int], read: Callable[[], Awaitable[T]]) -> None:
        self._revision = revision
        self._read = read
        self._known: tuple[int, T] | None = None
        # Ends with None, or with the error that all who wait for it raise.
        self._reading: asyncio.Future[Exception | None] | None = None

    async def current(self) -> T:
        """The value, read after the revision that is valid at the time of the call. Raises what `read` raises."""
        while True:
            # First the number, then the rows: what is remembered is never older than its number says.
            revision = self._revision()
            if self._known is not None and self._known[0] == revision:
                return self._known[1]
            if self._reading is None:
                return await self._read_for_all(revision)
            if (error := await asyncio.shield(self._reading)) is not None:
                raise error

    async def _read_for_all(self, revision: int) -> T:
        reading = self._reading = asyncio.get_running_loop().create_future()
        error: Exception | None = None
        try:
            value = await self._read()
            self._known = revision, value
            return value
        except Exception as failure:
            error = failure
            raise
        finally:  # if this caller was cancelled, one that waits reads it instead
            self._reading = None
            if not reading.done():
                reading.set_result(error)
