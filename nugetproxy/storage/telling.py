"""A write that others must be notified of: they are, once it is on disk, even if the caller was cancelled meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from nugetproxy.storage.database.base import Database, Transaction
from nugetproxy.storage.revisions import Announcing, Change

T = TypeVar("T")


async def write_and_tell(
    database: Database, work: Callable[[Transaction], T], revisions: Announcing, change: Change
) -> T:
    """As `Database.write`; returns once nobody answers from before the change any more.

    The processes of this machine are notified in the writer's thread. Otherwise a request cancelled while its write
    commits would leave them with outdated data.
    """

    def whole(transaction: Transaction) -> tuple[T, int]:
        answer = work(transaction)
        return answer, revisions.note(transaction, change)

    def tell(done: Future[tuple[T, int]]) -> None:
        if not done.cancelled() and done.exception() is None:
            revisions.committed(done.result()[1], change)

    future = database.submit(whole)
    # Added before asyncio's own callback, so it runs before it.
    future.add_done_callback(tell)
    answer, number = await asyncio.wrap_future(future)
    await revisions.seen_everywhere(number)
    return answer
