"""A remembered value: read once for all who wait, never older than its revision."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.remembered import Remembered


class Table:
    """`content` can be read when `open` is set, at the latest version there is then."""

    def __init__(self) -> None:
        self.revision = 1
        self.content = "one"
        self.reads = 0
        self.open = asyncio.Event()
        self.open.set()
        self.remembered = Remembered(lambda: self.revision, self.read)

    def change(self, content: str) -> None:
        """First the content, then the number, as every writer does."""
        self.content = content
        self.revision += 1

    async def read(self) -> str:
        self.reads += 1
        content = self.content
        await self.open.wait()
        if content == "gone":
            raise StorageUnavailable("the database is gone")
        return content


async def waiting(ask: Callable[[], Awaitable[str]], many: int) -> list[asyncio.Task[str]]:
    tasks = [asyncio.ensure_future(ask()) for _ in range(many)]
    await asyncio.sleep(0)
    return tasks


async def test_it_is_read_once_until_the_revision_differs() -> None:
    table = Table()
    assert [await table.remembered.current() for _ in range(3)] == ["one"] * 3
    table.change("two")
    assert [await table.remembered.current() for _ in range(3)] == ["two"] * 3
    assert table.reads == 2


async def test_one_reads_for_all_who_wait() -> None:
    table = Table()
    table.open.clear()
    tasks = await waiting(table.remembered.current, 50)
    table.open.set()
    assert await asyncio.gather(*tasks) == ["one"] * 50
    assert table.reads == 1


async def test_who_asks_after_a_change_is_not_answered_from_before_it() -> None:
    table = Table()
    table.open.clear()
    before = await waiting(table.remembered.current, 2)
    table.change("two")
    after = await waiting(table.remembered.current, 2)
    table.open.set()
    assert (await asyncio.gather(*before))[0] == "one"
    assert await asyncio.gather(*after) == ["two"] * 2
    assert table.reads == 2


async def test_a_failure_is_one_for_all_and_is_not_remembered() -> None:
    table = Table()
    table.content = "gone"
    table.open.clear()
    tasks = await waiting(table.remembered.current, 50)
    table.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in results} == {StorageUnavailable}
    assert table.reads == 1
    table.content = "one"
    assert await table.remembered.current() == "one"


async def test_a_reader_that_is_cancelled_is_replaced() -> None:
    table = Table()
    table.open.clear()
    first, *others = await waiting(table.remembered.current, 10)
    first.cancel()
    others.pop().cancel()
    await asyncio.sleep(0)
    table.open.set()
    assert await asyncio.gather(*others) == ["one"] * 8
    with pytest.raises(asyncio.CancelledError):
        await first
    assert table.reads == 2


async def test_nothing_is_waited_for_where_reading_does_not_wait() -> None:
    table = Table()
    with pytest.raises(StopIteration, match="one"):
        table.remembered.current().send(None)
