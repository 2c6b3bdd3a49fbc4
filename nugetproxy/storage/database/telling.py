"""A write that others must hear of: they are told once it is on disk, even when whoever asked has gone meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from nugetproxy.storage.database.sqlite import SqliteDatabase, Write


async def write_and_tell(database: SqliteDatabase, work: Write, *tell: Callable[[], None]) -> Any:
    """As `SqliteDatabase.write`; then each of `tell` is called, in the writer's thread, before this returns.

    A request that is cancelled while its write commits would otherwise leave other processes with what they had.
    """
    future = database.submit(work)
    # Added before asyncio's own callback, so it runs before it.
    future.add_done_callback(lambda done: _tell(done, tell))
    return await asyncio.wrap_future(future)


def _tell(done: "Future[Any]", tell: tuple[Callable[[], None], ...]) -> None:
    if not done.cancelled() and done.exception() is None:
        for call in tell:
            call()
