"""The hourly look after hosted packages: in one process, for as long as that runs, whatever goes wrong in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.runtime import hosting_parts


class Jobs:
    """As `Rights`: the first to ask gets it, and loses it when told to."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.lost = asyncio.Event()

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        async with self.turn:
            holder = asyncio.current_task()
            assert holder is not None
            ending = asyncio.ensure_future(self.lost.wait())
            ending.add_done_callback(lambda _: holder.cancel())
            try:
                yield
            except asyncio.CancelledError as error:
                if self.lost.is_set():
                    self.lost.clear()
                    raise StorageUnavailable("lost") from error
                raise


async def test_one_process_looks_after_all_until_it_loses_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def of(name: str) -> Any:
        return asyncio.create_task(hosting_parts._keep_up(jobs, name, None, None, None))  # type: ignore[arg-type]

    async def look_after(name: Any, *_: Any) -> None:
        looked.append(name)

    monkeypatch.setattr(hosting_parts, "_look_after", look_after)
    monkeypatch.setattr(hosting_parts, "_UPKEEP_SECONDS", 0.001)
    jobs = Jobs()
    tasks = [of("one"), of("two")]
    try:
        async with asyncio.timeout(5):
            while len(looked) < 3:
                await asyncio.sleep(0.001)
            assert set(looked) == {"one"}
            jobs.lost.set()
            while looked[-1] != "two":
                await asyncio.sleep(0.001)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
