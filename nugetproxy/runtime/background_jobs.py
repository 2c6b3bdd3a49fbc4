"""Jobs that run as long as the process is assembled. What they do belongs to the modules that start them."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Final

AFTER_A_FAILURE: Final = 10.0
"""Seconds until a job that lost its right to run, or could not get it, tries again."""


def run_until_closed(stack: AsyncExitStack, *jobs: Coroutine[None, None, None]) -> None:
    """Have jobs run until the stack is closed, which cancels them."""
    for job in jobs:
        stack.push_async_callback(_end, asyncio.create_task(job))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
