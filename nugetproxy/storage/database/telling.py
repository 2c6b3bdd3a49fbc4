"""A write that others must be notified of: they are, once it is on disk, even if the caller was cancelled meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from nugetproxy.storage.database.base import Database, Transaction

T = TypeVar("T")


async def write_and_tell(database: Database, work: Callable[[Transaction], T], *tell: Callable[[], None]) -> T:
    """As `Database.write`; then each of `tell` is called, in the writer's thread, before this returns.

    Otherwise a request cancelled while its write commits would leave other processes with outdated data.
    """
    future = database.submit(work)
    # Added before asyncio's own callback, so it runs before it.
    future.add_done_callback(lambda done: _tell(done, tell))
    return await asyncio.wrap_future(future)


def _tell(done: "Future[Any]", tell: tuple[Callable[[], None], ...]) -> None:
    if not done.cancelled() and done.exception() is None:
        for call in tell:
            call()
