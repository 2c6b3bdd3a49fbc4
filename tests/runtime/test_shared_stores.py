"""What the stores of a node do besides opening: a loss is noted."""

import asyncio

from nugetproxy.errors import StorageUnavailable
from nugetproxy.runtime import shared_stores


class Returning:
    """A database that is not back yet for the first writes."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.written = asyncio.Event()

    async def write(self, work: object) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise StorageUnavailable("not yet")
        self.written.set()


async def test_lost_changes_are_noted_once_the_database_can_be_written(monkeypatch):
    monkeypatch.setattr(shared_stores, "_NOTE_AGAIN_SECONDS", 0.0)
    database = Returning(2)
    losses = shared_stores._Losses(database, "one")  # type: ignore[arg-type]
    running = asyncio.create_task(losses.run())
    try:
        await asyncio.sleep(0)
        assert database.failures == 2
        losses.happened()
        async with asyncio.timeout(5):
            await database.written.wait()
        await asyncio.sleep(0.01)
        assert database.failures == -1
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
