"""Others are notified of a write exactly when it is on disk."""

import asyncio
import threading
from pathlib import Path

import pytest

from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.database.telling import write_and_tell


@pytest.fixture
def database(tmp_path: Path):
    opened = SqliteDatabase(tmp_path / "test.db", "inventory")
    yield opened
    opened.close()


async def test_others_are_notified_before_the_caller_continues(database):
    told: list[str] = []

    assert await write_and_tell(database, lambda _: 7, lambda: told.append("once")) == 7
    assert told == ["once"]


async def test_a_write_that_fails_notifies_nobody(database):
    told: list[str] = []
    with pytest.raises(ZeroDivisionError):
        await write_and_tell(database, lambda _: 1 / 0, lambda: told.append("once"))

    assert told == []


async def test_others_are_notified_even_if_the_caller_was_cancelled(database):
    """
    A request cancelled while its write commits leaves no process with outdated data.
    """
    began, go_on, told = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work(_):
        loop.call_soon_threadsafe(began.set)
        assert go_on.wait(10)

    asking = asyncio.create_task(write_and_tell(database, work, told.set))
    await began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go_on.set()

    assert await asyncio.to_thread(told.wait, 10)
