"""Others are notified of a write exactly when it is on disk, and the caller continues once all have seen it."""

import asyncio
import threading
from pathlib import Path

import pytest

from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.revisions import Change, Revisions
from nugetproxy.storage.telling import write_and_tell

CHANGE = Change.of_hosting("contoso.one")


class Telling:
    """Writes down what it is asked to announce."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.committing = threading.Event()
        self.seen = asyncio.Event()
        self.seen.set()

    def note(self, transaction, change):
        self.told.append(("note", *transaction.fetch("SELECT count(*) FROM here")[0], change))
        return 7

    def committed(self, number, change):
        self.told.append(("committed", number, change))
        self.committing.set()

    async def seen_everywhere(self, number):
        await self.seen.wait()
        self.told.append(("seen", number))


@pytest.fixture
async def database(tmp_path: Path):
    opened = SqliteDatabase(tmp_path / "test.db", "inventory")
    await opened.write(lambda transaction: transaction.change("CREATE TABLE here (n INTEGER)"))
    yield opened
    opened.close()


def add(transaction):
    return transaction.change("INSERT INTO here VALUES (1)")


async def test_others_are_notified_before_the_caller_continues(database):
    telling = Telling()

    assert await write_and_tell(database, add, telling, CHANGE) == 1
    assert telling.told == [("note", 1, CHANGE), ("committed", 7, CHANGE), ("seen", 7)]


async def test_the_caller_waits_until_all_have_seen_it(database):
    telling = Telling()
    telling.seen.clear()
    writing = asyncio.create_task(write_and_tell(database, add, telling, CHANGE))
    assert await asyncio.to_thread(telling.committing.wait, 10)

    assert await database.fetch("SELECT count(*) FROM here") == [(1,)]
    assert not writing.done()
    telling.seen.set()
    assert await writing == 1


async def test_a_write_that_fails_notifies_nobody(database):
    telling = Telling()
    with pytest.raises(ZeroDivisionError):
        await write_and_tell(database, lambda _: 1 / 0, telling, CHANGE)

    assert telling.told == []


async def test_what_cannot_be_noted_is_not_written(database, monkeypatch):
    telling = Telling()
    monkeypatch.setattr(telling, "note", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await write_and_tell(database, add, telling, CHANGE)

    assert (telling.told, await database.fetch("SELECT * FROM here")) == ([], [])


async def test_others_are_notified_even_if_the_caller_was_cancelled(database):
    """
    A request cancelled while its write commits leaves no process with outdated data.
    """
    began, go_on, telling = asyncio.Event(), threading.Event(), Telling()
    loop = asyncio.get_running_loop()

    def work(transaction):
        loop.call_soon_threadsafe(began.set)
        assert go_on.wait(10)

    asking = asyncio.create_task(write_and_tell(database, work, telling, CHANGE))
    await began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go_on.set()

    assert await asyncio.to_thread(telling.committing.wait, 10)


async def test_on_one_machine_it_is_a_bump(database, tmp_path):
    revisions = Revisions(tmp_path)
    await write_and_tell(database, add, revisions, Change.of_accounts() | Change.of_hosting())

    assert (revisions.accounts, revisions.hosting) == (1, 1)
    revisions.close()
